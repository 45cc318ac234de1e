"""Simulated traffic: it comes in a rhythm, does what metrics ask for, and is marked."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.errors import (
    ChangeRefused,
    UnknownExperiment,
    UnknownVariant,
    UsageError,
)
from flask_abx.events.sql.storing import store
from flask_abx.experiments.lifecycle import Action
from flask_abx.results.looks.history import read_iteration
from flask_abx.results.simulation.scenario import Scenario
from flask_abx.runtime.state import state_of
from flask_abx.stores.change import Author, milliseconds_of
from flask_abx.stores.database import reading, writing
from tests.databases import ENGINES, fresh_database
from tests.events.sql.exports import exposure
from tests.results.crowded import (
    HEADLINE,
    NOW,
    crowd,
    crowded_app,
    database_of,
    define,
    rows,
    shares,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

DAY = 86_400_000
BEGAN = milliseconds_of(NOW) - 14 * DAY
VARIANTS = ["control", "bold"]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with crowded_app(tmp_path) as made:
        yield made


def expose_somebody(app: Flask) -> None:
    """Store an exposure that really happened."""
    database = database_of(app)
    with writing(database.own) as connection:
        store(connection, database.tables, [exposure()], lambda key: ("visitor",))


@pytest.mark.parametrize("kind", ENGINES)
def test_units_are_exposed_and_do_something_on_every_database(
    kind: str, tmp_path: Path
) -> None:
    with fresh_database(kind, tmp_path) as url, crowded_app(tmp_path, url=url) as app:
        done = crowd(app)
        exposures, events = rows(app, "exposures"), rows(app, "events")
        assert (len(exposures), len(events)) == (done.exposures, done.events)
        assert {row.variant for row in exposures} == set(VARIANTS)
        assert {row.version for row in (*exposures, *events)} == {"simulated"}
        assert rows(app, "event_units")
        assert rows(app, "links")


def test_the_same_seed_is_the_same_traffic(tmp_path: Path) -> None:
    found = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        folder = tmp_path / name
        folder.mkdir()
        with crowded_app(folder) as app:
            crowd(app, seed=seed)
            found.append([tuple(row)[:8] for row in rows(app, "exposures")])
    assert found[0] == found[1]
    assert {row[2] for row in found[0]}.isdisjoint(row[2] for row in found[2])


def test_units_get_what_the_application_would_give_them(app: Flask) -> None:
    crowd(app)
    rule = state_of(app).store.ruleset().rules["headline"]
    for row in rows(app, "exposures"):
        assert row.variant == rule.allocate(row.unit.removeprefix("visitor:")).variant


def test_everything_lies_within_the_days_of_the_traffic(app: Flask) -> None:
    done = crowd(app, days=14)
    moments = [row.first_at for row in rows(app, "exposures")]
    moments += [row.at for row in rows(app, "events")]
    assert min(moments) > BEGAN
    assert max(moments) < milliseconds_of(NOW)
    assert (done.began, done.ended) == (NOW - timedelta(days=14), NOW)


def test_nights_and_weekends_are_quiet(app: Flask) -> None:
    crowd(app, units=4_000)
    moments = [
        datetime.fromtimestamp(row.first_at / 1000, UTC)
        for row in rows(app, "exposures")
    ]
    hours = Counter(each.hour for each in moments)
    days = Counter(each.weekday() for each in moments)
    assert 4 * hours[3] < hours[19]
    assert days[5] + days[6] < 0.9 * (days[1] + days[2])


def test_some_come_again_some_are_late_and_bots_leave_no_trace(app: Flask) -> None:
    done = crowd(app, units=2_000)
    assert 0.15 < done.returning / done.units < 0.35
    assert 0 < done.late < done.events / 5
    assert done.bots == 60
    assert done.outside == {"bot": 60}
    assert len(rows(app, "exposures")) == 2_000


def test_an_effect_is_had_by_the_treatment(app: Flask) -> None:
    rates = {"signup": 0.2}
    crowd(app, Scenario("headline", effect=0.5), units=10_000, base_rates=rates)
    found = shares(app, "signup")
    assert found["control"] == pytest.approx(0.2, abs=0.02)
    assert found["bold"] == pytest.approx(0.3, abs=0.02)


def test_further_treatments_have_half_of_the_effect(tmp_path: Path) -> None:
    three = {"headline": {"variants": ["control", "a", "b"], "metrics": "signup"}}
    with crowded_app(tmp_path, three) as app:
        scenario = Scenario("headline", effect=1.0)
        crowd(app, scenario, units=9_000, base_rates={"signup": 0.2})
        found = shares(app, "signup")
    assert found["a"] == pytest.approx(0.4, abs=0.03)
    assert found["b"] == pytest.approx(0.3, abs=0.03)


def test_effects_may_be_given_by_variant(tmp_path: Path) -> None:
    three = {"headline": {"variants": ["control", "a", "b"], "metrics": "signup"}}
    with crowded_app(tmp_path, three) as app:
        scenario = Scenario("headline", effects={"b": 1.0})
        crowd(app, scenario, units=9_000, base_rates={"signup": 0.2})
        found = shares(app, "signup")
    assert found["a"] == pytest.approx(0.2, abs=0.03)
    assert found["b"] == pytest.approx(0.4, abs=0.03)


def test_a_guardrail_has_no_effect(tmp_path: Path) -> None:
    guarded = {
        "headline": {
            "variants": VARIANTS,
            "metrics": {"primary": ["signup"], "guardrail": ["refund"]},
        }
    }
    with crowded_app(tmp_path, guarded) as app:
        scenario = Scenario("headline", effect=1.0)
        crowd(app, scenario, units=8_000, base_rates={"refund": 0.2})
        found = shares(app, "refund")
    assert found["bold"] == pytest.approx(found["control"], abs=0.03)


def test_a_redirect_loses_units_of_one_variant(app: Flask) -> None:
    done = crowd(app, Scenario("headline", lost={"bold": 0.5}), units=2_000)
    counts = Counter(row.variant for row in rows(app, "exposures"))
    assert counts["bold"] == pytest.approx(counts["control"] / 2, rel=0.1)
    assert counts["bold"] + counts["control"] + done.lost == 2_000


def test_experiments_that_are_simulated_together_share_their_visitors(
    tmp_path: Path,
) -> None:
    two = {key: {"variants": VARIANTS, "metrics": "order"} for key in ("one", "two")}
    with crowded_app(tmp_path, two) as app:
        crowd(app, Scenario("one"), Scenario("two"))
        units = {key: set[str]() for key in two}
        for row in rows(app, "exposures"):
            units[row.experiment].add(row.unit)
        labels = [json.loads(row.variants) for row in rows(app, "events")]
    assert units["one"] == units["two"]
    assert all(each.keys() == two.keys() for each in labels)


def test_experiments_on_other_units_are_met_by_others(tmp_path: Path) -> None:
    two = {
        "browsers": {"variants": VARIANTS, "metrics": "order"},
        "people": {"variants": VARIANTS, "metrics": "order", "unit": "user"},
    }
    with crowded_app(tmp_path, two) as app:
        done = crowd(app, Scenario("browsers"), Scenario("people"))
    assert done.exposed == {"browsers": 400, "people": 400}


@pytest.mark.parametrize(
    ("unit", "kinds"),
    [
        ("visitor", {"visitor"}),
        ("user", {"user"}),
        (["user", "visitor"], {"user", "visitor"}),
        ("tenant", {"tenant"}),
        (["tenant", "user"], {"tenant"}),
    ],
    ids=["visitor", "user", "both", "tenant", "tenant-or-user"],
)
def test_every_type_of_unit_is_exposed(
    unit: object, kinds: set[str], tmp_path: Path
) -> None:
    with crowded_app(
        tmp_path, {"headline": {**HEADLINE["headline"], "unit": unit}}
    ) as app:
        done = crowd(app)
        found = rows(app, "exposures")
    assert {row.unit.partition(":")[0] for row in found} == kinds
    assert (
        sum(row.merged_into is None for row in found) == done.exposed["headline"] == 400
    )


def test_who_logs_in_keeps_the_variant_and_is_one_unit(tmp_path: Path) -> None:
    both = {"headline": {**HEADLINE["headline"], "unit": ["user", "visitor"]}}
    with crowded_app(tmp_path, both) as app:
        crowd(app, units=4_000)
        found = {row.unit: row for row in rows(app, "exposures")}
    merged = [row for row in found.values() if row.merged_into]
    mixed = sum(row.mixed for row in found.values())
    assert len(merged) > 50
    assert mixed < 0.001 * len(found)
    same = [row.variant == found[row.merged_into].variant for row in merged]
    assert sum(same) >= len(same) - mixed


def test_some_people_have_two_devices(app: Flask) -> None:
    crowd(app, units=2_000)
    devices = Counter(row.unit for row in rows(app, "links"))
    assert sum(count == 2 for count in devices.values()) > 10


def test_dimensions_are_kept(tmp_path: Path) -> None:
    with_country = {
        "headline": {**HEADLINE["headline"], "dimensions": ["country", "team"]}
    }
    with crowded_app(tmp_path, with_country) as app:
        crowd(app)
        found = [json.loads(row.dimensions) for row in rows(app, "exposures")]
    assert len({each["country"] for each in found}) > 3
    assert {each["team"] for each in found} == {"team-a", "team-b", "team-c"}


def test_most_but_not_all_are_in_the_audience(tmp_path: Path) -> None:
    audience = {"$and": [{"geo.country": {"$in": ["DE", "AT"]}}, {"age": {"$gt": 17}}]}
    only = {"headline": {**HEADLINE["headline"], "audience": audience}}
    with crowded_app(tmp_path, only) as app:
        done = crowd(app)
    assert 200 < done.exposed["headline"] < 400
    assert done.outside["audience"] == 400 - done.exposed["headline"]


def test_a_group_that_an_audience_lists_is_used(tmp_path: Path) -> None:
    firms = {
        "headline": {
            **HEADLINE["headline"],
            "unit": "tenant",
            "audience": {"tenant": {"$inGroup": "business"}},
        }
    }
    groups = {"business": ["acme", "globex"]}
    with crowded_app(tmp_path, firms, segments=groups) as app:
        assert crowd(app).exposed == {"headline": 2}
        assert {row.unit for row in rows(app, "exposures")} == {
            "tenant:acme",
            "tenant:globex",
        }


def test_only_the_traffic_is_exposed(tmp_path: Path) -> None:
    half = {"headline": {**HEADLINE["headline"], "traffic": 0.5, "consent": "ads"}}
    with crowded_app(tmp_path, half) as app:
        done = crowd(app)
    assert done.exposed["headline"] + done.outside["traffic"] == 400


@pytest.mark.parametrize("status", ["draft", "paused", "concluded", "archived"])
def test_an_experiment_that_does_not_run_is_refused(
    status: str, tmp_path: Path
) -> None:
    ends = {"concluded", "archived"}
    more = {"winner": "bold"} if status in ends else {}
    stopped = {"headline": {**HEADLINE["headline"], "status": status, **more}}
    with crowded_app(tmp_path, stopped) as app:
        with pytest.raises(ChangeRefused, match=rf"is {status}.*run `flask abx"):
            crowd(app)
        assert not rows(app, "exposures")


@pytest.mark.parametrize(
    "fields",
    [{"closed": True}, {"start_at": "2024-01-15T13:00:00Z"}],
    ids=["closed", "not-started"],
)
def test_an_experiment_that_lets_nobody_in_is_refused(
    fields: dict[str, object], tmp_path: Path
) -> None:
    shut = {"headline": {**HEADLINE["headline"], **fields}}
    refused = pytest.raises(ChangeRefused, match="flask abx")
    with crowded_app(tmp_path, shut) as app, refused:
        crowd(app)


def test_traffic_begins_with_the_experiment(tmp_path: Path) -> None:
    start = NOW - timedelta(days=3)
    later = {"headline": {**HEADLINE["headline"], "start_at": start.isoformat()}}
    with crowded_app(tmp_path, later) as app:
        assert crowd(app).began == start


def test_real_exposures_refuse_it(app: Flask) -> None:
    expose_somebody(app)
    with pytest.raises(ChangeRefused, match="not simulated"):
        crowd(app)
    assert len(rows(app, "exposures")) == 1


def test_who_insists_adds_to_real_exposures_since_the_start(app: Flask) -> None:
    expose_somebody(app)
    before = rows(app, "epochs"), rows(app, "changes")
    now = datetime.now(UTC) + timedelta(days=1)
    done = crowd(app, force=True, now=now)
    assert done.began > now - timedelta(days=2)
    assert (rows(app, "epochs"), rows(app, "changes")) == before
    assert len(rows(app, "exposures")) == 401


def test_unknown_names_are_told(app: Flask) -> None:
    with pytest.raises(UnknownExperiment, match="'hedline'"):
        crowd(app, Scenario("hedline"))
    with pytest.raises(UnknownVariant, match=r"'loud'.*'control', 'bold'"):
        crowd(app, Scenario("headline", effects={"loud": 0.1}))


@pytest.mark.parametrize(
    "options",
    [{"days": 0}, {"days": 401}, {"units": 0}, {"base_rates": {"signup": 1.5}}],
    ids=str,
)
def test_numbers_that_make_no_sense_are_refused(
    options: dict[str, Any], app: Flask
) -> None:
    with pytest.raises(UsageError, match="must be"):
        crowd(app, **options)


@pytest.mark.parametrize(
    "fields", [{"effect": -1.0}, {"effects": {"bold": 11.0}}, {"lost": {"bold": 2.0}}]
)
def test_scenarios_that_make_no_sense_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="must be"):
        Scenario("headline", **fields)  # type: ignore[arg-type]  # wrong on purpose


def test_the_experiment_is_told_to_have_begun_with_the_traffic(app: Flask) -> None:
    assert crowd(app).moved == ("headline",)
    (epoch,) = rows(app, "epochs")
    (change,) = rows(app, "changes")
    assert epoch.started_at == change.effective_at == BEGAN
    assert "moved by flask abx simulate" in change.note
    assert crowd(app, now=datetime.now(UTC) + timedelta(days=30)).moved == ()


def test_the_history_fits_the_traffic(tmp_path: Path) -> None:
    planned = {
        "headline": {**HEADLINE["headline"], "status": "draft", "plan": {"units": 400}}
    }
    metrics = {"signup": {"event": "register"}}
    with crowded_app(tmp_path, planned, metrics=metrics) as app:
        define(app, {"metrics": {"signup": {"event": "enrol"}}})
        state, database = state_of(app), database_of(app)
        assert state.editor is not None
        state.editor.move("headline", Action.START, Author("Ann", "python", ""))
        state.store.load()
        crowd(app)
        with reading(database.own) as connection:
            found = read_iteration(
                connection, database.tables, state.store.document(), "headline", 1
            )
    assert found.started_at == BEGAN
    assert found.is_plan_valid
    assert found.late_metrics == found.changed_metrics == frozenset()
    assert not found.changed_midrun
    assert found.epochs[0].began == BEGAN


def test_simulating_again_replaces_what_was_simulated(app: Flask) -> None:
    crowd(app, seed=2)
    done = crowd(app, Scenario("headline", effect=0.5), days=7)
    assert done.cleared.exposures == 400
    assert len(rows(app, "exposures")) == 400
    assert len(rows(app, "events")) == done.events
    assert rows(app, "epochs")[0].started_at == BEGAN + 7 * DAY


def test_progress_is_told(app: Flask) -> None:
    told: list[tuple[int, int]] = []
    crowd(app, units=6_000, tell=lambda *counts: told.append(counts))
    assert len(rows(app, "exposures")) == 6_000
    assert told == [(500, 6_000)] * 12
