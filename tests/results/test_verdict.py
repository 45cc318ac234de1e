"""The ten verdicts: the first rule that applies, in words, with the next step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.results.shapes import CheckId, VerdictCode
from tests.results.judged import (
    NOW,
    conversions,
    found,
    look,
    milliseconds,
    run,
    signups,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask_abx.results.judgement.judging import Judged
    from flask_abx.results.scanning.sums import Aggregates

BETTER = (110_000, 10_727)
WORSE = (110_000, 9_300)
SAME = (110_000, 10_150)
CONTROL = (110_000, 10_120)
PLAN = {"units": 220_000}
GUARDED = {"primary": "signup", "guardrail": [{"metric": "kept", "margin": 0.05}]}


def guarded(bold: int, hits: tuple[int, int] = BETTER) -> Aggregates:
    """Add a guardrail on which the treatment has so many of 50,000."""
    return found(
        {
            "signup": {"control": conversions(*CONTROL), "bold": conversions(*hits)},
            "kept": {
                "control": conversions(110_000, 50_000),
                "bold": conversions(110_000, bold),
            },
        }
    )


def no_data() -> Judged:
    return look(run(), found({}))


def untrusted() -> Judged:
    return look(run(), signups(CONTROL, BETTER), errors=[CheckId.SRM])


def no_primary() -> Judged:
    return look(run(metrics={"secondary": "signup"}), signups(CONTROL, BETTER))


def too_early() -> Judged:
    return look(run(), signups((81, 8), (84, 9)))


def torn() -> Judged:
    data = found(
        {
            "signup": {"control": conversions(*CONTROL), "bold": conversions(*BETTER)},
            "basket": {"control": conversions(*CONTROL), "bold": conversions(*WORSE)},
        }
    )
    return look(run(metrics=["signup", "basket"]), data)


def winner() -> Judged:
    return look(run(), signups(CONTROL, BETTER))


def harm() -> Judged:
    return look(run(metrics=GUARDED), guarded(40_000))


def loser() -> Judged:
    return look(run(), signups(CONTROL, WORSE))


def flat() -> Judged:
    data = signups(CONTROL, SAME)
    return look(run(plan=PLAN), data, final=data)


def undecided() -> Judged:
    return look(run(), signups(CONTROL, SAME))


CASES = [
    pytest.param(no_data, VerdictCode.NO_DATA, "flask abx doctor", id="no data"),
    pytest.param(
        untrusted, VerdictCode.UNTRUSTED, "flask abx health headline", id="untrusted"
    ),
    pytest.param(
        no_primary, VerdictCode.NO_PRIMARY, 'metrics = "signup"', id="no primary"
    ),
    pytest.param(
        too_early,
        VerdictCode.TOO_EARLY,
        "flask abx results headline --refresh",
        id="too early",
    ),
    pytest.param(
        torn,
        VerdictCode.REVIEW,
        "flask abx results headline --html headline.html",
        id="review",
    ),
    pytest.param(
        winner,
        VerdictCode.WINNER,
        "flask abx conclude headline --winner bold",
        id="winner",
    ),
    pytest.param(
        harm,
        VerdictCode.HARM,
        "flask abx conclude headline --outcome rolled_back",
        id="harm",
    ),
    pytest.param(
        loser,
        VerdictCode.LOSER,
        "flask abx conclude headline --outcome rolled_back",
        id="loser",
    ),
    pytest.param(
        flat,
        VerdictCode.FLAT,
        "flask abx conclude headline --outcome flat",
        id="flat",
    ),
    pytest.param(
        undecided,
        VerdictCode.UNDECIDED,
        "flask abx results headline --refresh",
        id="undecided",
    ),
]


@pytest.mark.parametrize(("story", "code", "step"), CASES)
def test_each_verdict_has_its_next_step(
    story: Callable[[], Judged], code: VerdictCode, step: str
) -> None:
    verdict = story().verdict
    assert (verdict.code, verdict.next_step) == (code, step)


@pytest.mark.parametrize(("story", "code", "step"), CASES)
def test_each_verdict_is_one_sentence(
    story: Callable[[], Judged], code: VerdictCode, step: str
) -> None:
    del code, step
    said = story().verdict.sentence
    assert said.endswith(".")
    assert not any(word in said for word in ("None", "nan", "{", "  "))


def test_a_winner_is_told_with_its_numbers() -> None:
    assert winner().verdict.sentence == (
        "bold wins: signup is 9.75 % instead of 9.20 %, "
        "+6.0 % (interval +1.4 % to +10.8 %)."
    )


def test_a_guardrail_within_its_margin_lets_a_winner_win() -> None:
    verdict = look(run(metrics=GUARDED), guarded(50_000)).verdict
    assert verdict.code is VerdictCode.WINNER
    assert "within its margin" in verdict.sentence


def test_a_winner_waits_for_its_guardrail() -> None:
    verdict = look(run(metrics=GUARDED), guarded(48_000)).verdict
    assert (verdict.code, verdict.variants) == (VerdictCode.UNDECIDED, ("bold",))


@pytest.mark.parametrize(
    ("days", "code"),
    [
        pytest.param(28, VerdictCode.UNDECIDED, id="28 days"),
        pytest.param(28.1, VerdictCode.REVIEW, id="longer"),
    ],
)
def test_a_guardrail_that_stays_unclear_goes_to_people(
    days: float, code: VerdictCode
) -> None:
    told = look(run(metrics=GUARDED, days=days), guarded(48_000))
    assert told.verdict.code is code


def test_a_guardrail_unclear_at_the_end_of_the_plan_goes_to_people() -> None:
    data = guarded(47_700)
    told = look(run(metrics=GUARDED, plan=PLAN), data, final=data)
    assert told.verdict.code is VerdictCode.REVIEW


def test_a_winner_waits_for_its_days() -> None:
    verdict = look(run(days=6.9), signups(CONTROL, BETTER)).verdict
    assert verdict.code is VerdictCode.UNDECIDED
    assert "at least 7 days" in verdict.sentence


def test_days_after_the_end_do_not_count() -> None:
    ended = milliseconds(NOW - timedelta(days=8))
    told = look(run(concluded_at=ended), signups(CONTROL, BETTER))
    assert told.verdict.code is VerdictCode.UNDECIDED


def test_harm_is_told_while_the_primary_is_too_early() -> None:
    data = guarded(40_000, (110_000, 10_727))
    early = {name: conversions(110_000, 9) for name in ("control", "bold")}
    sums = {
        **found({"signup": early}).sums,
        "kept": data.sums["kept"],
    }
    told = look(run(metrics=GUARDED), replace(data, sums=sums))
    assert told.verdict.code is VerdictCode.HARM


def test_a_treatment_that_harms_does_not_hide_one_that_wins() -> None:
    data = signups(CONTROL, WORSE, BETTER)
    verdict = look(run(variants=["control", "bold", "calm"]), data).verdict
    assert (verdict.code, verdict.variants) == (VerdictCode.WINNER, ("calm",))


def test_one_treatment_that_is_out_is_to_be_closed() -> None:
    data = signups(CONTROL, WORSE, SAME)
    verdict = look(run(variants=["control", "bold", "calm"]), data).verdict
    assert verdict.code is VerdictCode.UNDECIDED
    assert verdict.next_step == "flask abx close headline bold"


def test_a_closed_treatment_does_not_keep_a_loser_open() -> None:
    variants = {"control": {}, "bold": {}, "calm": {"closed": True}}
    data = signups(CONTROL, WORSE, SAME)
    assert look(run(variants=variants), data).verdict.code is VerdictCode.LOSER


def three(bold: tuple[int, int], calm: tuple[int, int]) -> Judged:
    experiment = run(variants=["control", "bold", "calm"])
    return look(experiment, signups(CONTROL, bold, calm))


def test_the_best_of_two_winners_beats_the_other() -> None:
    told = three((110_000, 10_927), (110_000, 11_827))
    assert told.verdict.variants == ("bold", "calm")
    assert told.verdict.best == "calm"
    pair = told.metrics[0].comparisons[-1]
    assert (pair.variant, pair.baseline) == ("calm", "bold")


def test_two_winners_may_have_no_best() -> None:
    verdict = three((110_000, 10_927), (110_000, 10_950)).verdict
    assert verdict.best is None
    assert "none of them beats the other" in verdict.sentence
    assert verdict.next_step == "flask abx conclude headline --winner calm"


def test_the_first_verdict_is_kept_with_its_time() -> None:
    first = winner()
    again = look(
        run(),
        signups(CONTROL, BETTER),
        kept=first.kept,
        now=NOW + timedelta(days=2),
    )
    assert (again.verdict.first_code, again.verdict.first_at) == (
        VerdictCode.WINNER,
        NOW,
    )


def test_a_verdict_that_no_longer_holds_goes_to_people() -> None:
    verdict = look(run(), signups(CONTROL, SAME), kept=winner().kept).verdict
    assert verdict.code is VerdictCode.REVIEW
    assert "On 23 Nov the verdict was winner (bold)" in verdict.sentence


def test_undecided_is_nothing_to_hold_on_to() -> None:
    assert undecided().kept.first_code is None


def test_a_metric_without_direction_is_no_primary() -> None:
    metrics: Mapping[str, Mapping[str, Any]] = {"signup": {"direction": "none"}}
    told = look(run(), signups(CONTROL, BETTER), metrics=metrics)
    assert told.verdict.code is VerdictCode.NO_PRIMARY


def test_a_late_guardrail_that_is_broken_forbids_a_winner() -> None:
    told = look(run(metrics=GUARDED), guarded(40_000), late=["kept"])
    assert told.verdict.code is VerdictCode.HARM


def test_a_winner_waits_for_a_late_guardrail_too() -> None:
    told = look(run(metrics=GUARDED), guarded(48_000), late=["kept"])
    assert told.verdict.code is VerdictCode.UNDECIDED


def test_a_guardrail_without_a_margin_is_never_called_kept() -> None:
    metrics = {"primary": "signup", "guardrail": ["kept"]}
    verdict = look(run(metrics=metrics), guarded(49_900)).verdict
    assert verdict.code is VerdictCode.WINNER
    assert verdict.sentence.endswith("%); whether kept gets worse is unclear.")


def test_of_several_guardrails_each_is_told_as_it_reads() -> None:
    data = guarded(50_000)
    sums = {**data.sums, "used": data.sums["kept"], "seen": data.sums["kept"]}
    guardrail = [{"metric": "kept", "margin": 0.05}, "used", "seen"]
    metrics = {"primary": "signup", "guardrail": guardrail}
    told = look(
        run(metrics=metrics),
        replace(data, sums=sums, failed={"seen": "No such table."}),
    )
    assert told.verdict.sentence.endswith(
        "; kept stays within its margin, whether used gets worse is unclear, "
        "seen is not judged."
    )


def test_a_metric_that_failed_leaves_nothing_to_decide() -> None:
    data = replace(signups(CONTROL, SAME), failed={"signup": "No such table."})
    verdict = look(run(), data).verdict
    assert verdict.code is VerdictCode.UNDECIDED
    assert verdict.sentence == "Nothing can be decided: No such table."


def test_a_paused_experiment_without_data_is_to_be_resumed() -> None:
    verdict = look(run(status="paused"), found({})).verdict
    assert verdict.next_step == "flask abx resume headline"


def test_closing_one_of_two_winners_leaves_the_other() -> None:
    both = three((110_000, 10_927), (110_000, 10_950))
    variants = {"control": {}, "bold": {}, "calm": {"closed": True}}
    data = signups(CONTROL, (110_000, 10_927), (110_000, 10_950))
    verdict = look(run(variants=variants), data, kept=both.kept).verdict
    assert (verdict.code, verdict.variants) == (VerdictCode.WINNER, ("bold",))


def test_harm_names_the_margin_that_is_broken() -> None:
    assert harm().verdict.sentence == (
        "Keep control: bold makes kept worse, -20.0 % "
        "(interval -21.3 % to -18.7 %), beyond its margin of 5 %."
    )


def test_one_is_out_and_the_other_ahead() -> None:
    data = signups(CONTROL, WORSE, BETTER)
    told = look(run(variants=["control", "bold", "calm"], days=3), data)
    assert "bold is worse on signup" in told.verdict.sentence
    assert "calm is ahead on signup" in told.verdict.sentence
