"""Whose variant it is: in jobs, blocks, threads, copies, and among applications."""

from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from flask import (
    Flask,
    Response,
    copy_current_request_context,
    request,
    stream_with_context,
)
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_abx import ABX, Event, Exposure, SetupError
from flask_abx.runtime.state import state_of
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

NAME = "__Host-abx"
ANNA = "a" * 32
FOR_USERS = {"headline": {"variants": ["control", "bold"], "unit": "user"}}


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


@pytest.fixture
def shop(make_app: MakeApp, abx: ABX) -> Flask:
    """An application that assigns users."""
    return make_app(FOR_USERS, abx=abx)


def told(shop: Flask) -> list[tuple[str, dict[str, str]]]:
    """Give each record as its type and its units."""
    return [(record.type, dict(record.units)) for record in records_of(shop)]


def other_user(shop: Flask, abx: ABX, variant: str) -> str:
    """Find a user who is assigned another variant."""
    with shop.app_context():
        for number in range(100):
            with abx.as_unit(number):
                if abx.assignment("headline").variant != variant:
                    return str(number)
    raise AssertionError


def test_a_job_acts_for_a_user(shop: Flask, abx: ABX) -> None:
    with shop.app_context(), abx.as_unit("user-7"):
        served = abx.variant("headline")
        abx.track("paid")
        assert records_of(shop) == []
    exposure, event = records_of(shop)
    assert isinstance(exposure, Exposure)
    assert isinstance(event, Event)
    assert (exposure.unit_type, exposure.unit) == ("user", "user-7")
    assert (event.units, event.variants) == ({"user": "user-7"}, {"headline": served})


def test_a_job_meets_what_the_request_of_its_user_met(shop: Flask, abx: ABX) -> None:
    abx.unit_loader(lambda: request.headers.get("X-User"))
    visits = {str(n): Browser(shop).visit(X_User=str(n)).served for n in range(20)}
    for user, served in visits.items():
        with shop.app_context(), abx.as_unit(user):
            assert abx.variant("headline") == served


def test_a_unit_is_exposed_once_by_a_process_of_jobs(shop: Flask, abx: ABX) -> None:
    for _ in range(3):
        with shop.app_context(), abx.as_unit(7):
            abx.variant("headline")
            abx.track("worked")
    kinds = [record.type for record in records_of(shop)]
    assert kinds == ["exposure", "event", "event", "event"]
    events = [each for each in records_of(shop) if isinstance(each, Event)]
    assert all("headline" in event.variants for event in events)


def test_keywords_name_a_visitor_and_attributes(make_app: MakeApp, abx: ABX) -> None:
    definitions = {
        "headline": {"variants": ["control", "bold"]},
        "prices": {"variants": ["a", "b"], "unit": "tenant", "dimensions": ["plan"]},
    }
    shop = make_app(definitions, abx=abx)
    with shop.app_context(), abx.as_unit(visitor=ANNA, tenant="acme", plan="pro"):
        abx.variant("headline")
        abx.variant("prices")
    first, second = records_of(shop)
    assert first.units == second.units == {"visitor": ANNA, "tenant": "acme"}
    assert isinstance(second, Exposure)
    assert (second.unit_type, second.unit) == ("tenant", "acme")
    assert second.dimensions == {"plan": "pro"}


def test_a_user_given_twice_is_refused(shop: Flask, abx: ABX) -> None:
    with pytest.raises(TypeError, match="got the user twice"):
        abx.as_unit("7", user="8")


@pytest.mark.parametrize("nobody", [None, "", True, 1.5, b"7"])
def test_what_is_no_id_is_nobody(shop: Flask, abx: ABX, nobody: object) -> None:
    with shop.app_context(), abx.as_unit(user=nobody):
        assert abx.assignment("headline").reason == "no_unit"
        assert abx.variant("headline") == "control"
    assert records_of(shop) == []


def test_blocks_are_nested(shop: Flask, abx: ABX) -> None:
    with shop.app_context(), abx.as_unit("1"):
        abx.track("one")
        with abx.as_unit("2"):
            abx.track("two")
        abx.track("one again")
    assert told(shop) == [("event", {"user": user}) for user in "121"]


def test_a_block_that_raises_is_left(shop: Flask, abx: ABX) -> None:
    def job() -> None:
        with abx.as_unit("7"):
            abx.track("started")
            raise RuntimeError("the job broke")

    with shop.app_context():
        with pytest.raises(RuntimeError, match="the job broke"):
            job()
        assert abx.assignment("headline").reason == "no_unit"
    assert told(shop) == [("event", {"user": "7"})]


def test_a_block_within_a_request_is_for_somebody_else(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(
        {"headline": {"variants": ["control", "bold"], "unit": ["user", "visitor"]}},
        abx=abx,
    )

    @shop.get("/hook")
    def hook() -> str:
        mine = abx.variant("headline")
        with abx.as_unit(other_user(shop, abx, mine)):
            theirs = abx.variant("headline")
            abx.track("paid")
        assert abx.variant("headline") == mine
        return f"{mine} {theirs}"

    visit = Browser(shop).visit("/hook")
    mine, theirs = visit.served.split()
    assert mine != theirs
    assert visit.exposed == [f"headline:{mine}", f"headline:{theirs}"]
    assert visit.events[0].variants == {"headline": theirs}
    assert "visitor" not in visit.events[0].units
    assert f"headline:1:{mine}." in visit.token


def test_a_page_made_for_somebody_is_private(shop: Flask, abx: ABX) -> None:
    @shop.get("/for/<user>")
    def made_for(user: str) -> str:
        with abx.as_unit(user):
            return abx.variant("headline")

    visit = Browser(shop).visit("/for/7")
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.headers.get("Cache-Control") == "private"


def test_a_request_within_a_block_is_its_own(make_app: MakeApp, abx: ABX) -> None:
    shop = make_app(abx=abx)
    with shop.app_context(), abx.as_unit("7"):
        visit = Browser(shop).visit()
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.recorded[0].units == {"visitor": visit.visitor}


def test_a_block_in_a_request_sees_its_version_of_the_definitions(
    make_app: MakeApp, abx: ABX, tmp_path: Path
) -> None:
    path = tmp_path / "abx.toml"
    text = 'experiments.headline = {variants = ["a", "b"], unit = "user"}\n'
    path.write_text(text)
    shop = make_app({}, abx=abx, ABX_DEFINITIONS=str(path))

    @shop.get("/hook")
    def hook() -> str:
        before = abx.payload()["version"]
        path.write_text(text.replace('"a", "b"', '"c", "d", "e"'))
        state_of(shop).store.refresh()
        with abx.as_unit("7"):
            return f"{before} {abx.payload()['version']}"

    [version] = set(Browser(shop).visit("/hook").served.split())
    with shop.app_context():
        assert abx.payload()["version"] != version


def test_a_command_reads(shop: Flask, abx: ABX) -> None:
    @shop.cli.command("bill")
    def bill() -> None:
        with abx.as_unit("7"):
            print(abx.variant("headline"))  # noqa: T201 - what the command is for

    result = shop.test_cli_runner().invoke(args=["bill"])
    [exposure] = records_of(shop)
    assert isinstance(exposure, Exposure)
    assert result.output.strip() == exposure.variant


def test_a_context_of_the_shell_delivers_when_it_ends(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(abx=abx)
    with shop.test_request_context():
        served = abx.variant("headline")
        assert abx.variant("headline") == served
        assert records_of(shop) == []
    assert [record.type for record in records_of(shop)] == ["exposure"]


def test_flush_delivers_in_the_middle(shop: Flask, abx: ABX) -> None:
    with shop.app_context(), abx.as_unit("7"):
        abx.track("started")
        assert abx.flush()
        assert len(records_of(shop)) == 1
    assert len(records_of(shop)) == 1


def test_a_thread_with_the_context_of_a_request_is_the_same_visitor(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(abx=abx)

    @shop.get("/threads")
    def threads() -> str:
        served = [abx.variant("headline")]

        @copy_current_request_context
        def read() -> None:
            served.append(abx.variant("headline"))

        for work in (read, lambda: contextvars.copy_context().run(read)):
            worker = Thread(target=work)
            worker.start()
            worker.join()
        return " ".join(served)

    visit = Browser(shop).visit("/threads")
    [served] = set(visit.served.split())
    assert visit.exposed == [f"headline:{served}"]


def test_a_thread_that_outlives_its_request_delivers_at_once(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(abx=abx)
    jobs: list[Any] = []

    @shop.get("/later")
    def later() -> str:
        jobs.append(copy_current_request_context(lambda: abx.track("late")))
        return abx.variant("headline")

    visit = Browser(shop).visit("/later")
    assert visit.events == []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(jobs[0]).result()
    event = records_of(shop)[-1]
    assert isinstance(event, Event)
    assert event.units == {"visitor": visit.visitor}
    assert event.variants == {"headline": visit.served}


def test_a_copy_of_the_environ_is_another_request(
    make_app: MakeApp, abx: ABX, sign: Sign
) -> None:
    shop = make_app(abx=abx)
    bold, control = (sign(f"1~{ANNA}~headline:1:{v}") for v in ("bold", "control"))

    @shop.get("/copied")
    def copied() -> str:
        before = abx.variant("headline")
        cookie = {"HTTP_COOKIE": f"{NAME}={control}"}
        with shop.request_context({**request.environ, **cookie}):
            within = abx.variant("headline")
        return f"{before} {within} {abx.variant('headline')}"

    visit = Browser(shop, {NAME: bold}).visit("/copied")
    assert (visit.served, visit.is_silent) == ("bold control bold", True)


def test_a_copy_of_a_finished_environ_is_another_request(
    make_app: MakeApp, abx: ABX, sign: Sign
) -> None:
    shop = make_app(abx=abx)
    jars = {v: f"abx={sign(f'1~{ANNA}~headline:1:{v}')}" for v in ("bold", "control")}
    with shop.test_client(use_cookies=False) as visitor:
        assert visitor.get("/", headers={"Cookie": jars["bold"]}).text == "bold"
        finished = request.environ
        assert abx.variant("headline") == "bold"
    with shop.request_context({**finished, "HTTP_COOKIE": jars["control"]}):
        assert abx.variant("headline") == "control"


def test_an_application_mounted_in_another_keeps_to_itself(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(abx=abx)
    blog = make_app(
        {"headline": {"variants": ["x", "y"]}}, abx=abx, ABX_COOKIE_NAME="blog"
    )
    shop.wsgi_app = DispatcherMiddleware(shop.wsgi_app, {"/blog": blog})  # type: ignore[method-assign]
    browser = Browser(shop)
    here, there = browser.visit("/"), browser.visit("/blog/")
    assert (here.cookie_names, there.cookie_names) == ([NAME], ["__Host-blog"])
    assert here.served in {"control", "bold"}
    assert there.served in {"x", "y"}
    assert there.recorded == ()
    assert [record.type for record in records_of(blog)] == ["exposure"]
    assert browser.visit("/").is_silent
    assert browser.visit("/blog/").is_silent


def test_an_application_mounted_within_our_frame_keeps_to_itself(
    unwired: Flask, make_app: MakeApp, abx: ABX
) -> None:
    blog = make_app(
        {"headline": {"variants": ["x", "y"]}}, abx=abx, ABX_COOKIE_NAME="blog"
    )
    unwired.wsgi_app = DispatcherMiddleware(unwired.wsgi_app, {"/blog": blog})  # type: ignore[method-assign]
    abx.init_app(unwired)
    browser = Browser(unwired)
    first, second = browser.visit("/blog/"), browser.visit("/blog/")
    assert first.cookie_names == ["__Host-blog"]
    assert (second.served, second.cookies) == (first.served, ())
    assert (records_of(unwired), len(records_of(blog))) == ([], 1)


def test_a_stream_of_an_application_mounted_within_our_frame_sets_one_cookie(
    unwired: Flask, make_app: MakeApp, abx: ABX
) -> None:
    blog = make_app(abx=abx)
    blog.get("/stream")(
        lambda: Response(
            stream_with_context(iter([abx.assignment("headline").variant]))
        )
    )
    unwired.wsgi_app = DispatcherMiddleware(unwired.wsgi_app, {"/blog": blog})  # type: ignore[method-assign]
    abx.init_app(unwired)
    browser = Browser(unwired)
    first, second = browser.visit("/blog/stream"), browser.visit("/blog/stream")
    assert first.cookie_names == [NAME]
    assert (second.served, second.cookies) == (first.served, ())


def test_a_block_is_for_one_application(make_app: MakeApp, abx: ABX) -> None:
    shop, blog = make_app(FOR_USERS, abx=abx), make_app(FOR_USERS, abx=abx)
    with shop.app_context(), abx.as_unit("7"):
        with blog.app_context():
            assert abx.assignment("headline").reason == "no_unit"
        assert abx.assignment("headline").reason == "allocated"


def test_an_application_that_is_not_set_up_is_told_how(
    unwired: Flask, abx: ABX
) -> None:
    with (
        unwired.app_context(),
        pytest.raises(SetupError, match=r"call `abx.init_app\(app\)`"),
    ):
        abx.variant("headline")
