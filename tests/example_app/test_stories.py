"""What the demonstration tells: each experiment has the end that its story needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from example_app import create_app
from example_app.seed import fill, seed
from flask_abx.results.shapes import CheckId, Level
from flask_abx.runtime.results import latest
from flask_abx.runtime.state import state_of
from tests.example_app.conftest import close

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.results.shapes import Results

#: As many come each day as `make demo` has come.
VISITORS = 6_000


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Results]:
    """Seed a whole shop once, and read what it found."""
    place = f"sqlite:///{tmp_path_factory.mktemp('whole')}/kettle.db"
    shop = create_app({"TESTING": True, "SQLALCHEMY_DATABASE_URI": place})
    with shop.app_context():
        seed()
        fill(VISITORS)
        looks = latest(state_of(shop))
    close(shop)
    return {key: look for key, look in looks.items() if look is not None}


def test_each_experiment_has_another_end(told: Mapping[str, Results]) -> None:
    found = {key: (each.status, each.verdict.code.value) for key, each in told.items()}
    assert found == {
        "bulk_prices": ("running", "no_data"),
        "checkout_button": ("running", "untrusted"),
        "free_shipping": ("running", "undecided"),
        "gift_wrap": ("concluded", "winner"),
        "headline": ("running", "winner"),
    }


def test_the_bold_headline_wins_and_the_offer_is_shipped(
    told: Mapping[str, Results],
) -> None:
    assert told["headline"].verdict.variants == ("bold",)
    assert told["gift_wrap"].verdict.variants == ("offered",)


def test_only_the_redirect_broke_the_split(told: Mapping[str, Results]) -> None:
    broken = {
        key: [check.id for check in each.health if check.level is Level.ERROR]
        for key, each in told.items()
    }
    assert {key: found for key, found in broken.items() if found} == {
        "checkout_button": [CheckId.SRM]
    }


def test_two_weeks_are_told_day_by_day(told: Mapping[str, Results]) -> None:
    days = {point.day for point in told["headline"].series if point.metric == "signup"}
    assert len(days) in {14, 15}
