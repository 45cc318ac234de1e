"""The history of a control, slot by slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.results.refresh import Metrics
from flask_abx.results.replay.slots import History, history_of
from flask_abx.stores.database import reading
from tests.databases import ENGINES, fresh_database
from tests.results.past import BEGIN, DAY, past_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.results.past import Past

TWO: dict[str, Any] = {
    "variants": ["control", "bold"],
    "metrics": {"primary": ["signup", "revenue"], "secondary": ["visit"]},
}
REVENUE = {"kind": "sum", "event": "purchase"}
NOW = BEGIN + 5 * DAY


def history(past: Past, days: int | None = None) -> History | None:
    document, database = past.document, past.database
    with reading(database.own, is_steady=True) as connection:
        return history_of(
            connection,
            database.tables,
            document,
            Metrics(document.metrics),
            "headline",
            now=NOW,
            days=days,
        )


def busy(past: Past) -> None:
    """Have 150 units of the control, and 50 of the treatment, come each day."""
    past.metric(BEGIN, "revenue", REVENUE)
    past.change(BEGIN, TWO)
    for day in range(4):
        at = BEGIN + day * DAY
        came = past.expose({"control": 150, "bold": 50}, at)
        past.happen(came[:30], "signup", at + 3_600_000)
        past.happen(came[150:], "signup", at + 3_600_000)
        past.happen(came[:10], "purchase", at + DAY, 12.5)


@pytest.mark.parametrize("kind", ENGINES)
def test_all_of_the_control_lies_in_some_slot(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url, past_at(url) as past:
        busy(past)
        found = history(past)
        assert found is not None
        signup, revenue = found.slots
        assert (signup.units, revenue.units) == (600, 600)
        assert sum(sum(each[1::6]) for each in signup.added.values()) == 120
        assert sum(sum(each[1::6]) for each in revenue.added.values()) == 500
        assert len(signup.added) > 150
        assert set(signup.added) <= {str(each) for each in range(200)}


def test_what_is_asked_for_are_the_first_days(tmp_path: Path) -> None:
    with past_at(f"sqlite:///{tmp_path / 'past.db'}") as past:
        busy(past)
        found = history(past, days=2)
        assert found is not None
        assert [each.units for each in found.slots] == [300, 300]


def test_the_run_before_is_replayed_where_a_new_one_has_nobody(tmp_path: Path) -> None:
    with past_at(f"sqlite:///{tmp_path / 'past.db'}") as past:
        busy(past)
        past.change(NOW - 1, {**TWO, "iteration": 2})
        found = history(past)
        assert found is not None
        assert found.iteration == 1


def test_nobody_has_no_history(tmp_path: Path) -> None:
    with past_at(f"sqlite:///{tmp_path / 'past.db'}") as past:
        past.change(BEGIN, TWO)
        assert history(past) is None
