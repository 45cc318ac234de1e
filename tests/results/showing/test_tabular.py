from __future__ import annotations

import csv
import re
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from flask_abx.results.shapes import VerdictCode
from flask_abx.results.showing import forest
from flask_abx.results.showing.tabular import COLUMNS, csv_text, markdown
from tests.results.shown import SHOWN, harm, hostile, no_data, untrusted, winner

if TYPE_CHECKING:
    from flask_abx.results.shapes import Results


def rows_of(*told: Results) -> list[dict[str, str]]:
    return [*csv.DictReader(StringIO(csv_text(told)))]


def test_csv_has_a_line_for_each_metric_and_treatment() -> None:
    rows = rows_of(harm())
    told = [(row["metric"], row["role"], row["variant"]) for row in rows[:3]]
    assert told == [
        ("signup", "primary", "bold"),
        ("signup", "primary", "calm"),
        ("revenue", "secondary", "bold"),
    ]


def with_a_pair() -> Results:
    """Compare two treatments with each other, too."""
    results = harm()
    first, *others = results.metrics
    pair = replace(first.comparisons[0], variant="calm", baseline="bold")
    paired = replace(first, comparisons=(*first.comparisons, pair))
    return replace(results, metrics=(paired, *others))


def test_csv_has_no_line_for_two_treatments() -> None:
    assert csv_text([with_a_pair()]) == csv_text([harm()])


def test_markdown_names_both_of_two_treatments() -> None:
    assert "| calm/bold |" in markdown(with_a_pair())


def test_the_report_names_both_of_two_treatments() -> None:
    names = {each.variant: each.name for each in harm().variants}
    told = [row.name for row in forest.rows_of(with_a_pair())]
    assert told[2] == f"{names['calm']}/{names['bold']}"
    assert "/" not in "".join([*told[:2], *told[3:]])


def test_csv_names_its_columns_even_without_a_line() -> None:
    assert csv_text([]) == f"{','.join(COLUMNS)}\n"


def test_csv_keeps_every_digit() -> None:
    row, told = rows_of(winner())[0], winner().metrics[0].comparisons[0]
    assert told.relative_interval is not None
    assert float(row["low"]) == told.relative_interval.low
    assert float(row["p_adjusted"]) == told.p_adjusted
    assert row["as_of"] == "2026-11-23T09:40:00Z"


def test_csv_leaves_empty_what_is_not_known() -> None:
    row = rows_of(no_data())[0]
    names = ("control_value", "value", "effect", "low", "high", "level", "p_value")
    assert {row[name] for name in names} == {""}


def test_csv_tells_what_a_metric_is_broken_down_by() -> None:
    part = replace(winner().metrics[0], dimension="country", dimension_value="DE")
    row = rows_of(replace(winner(), metrics=(part,)))[0]
    assert (row["dimension"], row["dimension_value"]) == ("country", "DE")


def test_csv_gives_a_spreadsheet_nothing_to_run() -> None:
    part = replace(winner().metrics[0], dimension="country", dimension_value="=1+1")
    row = rows_of(replace(winner(), metrics=(part,)))[0]
    assert row["dimension_value"] == "'=1+1"


@pytest.mark.parametrize("code", VerdictCode)
def test_markdown_tells_the_verdict_and_the_next_step(code: VerdictCode) -> None:
    results = SHOWN[code]()
    written = markdown(results)
    assert f"**{code.value.replace('_', ' ').upper()}** " in written
    assert f"\n    {results.verdict.next_step}\n" in written


def test_markdown_tells_what_is_not_well() -> None:
    written = markdown(untrusted())
    assert "- **error** Sample ratio: express has 30.25 %" in written
    assert "- **warning** Met two variants" in written


def test_markdown_has_a_row_for_each_comparison() -> None:
    rows = [line for line in markdown(harm()).splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 8
    assert rows[1].endswith("| unclear |")


def test_markdown_lets_no_name_be_markup() -> None:
    lines = markdown(hostile()).splitlines()
    prose = "\n".join(line for line in lines if not line.startswith("    "))
    outside = "".join(prose.split("`")[::2])
    assert not re.search(r"(?<!\\)<", outside)
