"""What must hold for every salt: each run takes new ones and tells its seed.

A chi-square test fails below p = 1e-6 and a share beyond 4 sigma under two fresh salts
in a row. With nothing wrong, one run in 150,000 is red: ABX_TEST_SEED repeats it.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from flask_abx.assignment.decide import Person, decide
from flask_abx.assignment.decision import Reason
from flask_abx.assignment.position import position
from flask_abx.assignment.ruleset import Rule, compile_ruleset
from flask_abx.experiments.definition import parse
from flask_abx.runtime.unit import unit_id

if TYPE_CHECKING:
    from random import Random

NOW = datetime(2030, 1, 1, tzinfo=UTC)
UNITS = 20_000
MakeRule = Callable[..., Rule]


def variant_of(rule: Rule, who: str) -> str | None:
    """Name the variant of a unit, or None outside the experiment."""
    assignment = decide(rule, Person(units={"user": who}), NOW)
    return assignment.variant if assignment.in_experiment else None


def sequential_integers(chance: Random) -> list[str]:
    """Ids as a database counts them."""
    first = chance.randrange(10**6)
    return [str(first + number) for number in range(UNITS)]


def uuids(chance: Random) -> list[str]:
    """Ids as a library draws them."""
    return [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(UNITS)]


def emails(chance: Random) -> list[str]:
    """Ids that share all but a few characters."""
    domain = f"{chance.getrandbits(32):x}.example"
    return [f"user{number}@{domain}" for number in range(UNITS)]


def p_of_independence(pairs: Iterable[tuple[object, object]]) -> float:
    """Give the p-value of a chi-square test on a table of three by two."""
    cells = Counter(pairs)
    rows, columns = Counter[object](), Counter[object]()
    for (row, column), count in cells.items():
        rows[row] += count
        columns[column] += count
    assert (len(rows), len(columns)) == (3, 2)
    total = cells.total()
    statistic = 0.0
    for row, in_row in rows.items():
        for column, in_column in columns.items():
            expected = in_row * in_column / total
            statistic += (cells[row, column] - expected) ** 2 / expected
    # With two degrees of freedom the tail has this closed form.
    return math.exp(-statistic / 2)


def sigmas(found: Counter[str | None], shares: dict[str | None, float]) -> float:
    """Give the largest distance of a count from its share, in standard deviations."""
    total = found.total()
    return max(
        abs(found[variant] - total * share) / math.sqrt(total * share * (1 - share))
        for variant, share in shares.items()
    )


@pytest.mark.parametrize("ids_of", [sequential_integers, uuids, emails])
def test_two_experiments_are_independent(
    chance: Random, make_rule: MakeRule, ids_of: Callable[[Random], list[str]]
) -> None:
    """What a unit gets in one experiment says nothing about another.

    Kills: crc_for_hash, salt_ignored
    """
    three, two = make_rule(variants=["control", "b", "c"]), make_rule()
    pairs = ((variant_of(three, i), variant_of(two, i)) for i in ids_of(chance))
    assert p_of_independence(pairs) > 1e-6


def test_a_restart_with_a_raised_weight_deals_anew(
    chance: Random, make_rule: MakeRule
) -> None:
    """The next iteration is independent of the last, whatever its weights.

    Kills: iteration_without_salt
    """
    weights = {"control": 1, "b": 1, "c": 1}
    before = make_rule(variants=weights)
    after = make_rule(
        before.key, iteration=2, traffic=1, variants={"control": 1, "b": 3}
    )
    ids = sequential_integers(chance)
    pairs = ((variant_of(before, i), variant_of(after, i)) for i in ids)
    assert p_of_independence(pairs) > 1e-6


def test_a_layer_and_its_experiment_are_independent(
    chance: Random, make_rule: MakeRule
) -> None:
    """Inside the range of a layer the experiment's own salt decides.

    Kills: layer_position_reused
    """
    layer = f"{chance.getrandbits(64):016x}"
    rule = make_rule(layer=layer, range=[0.0, 0.9], variants=["control", "b"])
    pairs = []
    for who in sequential_integers(chance):
        third = int(position(f"layer:{layer}", who) / 0.3)
        pairs.append((third, variant_of(rule, who)))
    assert p_of_independence(pair for pair in pairs if pair[0] < 3) > 1e-6


@pytest.mark.parametrize(
    ("fields", "shares"),
    [
        pytest.param({}, {"control": 0.5, "treatment": 0.5}, id="halves"),
        pytest.param(
            {"variants": {"control": 90, "treatment": 10}},
            {"control": 0.9, "treatment": 0.1},
            id="ninety-ten",
        ),
        pytest.param(
            {"variants": {"control": 2, "b": 5, "c": 3}},
            {"control": 0.2, "b": 0.5, "c": 0.3},
            id="three-variants",
        ),
        pytest.param(
            {"traffic": 0.2},
            {"control": 0.1, "treatment": 0.1, None: 0.8},
            id="traffic-0.2",
        ),
    ],
)
def test_weights_are_met(
    chance: Random,
    make_rule: MakeRule,
    fields: dict[str, Any],
    shares: dict[str | None, float],
) -> None:
    """Shares lie within 4 sigma of what was asked for.

    Kills: shift_without_scale, weights_not_divided
    """
    ids = sequential_integers(chance)
    rules = (make_rule(**fields) for _ in range(2))
    counts = (Counter(variant_of(rule, who) for who in ids) for rule in rules)
    assert any(sigmas(found, shares) < 4 for found in counts)


def test_raising_the_traffic_moves_nobody(chance: Random, make_rule: MakeRule) -> None:
    """Who is in stays in, with the same variant.

    Kills: traffic_scales_starts
    """
    weights = {"control": 1 + chance.random(), "b": 1, "c": 1 + chance.random()}
    rising = [*sorted(chance.random() for _ in range(6)), 1.0]
    key = make_rule().key
    rules = [make_rule(key, variants=weights, traffic=share) for share in rising]
    for who in sequential_integers(chance)[:3000]:
        met = [variant_of(rule, who) for rule in rules]
        entered = met[-1]
        inside = [variant for variant in met if variant is not None]
        assert met == [None] * (len(met) - len(inside)) + [entered] * len(inside)


def test_layers_exclude_exactly(chance: Random) -> None:
    """Where ranges cover a layer, each unit passes one of them and no other.

    Kills: layer_with_own_salt
    """
    cuts = [0.0, *sorted(chance.random() for _ in range(4)), 1.0]
    experiments = {
        f"{chance.getrandbits(64):016x}": {
            "unit": "user",
            "variants": ["control", "b"],
            "layer": "shared",
            "range": [low, high],
        }
        for low, high in pairwise(cuts)
    }
    layers = {"shared": {"salt": f"{chance.getrandbits(64):016x}"}}
    document = parse({"experiments": experiments, "layers": layers})
    rules = compile_ruleset(document, "test", {}).rules.values()
    for who in sequential_integers(chance)[:3000]:
        person = Person(units={"user": who})
        reasons = [decide(rule, person, NOW).reason for rule in rules]
        assert sorted(set(reasons)) == [Reason.ALLOCATED, Reason.LAYER]
        assert reasons.count(Reason.ALLOCATED) == 1


def test_a_number_a_uuid_and_their_text_are_one_unit(
    chance: Random, make_rule: MakeRule
) -> None:
    """An id counts as ``str(id)``, whatever its type.

    Kills: id_by_repr
    """
    rule = make_rule(variants=[f"v{number}" for number in range(10)])
    numbers = [chance.randrange(-(10**12), 10**24) for _ in range(100)]
    known = [UUID(int=chance.getrandbits(128)) for _ in range(100)]
    for given in [*numbers, *known]:
        taken, written = unit_id(given), unit_id(str(given))
        assert taken == written == str(given)
        assert variant_of(rule, taken) == variant_of(rule, str(given))


def test_salt_and_unit_do_not_run_together(chance: Random) -> None:
    """The same characters, cut elsewhere, are another salt and another unit.

    Kills: salt_without_nul
    """
    text = f"{chance.getrandbits(256):064x}"
    places = {position(text[:cut], text[cut:]) for cut in range(1, len(text))}
    assert len(places) == len(text) - 1


@pytest.mark.parametrize(
    "spellings",
    [
        pytest.param(
            [unicodedata.normalize(f, "Zoë") for f in ("NFC", "NFD")], id="form"
        ),
        pytest.param(["ada", "Ada", "ADA"], id="case"),
        pytest.param(["7", " 7", "7 ", "07", "7\n"], id="padding"),
        pytest.param(["\ud800", "\udfff", "?", "\ufffd"], id="surrogate"),
        pytest.param(["a", "a\0", "a\0b", "\0a"], id="nul"),
        pytest.param(["x" * 10_240, "x" * 10_241], id="long"),
    ],
)
def test_an_id_is_taken_as_it_is(chance: Random, spellings: list[str]) -> None:
    """Neither trimmed nor normalised nor replaced: other characters, other unit.

    Kills: id_normalised, id_trimmed, surrogates_replaced
    """
    salt = f"{chance.getrandbits(64):016x}"
    assert len({position(salt, spelling) for spelling in spellings}) == len(spellings)
