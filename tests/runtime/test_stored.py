"""One unit, one variant: what is stored decides, and costs a request little."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import pytest

from flask_abx.assignment.decision import Reason
from flask_abx.events.answers import Wanted
from flask_abx.events.bounded import Bounded
from tests.databases import ENGINES
from tests.runtime.delivered import RUNNING, Shop, open_shop, traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

TEN = {f"e{number}": {**RUNNING, "unit": "user"} for number in range(10)}
USER = {"user": "7"}


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(request.param, tmp_path, ABX_WAIT=10.0) as made:
        yield made


def other(variant: str) -> str:
    """Give the variant that the hash does not choose."""
    return "bold" if variant == "control" else "control"


def stored_as(shop: Shop, variant: str, unit: str = "user:7") -> None:
    """Have another process store an exposure of the experiment on users."""
    assert shop.state.database is not None
    table = shop.state.database.tables.exposures
    with shop.state.database.own.begin() as connection:
        connection.execute(
            table.insert().values(
                experiment="account" if unit.startswith("user") else "plan",
                iteration=1,
                unit=unit,
                variant=variant,
                epoch=1,
                reason="allocated",
                first_at=1,
                mixed=0,
                dimensions="{}",
                slot=0,
                version="c0",
                stored_at=1,
            )
        )


def cookie_of(client: FlaskClient) -> str:
    """Give the text of the cookie without its signature."""
    cookie = client.get_cookie("abx")
    assert cookie is not None
    return cookie.value.rpartition(".")[0]


def hashed(shop: Shop, key: str = "account", **who: str) -> str:
    """Give the variant that a unit gets of which nothing is known."""
    with shop.app.test_request_context(query_string=who or USER):
        return shop.abx.assignment(key).variant


def test_the_row_decides_on_a_second_device(shop: Shop) -> None:
    variant = other(hashed(shop, user="8"))
    stored_as(shop, variant, "user:8")
    shop.delivery.lookups.forget("user:8")
    assert shop.client().get("/account?user=8").text == variant


def test_the_row_decides_without_cookies_too(shop: Shop) -> None:
    stored_as(shop, "bold", "user:8")
    stored_as(shop, "control", "user:9")
    assert shop.variant_of("account", user="8") == "bold"
    assert shop.variant_of("account", user="9") == "control"


def test_the_row_decides_for_a_tenant(shop: Shop) -> None:
    stored_as(shop, "bold", "tenant:acme")
    stored_as(shop, "control", "tenant:umbrella")
    assert shop.variant_of("plan", tenant="acme") == "bold"
    assert shop.variant_of("plan", tenant="umbrella") == "control"


def test_an_answer_confirms_what_the_browser_remembers(shop: Shop) -> None:
    client = shop.client()
    client.get("/account", query_string=USER)
    assert cookie_of(client).endswith("?")
    shop.settle()
    client.get("/account", query_string=USER)
    assert not cookie_of(client).endswith("?")


def test_the_row_stands_over_what_nobody_confirmed(shop: Shop) -> None:
    client = shop.client()
    variant = client.get("/account", query_string=USER).text
    shop.settle()
    assert shop.state.database is not None
    table = shop.state.database.tables.exposures
    with shop.state.database.own.begin() as connection:
        connection.execute(table.update().values(variant=other(variant)))
    assert client.get("/account", query_string=USER).text == other(variant)


def test_an_exposure_that_was_lost_is_recorded_again(shop: Shop) -> None:
    client = shop.client()
    client.get("/account", query_string=USER)
    shop.settle()
    assert shop.state.database is not None
    with shop.state.database.own.begin() as connection:
        connection.execute(shop.state.database.tables.exposures.delete())
    client.get("/account", query_string=USER)
    shop.settle()
    assert [row["reason"] for row in shop.rows("exposures")] == [Reason.STICKY]


def test_a_confirmed_exposure_is_recorded_once(shop: Shop) -> None:
    client = shop.client()
    for _ in range(3):
        client.get("/account", query_string=USER)
        shop.settle()
    assert shop.delivery.spool.appended == 1


def test_whoever_logs_in_keeps_the_variant_of_the_visitor(shop: Shop) -> None:
    client = shop.client()
    variant = client.get("/price").text
    assert client.get("/price", query_string=USER).text == variant
    client.get("/buy", query_string=USER)
    shop.settle()
    users = [row for row in shop.rows("exposures") if row["unit"] == "user:7"]
    assert [row["variant"] for row in users] == [variant]
    assert shop.variant_of("price", **USER) == variant


def test_a_login_alone_is_enough_for_a_row(shop: Shop) -> None:
    client = shop.client()
    variant = client.get("/price").text
    client.get("/price", query_string=USER)
    shop.settle()
    users = [row for row in shop.rows("exposures") if row["unit"] == "user:7"]
    assert [row["variant"] for row in users] == [variant]
    assert [row["unit"] for row in shop.rows("links")] == ["user:7"]


def test_a_user_with_a_row_keeps_it_at_a_login_elsewhere(shop: Shop) -> None:
    first = shop.client()
    variant = first.get("/price", query_string=USER).text
    shop.settle()
    for _ in range(6):
        second = shop.client()
        second.get("/price")
        assert second.get("/price", query_string=USER).text == variant


def test_an_event_of_a_job_is_labelled_with_what_is_stored(shop: Shop) -> None:
    stored_as(shop, "bold")
    with shop.app.app_context(), shop.abx.as_unit("7"):
        shop.abx.track("invoiced")
    shop.settle()
    (row,) = shop.rows("events")
    assert row["variants"] == '{"account":"bold"}'


def test_a_database_that_does_not_answer_leaves_cookie_and_hash(
    tmp_path: Path,
) -> None:
    with open_shop("sqlite", tmp_path, ABX_WAIT=0.0) as shop:
        expected = hashed(shop)
        client = shop.client()
        assert client.get("/account", query_string=USER).text == expected
        assert cookie_of(client).endswith("?")


def test_an_event_is_labelled_with_what_was_served_a_moment_ago(shop: Shop) -> None:
    variant = shop.variant_of("account", **USER)
    client = shop.app.test_client(use_cookies=False)
    client.get("/buy", query_string=USER)
    shop.settle()
    (row,) = shop.rows("events")
    assert row["variants"] == f'{{"account":"{variant}"}}'


def test_a_second_device_is_served_what_the_process_has_just_served(
    tmp_path: Path,
) -> None:
    with open_shop("sqlite", tmp_path, ABX_WAIT=10.0) as shop:
        for number in range(8):
            who, first = {"user": f"u{number}"}, shop.client()
            variant = first.get("/price").text
            first.get("/price", query_string=who)
            second = shop.client()
            assert second.get("/price", query_string=who).text == variant


CASES = {
    "new visitor": ("/headline", {}, 0),
    "user on a second device": ("/account", USER, 1),
    "tenant": ("/plan", {"tenant": "acme"}, 1),
    "visitor or user": ("/price", USER, 1),
    "all experiments": ("/all", {"user": "7", "tenant": "acme"}, 1),
    "an event of a user": ("/buy", USER, 1),
}


@pytest.mark.parametrize(("path", "who", "cold"), list(CASES.values()), ids=list(CASES))
def test_a_cold_request_costs_at_most_one_question(
    path: str, who: dict[str, str], cold: int, shop: Shop
) -> None:
    shop.client().get("/headline")
    client = shop.client()
    with traffic() as told:
        client.get(path, query_string=who)
    assert told.here == []
    assert len(told.lookups) == cold


@pytest.mark.parametrize(
    ("path", "who"),
    [(path, who) for path, who, _ in CASES.values()],
    ids=list(CASES),
)
def test_a_warm_request_costs_no_question(
    path: str, who: dict[str, str], shop: Shop
) -> None:
    client = shop.client()
    client.get(path, query_string=who)
    shop.settle()
    client.get(path, query_string=who)
    shop.settle()
    with traffic() as told:
        client.get(path, query_string=who)
    assert (told.here, told.lookups) == ([], [])


def test_a_client_without_cookies_is_asked_about_once(shop: Shop) -> None:
    shop.variant_of("account", **USER)
    shop.settle()
    shop.variant_of("account", **USER)
    with traffic() as told:
        for _ in range(3):
            shop.variant_of("account", **USER)
    assert (told.here, told.lookups) == ([], [])


@pytest.mark.parametrize("kind", ENGINES)
def test_ten_experiments_cost_one_question(kind: str, tmp_path: Path) -> None:
    with open_shop(kind, tmp_path, TEN, ABX_WAIT=10.0) as shop:
        shop.client().get("/buy")
        with traffic() as told:
            shop.client().get("/all", query_string=USER)
        assert told.here == []
        assert len(told.lookups) == 1


@pytest.mark.parametrize("kind", ENGINES)
def test_a_user_outside_the_audience_is_asked_about_once_a_minute(
    kind: str, tmp_path: Path
) -> None:
    german = {**RUNNING, "unit": "user", "audience": {"country": "de"}}
    with open_shop(kind, tmp_path, {"account": german}, ABX_WAIT=10.0) as shop:
        shop.client().get("/buy")
        client = shop.client()
        with traffic() as told:
            for _ in range(5):
                client.get("/account", query_string=USER)
        assert told.here == []
        assert len(told.lookups) == 1


def test_two_devices_that_race_make_one_row_and_are_told(shop: Shop) -> None:
    devices = [shop.client() for _ in range(12)]
    met = {device.get("/price").text for device in devices}
    assert met == {"control", "bold"}
    for device in devices:
        device.get("/price", query_string=USER)
        device.get("/buy", query_string=USER)
    shop.settle()
    (row,) = [each for each in shop.rows("exposures") if each["unit"] == "user:7"]
    assert row["mixed"] == 1
    served = {device.get("/price", query_string=USER).text for device in devices}
    assert served == {row["variant"]}


def test_whoever_asks_beside_one_who_is_exposed_is_answered(shop: Shop) -> None:
    unit, lookups = "user:8", shop.delivery.lookups
    shop.client().get("/headline")
    now = monotonic()
    wanted = {unit: Wanted(frozenset({("account", 1)}))}
    assert lookups.find(wanted) == {unit: {}}
    lookups.forget(unit)
    answer = lookups._answers.get(unit)
    assert answer is not None
    assert answer.settles(wanted[unit], now)
    assert not answer.settles(wanted[unit], monotonic())


def test_an_old_answer_says_nothing_of_other_experiments(tmp_path: Path) -> None:
    with open_shop("sqlite", tmp_path, TEN, ABX_WAIT=10.0) as shop:
        shop.variant_of("e0", **USER)
        shop.settle()
        shop.variant_of("e0", **USER)
        lookups = shop.delivery.lookups
        answer = lookups._answers.get("user:7")
        assert answer is not None
        old = answer._replace(asked_at=answer.asked_at - 90, told_at=0.0)
        lookups._answers.put("user:7", old)
        with traffic() as told:
            shop.variant_of("e1", **USER)
        assert len(told.lookups) == 1


def test_an_exposed_visitor_who_logs_in_is_linked(shop: Shop) -> None:
    client = shop.client()
    client.get("/headline")
    for _ in range(3):
        client.get("/headline", query_string=USER)
    shop.settle()
    assert [row["unit"] for row in shop.rows("links")] == ["user:7"]
    assert len(shop.rows("exposures")) == 1
    assert shop.delivery.spool.appended == 2


def test_a_visitor_is_asked_once_a_minute_who_has_logged_in(shop: Shop) -> None:
    client = shop.client()
    client.get("/headline")
    client.get("/headline")
    client.get("/headline", query_string=USER)
    assert shop.delivery.spool.appended == 1
    shop.state.company._asked_at = Bounded(10)
    client.get("/headline", query_string=USER)
    shop.settle()
    assert [row["unit"] for row in shop.rows("links")] == ["user:7"]


def test_a_purchase_in_a_webhook_is_found_in_every_experiment(shop: Shop) -> None:
    client = shop.client()
    who = {"user": "7", "tenant": "acme"}
    for path in ("/headline", "/account", "/plan"):
        client.get(path, query_string=who)
    shop.settle()
    with shop.app.app_context(), shop.abx.as_unit("7", tenant="acme"):
        shop.abx.track("paid", 9)
    shop.settle()
    buyers = {row["unit"] for row in shop.rows("event_units")}
    exposed = {row["experiment"]: row["unit"] for row in shop.rows("exposures")}
    assert set(exposed) == {"headline", "account", "plan"}
    assert set(exposed.values()) <= buyers
