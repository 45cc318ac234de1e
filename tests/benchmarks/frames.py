"""What an analyst does instead: the rows are pulled into pandas, and added up there."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.benchmarks.looks import DAY, peak

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 7 * DAY
PAST = 14 * DAY
TOLERANCE = 2_000
QUERIES = {
    "exposures": "SELECT unit, variant, first_at, mixed, dimensions FROM abx_exposures "
    "WHERE experiment = 'headline' AND iteration = 1 AND merged_into IS NULL",
    "happened": "SELECT unit, name, at, event_id, value FROM abx_event_units "
    "WHERE name IN ('signup', 'purchase', 'click', 'session')",
    "clicks": "SELECT id AS event_id, properties FROM abx_events WHERE name = 'click'",
}
PRODUCTS = (
    "revenue revenue",
    "revenue past",
    "past past",
    "sencha sencha",
    "click click",
    "click session",
    "session session",
)
LETTERS = ("signup", "revenue", "past", "sencha", "click", "session")


def pull_as_told() -> None:
    """Add up the experiment, and print how long it took; what the process runs."""
    url = sys.argv[1]
    start = time.perf_counter()
    exposures, happened, clicks = pulled(url)
    pulling = time.perf_counter() - start
    now = time.time() * 1000
    units, since = per_unit(exposures, happened, clicks, now)
    by_variant = summed(units, ["variant"])
    by_country = summed(units, ["variant", "country"])
    days = [*daily(units, since, now)]
    seconds = time.perf_counter() - start
    told: dict[str, Any] = {
        "seconds": seconds,
        "pulling": pulling,
        "peak": peak(),
        "groups": len(by_country),
        "days": len(days[0]),
        "totals": {
            f"{name} {variant}": [
                int(row["closed" if name == "revenue" else "units"]),
                row["click" if name == "clicks" else name],
                row["session"] if name == "clicks" else None,
            ]
            for variant, row in by_variant.iterrows()
            for name in ("signup", "revenue", "sencha", "clicks")
        },
    }
    print(json.dumps(told))


def pulled(url: str) -> tuple[pd.DataFrame, ...]:
    """Pull the rows, in the quickest way that pandas has for the database."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return tuple(pd.read_sql(each, connection) for each in QUERIES.values())
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return tuple(pd.read_sql(text(each), connection) for each in QUERIES.values())


def per_unit(
    exposures: pd.DataFrame, happened: pd.DataFrame, clicks: pd.DataFrame, now: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add up the events of each unit."""
    country = exposures["dimensions"].str.extract(r'"country": "(\w+)"')[0]
    units = exposures.assign(country=country, units=1).set_index("unit")
    joined = happened.merge(exposures[["unit", "variant", "first_at"]], on="unit")
    after = joined["at"] - joined["first_at"]
    since = joined[after >= -TOLERANCE]
    bought = joined["name"] == "purchase"
    units["closed"] = (units["first_at"] + WINDOW <= now).astype(int)
    signed = since.loc[since["name"] == "signup", "unit"].unique()
    units["signup"] = units.index.isin(signed).astype(float)
    for name, lower, upper in (
        ("revenue", -TOLERANCE, WINDOW),
        ("past", -PAST, -TOLERANCE),
    ):
        within = joined[bought & (after >= lower) & (after < upper)]
        units[name] = within.groupby("unit")["value"].sum()
    is_wanted = clicks["properties"].str.contains('"tea": "sencha"')
    wanted = clicks.loc[is_wanted, "event_id"]
    drunk = since[(since["name"] == "click") & since["event_id"].isin(wanted)]
    units["sencha"] = drunk.groupby("unit").size()
    for name in ("click", "session"):
        units[name] = since[since["name"] == name].groupby("unit").size()
    units = units.fillna(dict.fromkeys(LETTERS, 0.0))
    units[["revenue", "past"]] = units[["revenue", "past"]].mul(units["closed"], axis=0)
    closed = np.sort(units.loc[units["closed"] == 1, "revenue"])
    cap = closed[int(np.ceil(0.999 * len(closed))) - 1]
    units["revenue"] = units["revenue"].clip(upper=cap)
    return units, since.assign(is_sencha=since["event_id"].isin(wanted))


def summed(units: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Add up letters and their products by groups."""
    products = {}
    for each in PRODUCTS:
        one, other = each.split()
        products[each] = units[one] * units[other]
    told = units.assign(**products)
    columns = ["units", "closed", "mixed", *LETTERS, *products]
    return told.groupby(by)[columns].sum()


def daily(
    units: pd.DataFrame, since: pd.DataFrame, now: float
) -> Iterator[pd.DataFrame]:
    """Tell what each day added to each metric."""
    day = units["first_at"] // DAY
    yield units.groupby(["variant", day])["units"].sum().to_frame()
    closed = units[units["first_at"] + WINDOW <= now]
    ends = (closed["first_at"] + WINDOW) // DAY
    told = closed.assign(squares=closed["revenue"] ** 2)
    yield told.groupby(["variant", ends])[["revenue", "squares"]].sum()
    at = np.maximum(since["at"], since["first_at"]) // DAY
    since = since.assign(day=at)
    signed = since[since["name"] == "signup"].groupby("unit", as_index=False)
    yield signed[["variant", "day"]].min().groupby(["variant", "day"]).size().to_frame()
    drunk = since[since["is_sencha"]].sort_values("at")
    earlier = drunk.groupby("unit").cumcount()
    grown = drunk.assign(y=1.0, yy=2.0 * earlier + 1)
    yield grown.groupby(["variant", "day"])[["y", "yy"]].sum()
    pair = since[since["name"].isin(["click", "session"])].sort_values("at")
    is_click = pair["name"].eq("click")
    pair = pair.assign(y=is_click * 1.0, d=~is_click * 1.0)
    after = pair.groupby("unit")[["y", "d"]].cumsum()
    before = after - pair[["y", "d"]]
    grown = pair.assign(
        yy=after["y"] ** 2 - before["y"] ** 2,
        yd=after["y"] * after["d"] - before["y"] * before["d"],
        dd=after["d"] ** 2 - before["d"] ** 2,
    )
    yield grown.groupby(["variant", "day"])[["y", "yy", "d", "yd", "dd"]].sum()
