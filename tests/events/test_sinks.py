"""The sinks that write at once: a file, a function, the memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from flask_abx import ABX, ConfigError
from flask_abx.events.sinks.base import CallableSink, Sink
from flask_abx.events.sinks.file import FileSink
from flask_abx.events.sinks.memory import MemorySink
from flask_abx.runtime.state import state_of
from tests.events.conftest import Keeping, an_event, an_exposure

if TYPE_CHECKING:
    from pathlib import Path

    from flask_abx.events.records import Record
    from tests.conftest import MakeApp

WRITER = """
import sys
from pathlib import Path
from flask_abx.events.sinks.file import FileSink
from tests.events.conftest import an_event

sink = FileSink(Path(sys.argv[1]))
for number in range(300):
    names = [f"{sys.argv[2]}.{number}.{part}" for part in range(5)]
    sink.write([an_event(name, properties={"pad": "x" * 700}) for name in names])
"""


def names_in(path: Path) -> list[str]:
    """Read the names of the events in a file; a mixed line is no JSON."""
    return [json.loads(line)["name"] for line in path.read_text("utf-8").splitlines()]


def test_a_file_takes_one_json_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    records: list[Record] = [an_exposure(), an_event("caf\u00e9\n")]
    FileSink(path).write(records)
    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [each.to_dict() for each in records]
    assert path.stat().st_mode & 0o007 == 0


def test_a_file_is_appended_to_and_may_be_rotated(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(an_event("old").to_json() + "\n", "utf-8")
    sink = FileSink(path)
    sink.write([an_event("a")])
    rotated = path.rename(tmp_path / "events.1")
    sink.write([an_event("b")])
    assert names_in(rotated) == ["old", "a"]
    assert names_in(path) == ["b"]


def test_no_file_stays_open(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "events.jsonl")
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone
    for _ in range(20):
        sink.write([an_event()])
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_two_processes_never_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    command = [sys.executable, "-c", WRITER, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([*command, name], env=environment)  # noqa: S603 - our own
        for name in ("left", "right")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = names_in(path)
    for side in ("left", "right"):
        own = [name for name in found if name.startswith(side)]
        assert own == [f"{side}.{n}.{part}" for n in range(300) for part in range(5)]


def test_a_short_write_is_an_error_and_cuts_no_other_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / "events.jsonl", os.write
    sink = FileSink(path)

    def short(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[:20])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        with pytest.raises(OSError, match="Only 20 of"):
            sink.write([an_event("cut")])
    sink.write([an_event("whole")])
    cut, whole = path.read_text("utf-8").splitlines()
    assert len(cut) == 20
    assert json.loads(whole)["name"] == "whole"


def test_a_missing_folder_is_an_error_of_that_sink_alone(
    make_app: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    keeping = Keeping()
    app = make_app(ABX_EVENT_LOG=str(folder / "events"), ABX_SINKS=[keeping])
    folder.rmdir()
    assert app.test_client().get("/").status_code == 200
    assert len(keeping.records) == 1
    assert state_of(app).tally.counts == {"sink_failed:FileSink": 1}
    assert "Sink FileSink lost 1 records." in caplog.text


def test_the_event_log_starts_from_the_root_of_the_application(tmp_path: Path) -> None:
    app = Flask("shop", root_path=str(tmp_path))
    app.config.update(SECRET_KEY="x", ABX_EVENT_LOG="events.jsonl", ABX_SINKS=[])
    abx = ABX(app)
    assert not (tmp_path / "events.jsonl").exists()
    with app.app_context(), abx.as_unit("ada"):
        abx.track("order")
    assert names_in(tmp_path / "events.jsonl") == ["order"]


def test_a_folder_that_is_not_there_is_told_from_the_start(make_app: MakeApp) -> None:
    with pytest.raises(ConfigError, match=r"^ABX_EVENT_LOG is 'no/x', but there is no"):
        make_app(ABX_EVENT_LOG="no/x")


def test_a_function_is_a_sink() -> None:
    taken: list[object] = []
    sink = CallableSink(taken.append)
    batch = (an_event(),)
    sink.write(batch)
    assert taken == [batch]
    assert isinstance(sink, Sink)


def test_the_memory_keeps_the_newest() -> None:
    sink = MemorySink(size=3)
    records = [an_event(str(number)) for number in range(7)]
    sink.write(records[:2])
    sink.write(records[2:])
    assert list(sink.records) == records[4:]


@pytest.mark.parametrize("entry", [7, "logs", None], ids=repr)
def test_what_is_no_sink_is_told_from_the_start(
    make_app: MakeApp, entry: object
) -> None:
    with pytest.raises(ConfigError, match=r"^ABX_SINKS names .+, must be 'log', "):
        make_app(ABX_SINKS=[entry])
