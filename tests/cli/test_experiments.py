from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp


def test_list_gives_json_in_a_pipe(shop: Flask, run: Run) -> None:
    result = run(shop, "list")
    first, second = json.loads(result.stdout)["experiments"]
    assert result.exit_code == 0
    assert (first["key"], second["key"]) == ("headline", "prices")
    assert (first["status"], second["winner"]) == ("running", "high")
    assert first["primary"] == ["signup"]
    assert second["unit"] == ["user", "visitor"]


def test_list_gives_a_table_on_a_terminal(shop: Flask, run: Run) -> None:
    lines = run(shop, "list", "--format", "table").stdout.splitlines()
    heads = ["KEY", "STATUS", "UNIT", "TRAFFIC", "VARIANTS", "PRIMARY"]
    first = ["headline", "running", "visitor", "1", "control, bold", "signup"]
    last = ["prices", "concluded, high won", "user or visitor", "1", "low, high", "-"]
    assert [re.split(" {2,}", line) for line in lines] == [heads, first, last]
    assert [lines[0].index("UNIT"), lines[2].index("user")] == [31, 31]


def test_list_of_nothing_says_so(make_app: MakeApp, run: Run) -> None:
    app = make_app({})
    table = run(app, "list", "--format", "table").stdout
    assert table == "No experiment is defined.\n"
    assert json.loads(run(app, "list").stdout)["experiments"] == []


def test_show_gives_the_definition_and_what_follows(shop: Flask, run: Run) -> None:
    data = json.loads(run(shop, "show", "prices").stdout)
    assert data["variants"][0]["weight"] == 30
    assert data["effective_salt"] == "prices"
    assert data["ranges"] == {"low": [0.0, 0.75], "high": [0.75, 1.0]}


def test_show_writes_the_audience_in_words(shop: Flask, run: Run) -> None:
    lines = run(shop, "show", "headline", "--format", "table").stdout.splitlines()
    assert "audience    country is one of 'DE', 'AT'" in lines
    assert lines[-1] == "bold               0.5     0.5 to 1  size=40"


def test_an_unknown_key_is_not_found_and_the_near_one_named(
    shop: Flask, run: Run
) -> None:
    result = run(shop, "show", "headlin")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "'headlin' is not defined; did you mean 'headline'?" in result.stderr


def test_wrong_usage_exits_with_2(shop: Flask, run: Run) -> None:
    assert run(shop, "list", "--format", "xml").exit_code == 2
