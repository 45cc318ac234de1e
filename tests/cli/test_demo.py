"""`python -m flask_abx demo`: a page, its report and the code of both, for a while."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

import flask_abx
from flask_abx.cli.demo import code

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = "400"
_PATIENCE = 60


class Demo:
    """A demonstration that runs, and what it said until it served."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        self.said = "".join(until(lines, "Press Ctrl-C"))
        self.page, self.report = re.findall(r"http://\S+", self.said)

    def end(self, how: signal.Signals) -> str:
        """End it, and give what it says then."""
        self.process.send_signal(how)
        return "".join(self.process.communicate(timeout=_PATIENCE))


def until(lines: Iterator[str], end: str) -> Iterator[str]:
    for line in lines:
        yield line
        if end in line:
            return


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[Demo]:
    """Run a demonstration whose temporary folders are in one of the test."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(  # noqa: S603 - a command of our own
        [sys.executable, "-m", "flask_abx", "demo", "--visitors", FEW, *arguments],
        env={
            **{key: os.environ[key] for key in os.environ if key[:6] != "FLASK_"},
            "PYTHONPATH": str(Path(flask_abx.__file__).parents[1]),
            "TMPDIR": str(folder),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Demo(process)
    finally:
        process.kill()
        process.communicate()


def text_at(address: str) -> str:
    with urlopen(address, timeout=_PATIENCE) as answer:  # noqa: S310 - of this host
        return str(answer.read().decode())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_it_serves_a_page_in_two_variants_and_its_report(tmp_path: Path) -> None:
    port = free_port()
    with demo(tmp_path / "tmp", "--port", str(port)) as running:
        assert running.page == f"http://127.0.0.1:{port}/"
        assert "<h1>Start now!</h1>" in text_at(f"{running.page}?abx=headline:bold")
        assert "<h1>Welcome</h1>" in text_at(f"{running.page}?abx=headline:control")
        assert "<title>headline: " in text_at(running.report)
        assert ">400<" in text_at(running.report)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_nothing_behind(tmp_path: Path, how: signal.Signals) -> None:
    folder = tmp_path / "tmp"
    with demo(folder, "--port", str(free_port())) as running:
        assert list(folder.glob("flask-abx-demo-*"))
        text_at(running.page)
        ended = running.end(how)
        assert "Ended, and everything is removed." in ended
        assert "Traceback" not in ended
        assert "database" not in ended
        assert running.process.returncode == 0
    assert list(folder.iterdir()) == []


def test_it_takes_another_port_where_one_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with demo(tmp_path / "tmp", "--port", str(port)) as running:
            assert running.page != f"http://127.0.0.1:{port}/"
            assert "<h1>" in text_at(running.page)


def test_it_prints_the_lines_that_it_serves(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    with demo(folder, "--port", str(free_port())) as running:
        (served,) = folder.glob("flask-abx-demo-*/app.py")
        assert served.read_text() == code()
        assert f"These 15 lines are all there is to it:\n\n{code()}\n" in running.said


def test_the_code_has_fifteen_lines_that_fit_a_terminal() -> None:
    lines = [line for line in code().splitlines() if line]
    assert len(lines) == 15
    assert max(map(len, lines)) <= 88
