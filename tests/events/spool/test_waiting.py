"""Files without the records of one person: nothing else is lost on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_abx.events.spool import waiting
from flask_abx.events.spool.descriptors import Descriptors
from flask_abx.events.spool.frames import Line, frame
from flask_abx.events.spool.segment import Segment, create
from flask_abx.events.spool.waiting import Doomed, Swept, record_of, sweep, waiting_in

if TYPE_CHECKING:
    from collections.abc import Iterable

LONG_AGO = "2001-09-09T01:46:40.000Z"
ANNA = Doomed(frozenset({"user:anna"}), 1_900_000_000_000)
OPEN_FILES = Path("/proc/self/fd")


def record(user: str, number: int = 0, at: str = LONG_AGO) -> dict[str, Any]:
    return {"id": f"{user} {number}", "at": at, "units": {"user": user}}


def leave(folder: Path, records: Iterable[dict[str, Any]]) -> Path:
    """Write a file whose owner is gone."""
    segment = create(folder, datetime.now(UTC), Descriptors())
    segment.append(b"".join(frame(json.dumps(each)) for each in records))
    segment.release()
    return segment.path


def left(folder: Path) -> list[str]:
    return [each["id"] for each in waiting_in(folder)]


def test_what_stays_keeps_its_order(tmp_path: Path) -> None:
    users = ["anna", "ben", "carl"]
    leave(tmp_path, [record(users[n % 3], n) for n in range(6)])
    assert sweep(tmp_path, ANNA) == Swept(records=2)
    assert left(tmp_path) == ["ben 1", "carl 2", "ben 4", "carl 5"]


def test_a_file_keeps_its_place_among_the_others(tmp_path: Path) -> None:
    old = leave(tmp_path, [record("anna"), record("ben")])
    old.rename(tmp_path / f"{'0' * 32}.spool")
    leave(tmp_path, [record("carl")])
    sweep(tmp_path, ANNA)
    assert left(tmp_path) == ["ben 0", "carl 0"]


def test_a_long_file_is_written_anew_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_BLOCK", 100)
    leave(tmp_path, [record("anna" if n % 10 else "ben", n) for n in range(100)])
    assert sweep(tmp_path, ANNA).records == 90
    assert len(left(tmp_path)) == 10


def test_a_file_without_the_unit_is_not_touched(tmp_path: Path) -> None:
    path = leave(tmp_path, [record("ben")])
    before = path.stat()
    assert sweep(tmp_path, ANNA) == Swept()
    assert path.stat() == before


def test_a_disk_that_is_full_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path, [record("anna"), record("ben")])

    def refuse(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Segment, "append", refuse)
    assert sweep(tmp_path, ANNA) == Swept(failed=1)
    assert left(tmp_path) == ["anna 0", "ben 0"]


def test_a_file_that_cannot_be_removed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave(tmp_path, [record("anna"), record("ben")])
    drop = Segment.drop

    def refuse(segment: Segment) -> bool:
        return segment.path != path and drop(segment)

    monkeypatch.setattr(Segment, "drop", refuse)
    assert sweep(tmp_path, ANNA) == Swept(failed=1)
    assert left(tmp_path) == ["anna 0", "ben 0"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "none", ANNA) == Swept()
    assert left(tmp_path / "none") == []


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="nothing tells the open files")
def test_no_file_stays_open(tmp_path: Path) -> None:
    for user in ("anna", "ben", "anna"):
        leave(tmp_path, [record(user), record("carl")])
    before = len([*OPEN_FILES.iterdir()])
    sweep(tmp_path, ANNA)
    left(tmp_path)
    assert len([*OPEN_FILES.iterdir()]) == before


@pytest.mark.parametrize(
    ("told", "is_doomed"),
    [
        pytest.param(record("anna"), True, id="hers"),
        pytest.param(record("ben"), False, id="his"),
        pytest.param(record("anna", at="2099-01-01T00:00:00.000Z"), False, id="newer"),
        pytest.param({"units": {"user": "anna"}}, True, id="no-moment"),
        pytest.param({"at": LONG_AGO, "units": {"visitor": "anna"}}, False, id="type"),
        pytest.param(
            {"at": LONG_AGO, "units": {"tenant": "x", "user": "anna"}}, True, id="both"
        ),
        pytest.param(
            {"at": LONG_AGO, "unit_type": "user", "unit": "anna"}, True, id="exposure"
        ),
        pytest.param({"at": LONG_AGO, "units": "anna"}, False, id="nonsense"),
    ],
)
def test_a_record_goes_or_stays(told: dict[str, Any], *, is_doomed: bool) -> None:
    assert ANNA.has(told) is is_doomed


@pytest.mark.parametrize(
    ("raw", "is_doomed"),
    [
        pytest.param('00 9 {"units": {"user": "anna"', True, id="hers"),
        pytest.param('00 9 {"units": {"user": "annabel"', False, id="begins-alike"),
        pytest.param("", False, id="empty"),
    ],
)
def test_a_damaged_line_goes_if_it_names_the_unit(raw: str, *, is_doomed: bool) -> None:
    assert ANNA.has(None, raw) is is_doomed


def read_by_the_book(text: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "None"
    return repr(found) if isinstance(found, dict) else "None"


STRANGE = {
    "no-number": '{"a": NaN, "b": Infinity, "c": -Infinity, "d": 1e999}',
    "twice": '{"a": 1, "b": 2, "a": 3}',
    "minus-nought": '{"a": -0, "b": -0.0}',
    "tiny": '{"a": 5e-324, "b": 2.2250738585072011e-308}',
    "half-a-pair": r'{"a": "\ud800"}',
    "nul": r'{"a": "\u0000"}',
    "raw-control": '{"a": "\x01"}',
    "deep": '{"a": ' * 300 + "1" + "}" * 300,
    "too-deep": '{"a": ' * 100_000 + "1" + "}" * 100_000,
    "huge": f'{{"a": {"9" * 4_000}}}',
    "too-huge": f'{{"a": {"9" * 5_000}}}',
    "cut": '{"a": 1',
    "trailing": '{"a": 1} {}',
    "no-object": "[]",
    "empty": "",
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
def test_a_strange_line_is_read_by_the_book(text: str) -> None:
    assert repr(record_of(Line(b"", text))) == read_by_the_book(text)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), ANYTHING), st.booleans())
def test_each_line_is_read_by_the_book(told: dict[str, Any], is_ascii: bool) -> None:  # noqa: FBT001 - given
    text = json.dumps(told, ensure_ascii=is_ascii)
    assert repr(record_of(Line(b"", text))) == read_by_the_book(text)
