"""One request is one visitor: copies, other sites, other applications."""

from __future__ import annotations

import contextvars
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response, request

from flask_abx import ABX
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

NAME = "__Host-abx"
ANNA = "a" * 32
PUBLIC = {"Cache-Control": "public, max-age=60"}
ELSEWHERE = {"Sec_Fetch_Site": "cross-site"}


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


def test_a_middleware_that_hands_on_a_copy_changes_nothing(unwired: Flask) -> None:
    inner = unwired.wsgi_app
    unwired.wsgi_app = lambda environ, start: inner(dict(environ), start)  # type: ignore[method-assign, assignment]
    abx = ABX(unwired)

    @unwired.get("/copied")
    def copied() -> Response:
        return Response(abx.variant("headline"), headers=PUBLIC)

    browser = Browser(unwired)
    first, second = browser.visit("/copied"), browser.visit("/copied")
    assert (first.cookie_names, second.cookie_names) == ([NAME], [])
    assert first.headers["Cache-Control"] == "max-age=60, private"
    assert first.served == second.served


def test_a_context_of_its_own_within_a_view_takes_nothing_from_it(
    make_app: MakeApp, abx: ABX, sign: Sign
) -> None:
    shop = make_app(abx=abx)

    @shop.get("/mailed")
    def mailed() -> Response:
        with shop.test_request_context("/mail", environ_base=request.environ):
            abx.track("mail")
        return Response(abx.variant("headline"), headers=PUBLIC)

    jar = {NAME: sign(f"1~{ANNA}~headline:1:bold")}
    visit = Browser(shop, jar).visit("/mailed")
    assert (visit.served, visit.headers["Vary"]) == ("bold", "Cookie")
    assert visit.headers["Cache-Control"] == "max-age=60, private"


def test_another_application_within_a_request_mints_nobody(
    make_app: MakeApp, abx: ABX
) -> None:
    second = ABX()
    shop, other = make_app(abx=abx), make_app(abx=second)

    @shop.get("/both")
    def both() -> Response:
        with other.app_context():
            found = second.variant("headline")
        return Response(found, headers=PUBLIC)

    visit = Browser(shop).visit("/both")
    assert (visit.served, records_of(other)) == ("control", [])
    assert visit.headers["Cache-Control"] == "max-age=60, private"


@pytest.mark.parametrize(
    ("settings", "method", "headers", "minted"),
    [
        pytest.param({}, "POST", ELSEWHERE, [], id="a payment page comes back"),
        pytest.param(
            {}, "POST", {"Origin": "https://pay.test"}, [], id="an older browser"
        ),
        pytest.param({}, "GET", ELSEWHERE, [NAME], id="a link"),
        pytest.param(
            {"ABX_COOKIE_SAMESITE": "Strict"}, "GET", ELSEWHERE, [], id="a strict link"
        ),
        pytest.param({}, "POST", {"Sec_Fetch_Site": "same-origin"}, [NAME], id="own"),
    ],
)
def test_a_cookie_that_was_not_sent_along_is_not_replaced(
    make_app: MakeApp,
    settings: dict[str, Any],
    method: str,
    headers: dict[str, str],
    minted: list[str],
) -> None:
    abx = ABX()
    shop = make_app(abx=abx, **settings)
    shop.add_url_rule(
        "/paid", "paid", lambda: abx.variant("headline"), methods=["GET", "POST"]
    )
    visit = Browser(shop).visit("/paid", method=method, **headers)
    assert (visit.status, visit.cookie_names) == (200, minted)
    assert len(visit.exposed) == len(minted)


def test_a_block_that_ends_in_another_context_hands_its_records_over(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(abx=abx)

    def steps() -> Iterator[None]:
        with abx.as_unit(5):
            abx.track("one")
            yield

    with shop.app_context():
        walk = steps()
        next(walk)
        contextvars.copy_context().run(lambda: list(walk))
        assert [record.units for record in records_of(shop)] == [{"user": "5"}]


def test_a_number_that_prints_itself_otherwise_is_a_number(
    make_app: MakeApp, abx: ABX
) -> None:
    class Money(Decimal):
        def __str__(self) -> str:
            return f"EUR {super().__str__()}"

    shop = make_app(abx=abx)
    with shop.app_context(), abx.as_unit(5):
        abx.track("paid", value=Money("5.50"))
    [event] = records_of(shop)
    assert '"value": 5.50' in event.to_json()
