"""Dead letters: none is lost, whoever writes, retries or dies."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from flask_abx.events.spool.letters import DeadLetters, Letter
from tests.events.spool.conftest import names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = datetime(2030, 1, 7, 9, tzinfo=UTC)


def a_letter(number: int) -> Letter:
    return Letter("too long", NOW, {"id": str(number)}, None)


def ids(letters: Sequence[Letter]) -> list[str]:
    return [letter.record["id"] for letter in letters if letter.record]


@pytest.fixture
def dead(tmp_path: Path) -> DeadLetters:
    made = DeadLetters(tmp_path)
    made.add([a_letter(number) for number in range(5)])
    return made


def test_letters_come_back_as_they_were(tmp_path: Path) -> None:
    letters = [a_letter(1), Letter("checksum", NOW, None, "\0torn\udcff")]
    dead = DeadLetters(tmp_path)
    assert dead.read() == []
    dead.add(letters)
    assert dead.read() == letters
    assert dead.path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["dead-letters.jsonl"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Decimal("49.10"), id="top"),
        pytest.param([Decimal("49.10")], id="in a list"),
    ],
)
def test_a_decimal_stays_a_number(tmp_path: Path, value: object) -> None:
    dead = DeadLetters(tmp_path)
    dead.add([Letter("value", NOW, {"value": value}, None)])
    (letter,) = dead.read()
    assert letter.record is not None
    assert letter.record["value"] in (49.1, [49.1])


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"reason": "x"', id="torn"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"reason": 1, "at": "2030-01-07T09:00:00Z", "raw": ""}', id="1"),
        pytest.param(b'{"reason": "x", "at": "2030-01-07T09:00:00", "raw": ""}', id=""),
        pytest.param(b'{"reason": "x", "at": "2030-01-07T09:00:00Z"}', id="empty"),
    ],
)
def test_a_line_that_is_no_letter_is_counted_and_kept(
    dead: DeadLetters, line: bytes
) -> None:
    with dead.path.open("ab") as file:
        file.write(line)
    dead.add([a_letter(5)])
    letters, unreadable = dead.contents()
    assert (ids(letters), unreadable) == (list("012345"), 1)
    assert dead.rewrite(lambda letter: False) == 6
    assert dead.path.read_bytes() == line + b"\n"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "dead-letters.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        DeadLetters(tmp_path).add([a_letter(1)])
    assert not (tmp_path / "elsewhere").exists()


def test_a_letter_that_finds_no_room_leaves_nothing(
    dead: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, write = dead.path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda number, data: write(number, data[:9]))
    with pytest.raises(OSError, match="9 of"):
        dead.add([a_letter(6)])
    assert dead.path.read_bytes() == before


def test_a_rewrite_keeps_the_others(dead: DeadLetters, tmp_path: Path) -> None:
    assert dead.rewrite(lambda letter: letter.record != {"id": "3"}) == 1
    assert ids(dead.read()) == list("0124")
    assert dead.rewrite(lambda letter: True) == 0
    assert names(tmp_path) == ["dead-letters.jsonl"]


def test_a_rewrite_that_fails_changes_nothing(
    dead: DeadLetters, tmp_path: Path
) -> None:
    def fail(letter: Letter) -> bool:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        dead.rewrite(fail)
    assert ids(dead.read()) == list("01234")
    assert names(tmp_path) == ["dead-letters.jsonl"]


def test_what_was_stored_is_removed_and_the_rest_stays(dead: DeadLetters) -> None:
    met: list[list[str]] = []

    def store(letters: Sequence[Letter]) -> list[bool]:
        met.append(ids(letters))
        return [each in "024" for each in ids(letters)]

    assert dead.retry(store, size=2).taken == 3
    assert met == [["0", "1"], ["2", "3"], ["4"]]
    assert ids(dead.read()) == ["1", "3"]


def test_a_retry_counts_the_lines_that_are_no_letters(dead: DeadLetters) -> None:
    with dead.path.open("ab") as file:
        file.write(b"rubbish\n" * 3)
    assert dead.retry(lambda letters: [True] * len(letters), size=2) == (5, 3)
    assert dead.contents() == ([], 3)


def test_a_retry_may_add_letters(dead: DeadLetters) -> None:
    def store(letters: Sequence[Letter]) -> list[bool]:
        dead.add([Letter("again", NOW, letter.record, None) for letter in letters])
        return [True] * len(letters)

    assert dead.retry(store).taken == 5
    assert [letter.reason for letter in dead.read()] == ["again"] * 5


def test_a_retry_that_dies_removes_only_what_was_stored(dead: DeadLetters) -> None:
    def store(letters: Sequence[Letter]) -> list[bool]:
        if ids(letters) == ["2"]:
            raise ConnectionError
        return [True]

    with pytest.raises(ConnectionError):
        dead.retry(store, size=1)
    assert ids(dead.read()) == list("234")


def test_of_two_equal_letters_one_is_removed(tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path)
    dead.add([a_letter(1), a_letter(1)])
    answers = iter([True, False])
    assert dead.retry(lambda letters: [next(answers)], size=1).taken == 1
    assert ids(dead.read()) == ["1"]


def test_no_letter_is_lost_between_writers_and_rewriters(tmp_path: Path) -> None:
    def write(start: int) -> None:
        dead = DeadLetters(tmp_path)
        for number in range(start, start + 20):
            dead.add([a_letter(number)])

    crowd = [threading.Thread(target=write, args=(n * 20,)) for n in range(4)]
    for thread in crowd:
        thread.start()
    while any(thread.is_alive() for thread in crowd):
        DeadLetters(tmp_path).rewrite(lambda letter: letter.record != {"id": "no"})
        DeadLetters(tmp_path).retry(
            lambda letters: [each == "7" for each in ids(letters)]
        )
    left = {int(each) for each in ids(DeadLetters(tmp_path).read())}
    assert left | {7} == set(range(80))
