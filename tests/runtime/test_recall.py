"""The short way for who returns gives what the whole precedence gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from flask_abx import ABX, Reason
from flask_abx.runtime.cookie import Entry, Memory
from flask_abx.runtime.frame import Frame
from flask_abx.runtime.state import state_of
from flask_abx.testing import force
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from tests.conftest import MakeApp
    from tests.runtime.conftest import Sign

ANNA = "a" * 32
VARIANTS = ("control", "bold", "wild")
MOMENTS = st.sampled_from(
    [datetime(year, 1, 1, tzinfo=UTC) for year in (2001, 2002, 2201)]
)
OFTEN = {
    "unit": st.sampled_from(
        ["visitor", "user", ["visitor", "user"], ["user", "visitor"]]
    ),
    "status": st.sampled_from(["running"] * 4 + ["draft", "paused", "concluded"]),
}
SELDOM = {
    "closed": st.booleans(),
    "traffic": st.sampled_from([0.0, 0.5, 1.0]),
    "audience": st.just({"country": "nowhere"}),
    "forced": st.just({ANNA: "wild"}),
    "start_at": MOMENTS,
    "sensitive": st.just(value=True),
    "consent": st.just("ads"),
    "iteration": st.just(2),
    "keep_variants": st.booleans(),
}
EXPERIMENTS = st.fixed_dictionaries(
    {"variants": st.just(list(VARIANTS)), **OFTEN}, optional=SELDOM
)
ENTRIES = st.dictionaries(
    st.sampled_from(["one", "two", "gone"]),
    st.builds(
        Entry,
        st.integers(1, 2),
        st.sampled_from([*VARIANTS, "purple"]),
        st.just(value=True),
    ),
)
CLIENTS = st.fixed_dictionaries(
    {"method": st.sampled_from(["GET", "POST", "HEAD"])},
    optional={
        "HTTP_USER_AGENT": st.sampled_from(["Mozilla/5.0", "Googlebot/2.1"]),
        "HTTP_SEC_PURPOSE": st.just("prefetch"),
        "QUERY_STRING": st.just("abx=one:wild"),
    },
)
SETTINGS = st.fixed_dictionaries(
    {}, optional={"ABX_ENABLED": st.booleans(), "DEBUG": st.just(value=True)}
)


def serving(experiments: dict[str, Any], settings: dict[str, Any]) -> Flask:
    """Make an application whose user is always the same."""
    abx, shop = ABX(), Flask("shop")
    shop.config.update(SECRET_KEY="secret", ABX_SINKS=["memory"], **settings)
    shop.config["ABX_EXPERIMENTS"] = experiments
    abx.unit_loader(lambda: "7")
    abx.init_app(shop)
    return shop


def environ_of(
    shop: Flask, entries: dict[str, Entry], headers: dict[str, str]
) -> WSGIEnvironment:
    """Make the request of a visitor who was exposed before."""
    environ = create_environ(method=headers["method"])
    environ |= {key: text for key, text in headers.items() if key != "method"}
    codec = state_of(shop).cookie
    header = codec.header(Memory(ANNA, entries), environ, lambda _: True)
    return {**environ, "HTTP_COOKIE": header.partition(";")[0]}


@given(
    st.dictionaries(st.sampled_from(["one", "two"]), EXPERIMENTS),
    ENTRIES,
    CLIENTS,
    SETTINGS,
)
def test_what_is_recalled_is_what_is_decided(
    experiments: dict[str, Any],
    entries: dict[str, Entry],
    headers: dict[str, str],
    settings: dict[str, Any],
) -> None:
    shop = serving(experiments, settings)
    environ = environ_of(shop, entries, headers)
    short = Frame(shop, state_of(shop), environ)
    scope = Frame(shop, state_of(shop), environ).open(environ)
    for key in ("one", "two", "gone", "never"):
        recalled = short.recall(key)
        if recalled is None:
            continue
        assignment = scope.assignment(key)
        assert (assignment.variant, assignment.reason) == (recalled, Reason.STICKY)
        assert scope.variant(key, "control") == recalled
    assert short.scope is None
    assert not scope.records
    assert scope.memory_to_store is None


@pytest.fixture
def returning() -> tuple[Flask, WSGIEnvironment]:
    """A plain experiment, and a visitor who met it."""
    shop = serving({"one": {"variants": list(VARIANTS)}}, {})
    entries = {"one": Entry(1, "wild", confirmed=True)}
    return shop, environ_of(shop, entries, {"method": "GET"})


def test_a_plain_experiment_is_recalled(
    returning: tuple[Flask, WSGIEnvironment],
) -> None:
    shop, environ = returning
    assert Frame(shop, state_of(shop), environ).recall("one") == "wild"


def test_nothing_is_recalled_while_a_test_forces(
    returning: tuple[Flask, WSGIEnvironment],
) -> None:
    shop, environ = returning
    with force(shop, {"one": "bold"}):
        assert Frame(shop, state_of(shop), environ).recall("one") is None


def test_nothing_is_recalled_where_consent_is_asked() -> None:
    abx, shop = ABX(), Flask("shop")
    shop.config.update(
        SECRET_KEY="secret", ABX_EXPERIMENTS={"one": {"variants": list(VARIANTS)}}
    )
    abx.consent(lambda _: False)
    abx.init_app(shop)
    entries = {"one": Entry(1, "wild", confirmed=True)}
    environ = environ_of(shop, entries, {"method": "GET"})
    assert Frame(shop, state_of(shop), environ).recall("one") is None
    assert (
        Frame(shop, state_of(shop), environ).open(environ).assignment("one").variant
        == "control"
    )


def test_a_recalled_page_is_private(make_app: MakeApp, sign: Sign) -> None:
    jar = {"__Host-abx": sign(f"1~{ANNA}~headline:1:bold")}
    visit = Browser(make_app(), jar).visit()
    assert (visit.served, visit.is_silent) == ("bold", True)
    assert (visit.headers["Vary"], visit.headers["Cache-Control"]) == (
        "Cookie",
        "private",
    )
