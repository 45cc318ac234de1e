"""Serving the application under drill with gunicorn, for the length of a block."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.drills.shop import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
TARGET = "tests.drills.shop:create_app()"
#: How long a server may take to listen, and to stop, in seconds.
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """A gunicorn that listens on loopback.

    Attributes:
        log: The file with all that it and its workers say.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def workers(self) -> list[int]:
        """Give the process ids of the workers that live."""
        return children_of(self.process.pid)

    def wait_for_workers(self, count: int, seconds: float = PATIENCE) -> list[int]:
        """Give the workers as soon as there are so many."""
        deadline = time.monotonic() + seconds
        while len(found := self.workers()) != count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} workers, not {count}:\n{self.said()}")
            time.sleep(0.02)
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the master."""
        self.process.send_signal(number)

    def said(self) -> str:
        """Give what it has logged so far."""
        return self.log.read_text(errors="replace")


@contextmanager
def serving(
    folder: Path,
    config: Mapping[str, Any],
    *options: str,
    workers: int = 2,
    target: str = TARGET,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Serve the shop on a free port, and kill all of it at the end.

    It listens when the block begins; its workers may still be booting, and none has
    been asked for anything yet.

    Args:
        folder: Where the log goes; also the instance folder, unless `config` has one.
        config: The configuration of the application.
        options: More options of gunicorn, such as ``"--threads=4"``.
        workers: How many processes serve.
        target: What gunicorn serves instead of the shop.
        environment: More variables of the environment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log = folder / f"gunicorn-{port}.log"
    command = [sys.executable, "-m", "gunicorn", target, *_quiet()]
    command += [f"--bind=127.0.0.1:{port}", f"--workers={workers}", *options]
    told = {CONFIG: json.dumps({"INSTANCE": str(folder), **config})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--chdir={ROOT}", "--graceful-timeout=3"],
            cwd=ROOT,
            env={**os.environ, **told, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(port, process, log)
    try:
        _wait_until_it_listens(server)
        yield server
    finally:
        kill(process)


def free_port() -> int:
    """Find a port on loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def children_of(pid: int) -> list[int]:
    """Give the process ids of the children of a process."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, path.read_text().split())
    return sorted(found)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads its own group, and whatever is left of the group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)


def _quiet() -> tuple[str, ...]:
    """Have no file outside the folder, where gunicorn would make one."""
    is_new = int(version("gunicorn").partition(".")[0]) >= 25
    return ("--no-control-socket",) if is_new else ()


def _wait_until_it_listens(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while server.process.poll() is None and time.monotonic() < deadline:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", server.port), timeout=1),
        ):
            return
        time.sleep(0.02)
    raise RuntimeError(f"gunicorn does not listen:\n{server.said()}")
