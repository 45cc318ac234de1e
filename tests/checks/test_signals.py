"""Receivers that raise, and events from everywhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, copy_current_request_context

from flask_abx import ABX, Event, Exposure, event_tracked, unit_exposed
from flask_abx.events import tally
from flask_abx.runtime.state import state_of
from tests.checks.browser import records_of

if TYPE_CHECKING:
    from tests.checks.conftest import Browse
    from tests.conftest import MakeApp

NAME = "__Host-abx"


def raising(sender: Flask, **extra: object) -> None:
    raise RuntimeError("a receiver of the shop broke")


@pytest.mark.check(99)
def test_a_receiver_that_raises_harms_neither_page_nor_others(
    make_app: MakeApp, browse: Browse, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    heard: list[object] = []

    def hear(sender: Flask, **told: object) -> None:
        heard.extend(told.values())

    browser = browse(app)
    with (
        unit_exposed.connected_to(raising, sender=app),
        unit_exposed.connected_to(hear, sender=app),
        event_tracked.connected_to(raising, sender=app),
        event_tracked.connected_to(hear, sender=app),
    ):
        page = browser.visit()
        posted = browser.visit("/signup", method="POST")

    assert (page.status, posted.status, posted.served) == (200, 200, "thanks")
    assert page.exposed == [f"headline:{page.served}"]
    assert (page.cookie_names, posted.cookies) == ([NAME], ())
    assert posted.events[0].variants == {"headline": page.served}
    assert heard == [*page.recorded, *posted.recorded]
    assert caplog.text.count("RuntimeError: a receiver of the shop broke") == 2


@pytest.mark.check(99)
def test_a_receiver_that_raises_is_counted_and_told_once_a_minute(
    make_app: MakeApp,
    browse: Browse,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, clock = make_app(), [1_000.0]
    monkeypatch.setattr(tally, "monotonic", lambda: clock[0])
    told = []
    with unit_exposed.connected_to(raising, sender=app):
        for seconds in (0, 1, 58, 2, 30, 31):
            clock[0] += seconds
            visit = browse(app).visit()
            assert (visit.status, visit.cookie_names) == (200, [NAME])
            assert visit.exposed == [f"headline:{visit.served}"]
            told.append(caplog.text.count("the page and the others are unharmed"))

    assert told == [1, 1, 1, 2, 2, 3]
    assert state_of(app).tally.counts["receiver_raised:abx.unit-exposed"] == 6


@pytest.mark.check(104)
def test_a_job_tracks_for_somebody(make_app: MakeApp) -> None:
    abx = ABX()
    app = make_app({"headline": {"variants": ["a", "b"], "unit": "user"}}, abx=abx)

    def job() -> str:
        with app.app_context(), abx.as_unit("user-7"):
            served = abx.variant("headline")
            abx.track("paid", value=49)
        return served

    served = job()
    exposure, event = records_of(app)
    assert isinstance(exposure, Exposure)
    assert isinstance(event, Event)
    assert (exposure.unit, exposure.variant) == ("user-7", served)
    assert (event.units, event.variants) == ({"user": "user-7"}, {"headline": served})
    assert job() == served


@pytest.mark.check(104)
def test_a_command_tracks_for_somebody_and_is_told_when_for_nobody(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    abx = ABX()
    app = make_app(abx=abx)

    @app.cli.command("bill")
    def bill() -> None:
        abx.track("forgotten")
        with abx.as_unit("user-7"):
            abx.track("billed")

    result = app.test_cli_runner().invoke(args=["bill"])
    assert result.exit_code == 0, result.output
    [event] = records_of(app)
    assert isinstance(event, Event)
    assert (event.name, event.units) == ("billed", {"user": "user-7"})
    assert "'forgotten' is not recorded: nobody is known here" in caplog.text
    assert state_of(app).tally.counts["record_dropped:no_unit"] == 1


@pytest.mark.check(104)
def test_threads_track_for_somebody_each(make_app: MakeApp) -> None:
    abx = ABX()
    app = make_app({"headline": {"variants": ["a", "b"], "unit": "user"}}, abx=abx)

    def work(number: int) -> str:
        with app.app_context(), abx.as_unit(number):
            served = abx.variant("headline")
            abx.track("worked")
        return served

    with ThreadPoolExecutor(16) as pool:
        served = list(pool.map(work, range(200)))
    events = [record for record in records_of(app) if isinstance(record, Event)]
    assert {event.units["user"]: event.variants["headline"] for event in events} == {
        str(number): variant for number, variant in enumerate(served)
    }
    assert len(records_of(app)) == 400


@pytest.mark.check(104)
def test_a_thread_with_a_copied_context_tracks_for_the_same_visitor(
    make_app: MakeApp, browse: Browse
) -> None:
    abx = ABX()
    app = make_app(abx=abx)

    @app.get("/thread")
    def thread() -> str:
        served = abx.variant("headline")

        @copy_current_request_context
        def work() -> None:
            abx.track("worked")

        worker = Thread(target=work)
        worker.start()
        worker.join()
        return served

    visit = browse(app).visit("/thread")
    assert visit.exposed == [f"headline:{visit.served}"]
    [event] = visit.events
    assert event.units == {"visitor": visit.visitor}
    assert event.variants == {"headline": visit.served}
    assert visit.cookie_names == [NAME]


@pytest.mark.check(104)
@pytest.mark.parametrize("in_thread", [False, True])
def test_without_a_context_it_is_the_error_that_flask_raises(
    make_app: MakeApp,
    in_thread: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    abx = ABX()
    app = make_app(abx=abx)
    raised: list[Any] = []

    def work() -> None:
        with pytest.raises(
            RuntimeError, match="outside of application context"
        ) as caught:
            abx.track("lost")
        raised.append(caught.value)

    if in_thread:
        worker = Thread(target=work)
        worker.start()
        worker.join()
    else:
        work()
    assert len(raised) == 1
    assert records_of(app) == []
