"""A queue before a slow sink: what is sent is written or counted."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import weakref
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_abx.events.sinks import buffered as module
from flask_abx.events.sinks.buffered import Buffered
from tests.events.conftest import Keeping, Raising, an_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask_abx.events.records import Record

THREAD = "flask-abx-buffered"


class Gate(Keeping):
    """A sink that waits until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.open = threading.Event()

    def write(self, batch: Sequence[Record]) -> None:
        self.reached.set()
        assert self.open.wait(10)
        super().write(batch)


def threads() -> int:
    """Count the threads of buffers."""
    return sum(thread.name == THREAD for thread in threading.enumerate())


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait up to five seconds until something holds."""
    deadline = monotonic() + 5
    while not holds() and monotonic() < deadline:
        gc.collect()
        sleep(0.01)
    return holds()


@pytest.fixture(autouse=True)
def short_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the threads of this file end soon."""
    monkeypatch.setattr(module, "IDLE", 0.2)


def test_records_come_out_in_the_order_in_which_they_went_in() -> None:
    sink = Keeping()
    buffered = Buffered(sink)
    records = [an_event(str(number)) for number in range(100)]
    for start in range(0, 100, 7):
        buffered.write(records[start : start + 7])
    assert buffered.flush(5)
    assert sink.records == records
    assert buffered.tally.counts == {}


def test_no_thread_is_there_before_the_first_record() -> None:
    before = threads()
    buffered = Buffered(Keeping())
    assert buffered.flush(0)
    assert threads() == before
    buffered.write([an_event()])
    assert threads() == before + 1
    assert buffered.flush(5)


def test_what_finds_no_room_is_dropped_counted_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = Gate()
    buffered = Buffered(sink, size=5)
    records = [an_event(str(number)) for number in range(12)]
    buffered.write(records[:2])
    assert sink.reached.wait(5)
    for start in (2, 6, 10):
        buffered.write(records[start : start + 4])
    sink.open.set()
    assert buffered.flush(5)
    assert sink.records == records[:5]
    assert buffered.tally.counts == {"dropped": 7}
    [line] = caplog.records
    assert line.getMessage() == (
        "Buffered(Gate) is full at 5 records: 1 dropped so far. "
        "Raise `size`, or use a faster sink."
    )


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(1, 40),
    batches=st.lists(st.integers(0, 20), max_size=20),
    writers=st.integers(1, 4),
)
def test_what_is_sent_is_written_or_counted_exactly(
    size: int, batches: list[int], writers: int
) -> None:
    sink = Keeping()
    buffered = Buffered(sink, size=size)

    def send(writer: int) -> None:
        for number, length in enumerate(batches):
            buffered.write([an_event(f"{writer}.{number}.{n}") for n in range(length)])

    crowd = [threading.Thread(target=send, args=(number,)) for number in range(writers)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert buffered.flush(5)
    dropped = buffered.tally.counts["dropped"]
    assert len(sink.records) + dropped == writers * sum(batches)
    names = [record.to_dict()["name"] for record in sink.records]
    assert len(set(names)) == len(names)
    assert eventually(lambda: threads() < 20)


def test_a_sink_that_raises_loses_its_batch_counted_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    buffered = Buffered(Raising())
    for _ in range(3):
        buffered.write([an_event(), an_event()])
        assert buffered.flush(5)
    assert buffered.tally.counts == {"failed": 6}
    assert [line.getMessage() for line in caplog.records] == [
        "Sink Raising lost 2 records."
    ]


def test_a_slow_sink_does_not_hold_up_the_request() -> None:
    sink = Gate()
    buffered = Buffered(sink)
    began = monotonic()
    for _ in range(100):
        buffered.write([an_event()])
    assert monotonic() - began < 2
    sink.open.set()
    assert buffered.flush(5)
    assert len(sink.records) == 100


def test_a_flush_waits_no_longer_than_it_is_told() -> None:
    sink = Gate()
    buffered = Buffered(sink)
    buffered.write([an_event()])
    began = monotonic()
    assert not buffered.flush(0.1)
    assert 0.09 < monotonic() - began < 2
    assert not buffered.flush(0)
    sink.open.set()
    assert buffered.flush(5)


def test_a_thread_ends_when_it_has_nothing_to_do_and_a_new_one_begins() -> None:
    sink = Keeping()
    buffered = Buffered(sink)
    before = threads()
    buffered.write([an_event("a")])
    assert eventually(lambda: threads() <= before)
    buffered.write([an_event("b")])
    assert buffered.flush(5)
    assert [record.to_dict()["name"] for record in sink.records] == ["a", "b"]


@pytest.mark.parametrize("is_used", [False, True], ids=["never used", "used"])
def test_a_buffer_that_nobody_holds_is_gone(
    is_used: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    buffered = Buffered(Keeping())
    if is_used:
        buffered.write([an_event()])
        assert buffered.flush(5)
    reference = weakref.ref(buffered)
    del buffered
    assert eventually(lambda: reference() is None)


@pytest.mark.parametrize("size", [0, -1])
def test_a_buffer_without_room_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"^size is {size}, must be 1 or more"):
        Buffered(Keeping(), size=size)


def ran(code: str) -> tuple[str, str]:
    """Run a program of its own, and give what it wrote."""
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout, done.stderr


PROGRAM = """
import logging, os, sys, threading, time
from flask_abx.events.sinks.buffered import Buffered
from tests.events.conftest import an_event

class Slow:
    def write(self, batch):
        time.sleep({pause})
        for record in batch:
            os.write(1, f"{{record.name}}\\n".encode())

logging.basicConfig(format="%(message)s")
buffered = Buffered(Slow(), exit_timeout={timeout})
"""


def test_the_end_of_a_process_waits_for_the_rest() -> None:
    code = PROGRAM.format(pause=0.2, timeout=5)
    code += "for n in range(50): buffered.write([an_event(str(n))])"
    out, err = ran(code)
    assert out.split() == [str(number) for number in range(50)]
    assert err == ""


def test_the_end_of_a_process_waits_no_longer_than_it_is_told() -> None:
    code = PROGRAM.format(pause=30, timeout=0.2)
    code += "for n in range(50): buffered.write([an_event(str(n))])"
    out, err = ran(code)
    assert out == ""
    assert err == "Buffered(Slow) lost 50 records at the end of the process.\n"


FORK = """
for n in range(20):
    buffered.write([an_event(f"parent.{n}")])
held = threading.Event()
def hold():
    with buffered._changed:
        held.set()
        time.sleep(1)
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    crowd = [
        threading.Thread(target=lambda n=n: buffered.write([an_event(f"child.{n}")]))
        for n in range(30)
    ]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    os._exit(0 if buffered.flush(5) else 1)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_fork_starts_afresh_and_doubles_nothing() -> None:
    out, err = ran(PROGRAM.format(pause=0.3, timeout=5) + FORK)
    assert sorted(out.split()) == sorted(
        [*(f"parent.{n}" for n in range(20)), *(f"child.{n}" for n in range(30))]
    )
    assert err == ""


def test_what_is_full_tells_no_more_than_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = Gate()
    buffered = Buffered(sink, size=1)
    for _ in range(50):
        buffered.write([an_event()])
    assert buffered.tally.counts["dropped"] == 49
    assert sum(line.levelno == logging.WARNING for line in caplog.records) == 1
    sink.open.set()
    assert buffered.flush(5)
