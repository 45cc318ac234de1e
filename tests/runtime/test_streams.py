"""Pages that are made while they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask, Response, stream_template, stream_with_context

from flask_abx import ABX, Exposure
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

NAME = "__Host-abx"
ANNA = "a" * 32
PATHS = ["/context", "/template"]


@pytest.fixture
def abx() -> ABX:
    """The extension of the streaming application."""
    return ABX()


@pytest.fixture
def streaming(make_app: MakeApp, abx: ABX) -> Flask:
    """Make an application whose pages resolve in the middle of the stream."""
    return with_streams(make_app(abx=abx), abx)


def with_streams(shop: Flask, abx: ABX) -> Flask:
    """Give an application pages that resolve in the middle of the stream."""
    from jinja2 import DictLoader

    shop.jinja_loader = DictLoader({"page.html": "{{ abx.variant('headline') }}"})

    def pieces() -> Iterator[str]:
        yield ""
        yield abx.variant("headline")

    @shop.get("/context")
    def context() -> Response:
        return Response(stream_with_context(pieces()))

    @shop.get("/template")
    def template() -> Response:
        return Response(stream_template("page.html"))

    @shop.get("/outside")
    def outside() -> Response:
        return Response(pieces())

    @shop.get("/data")
    def data() -> Response:
        return Response(iter(["1,2"]), mimetype="text/csv")

    return shop


@pytest.mark.parametrize("path", PATHS)
def test_new_visitors_meet_the_same_variant_again(streaming: Flask, path: str) -> None:
    browsers = [Browser(streaming) for _ in range(100)]
    first = [browser.visit(path) for browser in browsers]
    second = [browser.visit(path) for browser in browsers]

    assert {visit.served for visit in first} == {"control", "bold"}
    assert [visit.served for visit in second] == [visit.served for visit in first]
    assert all(visit.cookie_names == [NAME] for visit in first)
    assert all(visit.headers["Cache-Control"] == "private" for visit in first + second)
    assert [visit.recorded[0].id for visit in second] == [
        visit.recorded[0].id for visit in first
    ]


@pytest.mark.parametrize("path", PATHS)
def test_what_a_stream_resolves_is_not_in_the_cookie(
    streaming: Flask, path: str
) -> None:
    visit = Browser(streaming).visit(path)
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.token.startswith(f"1~{visit.visitor}.")


@pytest.mark.parametrize("path", PATHS)
def test_the_records_of_a_stream_go_when_it_is_closed(
    streaming: Flask, path: str
) -> None:
    response = streaming.test_client().get(path)
    assert response.text in {"control", "bold"}
    assert records_of(streaming) == []
    response.close()
    [record] = records_of(streaming)
    assert isinstance(record, Exposure)
    assert record.variant == response.text


def test_a_stream_that_nobody_reads_to_the_end_still_delivers(
    make_app: MakeApp,
) -> None:
    abx = ABX()
    shop = make_app(abx=abx)

    def endless() -> Iterator[str]:
        while True:
            yield abx.variant("headline")

    shop.get("/endless")(lambda: Response(stream_with_context(endless())))
    response = shop.test_client().get("/endless")
    response.close()
    assert [record.type for record in records_of(shop)] == ["exposure"]


def test_a_returning_visitor_keeps_the_variant_in_a_stream(
    streaming: Flask, sign: Sign
) -> None:
    browser = Browser(streaming, {NAME: sign(f"1~{ANNA}~headline:1:bold")})
    visits = [browser.visit(path) for path in PATHS * 3]
    assert [visit.served for visit in visits] == ["bold"] * 6
    assert all(visit.is_silent for visit in visits)


def test_outside_of_the_context_it_is_the_error_of_flask(streaming: Flask) -> None:
    with pytest.raises(RuntimeError, match="outside of application context"):
        streaming.test_client().get("/outside").get_data()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers", [{"User_Agent": "Googlebot/2.1"}, {"Sec_Purpose": "prefetch"}]
)
def test_who_is_not_counted_is_not_minted_by_a_stream(
    streaming: Flask, path: str, headers: dict[str, str]
) -> None:
    visit = Browser(streaming).visit(path, **headers)
    assert (visit.served, visit.is_silent) == ("control", True)
    assert visit.headers["Cache-Control"] == "private"


def test_a_stream_that_is_no_page_mints_nobody(streaming: Flask) -> None:
    visit = Browser(streaming).visit("/data")
    assert (visit.served, visit.is_silent) == ("1,2", True)
    assert "Vary" not in visit.headers


@pytest.mark.parametrize("path", PATHS)
def test_a_streamed_page_for_users_alone_is_private_too(
    make_app: MakeApp, path: str
) -> None:
    abx = ABX()
    abx.unit_loader(lambda: "7")
    definition = {"headline": {"variants": ["control", "bold"], "unit": "user"}}
    shop = with_streams(make_app(definition, abx=abx), abx)
    visit = Browser(shop).visit(path)

    assert visit.exposed == [f"headline:{visit.served}"]
    assert (visit.cookies, visit.headers.get("Cache-Control")) == ((), "private")


def test_a_streamed_page_of_an_app_without_experiments_is_left_alone(
    make_app: MakeApp,
) -> None:
    shop = make_app({})
    shop.get("/page")(lambda: Response(iter(["page"])))
    visit = Browser(shop).visit("/page")
    assert visit.is_silent
    assert {"Vary", "Cache-Control"}.isdisjoint(visit.headers.keys())
