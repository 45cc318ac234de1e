"""Records that a database refuses: they are put aside, their neighbours are stored."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.databases import ENGINES, fresh_database
from tests.databases import run as execute
from tests.drills.booth import HEADLINE, commanded
from tests.drills.commands import DRAIN
from tests.drills.leftovers import folder_of, leave, sale
from tests.drills.market import SOLD, opened
from tests.drills.notes import ids_of, stored_ids

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.drill

BATCHES, SIZE = 100, 10
POISON = "poison"
LETTERS = ("events", "dead-letters")
#: What makes a database refuse it, and what lets it in again.
_CHECK = f"ALTER TABLE abx_events ADD CONSTRAINT no_poison CHECK (name <> '{POISON}')"
_TRIGGER = (
    "CREATE TRIGGER no_poison BEFORE INSERT ON abx_events "
    f"WHEN NEW.name = '{POISON}' BEGIN SELECT RAISE(ABORT, 'no_poison'); END"
)
TRAPS = {
    "sqlite": (
        _TRIGGER,
        "DROP TRIGGER no_poison",
    ),
    "postgresql": (_CHECK, "ALTER TABLE abx_events DROP CONSTRAINT no_poison"),
    "mariadb": (_CHECK, "ALTER TABLE abx_events DROP CONSTRAINT no_poison"),
}


@pytest.mark.parametrize("kind", ENGINES)
def test_one_bad_record_in_each_batch_stands_alone(kind: str, tmp_path: Path) -> None:
    trap, release = TRAPS[kind]
    everything = ids_of(range(BATCHES * SIZE))
    with (
        fresh_database(kind, tmp_path) as url,
        opened(tmp_path, {"SQLALCHEMY_DATABASE_URI": url}, HEADLINE) as state,
        commanded(tmp_path, {"SQLALCHEMY_DATABASE_URI": url}) as run,
    ):
        execute(url, trap)
        bad = ids_of(_leave_batches(folder_of(state)))
        began = time.monotonic()
        drained = run(*DRAIN)
        took, stored = time.monotonic() - began, stored_ids(url)
        letters = run(*LETTERS, "list")
        execute(url, release)
        retried = run(*LETTERS, "retry")
        left, after = run(*LETTERS, "list"), stored_ids(url)
    print(
        f"\n{kind}: {drained['files']} batches of {SIZE} with a bad record each: "
        f"{len(letters)} dead letters, {len(stored):,} neighbours stored in "
        f"{took:.1f} s; {retried['stored']} stored when they are tried again"
    )
    assert Counter(each["id"] for each in letters) == Counter(bad)
    assert {each["what"] for each in letters} == {POISON}
    assert all("no_poison" in each["reason"] for each in letters)
    assert stored == everything - bad
    assert (retried["stored"], left, after) == (BATCHES, [], everything)


def _leave_batches(spool: Path) -> list[int]:
    """Leave a file for each batch, and give the numbers of the bad records."""
    bad, now = [], datetime.now(UTC)
    for batch in range(BATCHES):
        numbers = range(batch * SIZE, (batch + 1) * SIZE)
        # Each time at another place, the first and the last one included.
        bad.append(numbers[(batch * 7) % SIZE])
        names = [POISON if number == bad[-1] else SOLD for number in numbers]
        records = [
            sale(number, now, name=name, user=str(number % 97))
            for number, name in zip(numbers, names, strict=True)
        ]
        leave(spool, records, batch)
    return bad
