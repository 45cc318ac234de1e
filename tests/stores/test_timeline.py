"""Which definitions are in force when."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from flask_abx.stores.reading import Mark, Name, Pending, Snapshot, Stored
from flask_abx.stores.timeline import eras

NOW = 100


class Write(NamedTuple):
    """One published change: of which key, what, and from when on."""

    key: str
    body: str | None
    effective_at: int


def snapshot_of(writes: list[Write], now: int = NOW) -> Snapshot:
    latest: dict[Name, Stored] = {}
    last: dict[Name, tuple[int, str | None]] = {}
    pending = []
    for version, write in enumerate(writes, 1):
        name = Name("experiment", write.key)
        previous, before = last.get(name, (None, None))
        if write.effective_at > now:
            pending.append(
                Pending(name, version, write.body, previous, before, write.effective_at)
            )
        latest.pop(name, None)
        if write.body is None:
            # What is made anew follows nothing.
            last.pop(name, None)
        else:
            last[name] = (version, write.body)
            latest[name] = Stored(version, write.body)
    return Snapshot(Mark("line", len(writes)), now, latest, tuple(pending))


def in_force(writes: list[Write], at: int) -> dict[Name, str]:
    """Say it once more, plainly: the latest version of each key that counts by then."""
    bodies = {
        Name("experiment", write.key): write.body
        for write in writes
        if write.effective_at <= at
    }
    return {name: body for name, body in bodies.items() if body is not None}


def test_without_anything_pending_there_is_one_era() -> None:
    found = eras(snapshot_of([Write("a", "1", 5), Write("b", "2", 6)]))
    assert [(era.since, era.version) for era in found] == [(0, 2)]


def test_a_pending_change_begins_at_its_moment() -> None:
    found = eras(snapshot_of([Write("a", "1", 5), Write("a", "2", 105)]))
    assert [(era.since, era.version, *era.bodies.values()) for era in found] == [
        (0, 1, "1"),
        (105, 2, "2"),
    ]


def test_a_brake_counts_before_what_was_published_earlier() -> None:
    writes = [Write("a", "draft", 5), Write("a", "running", 105), Write("a", "no", 99)]
    found = eras(snapshot_of(writes))
    assert [(era.since, *era.bodies.values()) for era in found] == [
        (0, "no"),
        (105, "no"),
    ]


# A definition is taken away by a change that waits like any other.
bodies = st.sampled_from(["1", "2", "3"])
changes = st.builds(Write, st.sampled_from("abc"), bodies, st.integers(90, 110))


@given(st.lists(changes, max_size=12))
def test_each_era_holds_what_counts_then(writes: list[Write]) -> None:
    found = eras(snapshot_of(writes))
    moments = [max(era.since, NOW) for era in found]
    assert [dict(era.bodies) for era in found] == [
        in_force(writes, moment) for moment in moments
    ]


@given(st.lists(changes, max_size=12))
def test_versions_never_fall(writes: list[Write]) -> None:
    versions = [era.version for era in eras(snapshot_of(writes))]
    assert versions == sorted(versions)
    assert not versions or versions[-1] == len(writes)


@given(st.lists(st.sampled_from(["1", "2", None]), max_size=8))
def test_what_is_taken_away_does_not_come_back(bodies: list[str | None]) -> None:
    writes = [Write("a", body, NOW + 1 + nth) for nth, body in enumerate(bodies)]
    last = eras(snapshot_of(writes))[-1]
    assert dict(last.bodies) == in_force(writes, NOW + len(writes))


def test_what_is_made_anew_leaves_the_old_one_until_it_is_taken_away() -> None:
    writes = [Write("a", "old", 5), Write("a", None, 105), Write("a", "new", 106)]
    found = eras(snapshot_of(writes))
    assert [[*era.bodies.values()] for era in found] == [["old"], [], ["new"]]
