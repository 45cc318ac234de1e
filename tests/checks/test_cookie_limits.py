"""The cookie: how long it may be, and how its signature is compared."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from flask_abx import ABX
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from tests.checks.conftest import Browse, Sign
    from tests.conftest import MakeApp

ANNA = "a" * 32
NAME = "__Host-abx"


@pytest.mark.check(10)
def test_a_huge_cookie_is_refused_even_when_we_signed_it(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    entries = "~".join(f"experiment-{number}:1:bold" for number in range(5_000))
    visit = browse(make_app(), {NAME: sign(f"1~{ANNA}~{entries}")}).visit()

    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]
    assert visit.visitor != ANNA


class Unread(str):
    """A text that nobody may look into."""

    __slots__ = ()

    def _refuse(self, *arguments: object) -> NoReturn:
        raise AssertionError("A huge cookie was looked into.")

    encode: Any = _refuse
    rpartition: Any = _refuse
    rsplit: Any = _refuse


@pytest.mark.check(10)
def test_a_huge_cookie_is_refused_before_anybody_looks_into_it(
    make_app: MakeApp, browse: Browse
) -> None:
    app = make_app()
    codec, text = state_of(app).cookie, f"{'a' * 100_000}.{'b' * 43}"
    visit = browse(app, {NAME: text}).visit()

    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]
    assert codec.verify(Unread(text)) is None
    with pytest.raises(AssertionError):
        codec.verify(Unread("1~.short"))
    environ = {"HTTP_COOKIE": f"{NAME}={text}", "wsgi.url_scheme": "https"}
    assert codec.read(environ) is None


@pytest.mark.check(18)
def test_five_hundred_experiments_fit_into_one_cookie(
    make_app: MakeApp, browse: Browse
) -> None:
    abx = ABX()
    keys = [f"experiment-{number:03}" for number in range(500)]
    app = make_app({key: {"variants": ["control", "bold"]} for key in keys}, abx=abx)
    app.get("/all")(lambda: " ".join(abx.variant(key) for key in keys))
    browser = browse(app)
    first, second = browser.visit("/all"), browser.visit("/all")

    assert {"control", "bold"} == set(first.served.split())
    assert second.served == first.served
    assert len(first.recorded) == 500
    assert {record.id for record in second.recorded} < {r.id for r in first.recorded}
    assert first.cookie_names == [NAME]
    for visit in (first, second):
        assert all(len(text) <= 3_800 for text in visit.cookies)
    assert len(first.cookies[0]) > 3_700


@pytest.mark.check(18)
def test_experiments_that_ended_leave_the_cookie_first(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    ended = [f"ended-{number:03}" for number in range(150)]
    live = [f"live-{number}" for number in range(20)]
    defined = {key: {"variants": ["control", "bold"]} for key in ["headline", *live]}
    entries = [f"{key}:1:bold" for key in [*live, *ended]]
    jar = {NAME: sign("~".join(["1", ANNA, *entries]))}
    visit = browse(make_app(defined), jar).visit()

    assert visit.exposed == [f"headline:{visit.served}"]
    assert all(f"~{key}:1:bold" in visit.token for key in live)
    assert f"~headline:1:{visit.served}" in visit.token
    assert len(visit.cookies[0]) <= 3_800


@pytest.mark.check(24)
@pytest.mark.parametrize("signature", ["é", "\xe9" * 43, "\udce9", "ÿ.ÿ"])
def test_a_signature_that_is_not_ascii_is_no_error(
    make_app: MakeApp, browse: Browse, signature: str
) -> None:
    text = f"1~{ANNA}~headline:1:bold.{signature}"
    raw = text.encode("utf-8", "surrogateescape").decode("latin-1")
    visit = browse(make_app()).visit(cookie=f"{NAME}={raw}")

    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.visitor != ANNA


@pytest.mark.check(24)
def test_signatures_are_compared_in_constant_time(
    make_app: MakeApp,
    browse: Browse,
    sign: Sign,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    original = hmac.compare_digest

    def compare_digest(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return original(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    text = sign(f"1~{ANNA}~headline:1:bold")
    wrong = text[:-2] + ("xy" if text[-2:] != "xy" else "yx")
    app = make_app()
    refused = browse(app, {NAME: wrong}).visit()
    accepted = browse(app, {NAME: text}).visit()

    assert refused.exposed == [f"headline:{refused.served}"]
    assert (accepted.served, accepted.is_silent) == ("bold", True)
    ours = text.rpartition(".")[2].encode()
    told = wrong.rpartition(".")[2].encode()
    assert {(ours, told), (ours, ours)} <= {tuple(pair) for pair in compared}


@pytest.mark.check(24)
@pytest.mark.parametrize("origin", ["é", "https://localhost\xe9", "null"])
def test_a_strange_origin_is_refused_and_no_error(
    make_app: MakeApp, browse: Browse, origin: str
) -> None:
    path = "/api/v1/experiments/headline/exposure"
    visit = browse(make_app()).visit(path, method="POST", Origin=origin)

    assert visit.status == 403
    assert visit.is_silent
