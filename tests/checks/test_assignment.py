"""Who gets which variant, and what of it is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import g, render_template_string

from flask_abx import ABX, DefinitionError, UnknownExperiment
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.checks.conftest import Browse, Sign
    from tests.conftest import MakeApp

ANNA = "a" * 32
NAME = "__Host-abx"
THIRD = 1 / 3


def for_users(**fields: object) -> dict[str, dict[str, object]]:
    """Define an experiment on users."""
    return {"headline": {"variants": ["control", "bold"], "unit": "user", **fields}}


@pytest.mark.check(22)
def test_a_logout_keeps_the_visitor_and_forgets_the_user(
    make_app: MakeApp, browse: Browse, abx: ABX
) -> None:
    browser = browse(make_app(abx=abx))
    first = browser.visit()
    inside = browser.visit("/signup", method="POST", X_User="anna")
    outside = browser.visit("/signup", method="POST")

    labels = {"headline": first.served}
    assert [dict(event.units) for event in inside.events + outside.events] == [
        {"visitor": first.visitor, "user": "anna"},
        {"visitor": first.visitor},
    ]
    assert inside.events[0].variants == outside.events[0].variants == labels
    assert inside.cookies == outside.cookies == ()
    assert (browser.visit().served, browser.visit().is_silent) == (first.served, True)


@pytest.mark.check(22)
def test_after_a_logout_the_next_user_is_nobody_else(
    make_app: MakeApp, browse: Browse, abx: ABX
) -> None:
    definition = {"headline": {"variants": ["control", "bold"]}}
    definition["headline"]["unit"] = ["user", "visitor"]
    browser = browse(make_app(definition, abx=abx))
    first = browser.visit()
    anna = browser.visit(X_User="anna")
    outside = browser.visit("/signup", method="POST")
    alone = browse(browser.app).visit(X_User="bert")
    bert = browser.visit(X_User="bert")

    assert (anna.served, anna.recorded) == (first.served, ())
    assert anna.visitor == bert.visitor == first.visitor
    assert outside.events[0].units == {"visitor": first.visitor}
    assert (bert.served, bert.exposed) == (alone.served, alone.exposed)
    assert bert.recorded[0].units == {"visitor": first.visitor, "user": "bert"}


@pytest.mark.check(25)
@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        pytest.param([0, 0], "add up to 0", id="sum of 0"),
        pytest.param([-1, 2], "greater than or equal to 0", id="negative"),
        pytest.param([-1, -1], "greater than or equal to 0", id="negative sum"),
        pytest.param([float("nan"), 1], "finite number", id="NaN"),
        pytest.param([float("inf"), 1], "finite number", id="infinite"),
        pytest.param(["1", 1], "valid number", id="text"),
        pytest.param([True, 1], "valid number", id="true"),
    ],
)
def test_wrong_weights_are_refused_from_the_start(
    make_app: MakeApp, weights: list[object], fault: str
) -> None:
    variants = dict(zip(("control", "bold"), weights, strict=True))
    with pytest.raises(DefinitionError, match=fault) as caught:
        make_app({"headline": {"variants": variants}})
    assert all(
        place.path.startswith("experiments.headline.variants")
        for place in caught.value.faults
    )


@pytest.mark.check(25)
@pytest.mark.parametrize(
    "weights",
    [[THIRD, THIRD, THIRD], [33.4, 33.4, 33.4], [1, 1, 1], [1e-9, 1e-9, 1e-9]],
    ids=["thirds", "a little above 100", "whole", "tiny"],
)
def test_weights_are_divided_by_their_sum(
    make_app: MakeApp, browse: Browse, abx: ABX, weights: list[float]
) -> None:
    variants = dict(zip("abc", weights, strict=True))
    app = make_app(for_users(variants=variants), abx=abx)
    usual = make_app(for_users(variants=["a", "b", "c"]), abx=abx)

    for number in range(60):
        visit = browse(app).visit(X_User=str(number))
        assert visit.served == browse(usual).visit(X_User=str(number)).served
        assert visit.exposed == [f"headline:{visit.served}"]
        assert visit.cookie_names == [NAME]


@pytest.mark.check(28)
def test_more_traffic_moves_nobody(make_app: MakeApp, browse: Browse, abx: ABX) -> None:
    served: dict[float, dict[str, str]] = {}
    for traffic in (0.1, 0.2):
        app = make_app(for_users(traffic=traffic), abx=abx)
        visits = {str(n): browse(app).visit(X_User=str(n)) for n in range(800)}
        inside = {user: visit for user, visit in visits.items() if visit.exposed}
        assert all(
            visit.served == "control" and visit.is_silent
            for user, visit in visits.items()
            if user not in inside
        )
        assert all(visit.cookie_names == [NAME] for visit in inside.values())
        served[traffic] = {user: visit.served for user, visit in inside.items()}

    assert 46 <= len(served[0.1]) <= 114
    assert 114 < len(served[0.2]) <= 206
    assert served[0.1].items() <= served[0.2].items()


@pytest.mark.check(29)
def test_new_weights_move_only_new_visitors(make_app: MakeApp, browse: Browse) -> None:
    before = make_app({"headline": {"variants": {"control": 1, "bold": 1}}})
    after = make_app({"headline": {"variants": {"control": 0, "bold": 1}}})
    seen = []
    for _ in range(40):
        browser = browse(before)
        first = browser.visit()
        visit = browse(after, browser.jar).visit()
        assert (visit.served, visit.is_silent) == (first.served, True)
        seen.append(visit.served)
        fresh = browse(after).visit()
        assert (fresh.served, fresh.exposed) == ("bold", ["headline:bold"])
        assert fresh.cookie_names == [NAME]

    assert {"control", "bold"} == set(seen)


@pytest.mark.check(30)
def test_a_removed_experiment_serves_the_default_and_keeps_its_entry(
    make_app: MakeApp, browse: Browse, sign: Sign, caplog: pytest.LogCaptureFixture
) -> None:
    abx = ABX()
    app = make_app({"price": {"variants": ["low", "high"]}}, abx=abx)
    app.get("/price")(lambda: abx.variant("price"))
    browser = browse(app, {NAME: sign(f"1~{ANNA}~headline:1:bold")})
    gone = browser.visit()

    assert (gone.status, gone.served, gone.is_silent) == (200, "control", True)
    assert "Experiment 'headline' is not defined" in caplog.text
    price = browser.visit("/price")
    assert price.exposed == [f"price:{price.served}"]
    assert price.token == sign(f"1~{ANNA}~headline:1:bold~price:1:{price.served}")
    back = browse(make_app(), browser.jar).visit()
    assert (back.served, back.is_silent) == ("bold", True)


@pytest.mark.check(31)
@pytest.mark.parametrize(
    "salts",
    [
        pytest.param(({"salt": "same"}, {"salt": "same"}), id="both written"),
        pytest.param(({}, {"salt": "one"}), id="one default"),
        pytest.param(({}, {"salt": "layer:page"}), id="a layer's"),
    ],
)
def test_two_experiments_never_share_a_salt(
    make_app: MakeApp, salts: tuple[dict[str, str], dict[str, str]]
) -> None:
    body: dict[str, object] = {"variants": ["a", "b"]}
    layer = {"layer": "page", "range": [0, 0.5]}
    with pytest.raises(DefinitionError, match="give each its own salt"):
        make_app({"one": {**body, **layer, **salts[0]}, "two": {**body, **salts[1]}})


@pytest.mark.check(31)
def test_a_layer_keeps_experiments_apart(
    make_app: MakeApp, browse: Browse, abx: ABX
) -> None:
    body: dict[str, object] = {"variants": ["a", "b"], "layer": "page", "unit": "user"}
    app = make_app(
        {
            "one": {**body, "range": [0.0, 0.4]},
            "two": {**body, "range": [0.4, 0.9]},
        },
        abx=abx,
    )
    app.get("/both")(lambda: f"{abx.variant('one')} {abx.variant('two')}")
    visits = [browse(app).visit("/both", X_User=str(n)) for n in range(600)]

    met = [tuple(label.partition(":")[0] for label in v.exposed) for v in visits]
    assert {(), ("one",), ("two",)} == set(met)
    assert abs(met.count(("one",)) - 240) < 48
    assert abs(met.count(("two",)) - 300) < 49
    for visit, keys in zip(visits, met, strict=True):
        served = dict(zip(("one", "two"), visit.served.split(), strict=True))
        outside = {key: "a" for key in served if key not in keys}
        assert outside.items() <= served.items()
        assert visit.cookie_names == ([NAME] if keys else [])


@pytest.mark.check(32)
def test_an_unknown_experiment_serves_the_default_and_is_told_once(
    make_app: MakeApp, browse: Browse, caplog: pytest.LogCaptureFixture
) -> None:
    abx = ABX()
    app = make_app(abx=abx)
    app.get("/wrong")(lambda: abx.variant("headlin"))
    named = "/default", "default"
    app.add_url_rule(*named, lambda: abx.variant("headlin", default="bold"))
    visits = [browse(app).visit("/wrong") for _ in range(5)]

    assert {(visit.status, visit.served) for visit in visits} == {(200, "control")}
    assert all(visit.is_silent for visit in visits)
    assert browse(app).visit("/default").served == "bold"
    assert caplog.text.count("Experiment 'headlin' is not defined") == 1
    assert "'headline'" in caplog.text
    assert state_of(app).tally.counts["unknown_experiment:'headlin'"] == 6


@pytest.mark.check(32)
@pytest.mark.parametrize("setting", ["ABX_STRICT", "TESTING", "DEBUG"])
def test_an_unknown_experiment_raises_in_strict_mode(
    make_app: MakeApp, browse: Browse, setting: str
) -> None:
    abx = ABX()
    settings: dict[str, Any] = {setting: True}
    app = make_app(abx=abx, **settings)
    app.get("/wrong")(lambda: abx.variant("headlin"))
    told: list[Exception] = []

    @app.errorhandler(UnknownExperiment)
    def tell(error: UnknownExperiment) -> tuple[str, int]:
        told.append(error)
        return "told", 500

    visit = browse(app).visit("/wrong")
    assert (visit.status, visit.served, visit.is_silent) == (500, "told", True)
    assert "did you mean 'headline'" in str(told[0])


@pytest.mark.check(33)
def test_a_hundred_reads_are_one_resolution_and_one_exposure(
    make_app: MakeApp, browse: Browse
) -> None:
    abx, asked = ABX(), []

    @abx.attributes_loader
    def load() -> dict[str, object]:
        asked.append("attributes")
        return {"country": "CH"}

    @abx.segment("everybody")
    def everybody(attributes: Mapping[str, object]) -> bool:
        asked.append(str(attributes["country"]))
        return True

    audience = {"$segment": "everybody"}
    definition = {"variants": ["control", "bold"], "audience": audience}
    app = make_app({"headline": definition}, abx=abx)
    page = "{% for _ in range(100) %}{{ abx.variant('headline') }} {% endfor %}"
    app.get("/page")(lambda: render_template_string(page) + g.abx["headline"])
    visit = browse(app).visit("/page")

    assert len(visit.served.split()) == 101
    [variant] = set(visit.served.split())
    assert visit.exposed == [f"headline:{variant}"]
    assert asked == ["attributes", "CH"]
    assert visit.cookie_names == [NAME]


@pytest.mark.check(34)
def test_an_exposure_is_kept_when_the_page_fails(
    make_app: MakeApp, browse: Browse
) -> None:
    abx = ABX()
    app = make_app(abx=abx)

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError(abx.variant("headline"))

    browser = browse(app)
    visit = browser.visit("/fails")
    assert visit.status == 500
    [label] = visit.exposed
    assert visit.cookie_names == [NAME]
    again = browser.visit()
    assert (f"headline:{again.served}", again.is_silent) == (label, True)


@pytest.mark.check(34)
def test_a_page_that_was_not_modified_counts_once(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    from flask import Response, request

    abx = ABX()
    app = make_app(abx=abx)

    @app.get("/tagged")
    def tagged() -> Response:
        response = Response(abx.variant("headline"))
        response.add_etag()
        return response.make_conditional(request)  # type: ignore[return-value]  # werkzeug types it as its own Response

    tags = {
        name: browse(app, {NAME: sign(f"1~{ANNA}~headline:1:{name}")})
        .visit("/tagged")
        .headers["ETag"]
        for name in ("control", "bold")
    }
    browser = browse(app)
    first = browser.visit("/tagged", If_None_Match=", ".join(tags.values()))
    second = browser.visit("/tagged", If_None_Match=", ".join(tags.values()))

    assert (first.status, second.status) == (304, 304)
    [label] = first.exposed
    assert first.headers["ETag"] == tags[label.partition(":")[2]]
    assert first.cookie_names == [NAME]
    assert second.is_silent
    for visit in (first, second):
        assert visit.headers["Cache-Control"] == "private"
        assert visit.headers["Vary"] == "Cookie"
