"""Batches on their way to the sinks: none lost, none doubled, none out of order."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_abx.events.recorder import Recorder
from flask_abx.events.tally import Tally
from tests.events.conftest import Keeping, Raising, an_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_abx.events.records import Record

LOGGER = logging.getLogger("shop")


class Sometimes(Keeping):
    """A sink that raises at the batches of the given numbers."""

    def __init__(self, bad: frozenset[int]) -> None:
        super().__init__()
        self._bad = bad
        self._number = -1

    def write(self, batch: Sequence[Record]) -> None:
        self._number += 1
        if self._number in self._bad:
            raise OSError("not now")
        super().write(batch)


class Later(Keeping):
    """A sink that writes later, and says what it was asked to wait."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self._answer = answer
        self.waited: list[float] = []

    def flush(self, timeout: float) -> object:
        self.waited.append(timeout)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@given(
    sizes=st.lists(st.integers(0, 5), max_size=12),
    bad=st.lists(st.frozensets(st.integers(0, 11)), min_size=1, max_size=4),
)
def test_every_sink_gets_each_record_of_the_batches_that_it_takes_once_in_order(
    sizes: list[int], bad: list[frozenset[int]]
) -> None:
    batches = [
        [an_event(f"{n}.{m}") for m in range(size)] for n, size in enumerate(sizes)
    ]
    sinks = [Keeping(), *(Sometimes(each) for each in bad)]
    tally = Tally()
    recorder = Recorder(sinks, tally)
    for batch in batches:
        recorder.deliver(batch, LOGGER)

    for sink, failed in zip(sinks, [frozenset[int](), *bad], strict=True):
        taken = [
            each for n, batch in enumerate(batches) if n not in failed for each in batch
        ]
        assert sink.records == taken
    lost = [len(batch) for each in bad for n, batch in enumerate(batches) if n in each]
    assert tally.counts["sink_failed:Sometimes"] == sum(lost)


def test_a_sink_that_raises_is_logged_with_its_traceback_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tally, keeping = Tally(), Keeping()
    recorder = Recorder([Raising(), keeping, Raising()], tally)
    batch = [an_event(), an_event()]
    recorder.deliver(batch, LOGGER)
    recorder.deliver(batch, LOGGER)
    assert keeping.records == [*batch, *batch]
    assert tally.counts == {"sink_failed:Raising": 8}
    [line] = caplog.records
    assert line.getMessage() == "Sink Raising lost 2 records."
    assert "the disk is full" in caplog.text


@pytest.mark.parametrize(
    ("answers", "done"),
    [([], True), ([True], True), ([True, False], False), ([False, True], False)],
    ids=repr,
)
def test_a_flush_waits_for_every_sink_that_writes_later(
    answers: list[bool],
    done: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    later = [Later(answer) for answer in answers]
    recorder = Recorder([Keeping(), *later], Tally())
    assert recorder.flush(0.5, LOGGER) is done
    assert [sink.waited for sink in later] == [[0.5]] * len(later)


def test_a_flush_that_raises_is_logged_and_the_others_are_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sinks = [Later(answer) for answer in (OSError("gone"), True)]
    assert Recorder(sinks, Tally()).flush(0.1, LOGGER) is False
    assert [sink.waited for sink in sinks] == [[0.1], [0.1]]
    assert "Sink Later could not be flushed." in caplog.text
