"""Records of erased units: the older ones stay out."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest

from flask_abx.events.sql import erasures
from flask_abx.events.sql.storing import Stored
from flask_abx.stores.database import writing
from flask_abx.stores.reading import begin_lineage
from tests.databases import ENGINES
from tests.events.sql.ground import NOON, V1, event, exposure

if TYPE_CHECKING:
    from tests.events.sql.ground import Ground

PEPPER = "ab" * 32


@pytest.fixture
def erased(ground: Ground) -> Ground:
    """Erase user 7 at noon."""
    state = {"id": 1, "lineage": "a", "version": 1, "schema_version": 1}
    ground.add(ground.tables.state, {**state, "pepper": PEPPER})
    digest = erasures.digest_of(PEPPER, "user:7")
    ground.add(ground.tables.erasures, {"digest": digest, "erased_at": NOON})
    return ground


def test_a_unit_is_named_by_its_hmac() -> None:
    assert erasures.digest_of("pepper", "user:7") == (
        "a0afbcb20769c25a6c5af8aeb26b1138bd0ed878193517c96bca4572e8b37bf4"
    )


@pytest.mark.parametrize(
    ("at", "refused"),
    [
        pytest.param(-1, 1, id="older"),
        pytest.param(0, 1, id="the-same-moment"),
        pytest.param(0.001, 0, id="newer"),
    ],
)
def test_what_is_older_than_the_erasure_is_refused(
    erased: Ground, at: float, refused: int
) -> None:
    assert erased.store(event(user="7", at=at)) == Stored(0, 1 - refused, refused)


def test_nothing_is_stored_of_a_refused_record(erased: Ground) -> None:
    erased.store(exposure("user", visitor=V1, user="7"), event(visitor=V1, user="7"))
    assert erased.everything() == [[], [], [], []]


def test_a_record_of_several_units_is_refused_for_one_of_them(erased: Ground) -> None:
    done = erased.store(event(tenant="acme", user="7"), event(tenant="acme"))
    assert done == Stored(0, 1, 1)


def test_a_linked_unit_is_not_asked_for(erased: Ground) -> None:
    erased.store(event("login", visitor=V1, user="7", at=1))
    assert erased.store(event(visitor=V1, at=-1)).refused == 0


def test_the_neighbours_of_a_refused_record_are_stored(erased: Ground) -> None:
    erased.store(event(user="7"), event(user="8"))
    assert erased.belonging() == {"order": {"user:8"}}


def test_those_erased_are_found(erased: Ground) -> None:
    with writing(erased.database.own) as connection:
        found = erasures.erased(connection, erased.tables, ["user:7", "user:8"])
    assert found == {"user:7": NOON}


def test_without_erasures_no_unit_is_hashed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_lineage(ground.database.own, ground.tables)
    hashed: list[str] = []
    monkeypatch.setattr(erasures, "digest_of", lambda _, unit: hashed.append(unit))
    ground.store(event(user="7"))
    assert hashed == []


def test_the_sentinel_is_made_once(ground: Ground) -> None:
    erasures.make_sentinel(ground.database.own, ground.tables)
    erasures.make_sentinel(ground.database.own, ground.tables)
    assert len(ground.rows(ground.tables.erasures)) <= 1


def test_without_a_sentinel_records_are_stored(ground: Ground) -> None:
    with writing(ground.database.own) as connection:
        connection.execute(ground.tables.erasures.delete())
    assert ground.store(event(visitor=V1, user="7")).events == 1


def test_an_erasure_waits_for_who_stores(ground: Ground) -> None:
    order: list[str] = []

    def erase() -> None:
        with writing(ground.database.own) as connection:
            erasures.lock(connection, ground.tables, alone=True)
            order.append("erased")

    with writing(ground.database.own) as connection:
        erasures.lock(connection, ground.tables)
        thread = Thread(target=erase)
        thread.start()
        thread.join(0.2)
        order.append("stored")
    thread.join()
    assert order == ["stored", "erased"]


# SQLite lets one write at a time.
@pytest.mark.parametrize("stored_in", ENGINES[1:], indirect=True)
def test_who_stores_waits_for_nobody_who_stores(ground: Ground) -> None:
    own, tables = ground.database.own, ground.tables
    with writing(own) as one, writing(own) as other:
        erasures.lock(one, tables)
        erasures.lock(other, tables)
