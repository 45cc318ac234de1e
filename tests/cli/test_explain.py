from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx import ABX
from flask_abx.testing import recorded

if TYPE_CHECKING:
    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp


def test_explain_tells_what_a_request_would_serve(make_app: MakeApp, run: Run) -> None:
    abx = ABX()
    abx.unit_loader(lambda: "7")
    app = make_app({"headline": {"unit": "user", "variants": ["a", "b"]}}, abx=abx)
    data = json.loads(run(app, "explain", "headline", "7").stdout)
    assert data["variant"] == app.test_client().get("/").text
    assert (data["unit_type"], data["reason"]) == ("user", "allocated")


def test_explain_exposes_nobody(shop: Flask, run: Run) -> None:
    with recorded(shop) as records:
        run(shop, "explain", "headline", "7", "--attr", "country=DE")
    assert records == []


@pytest.mark.parametrize(
    ("audience", "attributes"),
    [
        pytest.param({"plan": "pro"}, ["plan=pro"], id="text"),
        pytest.param({"age": {"$gte": 18}}, ["age=18"], id="number"),
        pytest.param({"plan": "1"}, ['plan="1"'], id="quoted"),
        pytest.param({"geo.land": "DE"}, ["geo.land=DE", "geo.city=K"], id="path"),
        pytest.param({"geo.land": "DE"}, ['geo={"land": "DE"}'], id="object"),
        pytest.param({"note": "a=b"}, ["note=a=b"], id="second-sign"),
        pytest.param({"visitor": "7"}, [], id="the-unit-itself"),
    ],
)
def test_attributes_are_json_or_else_text(
    make_app: MakeApp, run: Run, audience: dict[str, Any], attributes: list[str]
) -> None:
    app = make_app({"headline": {"variants": ["a", "b"], "audience": audience}})
    options = [part for each in attributes for part in ("--attr", each)]
    data = json.loads(run(app, "explain", "headline", "7", *options).stdout)
    assert data["reason"] == "allocated"


@pytest.mark.parametrize("attribute", ["country", "=DE", "geo..land=DE"])
def test_what_is_no_attribute_is_wrong_usage(
    shop: Flask, run: Run, attribute: str
) -> None:
    result = run(shop, "explain", "headline", "7", "--attr", attribute)
    assert result.exit_code == 2
    assert "write NAME=VALUE" in result.stderr


def test_an_attribute_unit_meets_an_audience_on_itself(
    make_app: MakeApp, run: Run
) -> None:
    experiment = {"unit": "tenant", "variants": ["a", "b"]}
    app = make_app({"headline": {**experiment, "audience": {"tenant": "acme"}}})
    data = json.loads(run(app, "explain", "headline", "acme").stdout)
    assert (data["unit_type"], data["reason"]) == ("tenant", "allocated")


def test_a_segment_of_the_code_is_asked(make_app: MakeApp, run: Run) -> None:
    abx = ABX()
    abx.segment("vip")(lambda attributes: attributes.get("level") == 3)
    audience = {"$segment": "vip"}
    app = make_app({"a": {"variants": ["x", "y"], "audience": audience}}, abx=abx)
    met, unmet = (run(app, "explain", "a", "7", "--attr", f"level={n}") for n in (3, 2))
    assert json.loads(met.stdout)["reason"] == "allocated"
    assert json.loads(unmet.stdout)["reason"] == "audience"


def test_a_registered_consent_is_taken_as_given_and_told(
    make_app: MakeApp, run: Run
) -> None:
    abx = ABX()
    abx.consent(lambda purpose: False)
    app = make_app({"a": {"variants": ["x", "y"], "sensitive": True}}, abx=abx)
    result = run(app, "explain", "a", "7")
    assert json.loads(result.stdout)["reason"] == "allocated"
    assert "it is taken to agree" in result.stderr


def test_the_first_of_several_unit_types_is_taken_and_told(
    shop: Flask, run: Run
) -> None:
    result = run(shop, "explain", "prices", "7", "--format", "table")
    assert result.stdout.endswith("So user 7 gets high (concluded).\n")
    assert result.stderr == "UNIT is taken as the id of a user.\n"


def test_an_unknown_experiment_is_not_found(shop: Flask, run: Run) -> None:
    assert run(shop, "explain", "price", "7").exit_code == 3


def test_a_segment_that_raises_is_told(make_app: MakeApp, run: Run) -> None:
    abx = ABX()
    abx.segment("vip")(lambda attributes: attributes["level"] == 3)
    audience = {"$segment": "vip"}
    app = make_app({"a": {"variants": ["x", "y"], "audience": audience}}, abx=abx)
    result = run(app, "explain", "a", "7")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "raised KeyError('level')" in result.stderr


def test_an_empty_id_is_no_unit(shop: Flask, run: Run) -> None:
    data = json.loads(run(shop, "explain", "headline", "").stdout)
    assert (data["variant"], data["reason"]) == ("control", "no_unit")
