"""A flask command that has loaded everything already, and forks for each call."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from select import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

#: What most of the commands of the pages load, which takes far longer than they do.
_LOADED = (
    "flask.cli",
    "flask_abx.cli.audit",
    "flask_abx.cli.doctor.command",
    "flask_abx.cli.editing",
    "flask_abx.cli.exchange",
    "flask_abx.cli.explain",
    "flask_abx.cli.lifecycle",
    "flask_abx.cli.results.reading",
    "flask_abx.results.aggregate",
    "flask_abx.results.showing.page",
    "flask_abx.stores.sql",
    "flask_migrate",
    "alembic.command",
    "tomli_w",
)
#: After so many seconds a command is killed.
_PATIENCE = 60
_COMMAND = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as call:
    call.connect({address!r})
    told = [sys.argv, os.getcwd(), dict(os.environ)]
    socket.send_fds(call, [b" "], [0, 1, 2])
    call.sendall(json.dumps(told).encode())
    call.shutdown(socket.SHUT_WR)
    sys.exit(int(call.recv(8) or b"70"))
"""


class WarmFlask:
    """The command ``flask`` in a folder of its own, for the front of a path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._address = str(folder / "calls")
        command = folder / "flask"
        text = _COMMAND.format(python=sys.executable, address=self._address)
        command.write_text(text)
        command.chmod(0o755)

    def __enter__(self) -> WarmFlask:
        self._calls = socket.socket(socket.AF_UNIX)
        self._calls.bind(self._address)
        self._calls.listen()
        self._process = subprocess.Popen(  # noqa: S603 - a file of our own
            [sys.executable, __file__, str(self._calls.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[self._calls.fileno()],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        # It ends with its input, as it does when pytest is killed.
        self._process.communicate()
        self._calls.close()


def serve(descriptor: int) -> None:
    """Fork for each call, which comes with the terminal that it writes to."""
    for name in _LOADED:
        if find_spec(name.partition(".")[0]) is not None:
            import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    calls = socket.socket(fileno=descriptor)
    while calls in select([calls, sys.stdin], [], [])[0]:
        call, _ = calls.accept()
        with call:
            _, terminal, _, _ = socket.recv_fds(call, 1, 3)
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.alarm(_PATIENCE)
                _answer(call, terminal)
        for each in terminal:
            os.close(each)


def _answer(call: socket.socket, terminal: list[int]) -> None:
    with call.makefile("rb") as told:
        arguments, folder, environment = json.load(told)
    for number, descriptor in enumerate(terminal):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = arguments
    code = _run()
    sys.stdout.flush()
    sys.stderr.flush()
    call.sendall(str(code).encode())
    os._exit(0)


def _run() -> int:
    from flask.cli import main

    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except BaseException:  # noqa: BLE001 - Python itself would write it and go on
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    # Beside the command that is played, Python looks into no folder of ours.
    del sys.path[0]
    serve(int(sys.argv[1]))
