"""A variant that notices a misspelt comparison."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any, cast

import pytest
from flask import Flask, render_template_string

from flask_abx import ABX, UnknownExperiment, UnknownVariant
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from tests.conftest import MakeApp

SUGGESTED = (
    "Experiment 'headline' has no variant 'blod', its variants are 'control', 'b"
)


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


@pytest.fixture
def shop(make_app: MakeApp, abx: ABX) -> Flask:
    """An application under test."""
    return make_app(abx=abx, TESTING=True)


@pytest.fixture
def variant(shop: Flask, abx: ABX) -> str:
    """A variant as code gets it under test."""
    with shop.test_request_context("/?abx=headline:bold"):
        return abx.variant("headline")


def test_it_is_the_text(variant: str) -> None:
    assert isinstance(variant, str)
    assert variant == "bold"
    assert "bold" == variant  # noqa: SIM300 - the other way round is the test
    assert variant != "control"
    assert f"{variant}!" == "bold!"
    assert {"bold": 1}[variant] == 1
    assert variant in {"bold", "control"}
    assert variant in ("control", "bold")
    assert variant != cast("object", 7)
    assert variant is not None
    assert json.dumps({variant: variant}) == '{"bold": "bold"}'


def test_a_misspelt_comparison_raises_with_a_suggestion(variant: str) -> None:
    with pytest.raises(UnknownVariant, match=SUGGESTED):
        _ = variant == "blod"
    with pytest.raises(UnknownVariant, match=SUGGESTED):
        _ = variant != "blod"
    with pytest.raises(UnknownVariant, match=SUGGESTED):
        _ = "blod" == variant  # noqa: SIM300 - the other way round is the test
    with pytest.raises(UnknownVariant, match=SUGGESTED):
        _ = variant in ("blod", "control")


def misspelt(variant: str) -> bool:
    """Match a variant against a name that it cannot have."""
    match variant:
        case "blod":
            return True
    return False


def test_match_notices(variant: str) -> None:
    match variant:
        case "control":
            found = 0
        case "bold":
            found = 1
    assert found == 1
    with pytest.raises(UnknownVariant, match=SUGGESTED):
        misspelt(variant)


def test_a_template_notices(shop: Flask) -> None:
    page = "{% if abx.variant('headline') == '%s' %}yes{% else %}no{% endif %}"
    with shop.test_request_context("/?abx=headline:bold"):
        assert render_template_string(page.replace("%s", "bold")) == "yes"
        assert render_template_string(page.replace("%s", "control")) == "no"
        assert render_template_string("{{ abx.variant('headline') }}") == "bold"
        with pytest.raises(UnknownVariant, match=SUGGESTED):
            render_template_string(page.replace("%s", "blod"))


def test_a_copy_and_a_pickle_are_plain_text(variant: str) -> None:
    copied = (
        copy.copy(variant),
        copy.deepcopy(variant),
        pickle.loads(pickle.dumps(variant)),  # noqa: S301 - our own bytes
    )
    assert [(type(each), each) for each in copied] == [(str, "bold")] * 3


def test_variants_of_two_experiments_are_told_apart(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(
        {"one": {"variants": ["a", "b"]}, "two": {"variants": ["a", "c"]}},
        abx=abx,
        TESTING=True,
    )
    with (
        shop.test_request_context("/?abx=one:b,two:c"),
        pytest.raises(UnknownVariant, match="'one' has no variant 'c'"),
    ):
        _ = abx.variant("one") == abx.variant("two")
    with shop.test_request_context("/?abx=one:a,two:a"):
        assert abx.variant("one") == abx.variant("two")


@pytest.mark.parametrize(
    ("settings", "raises"),
    [
        ({}, False),
        ({"DEBUG": True}, True),
        ({"TESTING": True}, True),
        ({"ABX_STRICT": True}, True),
        ({"TESTING": True, "ABX_STRICT": False}, False),
    ],
)
def test_an_unknown_experiment_raises_where_strict(
    make_app: MakeApp,
    abx: ABX,
    settings: dict[str, Any],
    raises: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    shop = make_app(abx=abx, **settings)
    with shop.test_request_context():
        for ask in (abx.variant, abx.assignment, abx.expose):
            if raises:
                with pytest.raises(UnknownExperiment, match="did you mean 'headline'"):
                    ask("headlin")
            else:
                ask("headlin")
    assert records_of(shop) == []


def test_an_unknown_experiment_gives_the_default_elsewhere(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(abx=abx)
    with shop.test_request_context():
        assert abx.variant("nothing") == "control"
        assert abx.variant("nothing", default="plain") == "plain"
        assert abx.variant("headline", default="plain") in {"control", "bold"}
        assert abx.assignment("nothing").reason == "unknown"


def test_strict_governs_nothing_but_the_unknown_experiment(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(abx=abx, ABX_STRICT=True)
    with shop.test_request_context():
        assert type(abx.variant("headline")) is str
        assert abx.variant("headline") != "blod"
        abx.track("bought", id=None)  # type: ignore[arg-type]
    assert [record.type for record in records_of(shop)] == ["exposure", "event"]


@pytest.mark.parametrize("setting", ["DEBUG", "TESTING"])
def test_an_event_with_an_explicit_none_for_id_raises_in_debug(
    make_app: MakeApp, abx: ABX, setting: str
) -> None:
    shop = make_app(abx=abx, ABX_STRICT=False)
    shop.config[setting] = True
    with shop.test_request_context(), pytest.raises(ValueError, match="leave id out"):
        abx.track("bought", id=None)  # type: ignore[arg-type]


def test_outside_of_debug_a_variant_is_plain_text(make_app: MakeApp, abx: ABX) -> None:
    shop = make_app(abx=abx)
    shop.get("/kind")(lambda: type(abx.variant("headline")).__name__)
    browser = Browser(shop)
    assert [browser.visit("/kind").served for _ in range(2)] == ["str", "str"]
