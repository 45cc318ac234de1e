"""Somebody is carried to a job: the same units, variants and agreements."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, request

from flask_abx import ABX, Event, UsageError
from flask_abx.runtime.carried import LONGEST, Carried
from flask_abx.runtime.carrying import CarriedScope
from flask_abx.runtime.cookie import Entry
from flask_abx.runtime.state import state_of
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

PAIR = ["control", "bold"]
ANNA = "a" * 32
DEFINITIONS = {
    "headline": {"variants": PAIR},
    "for_users": {"variants": PAIR, "unit": "user"},
    "for_tenants": {"variants": PAIR, "unit": "tenant"},
}


def shop_of(make_app: MakeApp, abx: ABX, **config: Any) -> Flask:
    """Make an application that gives what it carries at `/carry?key=...`."""
    shop = make_app(config.pop("experiments", DEFINITIONS), abx=abx, **config)
    abx.unit_loader(lambda: request.headers.get("X-User"))
    abx.attributes_loader(lambda: {"tenant": request.headers.get("X-Tenant")})

    @shop.get("/carry")
    def carry() -> str:
        for key in request.args.getlist("key"):
            abx.variant(key)
        return abx.carry()

    return shop


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


@pytest.fixture
def shop(make_app: MakeApp, abx: ABX) -> Flask:
    """An application that carries."""
    return shop_of(make_app, abx)


def carried_from(shop: Flask, *keys: str, **headers: str) -> str:
    """Visit an application and give what it carries."""
    path = "/carry?" + "&".join(f"key={key}" for key in keys)
    return Browser(shop).visit(path, **headers).served


def tracked(app: Flask, carried: str, **attributes: object) -> list[Event]:
    """Track in a job that acts for whoever was carried."""
    abx = app.jinja_env.globals["abx"]
    assert isinstance(abx, ABX)
    before = len(records_of(app))
    with app.app_context(), abx.as_unit(carried, **attributes):
        abx.track("paid")
    return [each for each in records_of(app)[before:] if isinstance(each, Event)]


def test_an_event_of_a_job_is_labelled_like_one_of_the_page(shop: Flask) -> None:
    visit = Browser(shop).visit(
        "/carry?key=headline&key=for_users&key=for_tenants",
        X_User="anna",
        X_Tenant="acme",
    )
    [event] = tracked(shop, visit.served)
    assert dict(event.units) == dict(visit.recorded[-1].units)
    assert [f"{key}:{event.variants[key]}" for key in DEFINITIONS] == visit.exposed


def test_another_process_serves_what_was_met_and_records_no_exposure(
    shop: Flask, make_app: MakeApp
) -> None:
    other = ABX()
    worker = make_app(DEFINITIONS, abx=other)
    for _ in range(8):
        visit = Browser(shop).visit("/carry?key=headline")
        with worker.app_context(), other.as_unit(visit.served):
            assert [f"headline:{other.variant('headline')}"] == visit.exposed
            assert other.assignment("headline").reason == "sticky"
    assert records_of(worker) == []


def test_what_a_changed_allocation_would_serve_does_not_matter(
    shop: Flask, make_app: MakeApp
) -> None:
    other = ABX()
    bold_only = {"control": 0, "bold": 1}
    variants = [{"key": key, "weight": share} for key, share in bold_only.items()]
    worker = make_app({"headline": {"variants": variants}}, abx=other)
    visits = [Browser(shop).visit("/carry?key=headline") for _ in range(12)]
    for visit in visits:
        [event] = tracked(worker, visit.served)
        assert [f"headline:{event.variants['headline']}"] == visit.exposed
    assert {*visits[0].exposed, *(each.exposed[0] for each in visits)} == {
        "headline:bold",
        "headline:control",
    }


def test_the_text_is_plain_and_short(shop: Flask) -> None:
    text = carried_from(shop, *DEFINITIONS, X_User="u" * 36, X_Tenant="acme")
    assert re.fullmatch(r"abx1\.[!-~]+", text)
    assert len(text) < 300


def test_carrying_names_a_new_visitor(shop: Flask) -> None:
    visit = Browser(shop).visit("/carry")
    [event] = tracked(shop, visit.served)
    assert dict(event.units) == {"visitor": visit.visitor}


def test_a_block_is_carried(shop: Flask, abx: ABX) -> None:
    with shop.app_context():
        with abx.as_unit("7", tenant="acme"):
            served = abx.variant("for_users")
            text = abx.carry()
        [event] = tracked(shop, text)
    assert dict(event.units) == {"user": "7", "tenant": "acme"}
    assert dict(event.variants) == {"for_users": served}


def test_what_is_carried_is_carried_on_with_what_was_met_since(
    shop: Flask, abx: ABX
) -> None:
    text = carried_from(shop, "headline", X_User="anna")
    with shop.app_context(), abx.as_unit(text):
        assert abx.carry() == text
        abx.variant("for_users")
        text = abx.carry()
    [event] = tracked(shop, text)
    assert set(event.variants) == {"headline", "for_users"}


def test_attributes_are_added_to_whom_is_carried(shop: Flask) -> None:
    text = carried_from(shop, X_User="anna")
    [event] = tracked(shop, text, tenant="acme")
    assert (event.units["user"], event.units["tenant"]) == ("anna", "acme")


@pytest.mark.parametrize("kind", ["user", "visitor"])
def test_nobody_is_named_beside_whom_is_carried(
    shop: Flask, abx: ABX, kind: str
) -> None:
    text = carried_from(shop)
    with pytest.raises(TypeError, match=f"got the {kind} twice"):
        abx.as_unit(text, **{kind: "7"})


def test_a_user_whose_id_begins_like_a_carried_text_is_named(
    shop: Flask, abx: ABX
) -> None:
    with shop.app_context(), abx.as_unit(user="abx1.anna"):
        abx.track("paid")
    assert dict(records_of(shop)[0].units) == {"user": "abx1.anna"}


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        pytest.param(None, True, id="not known yet"),
        pytest.param({"status": "draft"}, True, id="a draft yet"),
        pytest.param({"variants": ["control", "wild"]}, True, id="a new variant"),
        pytest.param({"iteration": 2}, False, id="restarted"),
        pytest.param({"status": "paused"}, True, id="paused"),
        pytest.param({"status": "archived"}, False, id="archived"),
    ],
)
def test_a_process_of_another_version_labels(
    make_app: MakeApp,
    shop: Flask,
    fields: Mapping[str, Any] | None,
    label: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    text = ""
    while ":1:bold" not in text:
        text = carried_from(shop, "headline")
    known = {} if fields is None else {"headline": {"variants": PAIR, **fields}}
    [event] = tracked(make_app({**known, "other": {"variants": PAIR}}), text)
    assert dict(event.variants) == ({"headline": "bold"} if label else {})


def test_what_a_process_does_not_know_is_carried_on(
    make_app: MakeApp, shop: Flask
) -> None:
    other = ABX()
    worker = make_app({}, abx=other)
    text = carried_from(shop, "headline", "for_users", X_User="anna")
    with worker.app_context(), other.as_unit(text):
        onward = other.carry()
    [event] = tracked(shop, onward)
    assert set(event.variants) == {"headline", "for_users"}


@pytest.mark.parametrize(
    ("own", "carried", "is_kept"),
    [
        pytest.param("9", "12", True, id="this process lags behind"),
        pytest.param("12", "9", False, id="this process is ahead"),
        pytest.param("9", "9", False, id="the same"),
        pytest.param("c1", "c2", True, id="a file has no order"),
    ],
)
def test_an_unknown_experiment_is_kept_where_it_may_be_new(
    shop: Flask,
    own: str,
    carried: str,
    is_kept: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    state = state_of(shop)
    ruleset = replace(state.ruleset(), version=own)
    entries = {"visitor": {"new": Entry(1, "bold", confirmed=True)}}
    known = Carried(carried, {"visitor": ANNA}, entries)
    scope = CarriedScope(shop, state, ruleset, known, {})
    assert dict(scope.ahead) == ({"new": "bold"} if is_kept else {})


def test_variants_that_outlive_their_experiment_are_served(
    make_app: MakeApp, abx: ABX, sign: Sign
) -> None:
    over = {"variants": PAIR, "status": "concluded", "winner": "control"}
    shop = shop_of(
        make_app, abx, experiments={"headline": {**over, "keep_variants": True}}
    )
    jar = {"__Host-abx": sign(f"1~{ANNA}~headline:1:bold")}
    text = Browser(shop, jar).visit("/carry").served
    with shop.app_context(), abx.as_unit(text):
        assert abx.variant("headline") == "bold"


class Agreed:
    """A consent callable that needs the request."""

    def __call__(self, purpose: str) -> bool:
        return purpose in request.headers["X-Agreed"].split("+")


@pytest.fixture
def asking(make_app: MakeApp, abx: ABX) -> Flask:
    """An application that asks for consent."""
    abx.consent(Agreed())
    return shop_of(
        make_app, abx, experiments={"headline": {"variants": PAIR, "consent": "ads"}}
    )


def test_what_was_agreed_is_not_forgotten(asking: Flask, abx: ABX) -> None:
    visit = Browser(asking).visit(
        "/carry?key=headline", X_Agreed="storage+measurement+ads"
    )
    [event] = tracked(asking, visit.served)
    assert [f"headline:{event.variants['headline']}"] == visit.exposed
    with asking.app_context(), abx.as_unit(visit.served):
        assert abx.assignment("headline").reason == "sticky"


def test_what_was_refused_is_not_recorded(asking: Flask) -> None:
    text = carried_from(asking, "headline", X_Agreed="storage+ads", X_User="anna")
    assert tracked(asking, text) == []


def test_a_purpose_that_was_refused_stays_refused(asking: Flask, abx: ABX) -> None:
    text = carried_from(asking, "headline", X_Agreed="storage+measurement")
    with asking.app_context(), abx.as_unit(text):
        assert abx.assignment("headline").reason == "no_consent"


@pytest.mark.parametrize(
    ("headers", "config"),
    [
        pytest.param({"User_Agent": "Googlebot/2.1"}, {}, id="a crawler"),
        pytest.param({"Sec_Purpose": "prefetch"}, {}, id="prefetch"),
        pytest.param({}, {"ABX_ENABLED": False}, id="disabled"),
    ],
)
def test_what_a_page_would_not_record_no_job_records(
    make_app: MakeApp,
    abx: ABX,
    headers: dict[str, str],
    config: dict[str, object],
) -> None:
    text = carried_from(shop_of(make_app, abx, **config), X_User="anna", **headers)
    other = ABX()
    worker = make_app(DEFINITIONS, abx=other)
    with worker.app_context(), other.as_unit(text):
        other.variant("for_users")
        other.track("paid")
    assert records_of(worker) == []


def test_a_crawler_is_served_the_control_in_a_job(
    make_app: MakeApp, shop: Flask, abx: ABX
) -> None:
    text = carried_from(shop, X_User="anna", User_Agent="Googlebot/2.1")
    with shop.app_context(), abx.as_unit(text):
        assert abx.assignment("for_users").reason == "bot"


def test_an_earlier_key_is_honoured(make_app: MakeApp, shop: Flask) -> None:
    text = carried_from(shop, X_User="anna")
    worker = make_app(
        DEFINITIONS, SECRET_KEY="new", SECRET_KEY_FALLBACKS=["older", "secret"]
    )
    [event] = tracked(worker, text)
    assert event.units["user"] == "anna"


def test_what_a_cookie_signs_is_not_taken(shop: Flask, sign: Sign, abx: ABX) -> None:
    forged = sign("abx1.~m~@u=anna")
    shop.config["TESTING"] = True
    with (
        shop.app_context(),
        pytest.raises(UsageError, match="is damaged, or was signed with another"),
        abx.as_unit(forged),
    ):
        pass


def test_a_damaged_text_is_nobody_and_told_once_in_production(
    shop: Flask, abx: ABX, caplog: pytest.LogCaptureFixture
) -> None:
    text = carried_from(shop, "headline", X_User="anna")
    with shop.app_context(), caplog.at_level(logging.WARNING):
        for _ in range(3):
            with abx.as_unit(f"{text}x"):
                assert abx.variant("for_users") == "control"
    assert state_of(shop).tally.counts["carried_refused"] == 3
    assert caplog.text.count("Nobody is known.") == 1


def test_the_oldest_experiments_make_room(make_app: MakeApp, abx: ABX) -> None:
    keys = [f"experiment-number-{number:02}" for number in range(20)]
    # Of the same length, as a shorter one may still find room.
    definitions = {key: {"variants": ["calm", "bold"]} for key in keys}
    shop = shop_of(make_app, abx, experiments=definitions)
    text = carried_from(shop, *keys)
    [event] = tracked(shop, text)
    assert len(text) <= LONGEST
    assert list(event.variants) == keys[-len(event.variants) :]
    assert 5 <= len(event.variants) < 20


def test_paused_experiments_make_room_before_running_ones(
    make_app: MakeApp, abx: ABX, sign: Sign
) -> None:
    keys = [f"experiment-number-{number:02}" for number in range(12)]
    paused = {key: {"variants": PAIR, "status": "paused"} for key in keys[6:]}
    running = {key: {"variants": PAIR} for key in keys[:6]}
    shop = shop_of(make_app, abx, experiments={**running, **paused})
    entries = "~".join(f"{key}:1:bold" for key in keys)
    browser = Browser(shop, {"__Host-abx": sign(f"1~{ANNA}~{entries}")})
    [event] = tracked(shop, browser.visit("/carry").served)
    assert set(keys[:6]) < set(event.variants) < set(keys)


def test_attribute_units_make_room_before_ids(shop: Flask) -> None:
    text = carried_from(shop, X_User="u" * 100, X_Tenant="t" * 200)
    [event] = tracked(shop, text)
    assert set(event.units) == {"visitor", "user"}


def test_an_id_that_is_too_long_is_refused_in_testing(shop: Flask, abx: ABX) -> None:
    shop.config["TESTING"] = True
    with (
        shop.app_context(),
        abx.as_unit("u" * 300),
        pytest.raises(UsageError, match="has no room for the user"),
    ):
        abx.carry()


def test_an_id_that_is_too_long_is_left_out_and_told_once_in_production(
    shop: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        texts = [carried_from(shop, X_User="u" * 300) for _ in range(2)]
    [event] = tracked(shop, texts[0])
    assert set(event.units) == {"visitor"}
    assert state_of(shop).tally.counts["carry_left_out"] == 2
    assert caplog.text.count("It is left out.") == 1


def test_a_loader_that_raises_breaks_nothing(make_app: MakeApp) -> None:
    abx = ABX()
    shop = make_app({"headline": {"variants": PAIR}}, abx=abx)

    @abx.unit_loader
    def broken() -> str:
        raise RuntimeError("no user today")

    @shop.get("/carry")
    def carry() -> str:
        return abx.carry()

    visit = Browser(shop).visit("/carry")
    assert visit.status == 200
    [event] = tracked(shop, visit.served)
    assert dict(event.units) == {"visitor": visit.visitor}
