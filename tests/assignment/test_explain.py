from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.assignment import explain as module
from flask_abx.assignment.decide import Person, decide
from flask_abx.assignment.decision import Reason
from flask_abx.assignment.explain import explain
from flask_abx.assignment.ruleset import Rule, compile_ruleset
from flask_abx.experiments.definition import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
USER_7 = Person({"user": "7"}, {"country": "DE"})
#: Steps that are reserved for later releases.
RESERVED = {Reason.HOLDOUT, Reason.PREREQUISITE}


def rule_of(**fields: object) -> Rule:
    body = {"unit": "user", "variants": ["control", "bold"], **fields}
    document = parse({"experiments": {"headline": body}})
    return compile_ruleset(document, "test", {}).rules["headline"]


def sentences(person: Person = USER_7, **fields: Any) -> list[str]:
    rule = rule_of(**fields)
    assignment = decide(rule, person, NOW)
    return explain(rule, person, assignment, NOW, audience=fields.get("audience"))


def test_the_steps_are_the_reasons_in_their_order() -> None:
    steps = [reason for reason, _, _ in module._STEPS]
    assert steps == [reason for reason in Reason if reason not in RESERVED]


def test_who_is_allocated_reads_every_step_and_the_end() -> None:
    told = sentences()
    assert len(told) == len(module._STEPS) + 1
    assert told[-2:] == [
        "There bold is open to new units.",
        "So user 7 gets bold (allocated).",
    ]


@pytest.mark.parametrize(
    ("reason", "fields", "sentence"),
    [
        pytest.param(
            "concluded",
            {"status": "concluded", "winner": "bold"},
            "It is concluded: everyone gets bold.",
            id="concluded",
        ),
        pytest.param(
            "concluded",
            {"status": "archived", "keep_variants": True},
            "It is archived: who was exposed keeps the variant, everyone else gets "
            "control.",
            id="kept",
        ),
        pytest.param(
            "no_consent",
            {"sensitive": True, "consent": "marketing"},
            "It asks for consent to 'sensitive' and 'marketing': not given.",
            id="consent",
        ),
        pytest.param(
            "forced",
            {"forced": {"7": "bold"}},
            "The variant bold is forced, and nothing is recorded.",
            id="forced",
        ),
        pytest.param(
            "draft",
            {"status": "draft"},
            "It is a draft: everyone gets the control.",
            id="draft",
        ),
        pytest.param(
            "paused",
            {"status": "paused"},
            "It is paused: everyone gets the control.",
            id="paused",
        ),
        pytest.param(
            "not_started",
            {"start_at": "2026-12-01T00:00:00Z"},
            "It starts on 2026-12-01, and now it is 2026-11-02 12:00:00 UTC.",
            id="not-started",
        ),
        pytest.param(
            "ended",
            {"end_at": "2026-11-01T18:30:00+01:00"},
            "It ended on 2026-11-01 17:30:00 UTC, and now it is "
            "2026-11-02 12:00:00 UTC.",
            id="ended",
        ),
        pytest.param("closed", {"closed": True}, "It is closed to new units.", id="no"),
        pytest.param(
            "closed",
            {"variants": ["control", {"key": "bold", "closed": True}]},
            "There bold is closed to new units, which get the control.",
            id="closed-variant",
        ),
        pytest.param(
            "layer",
            {"layer": "page", "range": [0.0, 0.25]},
            "In layer page user 7 is at 0.888764, outside its range 0 to 0.25.",
            id="layer",
        ),
        pytest.param(
            "audience",
            {"audience": {"country": {"$in": ["AT", "CH"]}, "plan": "pro"}},
            "Its audience (country is one of 'AT', 'CH' and plan is 'pro') is not met: "
            "country is 'DE', plan is not known.",
            id="audience",
        ),
        pytest.param(
            "traffic",
            {"traffic": 0.5},
            "User 7 is at 0.851977 of 0 to 1, outside the traffic: "
            "control owns 0 to 0.25, bold owns 0.5 to 0.75.",
            id="traffic",
        ),
    ],
)
def test_the_step_that_decided_stands_before_the_end(
    reason: str, fields: dict[str, Any], sentence: str
) -> None:
    told = sentences(**fields)
    assert told[-2] == sentence
    assert told[-1].endswith(f"({reason}).")


@pytest.mark.parametrize(
    ("person", "sentence", "end"),
    [
        pytest.param(
            Person({}),
            "Its unit is user, of which none is known.",
            "So the unit gets control (no_unit).",
            id="no-unit",
        ),
        pytest.param(
            Person({"user": "7"}, is_bot=True),
            "User 7 is a bot, which is always served the control.",
            "So user 7 gets control (bot).",
            id="bot",
        ),
        pytest.param(
            Person({"user": "7"}, memory={"headline": "bold"}),
            "User 7 was exposed to bold before, and keeps it.",
            "So user 7 gets bold (sticky).",
            id="sticky",
        ),
    ],
)
def test_who_it_is_may_decide(person: Person, sentence: str, end: str) -> None:
    assert sentences(person)[-2:] == [sentence, end]


def test_switched_off_is_told() -> None:
    rule = rule_of()
    assignment = decide(rule, USER_7, NOW, enabled=False)
    told = explain(rule, USER_7, assignment, NOW)
    assert told[-2] == "Experiments are switched off: everyone gets the control."


def test_what_was_passed_is_told_with_its_facts() -> None:
    told = sentences(
        start_at="2026-11-01T00:00:00Z",
        end_at="2026-12-01T00:00:00Z",
        layer="page",
        range=[0.25, 1.0],
        audience={"country": "DE"},
    )
    assert "It runs since 2026-11-01." in told
    assert "It runs until 2026-12-01." in told
    assert "In layer page user 7 is at 0.888764, within its range 0.25 to 1." in told
    assert "Its audience (country is 'DE') is met: country is 'DE'." in told


def test_nothing_is_decided_again() -> None:
    def refuse(attributes: Mapping[str, object]) -> bool:
        raise AssertionError(attributes)

    rule = replace(rule_of(traffic=0.0), audience=refuse)
    claimed = rule.assign("bold", Reason.ALLOCATED)
    told = explain(rule, USER_7, claimed, NOW)
    assert told[-1] == "So user 7 gets bold (allocated)."


def test_an_id_that_cannot_be_printed_is_written_out() -> None:
    assert sentences(Person({"user": "\x1b[2J\udc80"}))[-1].startswith(
        "So user '\\x1b[2J\\udc80' gets"
    )
