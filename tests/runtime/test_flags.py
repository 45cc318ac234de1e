"""Where the value of a flag comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_abx import ABX
from flask_abx.testing import force
from tests.checks.browser import Browser, records_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

    from tests.conftest import MakeApp

RED_BLUE = {
    "control": {"flags": {"colour": "red"}},
    "bold": {"flags": {"colour": "blue"}},
}


@pytest.fixture
def abx() -> ABX:
    """The extension under test."""
    return ABX()


def defining(make_app: MakeApp, abx: ABX, document: Mapping[str, object]) -> Flask:
    """Make an application from a whole document."""
    return make_app({}, abx=abx, ABX_DEFINITIONS=document)


def served(shop: Flask, abx: ABX, default: object = "argument") -> object:
    """Read the flag `colour` for a user."""
    with shop.app_context(), abx.as_unit("7"):
        return abx.flag("colour", default=default)


def colours(*variants: str | None, **fields: object) -> dict[str, object]:
    """Define an experiment on users whose variants set a colour, or leave it."""
    return {
        "variants": {
            f"v{number}": {"flags": {} if colour is None else {"colour": colour}}
            for number, colour in enumerate(variants)
        },
        "unit": "user",
        **fields,
    }


DEFAULT = {"colour": "declared"}
CONCLUDED = {"status": "concluded", "winner": "v1"}
ENDED = {"end_at": "2026-01-02T00:00:00Z", **CONCLUDED}
ENDED_BEFORE = {"end_at": "2026-01-01T00:00:00Z", **CONCLUDED}

ANSWERS = [
    pytest.param({"flags": {}}, "argument", id="nothing known"),
    pytest.param({"flags": DEFAULT}, "declared", id="declared"),
    pytest.param(
        {"experiments": {"a": colours("red", "blue", **CONCLUDED)}, "flags": DEFAULT},
        "blue",
        id="winner",
    ),
    pytest.param(
        {"experiments": {"a": colours("red", "blue", status="concluded")}},
        "red",
        id="control for want of a winner",
    ),
    pytest.param(
        {"experiments": {"a": colours("red", None, **CONCLUDED)}, "flags": DEFAULT},
        "declared",
        id="winner without a value",
    ),
    pytest.param(
        {
            "experiments": {
                "a": colours("red", "late", **ENDED),
                "b": colours("red", "early", **ENDED_BEFORE),
            }
        },
        "late",
        id="latest winner",
    ),
    pytest.param(
        {
            "experiments": {
                "a": colours("same", "same"),
                "b": colours("red", "blue", **CONCLUDED),
            },
            "flags": DEFAULT,
        },
        "same",
        id="running before concluded",
    ),
    pytest.param(
        {
            "experiments": {
                "a": colours("red", "blue", traffic=0.0),
                "b": colours("red", "won", **CONCLUDED),
            }
        },
        "red",
        id="outside of a running one",
    ),
    pytest.param(
        {
            "experiments": {
                "a": colours(None, "blue", traffic=0.0),
                "b": colours("red", "won", **CONCLUDED),
            }
        },
        "won",
        id="outside, and the control has none",
    ),
    pytest.param(
        {"experiments": {"a": colours("red", "blue", status="paused")}},
        "red",
        id="paused",
    ),
    pytest.param(
        {
            "experiments": {"a": colours("red", "blue", status="draft")},
            "flags": DEFAULT,
        },
        "declared",
        id="draft",
    ),
    pytest.param(
        {
            "experiments": {
                "a": colours("red", "blue", **CONCLUDED | {"status": "archived"})
            }
        },
        "blue",
        id="archived",
    ),
    pytest.param(
        {
            "experiments": {
                "a": colours("a", "a", layer="shop", range=[0.0, 0.0001]),
                "b": colours("b", "b", layer="shop", range=[0.0001, 1.0]),
            }
        },
        "b",
        id="the one of the layer that the unit is in",
    ),
    pytest.param(
        {
            "experiments": {
                "a": colours("a", "a", layer="shop", range=[0.0, 0.0001]),
                "b": colours("b", "b", layer="shop", range=[0.0001, 0.0002]),
            }
        },
        "a",
        id="the first by key outside of both",
    ),
]


@pytest.mark.parametrize(("document", "answer"), ANSWERS)
def test_the_first_that_has_a_value_answers(
    make_app: MakeApp, abx: ABX, document: dict[str, object], answer: str
) -> None:
    assert served(defining(make_app, abx, document), abx) == answer


def test_a_flag_nobody_knows_gives_the_argument_or_none(
    make_app: MakeApp, abx: ABX
) -> None:
    shop = make_app(abx=abx, TESTING=True)
    with shop.test_request_context():
        assert abx.flag("nothing") is None
        assert abx.flag("nothing", default=7) == 7
    assert records_of(shop) == []


@pytest.mark.parametrize("falsy", [False, 0, 0.0, ""])
def test_a_value_that_is_false_is_a_value(
    make_app: MakeApp, abx: ABX, falsy: object
) -> None:
    document = {"flags": {"colour": {"default": falsy}}}
    assert served(defining(make_app, abx, document), abx) == falsy


def test_each_variant_has_its_value_and_is_exposed(make_app: MakeApp, abx: ABX) -> None:
    shop = make_app({"headline": {"variants": RED_BLUE}}, abx=abx)
    shop.get("/colour")(lambda: abx.flag("colour"))
    seen = set()
    for _ in range(40):
        visit = Browser(shop).visit("/colour")
        variant = {"red": "control", "blue": "bold"}[visit.served]
        assert visit.exposed == [f"headline:{variant}"]
        seen.add(variant)
    assert seen == {"control", "bold"}


def test_only_the_experiment_that_the_unit_is_in_is_exposed(
    make_app: MakeApp, abx: ABX
) -> None:
    document = {
        "experiments": {
            "a": colours("a", "a", layer="shop", range=[0.0, 0.5]),
            "b": colours("b", "b", layer="shop", range=[0.5, 1.0]),
        }
    }
    shop = defining(make_app, abx, document)
    values = []
    with shop.app_context():
        for number in range(40):
            with abx.as_unit(number):
                values.append(abx.flag("colour"))
    experiments = [record.to_dict()["experiment"] for record in records_of(shop)]
    assert experiments == values
    assert set(values) == {"a", "b"}


def test_a_mutable_value_is_a_copy(make_app: MakeApp, abx: ABX) -> None:
    flags: dict[str, Any] = {"steps": {"default": {"names": ["a"]}}}
    shop = defining(make_app, abx, {"flags": flags})
    with shop.test_request_context():
        abx.flag("steps")["names"].append("b")
        assert abx.flag("steps") == {"names": ["a"]}
        abx.payload()["flags"]["steps"]["names"].append("b")
        assert abx.flag("steps") == {"names": ["a"]}


def test_a_forced_variant_has_its_value(make_app: MakeApp, abx: ABX) -> None:
    shop = make_app({"headline": {"variants": RED_BLUE}}, abx=abx, TESTING=True)
    for variant, colour in (("control", "red"), ("bold", "blue")):
        with force(shop, {"headline": variant}), shop.test_request_context():
            assert abx.flag("colour") == colour
        with shop.test_request_context(f"/?abx=headline:{variant}"):
            assert abx.flag("colour") == colour


def test_a_flag_and_a_variant_agree(make_app: MakeApp, abx: ABX) -> None:
    shop = make_app({"headline": {"variants": RED_BLUE}}, abx=abx)

    @shop.get("/both")
    def both() -> str:
        return f"{abx.flag('colour')} {abx.variant('headline')}"

    browser = Browser(shop)
    first, second = browser.visit("/both"), browser.visit("/both")
    assert first.served in {"red control", "blue bold"}
    assert len(first.exposed) == 1
    assert (second.served, second.is_silent) == (first.served, True)
