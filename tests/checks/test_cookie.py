"""The cookie: what it looks like, when it is set, and what a bad one does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine

from flask_abx import ABX, ConfigError
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from tests.checks.conftest import Browse, Sign
    from tests.conftest import MakeApp

ANNA, BERT = "a" * 32, "b" * 32
NAME = "__Host-abx"
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.check(1)
def test_a_new_visitor_gets_one_strict_cookie(
    make_app: MakeApp, browse: Browse
) -> None:
    visit = browse(make_app()).visit()

    assert visit.served in {"control", "bold"}
    [exposure] = visit.recorded
    assert exposure.units == {"visitor": visit.visitor}
    assert visit.exposed == [f"headline:{visit.served}"]
    assert re.fullmatch("[0-9a-f]{32}", visit.visitor)
    [cookie] = visit.cookies
    pair, *attributes = cookie.split("; ")
    assert pair.startswith(f"{NAME}=1~{visit.visitor}~headline:1:{visit.served}.")
    assert sorted(attributes) == [
        "HttpOnly", "Max-Age=15552000", "Path=/", "SameSite=Lax", "Secure",
    ]  # fmt: skip


@pytest.mark.check(1)
def test_visitors_never_share_an_id(make_app: MakeApp, browse: Browse) -> None:
    app = make_app()
    visits = [browse(app).visit() for _ in range(200)]

    assert len({visit.visitor for visit in visits}) == 200
    assert {visit.served for visit in visits} == {"control", "bold"}
    assert all(len(visit.recorded) == 1 for visit in visits)


@pytest.mark.check(2)
def test_a_returning_visitor_gets_no_cookie(make_app: MakeApp, browse: Browse) -> None:
    browser = browse(make_app())
    first, second = browser.visit(), browser.visit()

    assert second.served == first.served
    assert second.is_silent


@pytest.mark.check(3)
def test_a_cookie_with_one_wrong_character_is_none(
    make_app: MakeApp, browse: Browse
) -> None:
    app = make_app()
    first = browse(app).visit()

    for place, char in enumerate(first.token):
        for other in {"A", "b", "1", "~", ".", "-"} - {char}:
            changed = first.token[:place] + other + first.token[place + 1 :]
            visit = browse(app, {NAME: changed}).visit()
            assert visit.status == 200, changed
            assert visit.exposed == [f"headline:{visit.served}"], changed
            assert visit.cookie_names == [NAME], changed
            assert visit.visitor != first.visitor, changed


@pytest.mark.check(3)
def test_no_character_can_be_swapped_left_out_or_added(
    make_app: MakeApp, browse: Browse
) -> None:
    app = make_app()
    first = browse(app).visit()
    token = first.token
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="
    changed = [token[:-1] + char for char in last if char != token[-1]]
    changed += [token[:-1], token[1:], f"{token}=", f"{token}A", f"{token}.", token * 2]

    visits = [browse(app, {NAME: text}).visit() for text in changed]
    assert {visit.status for visit in visits} == {200}
    assert first.visitor not in {visit.visitor for visit in visits}
    assert all(visit.exposed for visit in visits)


@pytest.mark.check(3)
def test_a_refused_cookie_is_counted(make_app: MakeApp, browse: Browse) -> None:
    app = make_app()
    visit = browse(app, {NAME: f"1~{ANNA}.wrong"}).visit()

    assert (visit.status, visit.cookie_names) == (200, [NAME])
    assert visit.exposed == [f"headline:{visit.served}"]
    counts = state_of(app).tally.counts
    assert counts["cookie_rejected:signature"] == 1


@pytest.mark.check(4)
def test_a_cookie_of_an_earlier_key_is_signed_anew(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    app = make_app(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["older", "old"])
    browser = browse(app, {NAME: sign(f"1~{ANNA}~headline:1:bold", key="old")})
    visit = browser.visit()

    assert (visit.served, visit.recorded) == ("bold", ())
    assert visit.cookie_names == [NAME]
    assert visit.token == sign(f"1~{ANNA}~headline:1:bold", key="new")
    assert browser.visit().is_silent
    alone = browse(make_app(SECRET_KEY="new"), browser.jar).visit()
    assert (alone.served, alone.is_silent) == ("bold", True)


@pytest.mark.check(5)
def test_a_cookie_of_a_removed_key_is_none(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    app = make_app(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"])
    text = sign(f"1~{ANNA}~headline:1:bold", key="oldest")
    visit = browse(app, {NAME: text}).visit()

    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.visitor != ANNA


@pytest.mark.check(8)
def test_a_cookie_of_another_purpose_is_none(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    app = make_app()
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]  # the base class has none
    session = serializer.dumps({"visitor": ANNA})
    signer = serializer.make_signer(serializer.salt)
    foreign = [session, signer.sign(f"1~{ANNA}~headline:1:bold").decode()]

    for text in foreign:
        visit = browse(app, {NAME: text}).visit()
        assert visit.status == 200
        assert visit.exposed == [f"headline:{visit.served}"]
        assert visit.visitor != ANNA


@pytest.mark.check(8)
def test_our_cookie_is_no_session(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    from flask import session

    app = make_app()
    app.get("/session")(lambda: dict(session))
    text = sign(f"1~{ANNA}~headline:1:bold")
    visit = browse(app, {NAME: text, "session": text}).visit("/session")

    assert (visit.status, visit.served.strip()) == (200, "{}")
    assert visit.is_silent


STRANGE = {
    "bytes 0xFF": "abx=\xff\xff",
    "NUL": "abx=\0",
    "NUL in the middle": f"abx=1~{ANNA}\0.x",
    "dots": "abx=..",
    "three parts": "abx=a.b.c",
    "empty": "abx=",
    "empty and quoted": 'abx=""',
    "one quote": 'abx="',
    "no equals sign": "abx",
    "only an equals sign": "=",
    "semicolons": ";;;abx;=;",
    "no payload": "abx=.x",
    "no signature": f"abx=1~{ANNA}~headline:1:bold",
    "empty signature": f"abx=1~{ANNA}~headline:1:bold.",
}


@pytest.mark.check(12)
@pytest.mark.parametrize("header", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_strange_cookie_is_none(
    make_app: MakeApp, browse: Browse, header: str, scheme: str
) -> None:
    name = "abx" if scheme == "http" else NAME
    cookie = header.replace("abx", name)
    visit = browse(make_app()).visit(cookie=cookie, scheme=scheme)

    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [name]
    assert visit.visitor != ANNA


@pytest.mark.check(13)
def test_the_first_of_two_cookies_counts(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    app = make_app()
    bold = f"{NAME}={sign(f'1~{ANNA}~headline:1:bold')}"
    control = f"{NAME}={sign(f'1~{BERT}~headline:1:control')}"
    for cookie, served in (
        (f"{bold}; {control}", "bold"),
        (f"{control}; {bold}", "control"),
    ):
        visit = browse(app).visit(cookie=cookie)
        assert (visit.served, visit.is_silent) == (served, True)


@pytest.mark.check(13)
def test_a_good_cookie_behind_a_bad_one_is_none(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    good = sign(f"1~{ANNA}~headline:1:bold")
    for bad in ("", "nonsense", good[:-1]):
        visit = browse(make_app()).visit(cookie=f"{NAME}={bad}; {NAME}={good}")
        assert visit.exposed == [f"headline:{visit.served}"]
        assert visit.visitor != ANNA


@pytest.mark.check(13)
def test_a_bare_cookie_does_not_stand_in_for_a_bad_prefixed_one(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    planted = sign(f"1~{ANNA}~headline:1:bold")
    visit = browse(make_app(), {NAME: "nonsense", "abx": planted}).visit()

    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.visitor != ANNA


@pytest.mark.check(14)
@pytest.mark.parametrize("form", ["0", "2", "01", "", "x"])
def test_a_cookie_of_an_unknown_format_is_none(
    make_app: MakeApp, browse: Browse, sign: Sign, form: str
) -> None:
    text = sign(f"{form}~{ANNA}~headline:1:bold")
    visit = browse(make_app(), {NAME: text}).visit()

    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.visitor != ANNA


@pytest.mark.check(14)
def test_the_entry_of_an_unknown_experiment_is_kept(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    text = sign(f"1~{ANNA}~of.another-worker:7:blue")
    visit = browse(make_app(), {NAME: text}).visit()

    assert visit.exposed == [f"headline:{visit.served}"]
    entries = f"of.another-worker:7:blue~headline:1:{visit.served}"
    assert visit.token == sign(f"1~{ANNA}~{entries}")


@pytest.mark.check(14)
@pytest.mark.parametrize("entry", ["", ":", "a:b:c", "headline:0:bold", "@nine", "é"])
def test_an_entry_that_is_none_harms_nobody(
    make_app: MakeApp, browse: Browse, sign: Sign, entry: str
) -> None:
    app = make_app()
    visit = browse(app, {NAME: sign(f"1~{ANNA}~{entry}")}).visit()

    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]


@pytest.mark.check(15)
@pytest.mark.parametrize("entry", ["headline:1:purple", "headline:2:bold"])
def test_an_entry_that_does_not_fit_is_assigned_anew(
    make_app: MakeApp, browse: Browse, sign: Sign, entry: str
) -> None:
    app = make_app()
    fresh = browse(app, {NAME: sign(f"1~{ANNA}")}).visit()
    visit = browse(app, {NAME: sign(f"1~{ANNA}~{entry}")}).visit()

    assert visit.served == fresh.served
    assert visit.exposed == [f"headline:{fresh.served}"]
    assert visit.token == sign(f"1~{ANNA}~headline:1:{fresh.served}")


@pytest.mark.check(16)
def test_a_cookie_from_tomorrow_is_as_good_as_any(
    make_app: MakeApp, browse: Browse
) -> None:
    with time_machine.travel(NOW + timedelta(days=1)):
        browser = browse(make_app())
        first = browser.visit()
    with time_machine.travel(NOW):
        visit = browse(make_app(), browser.jar).visit()

    assert visit.served == first.served
    assert visit.is_silent


@pytest.mark.check(17)
def test_an_old_cookie_is_as_good_as_any(make_app: MakeApp, browse: Browse) -> None:
    with time_machine.travel(NOW - timedelta(days=399)):
        browser = browse(make_app())
        first = browser.visit()
    with time_machine.travel(NOW):
        visit = browse(make_app(), browser.jar).visit()

    assert visit.served == first.served
    assert visit.is_silent


@pytest.mark.check(17)
def test_no_cookie_outlives_what_browsers_allow(
    make_app: MakeApp, browse: Browse
) -> None:
    visit = browse(make_app(ABX_COOKIE_MAX_AGE=34_560_000)).visit()

    assert "Max-Age=34560000" in visit.cookies[0]
    assert visit.exposed == [f"headline:{visit.served}"]
    with pytest.raises(ConfigError, match="ABX_COOKIE_MAX_AGE is 34560001"):
        make_app(ABX_COOKIE_MAX_AGE=34_560_001)


@pytest.mark.check(20)
def test_a_secure_cookie_is_never_set_over_http(
    make_app: MakeApp, browse: Browse, caplog: pytest.LogCaptureFixture
) -> None:
    abx = ABX()
    app = make_app(abx=abx, ABX_COOKIE_SECURE=True)

    @app.get("/twice")
    def twice() -> str:
        abx.track("read")
        return f"{abx.variant('headline')} {abx.variant('headline')}"

    visits = [browse(app).visit("/twice", scheme="http") for _ in range(20)]
    # A visitor who cannot be known again gets the control, and is counted nowhere.
    for visit in visits:
        assert visit.served == "control control"
        assert (visit.recorded, visit.cookies) == ((), ())
    assert caplog.text.count("ABX_COOKIE_SECURE is True") == 1


@pytest.mark.check(20)
def test_a_visitor_keeps_the_variant_when_the_site_moves_to_https(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    browser = browse(make_app(), {"abx": sign(f"1~{ANNA}~headline:1:bold")})
    assert browser.visit(scheme="http").is_silent
    visit = browser.visit(scheme="https")

    assert (visit.served, visit.recorded) == ("bold", ())
    assert (visit.cookie_names, visit.visitor) == ([NAME], ANNA)
    assert browser.visit(scheme="https").is_silent


@pytest.mark.check(23)
def test_the_settings_of_the_session_cookie_are_not_ours(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    app = make_app(
        SESSION_COOKIE_NAME="abx_session",
        SESSION_COOKIE_PATH="/shop",
        SESSION_COOKIE_DOMAIN="example.com",
        SESSION_COOKIE_SECURE=False,
        SESSION_COOKIE_HTTPONLY=False,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_PARTITIONED=True,
        PERMANENT_SESSION_LIFETIME=60,
    )
    visit = browse(app, {NAME: sign(f"1~{ANNA}")}).visit()
    usual = browse(make_app(), {NAME: sign(f"1~{ANNA}")}).visit()

    assert (visit.served, visit.exposed) == (usual.served, usual.exposed)
    assert visit.cookies == usual.cookies
