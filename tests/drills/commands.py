"""Commands of a booth, each run as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.drills.booth import TARGET
from tests.drills.servers import PATIENCE, ROOT
from tests.drills.shop import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Runs a command where no process of outside can be seen.
APART = ("unshare", "--pid", "--fork", "--mount-proc")
DRAIN = ("events", "drain", "--format", "json")


def start(
    config: Mapping[str, Any], *arguments: str, prefix: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Start ``flask abx`` with some arguments.

    Args:
        config: The configuration of the booth, with its instance folder.
        arguments: What follows ``flask abx``.
        prefix: The command that runs it.
    """
    flask = [sys.executable, "-m", "flask", "--app", TARGET, "abx", *arguments]
    return subprocess.Popen(
        [*prefix, *flask],
        cwd=ROOT,
        env={**os.environ, CONFIG: json.dumps(config)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = 30.0) -> dict[str, Any]:
    """Wait for the end of a command that went well, and give the JSON that it prints.

    Raises:
        AssertionError: If it went wrong.
    """
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0, err
    assert "Traceback" not in err, err
    found: dict[str, Any] = json.loads(out)
    return found


def drain(config: Mapping[str, Any], prefix: Sequence[str] = ()) -> dict[str, Any]:
    """Store what gone processes have left, and give how many files that was."""
    return finish(start(config, *DRAIN, prefix=prefix))


@contextmanager
def watching(config: Mapping[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Have a drainer stay for the length of a block, which begins when it is there.

    Whoever ends it within the block takes what it prints with `finish`.
    """
    process = start(config, *DRAIN, "--watch")
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("Draining "), said + process.stderr.read()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
