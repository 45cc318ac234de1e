"""Somebody is erased while their records are under way, everywhere at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.databases import ENGINES, engine_of, fresh_database, run
from tests.drills.booth import HEADLINE, TARGET
from tests.drills.buyers import visit_all
from tests.drills.commands import finish, start
from tests.drills.kept import wait_until_drained
from tests.drills.leftovers import exposure, folder_of, leave, sale
from tests.drills.market import opened
from tests.drills.notes import ids_of, noting
from tests.drills.servers import serving

if TYPE_CHECKING:
    from pathlib import Path

    from flask_abx.events.records import Record
    from tests.drills.notes import Note, Notes
    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

WORKERS = 2
OPTIONS = ("--worker-class=gthread", "--threads=2", "--keep-alive=5")
ERASE = ("unit", "erase", "user:7", "--yes", "--format", "json")
PAGES = ("/show/{}?user=7", "/show/{}?user=7", "/note/{}?user=7", "/note/{}?user=8")
#: The last of these is somebody else, who stays.
OTHER = PAGES[-1]
#: How long the load goes on before and after, in seconds.
SPAN = 1.5
#: The numbers of what was recorded long ago.
OLD = range(5_000_000, 5_000_050)
#: Where a moment of that person may stand, and for whom.
MOMENTS = {
    "abx_event_units": "at, unit",
    "abx_exposures": "first_at, unit",
    "abx_links": "at, unit",
}


@pytest.mark.parametrize("kind", ENGINES)
def test_what_is_erased_never_comes_back(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url:
        if kind == "sqlite":
            run(url, "PRAGMA journal_mode=WAL")
        config = {
            "SQLALCHEMY_DATABASE_URI": url,
            "INSTANCE": str(tmp_path / "instance"),
        }
        with (
            opened(tmp_path / "instance", config, HEADLINE) as state,
            serving(
                tmp_path, config, *OPTIONS, workers=WORKERS, target=TARGET
            ) as server,
        ):
            notes, told, span = _go_through(server, config, folder_of(state))
            wait_until_drained(tmp_path)
        stored = _ids(url)
        late = _earlier(url, told["erased_at"])
    before = [each for each in notes.taken if _answered_at(each) < span[0]]
    gone = ids_of(each.number for each in before if not _is_other(each)) | ids_of(OLD)
    after = [each for each in notes.taken if each.asked_at > span[1]]
    fresh = ids_of(each.number for each in after if each.is_acknowledged)
    other = ids_of(
        each.number for each in notes.taken if _is_other(each) and each.is_acknowledged
    )
    print(
        f"\n{kind}: erased {told['events']} events in {span[1] - span[0]:.1f} s under "
        f"load; of {len(gone):,} events of before {len(gone & stored)} are stored, of "
        f"{len(fresh):,} later ones {len(fresh - stored)} are not, nor "
        f"{len(other - stored)} of {len(other):,} of somebody else; {late} earlier rows"
    )
    assert (gone & stored, fresh - stored, other - stored) == (set(), set(), set())
    assert late == {"abx_event_units": 0, "abx_exposures": 0, "abx_links": 0}
    assert told["events"] > 0
    assert len(fresh) > 0


def _go_through(
    server: Server, config: dict[str, Any], spool: Path
) -> tuple[Notes, dict[str, Any], tuple[float, float]]:
    """Give what was noted, what the command told, and from when to when it ran."""
    old = _old()
    leave(spool, old)
    visit_all(server.port, server.workers, 15)
    with noting(server.port, PAGES, 0.005, has_cookies=True) as notes:
        time.sleep(SPAN)
        began = time.time()
        told = finish(start(config, *ERASE))
        ended = time.time()
        # As a backup of the folder would.
        leave(spool, old)
        time.sleep(SPAN)
        leave(spool, old)
    return notes, told, (began, ended)


def _old() -> list[Record]:
    at = datetime.now(UTC) - timedelta(minutes=1)
    found: list[Record] = []
    for number in OLD:
        who = {"user": "7", "visitor": f"{number:032x}"}
        found += [sale(number, at, **who), exposure(at, "bold", "user", **who)]
    return found


def _is_other(note: Note) -> bool:
    return note.path == OTHER.format(note.number)


def _answered_at(note: Note) -> float:
    return note.asked_at + note.latency


def _ids(url: str) -> set[str]:
    with engine_of(url) as engine, engine.connect() as connection:
        return set(connection.scalars(text("SELECT id FROM abx_events")))


def _earlier(url: str, erased_at: str) -> dict[str, int]:
    """Count the rows of that person which are older than the erasure."""
    moment = datetime.fromisoformat(erased_at).timestamp()
    found: dict[str, int] = {}
    with engine_of(url) as engine, engine.connect() as connection:
        for table, columns in MOMENTS.items():
            rows = connection.execute(text(f"SELECT {columns} FROM {table}"))  # noqa: S608 - constants
            times = [at for at, unit in rows if unit == "user:7"]
            found[table] = sum(at < round(moment * 1000) for at in times)
    return found
