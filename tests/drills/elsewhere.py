"""Running code of a drill in a process of its own, which may be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.drills.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: How long such a process may go on, in seconds.
PATIENCE = 90.0
#: The pause between two calls of what is done meanwhile, in seconds.
EVERY = 0.05


def elsewhere(
    code: str,
    folder: Path,
    config: dict[str, Any],
    meanwhile: Callable[[], object] | None = None,
) -> dict[str, Any]:
    """Run code in another process, and give the JSON that it prints last.

    Args:
        code: What it runs.
        folder: The instance folder.
        config: The configuration of the shop.
        meanwhile: What is done here again and again, once a line was printed there.
    """
    told = json.dumps({"INSTANCE": str(folder), **config})
    with (
        (folder / "errors").open("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-c", code, told],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        killing = threading.Timer(PATIENCE, _kill, (process,))
        killing.start()
        try:
            printed = process.stdout.readline()
            while meanwhile is not None and process.poll() is None:
                meanwhile()
                time.sleep(EVERY)
            printed += process.stdout.read()
            process.wait()
        finally:
            killing.cancel()
            _kill(process)
        errors.seek(0)
        said = errors.read()
    assert process.returncode == 0, said
    assert "Traceback" not in said, said
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
