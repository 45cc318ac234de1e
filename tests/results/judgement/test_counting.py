"""Units of each variant, beside what the weights lead to."""

from __future__ import annotations

from dataclasses import replace

from flask_abx.results.looks.iteration import Epoch
from tests.results.judged import found, look, run


def test_expected_shares_follow_the_epochs() -> None:
    epochs = (
        Epoch(1, {"control": 1, "bold": 1}, 0, 5),
        Epoch(2, {"control": 1}, 5),
    )
    exposed = {
        **found({}, units={"control": 500, "bold": 500}).exposed,
        **found({}, units={"control": 1_000}, epoch=2).exposed,
    }
    told = look(run(epochs=epochs), replace(found({}), exposed=exposed))
    assert [each.expected_share for each in told.variants] == [0.75, 0.25]
