"""Wherever a request ends, its records go once and its headers are set."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from flask import Flask, Response, request, stream_with_context
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from flask_abx import ABX
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

NAME = "__Host-abx"
ANNA, BERT = "a" * 32, "b" * 32


CONTEXTS: dict[str, Callable[[Flask], AbstractContextManager[object]]] = {
    "none": lambda _: nullcontext(),
    "application": lambda shop: shop.app_context(),
    "request, as pytest-flask pushes": lambda shop: shop.test_request_context(),
}


def test_a_hook_of_an_earlier_extension_reads_what_the_view_reads(
    unwired: Flask,
) -> None:
    abx, seen = ABX(), []

    @unwired.before_request
    def read() -> None:
        seen.append(abx.variant("headline"))

    abx.init_app(unwired)
    unwired.get("/")(lambda: abx.variant("headline"))
    visit = Browser(unwired).visit()

    assert seen == [visit.served]
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]
    assert visit.headers["Vary"] == "Cookie"


def test_a_hook_that_answers_keeps_two_clients_apart(
    unwired: Flask, sign: Sign
) -> None:
    abx = ABX()

    @unwired.before_request
    def answer() -> str:
        return abx.variant("headline")

    abx.init_app(unwired)
    anna = Browser(unwired, {NAME: sign(f"1~{ANNA}~headline:1:bold")})
    bert = Browser(unwired, {NAME: sign(f"1~{BERT}~headline:1:control")})
    with unwired.app_context():
        served = [(anna.visit().served, bert.visit().served) for _ in range(3)]

    assert served == [("bold", "control")] * 3
    assert records_of(unwired) == []


@pytest.mark.parametrize("context", CONTEXTS)
def test_new_clients_in_one_outer_context_are_different_visitors(
    make_app: MakeApp, context: str
) -> None:
    shop = make_app()
    browsers = [Browser(shop) for _ in range(20)]
    with CONTEXTS[context](shop):
        first = [browser.visit() for browser in browsers]
        second = [browser.visit() for browser in browsers]

    assert len({visit.visitor for visit in first}) == 20
    assert [visit.exposed for visit in first] == [
        [f"headline:{visit.served}"] for visit in first
    ]
    assert [visit.served for visit in second] == [visit.served for visit in first]
    assert all(visit.is_silent for visit in second)


def test_the_page_of_an_error_reads(make_app: MakeApp) -> None:
    abx = ABX()
    shop = make_app(abx=abx)

    @shop.errorhandler(404)
    def missing(error: Exception) -> tuple[str, int]:
        return abx.variant("headline"), 404

    browser = Browser(shop)
    first, second = browser.visit("/nowhere"), browser.visit("/nowhere")
    assert (first.status, first.exposed) == (404, [f"headline:{first.served}"])
    assert first.cookie_names == [NAME]
    assert (second.served, second.is_silent) == (first.served, True)


def test_the_page_of_a_failure_reads_and_the_exposure_is_kept(
    make_app: MakeApp,
) -> None:
    abx = ABX()
    shop = make_app(abx=abx)
    seen: list[str] = []

    @shop.get("/broken")
    def broken() -> str:
        seen.append(abx.variant("headline"))
        raise RuntimeError("the view broke")

    @shop.errorhandler(500)
    def sorry(error: Exception) -> tuple[str, int]:
        return abx.variant("headline"), 500

    visit = Browser(shop).visit("/broken")
    assert (visit.status, seen) == (500, [visit.served])
    assert visit.exposed == [f"headline:{visit.served}"]
    assert (visit.cookie_names, visit.headers["Cache-Control"]) == ([NAME], "private")


def test_an_exposure_is_kept_when_the_failure_reaches_the_server(
    make_app: MakeApp,
) -> None:
    abx = ABX()
    shop = make_app(abx=abx, TESTING=True)

    @shop.get("/broken")
    def broken() -> str:
        abx.variant("headline")
        raise RuntimeError("the view broke")

    with pytest.raises(RuntimeError, match="the view broke"):
        shop.test_client().get("/broken")
    assert [record.type for record in records_of(shop)] == ["exposure"]


class NoStore(SecureCookieSessionInterface):
    """A session interface whose store is down, at one of its two ends."""

    def __init__(self, broken: str) -> None:
        self.broken = broken

    def open_session(self, app: Flask, request: object) -> SecureCookieSession:
        if self.broken == "open":
            raise ConnectionError("the session store is down")
        return SecureCookieSession()

    def save_session(self, app: Flask, session: object, response: object) -> None:
        if self.broken == "save":
            raise ConnectionError("the session store is down")


@pytest.mark.parametrize("broken", ["open", "save"])
def test_a_session_store_that_is_down_loses_nothing(
    make_app: MakeApp, broken: str
) -> None:
    abx = ABX()
    shop = make_app(abx=abx)
    shop.session_interface = NoStore(broken)

    @shop.errorhandler(500)
    def sorry(error: Exception) -> tuple[str, int]:
        return abx.variant("headline"), 500

    browser = Browser(shop)
    first, second = browser.visit(), browser.visit()
    assert (first.status, first.exposed) == (500, [f"headline:{first.served}"])
    assert (first.cookie_names, first.headers["Vary"]) == ([NAME], "Cookie")
    assert (second.served, second.is_silent) == (first.served, True)


@pytest.mark.parametrize("kind", ["request", "appcontext"])
def test_a_teardown_that_raises_ends_nothing_of_ours(
    make_app: MakeApp, kind: str
) -> None:
    shop = make_app()

    def broken(error: BaseException | None) -> None:
        raise RuntimeError("a teardown broke")

    register = getattr(shop, f"teardown_{kind}")
    register(broken)
    with pytest.raises(RuntimeError, match="a teardown broke"):
        shop.test_client().get("/")
    assert [record.type for record in records_of(shop)] == ["exposure"]


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_client_that_keeps_its_context_delivers_at_once(
    make_app: MakeApp, context: str
) -> None:
    shop = make_app()
    with CONTEXTS[context](shop), shop.test_client() as visitor:
        first = visitor.get("/").text
        assert len(records_of(shop)) == 1
        assert visitor.get("/").text == first
    assert len(records_of(shop)) == 1


def test_what_is_read_after_the_response_is_what_was_served(make_app: MakeApp) -> None:
    abx = ABX()
    shop = make_app(abx=abx)
    with shop.test_client() as visitor:
        served = visitor.get("/").text
        assert abx.variant("headline") == served
        abx.track("late")
        assert [record.type for record in records_of(shop)] == ["exposure", "event"]


def test_a_new_visitor_is_never_kept_by_a_shared_cache(make_app: MakeApp) -> None:
    abx = ABX()
    shop = make_app(abx=abx)

    @shop.get("/tracked")
    def tracked() -> Response:
        abx.track("seen")
        return Response("page", headers={"Cache-Control": "public, max-age=60"})

    first = Browser(shop).visit("/tracked")
    assert first.headers["Cache-Control"] == "max-age=60, private"
    assert (first.cookie_names, first.headers["Vary"]) == ([NAME], "Cookie")


def test_a_visitor_whose_cookie_would_be_withheld_is_not_minted(
    make_app: MakeApp,
) -> None:
    visit = Browser(make_app(ABX_COOKIE_SECURE=True)).visit("/", scheme="http")
    assert (visit.served, visit.recorded, visit.cookies) == ("control", (), ())
    assert visit.headers["Cache-Control"] == "private"


def test_a_visitor_is_not_minted_once_the_headers_are_sent(make_app: MakeApp) -> None:
    abx = ABX()
    shop = make_app(abx=abx)

    @shop.get("/events")
    def events() -> Response:
        body = stream_with_context(abx.variant("headline") for _ in range(2))
        return Response(body, mimetype="text/event-stream")

    visit = Browser(shop).visit("/events")
    assert (visit.served, visit.recorded) == ("controlcontrol", ())


def test_a_read_after_an_event_is_private_for_who_returns(
    make_app: MakeApp, sign: Sign
) -> None:
    abx = ABX()
    shop = make_app(abx=abx)

    @shop.get("/both")
    def both() -> str:
        abx.track("seen")
        return abx.variant("headline")

    visit = Browser(shop, {NAME: sign(f"1~{ANNA}~headline:1:bold")}).visit("/both")
    assert (visit.served, visit.cookies) == ("bold", ())
    assert visit.headers.get("Cache-Control") == "private"
    assert visit.headers.get("Vary") == "Cookie"


def test_a_lazy_middleware_within_ours_changes_nothing(unwired: Flask) -> None:
    def lazily(inner: WSGIApplication) -> WSGIApplication:
        def call(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            yield from inner(environ, start)

        return call

    abx = ABX()
    unwired.get("/")(lambda: abx.variant("headline"))
    unwired.wsgi_app = lazily(unwired.wsgi_app)  # type: ignore[assignment, method-assign]
    abx.init_app(unwired)
    browser = Browser(unwired)
    first, second = browser.visit(), browser.visit()

    assert first.exposed == [f"headline:{first.served}"]
    assert (first.cookie_names, first.headers["Vary"]) == ([NAME], "Cookie")
    assert (second.served, second.is_silent) == (first.served, True)


def test_what_is_not_read_costs_no_cookie_and_no_header(make_app: MakeApp) -> None:
    visit = Browser(make_app()).visit("/plain")
    assert visit.is_silent
    assert {"Vary", "Cache-Control"}.isdisjoint(visit.headers.keys())


def test_a_restart_with_other_definitions_moves_no_old_visitor(
    make_app: MakeApp,
) -> None:
    before = make_app({"headline": {"variants": {"control": 1, "bold": 2}}})
    turned = {
        "variants": {"control": 2, "bold": 1},
        "traffic": 0.01,
        "audience": {"country": "nowhere"},
    }
    after = make_app({"headline": turned})
    browsers = [Browser(before) for _ in range(60)]
    served = [browser.visit().served for browser in browsers]
    again = [Browser(after, browser.jar).visit() for browser in browsers]
    fresh = [Browser(after).visit() for _ in range(20)]

    assert set(served) == {"control", "bold"}
    assert [visit.served for visit in again] == served
    assert all(visit.is_silent for visit in again)
    assert {(visit.served, visit.recorded) for visit in fresh} == {("control", ())}


@pytest.mark.parametrize("debug", [False, True])
def test_a_definitions_file_is_read_again_in_debug_only(
    make_app: MakeApp,
    tmp_path: Path,
    debug: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    path = tmp_path / "abx.toml"
    path.write_text('experiments.headline.variants = ["control", "bold"]\n')
    shop = make_app({}, ABX_DEFINITIONS=str(path), DEBUG=debug)
    before = Browser(shop).visit(User_Agent="crawler").served
    path.write_text('experiments.headline.variants = ["plain", "very-bold"]\n')
    after = Browser(shop).visit(User_Agent="crawler").served
    assert (before, after) == ("control", "plain" if debug else "control")


def test_a_faulty_definitions_file_leaves_the_last_good_one_in_force(
    make_app: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "abx.toml"
    path.write_text('experiments.headline.variants = ["control", "bold"]\n')
    shop = make_app({}, ABX_DEFINITIONS=str(path), DEBUG=True)
    path.write_text("experiments.headline.variants = 7\n")
    visit = Browser(shop).visit(User_Agent="crawler")
    assert (visit.status, visit.served) == (200, "control")
    assert "those of before stay in force" in caplog.text


def test_an_async_view_reads(make_app: MakeApp) -> None:
    pytest.importorskip("asgiref")
    abx = ABX()
    shop = make_app(abx=abx)

    @shop.get("/async")
    async def view() -> str:
        abx.track("seen")
        return f"{abx.variant('headline')} {request.path}"

    browser = Browser(shop)
    first, second = browser.visit("/async"), browser.visit("/async")
    variant = first.served.split()[0]
    assert first.exposed == [f"headline:{variant}"]
    assert (first.cookie_names, len(first.events)) == ([NAME], 1)
    assert (second.served, second.exposed) == (first.served, [])
    assert second.events[0].variants == {"headline": variant}
