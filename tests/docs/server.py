"""The server that a page tells its reader to start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PATIENCE = 30.0


def free_port() -> int:
    """Find a port of this computer that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


class Server:
    """One ``flask run`` in a folder, whose output goes to a file."""

    def __init__(self, command: str, folder: Path, env: Mapping[str, str]) -> None:
        self._command = command
        self._folder = folder
        self._env = env
        self._port = int(env["FLASK_RUN_PORT"])
        self._output = folder / "terminal.txt"
        self._read = 0
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - a page of our own says it
                ["bash", "-c", f"exec {self._command}"],  # noqa: S607
                cwd=self._folder,
                env=self._env,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._wait_until(listens=True)

    def _wait_until(self, *, listens: bool) -> None:
        deadline = time.monotonic() + _PATIENCE
        while self._listens() is not listens:
            has_ended = listens and self._process.poll() is not None
            assert not has_ended, self._output.read_text()
            assert time.monotonic() < deadline, self._output.read_text()
            time.sleep(0.05)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def stop(self) -> None:
        """End it with everything that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # The reloader's child may hold the port a moment longer.
        self._wait_until(listens=False)

    def new_records(self) -> str:
        """Give the JSON lines that were logged since the last call."""
        text = self._output.read_text()
        fresh, self._read = text[self._read :], len(text)
        return "\n".join(line for line in fresh.splitlines() if line.startswith("{"))
