"""Definitions written as a file: whatever they hold, it comes back."""

from __future__ import annotations

import json
import sys
import tomllib
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flask_abx.cli.exchange import as_toml, differences, source_of
from flask_abx.experiments.definition import parse
from flask_abx.runtime.state import state_of
from flask_abx.stores.importing import merged

if TYPE_CHECKING:
    import pytest
    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

TWO: dict[str, Any] = {"variants": ["control", "bold"], "metrics": ["signup"]}
KEYS = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,8}", fullmatch=True)
SHARES = st.floats(0, 1)
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False).filter(
    lambda number: abs(number) != float("inf")
)
VALUES = st.recursive(
    st.booleans() | NUMBERS | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
    ),
    max_leaves=6,
)
# A dollar begins an operator, and a name with dots is a path.
CONDITIONS = st.dictionaries(
    st.text(min_size=1, max_size=9).filter(
        lambda name: name[0] != "$" and all(name.split("."))
    ),
    st.text() | NUMBERS | st.fixed_dictionaries({"$in": st.lists(st.text() | NUMBERS)}),
    max_size=3,
)
VARIANTS = st.lists(
    st.fixed_dictionaries(
        {"key": KEYS},
        optional={
            "name": st.text(),
            "weight": st.floats(0.001, 1000),
            "closed": st.booleans(),
        },
    ),
    min_size=2,
    max_size=4,
    unique_by=lambda variant: variant["key"],
)
EXPERIMENTS = st.fixed_dictionaries(
    {"variants": VARIANTS},
    optional={
        "status": st.sampled_from(["draft", "running", "paused", "concluded"]),
        "name": st.text(),
        "tags": st.lists(st.text(), max_size=2),
        "unit": st.sampled_from(["user", ["user", "visitor"], ["visitor"]]),
        "traffic": SHARES,
        "audience": CONDITIONS,
        "start_at": st.datetimes(timezones=st.timezones()).filter(
            lambda moment: 1 < moment.year < 9999
        ),
        "metrics": st.sampled_from(
            [["order"], {"primary": "order", "guardrail": ["error"]}]
        ),
        "plan": st.fixed_dictionaries({"units": st.integers(1, 10**9)}),
        "analysis": st.fixed_dictionaries({"alpha": st.floats(0.001, 0.4)}),
        "iteration": st.integers(1, 9),
        "forced": st.just({}),
        "keep_variants": st.booleans(),
    },
)
FLAGS = st.fixed_dictionaries({"type": st.just("object"), "default": VALUES}).filter(
    lambda flag: isinstance(flag["default"], list | dict)
)
DOCUMENTS = st.fixed_dictionaries(
    {"experiments": st.dictionaries(KEYS, EXPERIMENTS, max_size=3)},
    optional={
        "segments": st.dictionaries(KEYS, st.lists(st.text()) | CONDITIONS, max_size=2),
        "flags": st.dictionaries(st.text(), FLAGS, max_size=2),
    },
)


@settings(deadline=None)
@given(DOCUMENTS)
def test_every_document_survives_the_way_through_a_file(
    source: dict[str, Any],
) -> None:
    document = parse(source)
    dumped = source_of(document)
    for again in (tomllib.loads(as_toml(dumped)), json.loads(json.dumps(dumped))):
        assert parse(again) == document
        assert not [*differences(document, merged(again, document))]


def test_what_the_configuration_defines_can_be_dumped(shop: Flask, run: Run) -> None:
    dumped = tomllib.loads(run(shop, "dump").stdout)
    assert parse(dumped) == state_of(shop).store.document()
    assert {each["status"] for each in dumped["experiments"].values()} == {
        "running",
        "concluded",
    }


def test_null_is_no_toml_and_the_way_out_is_told(make_app: MakeApp, run: Run) -> None:
    audience = {"user": {"$or": [{"age": None}, {"name": "\ud800"}]}}
    app = make_app({"headline": {**TWO, "audience": audience}})
    result = run(app, "dump")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("--format json") == 2
    assert "headline.audience.user.$or[0].age is null" in result.stderr
    dumped = json.loads(run(app, "dump", "--format", "json").stdout)
    assert parse(dumped) == state_of(app).store.document()


def test_without_the_extra_the_way_out_is_told(
    shop: Flask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    result = run(shop, "dump")
    assert result.exit_code == 1
    assert "pip install 'flask-abx[toml]'" in result.stderr
    assert run(shop, "dump", "--format", "json").exit_code == 0
