"""No cache gives one visitor's page to another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from flask import Flask, Response, request, send_file

from flask_abx import ABX
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.checks.browser import Browser, Visit
    from tests.checks.conftest import Browse, Sign
    from tests.conftest import MakeApp

ANNA = "a" * 32
NAME = "__Host-abx"


@pytest.fixture
def cached_app(make_app: MakeApp, abx: ABX) -> Flask:
    """Make an application whose page sets the headers that the query names."""
    app = make_app(abx=abx)

    @app.get("/page")
    def page() -> Response:
        response = Response(abx.variant("headline"))
        for name, value in request.args.items():
            response.headers[name] = value
        return response

    return app


def told(visit: Visit, name: str) -> set[str]:
    """Give the parts of a header, which may stand in several lines."""
    lines = visit.headers.getlist(name)
    return {part.strip() for line in lines for part in line.split(",")}


@pytest.mark.check(76)
@pytest.mark.parametrize("variant", ["control", "bold"])
def test_a_page_with_a_variant_is_private(
    cached_app: Flask, browse: Browse, sign: Sign, variant: str
) -> None:
    jar = {NAME: sign(f"1~{ANNA}~headline:1:{variant}")}
    visit = browse(cached_app, jar).visit("/page")

    assert (visit.served, visit.is_silent) == (variant, True)
    assert (told(visit, "Vary"), told(visit, "Cache-Control")) == (
        {"Cookie"},
        {"private"},
    )


@pytest.mark.check(76)
@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        pytest.param({}, {"User_Agent": "Googlebot/2.1"}, id="bot"),
        pytest.param({"traffic": 0.0}, {}, id="traffic"),
        pytest.param({"audience": {"country": "CH"}}, {}, id="audience"),
        pytest.param({"closed": True}, {}, id="closed"),
        pytest.param({"unit": "user"}, {}, id="no unit"),
        pytest.param({"sensitive": True}, {}, id="no consent"),
        pytest.param({"status": "paused"}, {}, id="paused"),
        pytest.param({"status": "draft"}, {}, id="draft"),
        pytest.param({"status": "concluded"}, {}, id="concluded"),
    ],
)
def test_who_is_outside_gets_the_same_headers(
    make_app: MakeApp,
    browse: Browse,
    fields: dict[str, object],
    headers: dict[str, str],
) -> None:
    app = make_app({"headline": {"variants": ["control", "bold"], **fields}})
    visit = browse(app).visit(**headers)

    assert (visit.served, visit.recorded) == ("control", ())
    assert (told(visit, "Vary"), told(visit, "Cache-Control")) == (
        {"Cookie"},
        {"private"},
    )
    minted = not headers and set(fields) & {"traffic", "audience", "closed"}
    assert visit.cookie_names == ([NAME] if minted else [])


@pytest.mark.check(77)
def test_a_public_page_with_a_variant_is_made_private(
    cached_app: Flask, browse: Browse, caplog: pytest.LogCaptureFixture
) -> None:
    query = (
        "Cache-Control=public,+max-age%3D60,+s-maxage%3D600&CDN-Cache-Control=public"
    )
    browser = browse(cached_app)
    first, second = (browser.visit(f"/page?{query}") for _ in range(2))

    assert first.exposed == [f"headline:{first.served}"]
    assert first.cookie_names == [NAME]
    assert (second.served, second.is_silent) == (first.served, True)
    for visit in (first, second):
        assert told(visit, "Cache-Control") == {"max-age=60", "private"}
        assert told(visit, "CDN-Cache-Control") == {"no-store"}
        assert told(visit, "Vary") == {"Cookie"}
    assert caplog.text.count("was marked as public; it is sent as private") == 1
    assert state_of(cached_app).tally.counts["cache_downgraded"] == 2


@pytest.mark.check(78)
@pytest.mark.parametrize(
    "policy", ["no-store", "private, no-cache", "no-store, max-age=0", "PRIVATE"]
)
def test_a_stricter_policy_stays_as_it_is(
    cached_app: Flask, browse: Browse, policy: str
) -> None:
    visit = browse(cached_app).visit(f"/page?Cache-Control={policy}")

    assert visit.headers.getlist("Cache-Control") == [policy]
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]


@pytest.mark.check(78)
@pytest.mark.parametrize(
    ("vary", "together"),
    [
        ("Accept", {"Accept", "Cookie"}),
        ("Accept, COOKIE", {"Accept", "COOKIE"}),
        ("*", {"*"}),
    ],
)
def test_what_the_app_varies_on_is_kept(
    cached_app: Flask, browse: Browse, vary: str, together: set[str]
) -> None:
    visit = browse(cached_app).visit(f"/page?Vary={vary}")

    assert told(visit, "Vary") == together
    assert told(visit, "Cache-Control") == {"private"}
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]


@pytest.mark.check(79)
@pytest.mark.parametrize("path", ["/static/style.css", "/file", "/plain", "/missing"])
@pytest.mark.parametrize("returning", [False, True])
def test_a_page_without_a_variant_is_left_alone(
    make_app: MakeApp,
    browse: Browse,
    sign: Sign,
    tmp_path: Path,
    path: str,
    returning: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    style = tmp_path / "style.css"
    style.write_text("p {}")
    app, bare = make_app(), Flask("bare")
    bare.get("/plain")(lambda: "plain")
    for each in (app, bare):
        each.static_folder = str(tmp_path)
        each.add_url_rule("/file", "file", lambda: send_file(style, max_age=60))
    cookie = f"{NAME}={sign(f'1~{ANNA}~headline:1:bold')}"
    headers = {"Cookie": cookie} if returning else {}
    expected = bare.test_client().get(
        path, headers=headers, base_url="https://localhost"
    )
    visit = browse(app).visit(path, cookie=cookie if returning else "")

    assert (visit.status, visit.served) == (expected.status_code, expected.text)
    assert visit.is_silent
    ignored = {"Date", "Set-Cookie"}
    assert {line for line in visit.headers if line[0] not in ignored} == {
        line for line in expected.headers if line[0] not in ignored
    }
    expected.close()


@pytest.mark.check(80)
def test_the_tag_of_the_other_variant_is_no_match(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    abx = ABX()
    app = make_app(abx=abx)

    @app.get("/tagged")
    def tagged() -> Response:
        response = Response(abx.variant("headline"))
        response.add_etag()
        return response.make_conditional(request)  # type: ignore[return-value]  # werkzeug types it as its own Response

    bold = browse(app, {NAME: sign(f"1~{ANNA}~headline:1:bold")})
    control = browse(app, {NAME: sign(f"1~{ANNA}~headline:1:control")})
    tag = bold.visit("/tagged").headers["ETag"]
    other = control.visit("/tagged", If_None_Match=tag)
    same = bold.visit("/tagged", If_None_Match=tag)

    assert (other.status, other.served, other.is_silent) == (200, "control", True)
    assert (same.status, same.served, same.is_silent) == (304, "", True)
    assert told(same, "Vary") == {"Cookie"}
    assert told(same, "Cache-Control") == {"private"}


@pytest.mark.check(80)
def test_the_api_tells_the_other_variant_from_ours(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    path = "/api/v1/experiments/headline"
    app = make_app()
    bold = browse(app, {NAME: sign(f"1~{ANNA}~headline:1:bold")})
    control = browse(app, {NAME: sign(f"1~{ANNA}~headline:1:control")})
    tag = bold.visit(path).headers["ETag"]
    other = control.visit(path, If_None_Match=tag)
    same = bold.visit(path, If_None_Match=tag)

    assert (other.status, '"control"' in other.served) == (200, True)
    assert (same.status, same.served) == (304, "")
    assert other.is_silent
    assert same.is_silent


@dataclass
class SharedCache:
    """A shared cache by RFC 9111 that stores whatever it may, and for ever.

    The key is the URL with the request headers that the stored response varies on. A
    response without a lifetime is stored too: a cache may guess one.
    """

    browser: Browser
    stored: dict[str, list[tuple[dict[str, str | None], Visit]]] = field(
        default_factory=dict
    )
    hits: int = 0

    def get(self, path: str) -> Visit:
        """Answer a client that sends no cookie."""
        for varied, copy in self.stored.get(path, []):
            if all(value is None for value in varied.values()):
                self.hits += 1
                return copy
        self.browser.jar.clear()
        visit = self.browser.visit(path)
        if self._may_store(visit):
            varied = dict.fromkeys(told(visit, "Vary"))
            self.stored.setdefault(path, []).append((varied, visit))
        return visit

    def _may_store(self, visit: Visit) -> bool:
        targeted = told(visit, "CDN-Cache-Control")
        directives = {
            part.partition("=")[0].lower()
            for part in targeted or told(visit, "Cache-Control")
        }
        forbidden = {"private", "no-store"} & directives
        return visit.status == 200 and not forbidden and "*" not in told(visit, "Vary")


POLICIES = {
    "no policy": "",
    "public": "Cache-Control=public,+max-age%3D60",
    "for shared caches": "Cache-Control=s-maxage%3D600",
    "for one network": "CDN-Cache-Control=max-age%3D600",
    "varies already": "Cache-Control=public&Vary=Accept",
}


@pytest.mark.check(81)
@pytest.mark.parametrize("query", POLICIES.values(), ids=POLICIES)
def test_a_shared_cache_keeps_no_variant(
    cached_app: Flask, browse: Browse, query: str
) -> None:
    cache = SharedCache(browse(cached_app))
    visits = [cache.get(f"/page?{query}") for _ in range(1_000)]

    assert (cache.hits, cache.stored) == (0, {})
    bold = sum(visit.served == "bold" for visit in visits)
    assert abs(bold - 500) <= 4 * (1_000 * 0.25) ** 0.5
    assert all(visit.exposed == [f"headline:{visit.served}"] for visit in visits)
    assert len({visit.visitor for visit in visits}) == 1_000


@pytest.mark.check(81)
def test_a_shared_cache_still_keeps_pages_without_a_variant(
    cached_app: Flask, browse: Browse
) -> None:
    cache = SharedCache(browse(cached_app))
    visits = [cache.get("/plain") for _ in range(1_000)]

    assert cache.hits == 999
    assert {visit.served for visit in visits} == {"plain"}
    assert visits[0].is_silent


@pytest.mark.check(81)
def test_a_streamed_page_with_a_new_visitor_is_never_kept(
    make_app: MakeApp, browse: Browse
) -> None:
    from flask import stream_with_context

    abx = ABX()
    app = make_app(abx=abx)

    @app.get("/stream")
    def stream() -> Response:
        def parts() -> object:
            yield "<p>"
            yield abx.variant("headline")

        body = stream_with_context(parts())  # type: ignore[call-overload]  # a generator of text
        return Response(body, headers={"Cache-Control": "public, max-age=60"})

    cache = SharedCache(browse(app))
    visits = [cache.get("/stream") for _ in range(100)]

    assert (cache.hits, cache.stored) == (0, {})
    assert {visit.served for visit in visits} == {"<p>control", "<p>bold"}
    assert all(len(visit.exposed) == 1 for visit in visits)
    assert len({visit.visitor for visit in visits}) == 100
