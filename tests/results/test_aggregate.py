"""What is added up of each kind of metric, the same in every database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import inspect, text

from flask_abx.results.aggregate import aggregate
from flask_abx.results.scanning.sums import Cap, Exposed, Group
from tests.results.tilled import DAY, HOUR, START

if TYPE_CHECKING:
    from tests.results.tilled import Field

CONTROL, BOLD = Group("control", 1), Group("bold", 1)
SUM = {"kind": "sum", "event": "order"}


def test_nothing_is_found_of_a_run_without_units(ground: Field) -> None:
    found = ground.found({"signup": {}})
    assert (found.exposed, dict(found.sums)) == ({}, {"signup": {}})


def test_a_conversion_counts_a_unit_once(ground: Field) -> None:
    ground.exposed("a")
    ground.exposed("b")
    ground.did("a", "signup", HOUR)
    ground.did("a", "signup", 2 * HOUR)
    sums = ground.sums({"event": "signup"})
    assert (sums.n, sums.nonzero, sums.y, sums.yy) == (2, 1, 1.0, 1.0)


def test_a_count_has_its_powers(ground: Field) -> None:
    ground.exposed("a")
    ground.exposed("b", at=DAY)
    for hour in range(3):
        ground.did("a", "view", hour * HOUR)
    sums = ground.sums({"kind": "count", "event": "view"})
    assert (sums.y, sums.yy, sums.yyy, sums.highest, sums.days) == (3, 9, 27, 3, 59)


def test_a_sum_leaves_out_events_without_a_value(ground: Field) -> None:
    ground.exposed("a")
    ground.did("a", "order", HOUR, 2.5)
    ground.did("a", "order", HOUR, None)
    sums = ground.sums(SUM)
    assert (sums.y, sums.yy, sums.raw, sums.bad) == (2.5, 6.25, 2.5, 0)


def test_a_mean_divides_by_the_events_with_a_value(ground: Field) -> None:
    ground.exposed("a")
    for value in (2.0, 4.0, None):
        ground.did("a", "order", HOUR, value)
    sums = ground.sums({"kind": "mean", "event": "order"})
    assert (sums.y, sums.d, sums.yd, sums.dd, sums.yyd) == (6, 2, 12, 4, 72)


def test_a_ratio_has_two_parts(ground: Field) -> None:
    ground.exposed("a")
    ground.did("a", "click", HOUR)
    ground.did("a", "click", HOUR)
    ground.did("a", "visit", HOUR, 5)
    parts = {
        "numerator": {"event": "click"},
        "denominator": {"event": "visit", "of": "sum"},
    }
    sums = ground.sums({"kind": "ratio", **parts})
    assert (sums.y, sums.d, sums.yd, sums.ydd, sums.ddd) == (2, 5, 10, 50, 125)


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        pytest.param(-2_001, 0, id="before"),
        pytest.param(-2_000, 1, id="within the tolerance"),
        pytest.param(DAY - 1, 1, id="in the last millisecond"),
        pytest.param(DAY, 0, id="after"),
    ],
)
def test_a_window_has_its_first_moment_and_not_its_last(
    ground: Field, at: int, counts: int
) -> None:
    ground.exposed("a")
    ground.did("a", "signup", at)
    assert ground.sums({"event": "signup", "window": "1d"}).y == counts


@pytest.mark.parametrize(("at", "counts"), [(HOUR - 1, 0), (HOUR, 1), (3 * HOUR, 0)])
def test_a_delay_has_no_tolerance(ground: Field, at: int, counts: int) -> None:
    ground.exposed("a")
    ground.did("a", "visit", at)
    metric = {"kind": "retention", "event": "visit", "delay": "1h", "window": "2h"}
    assert ground.sums(metric).y == counts


@pytest.mark.parametrize(("after", "n"), [(DAY - 1, 0), (DAY, 1)])
def test_a_unit_is_judged_once_its_window_is_closed(
    ground: Field, after: int, n: int
) -> None:
    ground.exposed("a")
    ground.did("a", "order", HOUR, 3)
    sums = ground.sums({**SUM, "window": "1d"}, after=after)
    assert (sums.n, sums.immature, sums.y) == (n, 1 - n, 3.0 * n)


def test_what_was_before_the_exposure_is_the_covariate(ground: Field) -> None:
    ground.exposed("a")
    ground.exposed("b")
    for at in (-2_001, -DAY, -DAY - 1, HOUR):
        ground.did("a", "order", at, 2)
    sums = ground.sums({**SUM, "covariate": "1d"})
    assert (sums.x, sums.y, sums.yx, sums.xx, sums.history) == (4, 2, 8, 16, 1)


def test_a_mean_has_four_letters(ground: Field) -> None:
    ground.exposed("a")
    ground.did("a", "order", -HOUR, 2)
    ground.did("a", "order", HOUR, 3)
    ground.did("a", "order", HOUR, 4)
    sums = ground.sums({"kind": "mean", "event": "order", "covariate": "1d"})
    assert (sums.yw, sums.dx, sums.dw, sums.xw, sums.ww) == (7, 4, 2, 2, 1)


def test_units_that_became_another_are_nobody(ground: Field) -> None:
    ground.exposed("a")
    ground.exposed("b", merged_into="visitor:a")
    ground.exposed("c", "bold", DAY, mixed=1, stored_at=START)
    found = ground.found({"signup": {}})
    assert found.exposed[CONTROL] == Exposed(units=1, linked=1, last_at=START)
    late = Exposed(units=1, mixed=1, ahead=1, last_at=START + DAY)
    assert found.exposed[BOLD] == late


def test_units_with_events_are_told_from_those_with_earlier_ones(ground: Field) -> None:
    for unit in "abc":
        ground.exposed(unit)
    for unit, at in (("a", HOUR), ("a", -DAY), ("b", -90 * DAY)):
        ground.did(unit, "signup", at)
    ground.did("c", "other", HOUR)
    told = ground.found({"signup": {}}).exposed[CONTROL]
    assert (told.with_events, told.with_earlier) == (1, 1)


def test_mixed_units_are_left_out_where_that_is_asked(ground: Field) -> None:
    ground.experiment["analysis"] = {"mixed": "exclude"}
    ground.exposed("a", mixed=1)
    ground.exposed("b")
    for unit in "ab":
        ground.did(unit, "order", HOUR, 3)
    found = ground.found({"order": SUM})
    sums = found.sums["order"][CONTROL]
    assert (sums.n, sums.immature, sums.y, sums.days) == (1, 0, 3, 30)
    assert found.exposed[CONTROL].units == 2


def test_epochs_are_told_apart(ground: Field) -> None:
    ground.exposed("a")
    ground.exposed("b", epoch=2)
    ground.did("b", "signup", HOUR)
    sums = ground.found({"signup": {}}).sums["signup"]
    assert {group.epoch: each.y for group, each in sums.items()} == {1: 0, 2: 1}


def test_events_at_the_end_count_no_more(ground: Field) -> None:
    ground.exposed("a")
    ground.exposed("b", at=DAY)
    ground.did("a", "signup", DAY - 1)
    ground.did("a", "signup", DAY)
    sums = ground.sums({"kind": "count", "event": "signup"}, end=START + DAY)
    assert (sums.n, sums.y) == (1, 1)


def test_the_final_look_stops_at_a_unit(ground: Field) -> None:
    for unit in ("B", "a", "b"):
        ground.exposed(unit)
    last = ground.nth(2)
    assert last == (START, "visitor:a")
    assert ground.sums({"event": "signup"}, last=last).n == 2
    assert ground.nth(4) is None


@pytest.mark.parametrize(
    ("where", "counts"),
    [
        pytest.param({"tea": "sencha"}, 1, id="text"),
        pytest.param({"tea": ["mate", "sencha"]}, 1, id="one of"),
        pytest.param({"tea": "Sencha"}, 0, id="another case"),
        pytest.param({"gift": True}, 1, id="boolean"),
        pytest.param({"gift": "true"}, 1, id="boolean as text"),
        pytest.param({"size": 1.5}, 1, id="number"),
        pytest.param({"count": 1}, 1, id="whole number"),
        pytest.param({"count": 1.0}, 0, id="another spelling"),
        pytest.param({"code": "1"}, 1, id="text of digits"),
        pytest.param({"tags": '["a"]'}, 0, id="list"),
        pytest.param({"none": "null"}, 0, id="null"),
        pytest.param({"none": {"$exists": True}}, 0, id="null is not there"),
        pytest.param({"none": {"$exists": False}}, 1, id="null is missing"),
        pytest.param({"tags": {"$exists": True}}, 1, id="there"),
        pytest.param({"other": {"$exists": True}}, 0, id="missing"),
        pytest.param({"deep": {"$exists": True}, "a": "b"}, 0, id="top level only"),
        pytest.param({'qu"ote': 'a"\\b'}, 1, id="quotes"),
        pytest.param({"grün": "tüé\u2028"}, 1, id="letters"),
        pytest.param({"tea": "sencha", "gift": False}, 0, id="both"),
    ],
)
def test_properties_are_compared_as_text(
    ground: Field, where: dict[str, Any], counts: int
) -> None:
    ground.exposed("a")
    told: dict[str, Any] = {"tea": "sencha", "gift": True, "size": 1.5, "count": 1}
    told |= {"code": "1", "tags": ["a"], "none": None, "deep": {"a": "b"}}
    told |= {'qu"ote': 'a"\\b', "grün": "tüé\u2028", "nul": "\0", "half": "\ud800"}
    ground.did("a", "order", HOUR, 1, **told)
    for metric in ({"event": "order"}, {"kind": "count", "event": "order"}):
        assert ground.sums({**metric, "where": where}).y == counts


def test_only_values_within_bounds_count(ground: Field) -> None:
    ground.exposed("a")
    for value in (1, 2, 3, 4, None):
        ground.did("a", "order", HOUR, value)
    bounds = {"min_value": 2, "max_value": 3}
    assert ground.sums({"kind": "count", "event": "order", **bounds}).y == 2


def test_a_cap_is_the_nearest_rank_of_all_variants(ground: Field) -> None:
    for number in range(40):
        ground.exposed(str(number), "control" if number % 2 else "bold")
        ground.did(str(number), "order", HOUR, number + 1)
    found = ground.found({"order": {**SUM, "cap": 0.98}})
    assert found.caps == {"order": Cap(40.0)}
    found = ground.found({"order": {**SUM, "cap": 0.95}})
    assert found.caps == {"order": Cap(38.0)}
    sums = found.sums["order"][CONTROL]
    assert (sums.capped, sums.y, sums.raw, sums.highest) == (1, 418, 420, 40)
    assert (sums.raw_squares, sums.yy) == (11480, 11480 - 1600 + 38 * 38)


@pytest.mark.parametrize(
    ("having", "reason"),
    [
        pytest.param(0, "would be zero", id="zero"),
        pytest.param(30, "would touch 4 of 30", id="too many"),
    ],
)
def test_a_cap_is_skipped_and_says_so(ground: Field, having: int, reason: str) -> None:
    for number in range(40):
        ground.exposed(str(number))
        if number < having:
            ground.did(str(number), "order", HOUR, number + 1)
    found = ground.found({"order": {**SUM, "cap": 0.9}})
    assert found.caps["order"].value is None
    assert reason in found.caps["order"].reason
    assert found.sums["order"][CONTROL].capped == 0


def test_a_large_mean_is_taken_off_first(ground: Field) -> None:
    for number in range(4):
        ground.exposed(str(number), "control" if number % 2 else "bold")
        ground.did(str(number), "order", HOUR, 1e9 + number)
    sums = ground.found({"order": SUM}).sums["order"]
    assert {each.shift_y for each in sums.values()} == {1e9 + 1.5}
    assert (sums[CONTROL].y, sums[CONTROL].yy) == (1, 2.5)
    assert sums[CONTROL].raw == 2e9 + 4


def test_values_that_cannot_be_reckoned_with_are_counted(ground: Field) -> None:
    ground.exposed("a", dimensions='{"country":"DE"}')
    for value in (1.0, 1e300, 1e-300):
        ground.did("a", "order", HOUR, value)
    found = ground.found({"order": SUM}, dimensions=["country"])
    sums = found.sums["order"][CONTROL]
    assert (sums.y, sums.bad) == (1, 1)
    (sums,) = found.sums_by["country"]["order"].values()
    assert (sums.y, sums.bad) == (1, 1)


def test_what_is_next_to_nothing_breaks_no_scan(ground: Field) -> None:
    ground.exposed("a")
    ground.did("a", "order", HOUR, 1e-200)
    sums = ground.sums(SUM)
    assert sums.nonzero == 1
    assert sums.y == pytest.approx(0, abs=1e-75)


def test_what_the_file_of_a_database_may_hold_breaks_no_scan(ground: Field) -> None:
    wrong = {"sqlite": ["'much'", "9e999", "x'00'"], "mariadb": ["1e300"]}
    kind = ground.database.own.dialect.name
    values = wrong.get(kind, ["'NaN'", "'-Infinity'"] if kind[0] == "p" else ["1e300"])
    ground.exposed("a")
    for value in values:
        ground.did("a", "order", HOUR, 1)
        with ground.database.own.begin() as connection:
            table = ground.database.tables.event_units.name
            update = f"UPDATE {table} SET value = {value} WHERE value = 1"  # noqa: S608 - of our own
            connection.execute(text(update))
    ground.did("a", "order", HOUR, 1)
    sums = ground.sums(SUM)
    assert (sums.y, sums.bad) == (1, len(values))


def test_dimensions_part_the_units(ground: Field) -> None:
    for unit, told in (("a", '{"lang":"de"}'), ("b", '{"lang":7}'), ("c", "{}")):
        ground.exposed(unit, dimensions=told)
    ground.exposed("d", merged_into="visitor:a")
    ground.did("a", "signup", HOUR)
    found = ground.found({"signup": {}}, dimensions=["lang", "land"])
    sums = found.sums_by["lang"]["signup"]
    assert {group.value: each.y for group, each in sums.items()} == {
        "de": 1,
        "7": 0,
        None: 0,
    }
    assert found.exposed_by["lang"][Group("control", 1, "de")].linked == 1
    assert found.exposed_by["land"][CONTROL].units == 3
    assert found.sums["signup"][CONTROL].n == 3


def test_long_values_of_a_dimension_are_cut(ground: Field) -> None:
    ground.exposed("a", dimensions=json.dumps({"agent": "\u00e9" * 100}))
    by = ground.found({"signup": {}}, dimensions=["agent"]).exposed_by["agent"]
    ((group, _),) = by.items()
    assert group.value == "\u00e9" * 42


def test_rare_values_of_a_dimension_are_put_together(ground: Field) -> None:
    for number in range(23):
        for copy in range(2 if number < 20 else 1):
            told = f'{{"city":"c{number:02}"}}'
            ground.exposed(f"{number}-{copy}", dimensions=told)
    by = ground.found({"signup": {}}, dimensions=["city"]).exposed_by["city"]
    assert by[Group("control", 1, "other")].units == 3
    assert len(by) == 21


def test_nothing_is_left_behind(ground: Field) -> None:
    ground.exposed("a")
    metric = {**SUM, "where": {"a": "b"}}
    with ground.connected() as connection:
        run, tables = ground.iteration(), ground.database.tables
        asked = ground.measures({"order": metric})
        aggregate(connection, tables, run, asked, as_of=START + DAY)
        assert not inspect(connection).has_table("flask_abx_scan_1")
        assert not inspect(connection).has_table("flask_abx_scan_2")


def test_a_table_of_the_application_is_never_dropped(ground: Field) -> None:
    ground.exposed("a")
    with ground.database.own.begin() as connection:
        connection.execute(text("CREATE TABLE flask_abx_scan_1 (id INT)"))
    ground.found({"order": SUM})
    with ground.database.own.begin() as connection:
        assert inspect(connection).has_table("flask_abx_scan_1")
        connection.execute(text("DROP TABLE flask_abx_scan_1"))


def test_the_events_of_units_are_named_where_nothing_is_measured(ground: Field) -> None:
    ground.exposed("a")
    ground.exposed("b")
    for name, at in (("view", HOUR), ("signup", HOUR), ("old", -DAY)):
        ground.did("a", name, at)
    found = ground.found()
    assert found.event_names == ("signup", "view")
    assert found.exposed[CONTROL].with_events == 1


def test_a_run_in_which_no_events_arrive_says_so(ground: Field) -> None:
    for number in range(500):
        ground.exposed(str(number))
    ground.did("nobody", "other", HOUR)
    assert not ground.found({"signup": {}}).events_arrive
    ground.did("nobody", "signup", HOUR)
    assert ground.found({"signup": {}}).events_arrive
