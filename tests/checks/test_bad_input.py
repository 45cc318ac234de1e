"""What bad input gets: an error from the start, or a page as if it were not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_abx import ABX, ConfigError, DefinitionError, SetupError
from flask_abx.runtime.state import state_of
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.checks.conftest import Browse
    from tests.conftest import MakeApp

NAME = "__Host-abx"
PAIR = ["control", "bold"]
Refusal = TypeVar("Refusal", ConfigError, DefinitionError)


def refused(
    experiments: Mapping[str, Any], error: type[Refusal], **more: object
) -> Refusal:
    """Set up an application that must be refused, and give the error."""
    app = Flask("shop")
    app.config.update(SECRET_KEY="secret", ABX_EXPERIMENTS=experiments, **more)
    with pytest.raises(error) as caught:
        ABX(app)
    assert app.extensions == {}
    response = app.test_client().get("/")
    assert (response.status_code, "Set-Cookie" in response.headers) == (404, False)
    return caught.value


FAULTS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "sum of 0": (
        {"a": {"variants": {"x": 0, "y": 0}}},
        {"experiments.a.variants": "add up to 0"},
    ),
    "negative weight": (
        {"a": {"variants": {"x": -1, "y": 5}}},
        {"experiments.a.variants[0].weight": "greater than or equal to 0"},
    ),
    "NaN": (
        {"a": {"variants": {"x": 1, "y": float("nan")}}},
        {"experiments.a.variants[1].weight": "finite number"},
    ),
    "one salt": (
        {"a": {"variants": PAIR, "salt": "s"}, "b": {"variants": PAIR, "salt": "s"}},
        {"experiments.b.salt": "which experiments.a has too"},
    ),
    "overlapping ranges": (
        {
            "a": {"variants": PAIR, "layer": "l", "range": [0, 0.6]},
            "b": {"variants": PAIR, "layer": "l", "range": [0.5, 1]},
        },
        {"experiments.b.range": "overlaps the range of 'a' in layer 'l'"},
    ),
    "a layer without ranges": (
        {
            "a": {"variants": PAIR, "layer": "l"},
            "b": {"variants": PAIR, "layer": "l"},
        },
        {"experiments.b.range": "overlaps the range of 'a' in layer 'l'"},
    ),
    "a flag driven twice": (
        {
            key: {"variants": {"x": {"flags": {"f": 1}}, "y": {"flags": {"f": 2}}}}
            for key in ("a", "b")
        },
        {"experiments.b.variants": "drive the flag 'f', which 'a' drives too"},
    ),
}


@pytest.mark.parametrize(("experiments", "told"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_definition_is_refused(
    experiments: dict[str, Any], told: dict[str, str]
) -> None:
    error = refused(experiments, DefinitionError)
    found = {fault.path: fault.message for fault in error.faults}
    assert found.keys() == told.keys()
    for path, message in told.items():
        assert message in found[path]
        assert path in str(error)


def test_ranges_that_touch_are_no_overlap(make_app: MakeApp) -> None:
    body = {"variants": PAIR, "layer": "l"}
    experiments = {"a": {**body, "range": [0, 0.5]}, "b": {**body, "range": [0.5, 1]}}
    rules = state_of(make_app(experiments)).store.ruleset().rules
    assert set(rules) == {"a", "b"}


def test_every_fault_of_every_part_is_told_at_once() -> None:
    error = refused(
        {
            "a": {"variants": {"x": -1, "y": float("nan")}, "trafic": 1},
            "Bad key": {"variants": PAIR},
            "c": {"variants": ["only"], "traffic": 2, "start_at": "2030-01-01"},
            "d": {"variants": PAIR, "audience": {"age": {"$older": 7}}},
            "e": {"variants": {"x": 0, "y": 0}, "winner": "z"},
        },
        DefinitionError,
        ABX_DEFINITIONS={
            "layers": {"l": {"slat": "s"}},
            "flags": {"f": {"type": "no"}},
        },
    )
    paths = {fault.path for fault in error.faults}
    expected = {
        "experiments.a.variants[0].weight",
        "experiments.a.variants[1].weight",
        "experiments.a.trafic",
        "experiments.c.variants",
        "experiments.c.traffic",
        "experiments.c.start_at",
        "experiments.d.audience.age.$older",
        "experiments.e.variants",
        "experiments.e.winner",
        "layers.l.slat",
        "flags.f.type",
    }
    assert expected <= paths
    assert any("Bad key" in path for path in paths)
    assert str(error).count("\n") == len(error.faults)


def test_faults_between_experiments_are_told_with_those_within() -> None:
    error = refused(
        {
            "a": {"variants": PAIR, "salt": "s", "layer": "l"},
            "b": {"variants": PAIR, "salt": "s", "layer": "l"},
            "c": {"variants": {"x": 0, "y": 0}},
        },
        DefinitionError,
    )
    assert {fault.path for fault in error.faults} == {
        "experiments.b.salt",
        "experiments.b.range",
        "experiments.c.variants",
    }


def test_every_unknown_setting_is_told_at_once() -> None:
    message = str(
        refused(
            {},
            ConfigError,
            ABX_EXPERIMENT={},
            ABX_COOKIE_SECURED=True,
            ABX_COOKIE_MAX_AGE="long",
        )
    )
    assert "ABX_EXPERIMENT is not a known setting" in message
    assert "'ABX_EXPERIMENTS'" in message
    assert "'ABX_COOKIE_SECURE'" in message
    assert "ABX_COOKIE_MAX_AGE is 'long'" in message


def test_a_text_is_no_list_of_sinks() -> None:
    assert "'log'" in str(refused({}, ConfigError, ABX_SINKS="log")).partition(",")[0]


@pytest.mark.parametrize("other", [True, False], ids=["another ABX", "the same ABX"])
def test_a_second_abx_on_one_application_is_refused(
    make_app: MakeApp,
    browse: Browse,
    other: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    abx = ABX()
    app = make_app(abx=abx)
    with pytest.raises(SetupError, match="An ABX is set up on"):
        (ABX() if other else abx).init_app(app)

    visit = browse(app).visit()
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(raw=st.binary(max_size=200), named=st.booleans())
def test_whatever_the_browser_sends_is_no_error(
    make_app: MakeApp,
    raw: bytes,
    named: bool,  # noqa: FBT001 - drawn by name
) -> None:
    cookie = f"{NAME}=" * named + raw.decode("latin-1")
    visit = Browser(make_app()).visit(cookie=cookie)

    assert visit.status == 200
    assert visit.exposed == [f"headline:{visit.served}"]
    assert visit.cookie_names == [NAME]
