"""ABX on one application, and on several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask, render_template_string

from flask_abx import ABX, ConfigError, Exposure, MemorySink, SetupError
from flask_abx.runtime.state import state_of
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flask_abx.events.records import Record
    from tests.conftest import MakeApp


def plain_app(**config: object) -> Flask:
    """Make an application that is not set up."""
    shop = Flask("shop")
    shop.config.update(SECRET_KEY="secret", **config)
    return shop


def test_it_takes_the_application_or_waits_for_it() -> None:
    at_once, later = plain_app(), plain_app()
    ABX(at_once)
    ABX().init_app(later)
    assert state_of(at_once).settings == state_of(later).settings


def test_nothing_of_the_application_stays_on_the_extension() -> None:
    abx, shop = ABX(), plain_app()
    abx.init_app(shop)
    assert shop not in vars(abx).values()
    assert all(value is not shop for value in vars(abx).values())


def test_an_application_without_experiments_runs() -> None:
    abx, shop = ABX(), plain_app(ABX_SINKS=["memory"])
    abx.init_app(shop)
    shop.get("/")(lambda: abx.variant("headline"))
    visit = Browser(shop).visit()
    assert (visit.status, visit.served, visit.is_silent) == (200, "control", True)


def test_templates_read_and_track(make_app: MakeApp) -> None:
    shop = make_app()
    page = "{{ abx.variant('headline') }}{{ abx.track('seen') or '' }}"
    shop.get("/page")(lambda: render_template_string(page))
    visit = Browser(shop).visit("/page")
    assert visit.exposed == [f"headline:{visit.served}"]
    assert [event.name for event in visit.events] == ["seen"]


def test_an_imported_macro_reads(make_app: MakeApp) -> None:
    from jinja2 import DictLoader

    shop = make_app()
    shop.jinja_loader = DictLoader(
        {"macros.html": "{% macro show() %}{{ abx.variant('headline') }}{% endmacro %}"}
    )
    page = "{% from 'macros.html' import show %}{{ show() }}"
    shop.get("/page")(lambda: render_template_string(page))
    visit = Browser(shop).visit("/page")
    assert visit.exposed == [f"headline:{visit.served}"]


def test_several_applications_share_one_extension(make_app: MakeApp) -> None:
    abx = ABX()
    shop = make_app(abx=abx)
    blog = make_app({"headline": {"variants": ["x", "y"]}}, abx=abx)
    assert Browser(shop).visit().served in {"control", "bold"}
    assert Browser(blog).visit().served in {"x", "y"}
    assert (len(records_of(shop)), len(records_of(blog))) == (1, 1)


def test_a_second_extension_is_refused() -> None:
    shop = plain_app()
    ABX(shop)
    with pytest.raises(SetupError, match="is set up on 'shop' already"):
        ABX(shop)


def test_assignments_and_expose_by_hand(make_app: MakeApp) -> None:
    abx = ABX()
    shop = make_app(abx=abx)
    with shop.test_request_context():
        assignments = abx.assignments()
        assert list(assignments) == ["headline"]
        assert assignments["headline"] == abx.assignment("headline")
        abx.expose("headline")
        abx.expose("headline")
    [exposure] = records_of(shop)
    assert isinstance(exposure, Exposure)
    assert exposure.variant == assignments["headline"].variant


def test_switched_off_everybody_gets_the_control_and_nothing_is_kept(
    make_app: MakeApp,
) -> None:
    shop = make_app(ABX_ENABLED=False)
    visit = Browser(shop).visit()
    signup = Browser(shop).visit("/signup", method="POST")
    assert (visit.served, visit.is_silent, signup.is_silent) == ("control", True, True)


def test_a_callable_takes_each_batch(make_app: MakeApp) -> None:
    batches: list[Sequence[Record]] = []
    abx = ABX()
    shop = make_app(abx=abx, ABX_SINKS=["memory", batches.append])

    @shop.get("/both")
    def both() -> str:
        abx.variant("headline")
        abx.track("seen")
        return ""

    visit = Browser(shop).visit("/both")
    assert [tuple(batch) for batch in batches] == [visit.recorded]
    assert len(visit.recorded) == 2


def test_a_sink_that_raises_loses_its_own_copy_only(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(batch: Sequence[Record]) -> None:
        raise ConnectionError("the warehouse is down")

    shop = make_app(ABX_SINKS=["memory", broken])
    for _ in range(2):
        visit = Browser(shop).visit()
        assert visit.exposed == [f"headline:{visit.served}"]
    assert caplog.text.count("Sink CallableSink lost 1 records.") == 1
    assert state_of(shop).tally.counts["sink_failed:CallableSink"] == 2


def test_an_object_of_ones_own_is_a_sink(make_app: MakeApp) -> None:
    own = MemorySink(size=1)
    shop = make_app(ABX_SINKS=[own])
    for _ in range(3):
        shop.test_client().get("/")
    assert len(own.records) == 1


def test_an_event_log_holds_a_line_for_each_record(
    make_app: MakeApp, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    shop = make_app(ABX_EVENT_LOG=str(path))
    recorded = [Browser(shop).visit().recorded[0] for _ in range(2)]
    assert path.read_text().splitlines() == [each.to_json() for each in recorded]


def test_an_event_log_without_a_folder_is_refused(
    make_app: MakeApp, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        make_app(ABX_EVENT_LOG=str(tmp_path / "missing" / "events.jsonl"))


def test_a_sink_that_is_none_is_refused(make_app: MakeApp) -> None:
    with pytest.raises(ConfigError, match="ABX_SINKS names 'kafka', must be 'log'"):
        make_app(ABX_SINKS=["kafka"])


def test_a_segment_that_nothing_defines_is_told_by_each_application(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    audience = {"$segment": "vip"}
    definition = {"headline": {"variants": ["a", "b"], "audience": audience}}
    abx = ABX()
    for _ in range(2):
        shop = make_app(definition, abx=abx)
        Browser(shop).visit("/plain")
        Browser(shop).visit("/plain")
    assert caplog.text.count("names the segment 'vip', which nothing defines") == 2
