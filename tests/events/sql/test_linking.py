"""A visitor who logs in: links, merged exposures, and whose an event is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import and_, func, select

from flask_abx.assignment.position import position
from flask_abx.stores.database import reading
from tests.events.sql.ground import NOON, V1, V2, event, exposure

if TYPE_CHECKING:
    from tests.events.sql.ground import Ground

BROWSER, OTHER_BROWSER = f"visitor:{V1}", f"visitor:{V2}"


def login(visitor: str = V1, user: str = "7", at: float = 50) -> dict[str, Any]:
    """Tell an event of somebody who is known as both."""
    return event(f"login {user}", at, visitor=visitor, user=user)


def links(ground: Ground) -> dict[tuple[str, str], tuple[int, int]]:
    """Read every link: whether it is the first, and since when in seconds."""
    return {
        (row["visitor"], row["unit"]): (row["first"], (row["at"] - NOON) // 1_000)
        for row in ground.rows(ground.tables.links)
    }


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(event(visitor=V1, user="7"), id="event"),
        pytest.param(exposure("user", visitor=V1, user="7"), id="exposure"),
        pytest.param(
            exposure("tenant", to="firms", tenant="t", visitor=V1, user="7"), id="other"
        ),
    ],
)
def test_a_record_with_both_ids_makes_a_link(
    ground: Ground, record: dict[str, Any]
) -> None:
    ground.store(record)
    assert links(ground) == {(V1, "user:7"): (1, 0)}


@pytest.mark.parametrize("moments", [(5, 9), (9, 5)], ids=["in-order", "backwards"])
def test_a_link_is_as_old_as_the_oldest_record(
    ground: Ground, moments: tuple[int, int]
) -> None:
    for at in moments:
        ground.store(login(at=at))
    assert links(ground) == {(V1, "user:7"): (1, 5)}


@pytest.mark.parametrize("users", ["78", "87"], ids=["in-order", "backwards"])
def test_the_first_user_of_a_browser_is_the_earliest(
    ground: Ground, users: str
) -> None:
    for user in users:
        ground.store(login(user=user, at=int(user)))
    assert links(ground) == {(V1, "user:7"): (1, 7), (V1, "user:8"): (0, 8)}


def test_of_two_users_at_one_moment_the_first_is_always_the_same(
    ground: Ground,
) -> None:
    ground.store(login(user="8"))
    ground.store(login(user="7"))
    ground.store(login(V2, "7"), login(V2, "8"))
    assert {pair for pair, (first, _) in links(ground).items() if first} == {
        (V1, "user:7"),
        (V2, "user:7"),
    }


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
def test_the_user_takes_over_what_the_visitor_was_exposed_to(
    ground: Ground, *, is_late: bool
) -> None:
    told = [exposure("visitor", visitor=V1, at=3), login()]
    for record in reversed(told) if is_late else told:
        ground.store(record)
    user, browser = ground.exposed("user:7"), ground.exposed(BROWSER)
    slot = int(200 * position("slot:both:1", "7"))
    assert user == {**browser, "unit": "user:7", "merged_into": None, "slot": slot} | {
        "stored_at": user["stored_at"]
    }
    assert browser["merged_into"] == "user:7"


def test_an_experiment_on_visitors_alone_keeps_its_rows(ground: Ground) -> None:
    ground.store(exposure("visitor", to="browsers", visitor=V1), login())
    (row,) = ground.rows(ground.tables.exposures)
    assert (row["unit"], row["merged_into"]) == (BROWSER, None)


def test_an_unknown_experiment_keeps_its_rows(ground: Ground) -> None:
    ground.store(exposure("visitor", to="gone", visitor=V1), login())
    assert len(ground.rows(ground.tables.exposures)) == 1


def test_a_user_who_was_exposed_keeps_the_variant(ground: Ground) -> None:
    ground.store(exposure("user", user="7", variant="control", at=9))
    ground.store(exposure("visitor", visitor=V1, variant="bold", at=3), login())
    row = ground.exposed("user:7")
    assert (row["variant"], row["first_at"], row["mixed"]) == (
        "control",
        NOON + 3_000,
        1,
    )


def test_a_user_who_met_the_same_variant_is_not_mixed(ground: Ground) -> None:
    ground.store(exposure("user", user="7", at=9))
    ground.store(exposure("visitor", visitor=V1, at=3), login())
    assert ground.exposed("user:7")["mixed"] == 0


def test_what_a_merged_visitor_is_told_of_later_reaches_the_user(
    ground: Ground,
) -> None:
    ground.store(exposure("visitor", visitor=V1, at=9), login())
    ground.store(exposure("visitor", visitor=V1, variant="control", at=3))
    row = ground.exposed("user:7")
    assert (row["variant"], row["first_at"], row["mixed"]) == ("bold", NOON + 3_000, 1)


def test_two_browsers_of_one_user_are_merged_into_one_row(ground: Ground) -> None:
    ground.store(
        exposure("visitor", visitor=V1, variant="bold", at=9),
        exposure("visitor", visitor=V2, variant="control", at=3),
        login(V1),
        login(V2),
    )
    row = ground.exposed("user:7")
    assert (row["variant"], row["mixed"], row["visitor"]) == ("control", 1, V2)


def test_a_second_user_of_a_browser_takes_over_nothing(ground: Ground) -> None:
    ground.store(exposure("visitor", visitor=V1), event(visitor=V1), login(user="7"))
    ground.store(login(user="8", at=60))
    units = {row["unit"] for row in ground.rows(ground.tables.exposures)}
    assert units == {BROWSER, "user:7"}
    assert ground.belonging()["order"] == {BROWSER, "user:7"}


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "units",
    [
        pytest.param({"visitor": V1}, id="visitor"),
        pytest.param({"user": "7"}, id="user"),
    ],
)
def test_events_of_one_are_those_of_the_other(
    ground: Ground, units: dict[str, str], *, is_late: bool
) -> None:
    told = [event("order", 0, **units), login()]
    for record in reversed(told) if is_late else told:
        ground.store(record)
    assert ground.belonging()["order"] == {BROWSER, "user:7"}


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
def test_an_event_of_a_user_belongs_to_every_browser_of_his(
    ground: Ground, *, is_late: bool
) -> None:
    told = [event(user="7"), login(V1), login(V2)]
    for record in reversed(told) if is_late else told:
        ground.store(record)
    assert ground.belonging()["order"] == {BROWSER, OTHER_BROWSER, "user:7"}


def test_an_event_with_both_belongs_to_no_other_browser(ground: Ground) -> None:
    ground.store(login(V2), event(visitor=V1, user="7"))
    assert ground.belonging()["order"] == {BROWSER, "user:7"}


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
def test_what_a_second_user_did_stays_with_the_second(
    ground: Ground, *, is_late: bool
) -> None:
    told = [event(visitor=V1, user="8", at=90), login(user="7", at=1)]
    for record in reversed(told) if is_late else told:
        ground.store(record)
    assert ground.belonging()["order"] == {BROWSER, "user:8"}


def test_an_id_that_reads_like_a_key_is_no_key(ground: Ground) -> None:
    strange = 'x","visitor":"y'
    ground.store(event(user=strange))
    ground.store(login(user=strange))
    assert ground.belonging()["order"] == {BROWSER, f"user:{strange}"}


def test_a_tenant_is_never_linked(ground: Ground) -> None:
    ground.store(
        event(tenant="acme"), event("visit", visitor=V1, tenant="acme"), login()
    )
    assert ground.belonging()["order"] == {"tenant:acme"}


@pytest.mark.parametrize("is_late", [False, True], ids=["after", "before"])
@pytest.mark.parametrize(
    ("experiment", "unit"),
    [("browsers", BROWSER), ("both", "user:7"), ("firms", "tenant:acme")],
)
def test_a_purchase_made_in_a_webhook_is_found_in_every_experiment(
    ground: Ground, experiment: str, unit: str, *, is_late: bool
) -> None:
    told = [
        exposure("visitor", to="browsers", visitor=V1),
        exposure("visitor", to="both", visitor=V1),
        exposure("tenant", to="firms", visitor=V1, tenant="acme"),
        login(),
    ]
    purchase = event("purchase", at=90, user="7", tenant="acme")
    for record in [purchase, *told] if is_late else [*told, purchase]:
        ground.store(record)
    assert purchases(ground, experiment) == {unit: 1}


def purchases(ground: Ground, experiment: str) -> dict[str, int]:
    """Count purchases as results do: exposures, joined with what belongs to them."""
    exposed, belonging = ground.tables.exposures.c, ground.tables.event_units.c
    query = (
        select(exposed.unit, func.count().label("times"))
        .join(
            ground.tables.event_units,
            and_(belonging.unit == exposed.unit, belonging.at >= exposed.first_at),
        )
        .where(exposed.experiment == experiment, exposed.merged_into.is_(None))
        .where(belonging.name == "purchase")
        .group_by(exposed.unit)
    )
    with reading(ground.database.own) as connection:
        return {row.unit: row.times for row in connection.execute(query)}
