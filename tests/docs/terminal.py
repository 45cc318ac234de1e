"""The terminal that a page tells its reader to type into."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from threading import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PATIENCE = 60.0


def typed(command: str, folder: Path, env: Mapping[str, str]) -> str:
    """Run a command where nobody sits to answer questions, and give what it wrote."""
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(  # noqa: S603 - a page of our own says it
        ["bash", "-c", command],  # noqa: S607
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=other_end,
        stderr=other_end,
        start_new_session=True,
    )
    os.close(other_end)
    guard = Timer(_PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
    guard.start()
    try:
        found = b"".join(iter(lambda: _read(terminal), b""))
        process.wait()
    finally:
        guard.cancel()
        os.close(terminal)
    return found.decode().replace("\r", "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        # Linux says so when nobody can write any more.
        return b""
