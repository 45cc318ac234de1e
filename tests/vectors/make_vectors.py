"""Write the assignment vectors from the written contract alone, without the package.

Nothing here imports flask_abx: this is a second, slower telling of the hash and of
the order of the reasons, so that the vectors pin the contract and not the code.
Run ``python make_vectors.py [OUTDIR]``; the output is the same on every machine.
"""

from __future__ import annotations

import json
import sys
import unicodedata
import uuid
from hashlib import blake2b
from pathlib import Path
from typing import Any

Json = dict[str, Any]

NOW = "2030-01-01T00:00:00Z"
EMAILS = [
    "ada@example.com",
    "Ada@example.com",
    "ada@example.com ",
    "o'neil+1@mail.test",
]
UUIDS = [str(uuid.uuid5(uuid.NAMESPACE_DNS, f"unit-{n}")) for n in range(8)]
COMPOSED = [
    unicodedata.normalize("NFC", text) for text in ("Zoë", "Ångström", "가나", "ﬁn")
]
DECOMPOSED = [unicodedata.normalize("NFD", text) for text in COMPOSED[:3]]
SCRIPTS = ["тест", "日本語", "مرحبا", "🫖", "🏳️‍🌈", "\u200bzero-width", "\ufefftext"]
SURROGATES = ["\ud800", "\udfff", "a\udc80b", "\ude00\ud83d"]
NULS = ["\0", "a\0b", "b\0", "\0b"]
LONG = ["x" * 10_240, "é" * 5_120]
INTEGERS: list[int | str] = [0, 1, 7, -1, 42, 10_000, 2**31, 2**53, 2**64, -(2**63)]
TEXTS = [
    "7 ",
    "07",
    "user-7",
    "None",
    "true",
    " ",
    "\t",
    "a",
    "bc",
    "ab",
    "c",
    "%",
    "'",
]
STRANGE = [*COMPOSED, *DECOMPOSED, *SCRIPTS, *SURROGATES, *NULS]
SHORT: list[int | str] = [*INTEGERS, *UUIDS[:3], *EMAILS[:2], "Zoë", "\ud800", "a\0b"]


def position_of(salt: str, unit_id: str | int) -> float:
    """Place a unit on [0, 1)."""
    data = salt.encode("utf-8", "surrogatepass") + b"\x00"
    data += str(unit_id).encode("utf-8", "surrogatepass")
    whole = int.from_bytes(blake2b(data, digest_size=8).digest(), "big")
    return (whole // 2**11) * 2.0**-53


def variant_at(experiment: Json, place: float) -> str | None:
    """Name the variant that owns a position, or None outside the traffic."""
    weights = [float(variant.get("weight", 1)) for variant in experiment["variants"]]
    total = 0.0
    for weight in weights:
        total += weight
    last = max(index for index, weight in enumerate(weights) if weight > 0)
    traffic = float(experiment.get("traffic", 1))
    start = 0.0
    for index, variant in enumerate(experiment["variants"]):
        share = weights[index] / total
        end = 1.0 if traffic == 1 and index == last else start + traffic * share
        if start <= place < end:
            return str(variant["key"])
        start += share
    return None


def salt_of(key: str, experiment: Json) -> str:
    """Tell the salt of an experiment's present iteration."""
    iteration = experiment.get("iteration", 1)
    fallback = key if iteration == 1 else f"{key}:{iteration}"
    return str(experiment.get("salt", fallback))


def unit_of(experiment: Json, row: Json) -> str | None:
    """Find the first known unit id that the experiment randomises on."""
    wanted = experiment.get("unit", "visitor")
    for name in [wanted] if isinstance(wanted, str) else wanted:
        known = {**row.get("attributes", {}), **row["units"]}.get(name)
        if isinstance(known, str | int) and known != "":
            return str(known)
    return None


def answer(document: Json, key: str, row: Json) -> tuple[str, bool, str]:
    """Decide as the contract says: variant, in the experiment or not, reason."""
    experiment = document["experiments"][key]
    marked = [v["key"] for v in experiment["variants"] if v.get("control")]
    control = marked[0] if marked else experiment["variants"][0]["key"]
    status = experiment.get("status", "running")
    if status in {"concluded", "archived"}:
        return experiment.get("winner", control), False, "concluded"
    unit = unit_of(experiment, row)
    if unit in experiment.get("forced", {}):
        return experiment["forced"][unit], False, "forced"
    if status in {"draft", "paused"}:
        return control, False, status
    if experiment.get("start_at", NOW) > NOW:
        return control, False, "not_started"
    if experiment.get("end_at", "9999") <= NOW:
        return control, False, "ended"
    if unit is None:
        return control, False, "no_unit"
    if "remembered" in row:
        return row["remembered"], True, "sticky"
    if experiment.get("closed"):
        return control, False, "closed"
    if "layer" in experiment:
        layer = experiment["layer"]
        salt = document["layers"][layer].get("salt", f"layer:{layer}")
        low, high = experiment["range"]
        if not low <= position_of(salt, unit) < high:
            return control, False, "layer"
    facts = row.get("attributes", {})
    if any(facts.get(k) != v for k, v in experiment.get("audience", {}).items()):
        return control, False, "audience"
    found = variant_at(experiment, position_of(salt_of(key, experiment), unit))
    if found is None:
        return control, False, "traffic"
    if any(v["key"] == found and v.get("closed") for v in experiment["variants"]):
        return control, False, "closed"
    return found, True, "allocated"


def variants(**weights: float) -> list[Json]:
    """Write variants with their weights, in order."""
    return [{"key": key, "weight": weight} for key, weight in weights.items()]


def edge_sum() -> list[float]:
    """Find weights whose plain float sum, left to right, decides about unit ``edge``.

    Their exact sum rounds to another number, and that would move the first boundary
    off the very position of the unit.
    """
    place = position_of("edge_sum", "edge")
    for parts in range(3, 60):
        weights = [place] + [(1 - place) / parts] * parts
        plain = 0.0
        for weight in weights:
            plain += weight
        if plain != 1.0 and place / plain > place:
            return weights
    raise AssertionError("No such weights were found.")


def allocations() -> Json:
    """Write experiments that differ in weights, traffic, salts and iterations."""
    half = variants(control=1, treatment=1)
    third = 1 / 3
    marked = [*variants(a=1), {"key": "b", "weight": 1, "control": True}]
    return {
        "halves": {"variants": half},
        "ninety": {"variants": variants(control=90, treatment=10)},
        "three": {"variants": variants(control=2, b=5, c=3)},
        "thirds": {"variants": variants(control=third, b=third, c=third)},
        "tenths": {"variants": variants(**{f"v{n}": 0.1 for n in range(10)})},
        "marked": {"variants": marked, "traffic": 0.5},
        "zero_middle": {"variants": variants(control=1, never=0, c=1)},
        "zero_ends": {"variants": variants(control=0, b=1, c=0)},
        "fifth": {"variants": half, "traffic": 0.2},
        "fifth_wide": {"variants": half, "traffic": 0.6, "salt": "fifth-fixed"},
        "fifth_three": {"variants": variants(control=2, b=5, c=3), "traffic": 0.2},
        "nobody": {"variants": half, "traffic": 0},
        "again": {"variants": half, "iteration": 2},
        "again_third": {"variants": half, "iteration": 3},
        "salted": {"variants": half, "salt": "Grüße 2030"},
        "salted_again": {
            "variants": half,
            "iteration": 2,
            "salt": "a\u0308 second run",
        },
    }


def neighbours() -> Json:
    """Write experiments in layers, closed ones, and others told apart by a reason."""
    half = variants(control=1, treatment=1)
    closed: list[Json] = [{"key": "b", "weight": 1, "closed": True}]
    shut_control: list[Json] = [{"key": "control", "weight": 1, "closed": True}]
    return {
        "left": {"variants": half, "layer": "checkout", "range": [0.0, 0.5]},
        "right": {"variants": half, "layer": "checkout", "range": [0.5, 0.9]},
        "narrow": {
            "variants": half,
            "layer": "named",
            "range": [0.25, 0.75],
            "traffic": 0.5,
        },
        "closing": {"variants": [*variants(control=1), *closed, *variants(c=1)]},
        "control_closed": {"variants": [*shut_control, *variants(b=1)]},
        "shut": {"variants": half, "closed": True},
        "chosen": {"variants": half, "forced": {"7": "treatment", "42": "control"}},
        "sketch": {"variants": half, "status": "draft"},
        "held": {"variants": half, "status": "paused"},
        "won": {"variants": half, "status": "concluded", "winner": "treatment"},
        "flat": {"variants": half, "status": "concluded"},
        "old": {"variants": half, "status": "archived", "winner": "treatment"},
        "early": {"variants": half, "start_at": "2030-01-02T00:00:00Z"},
        "late": {"variants": half, "end_at": "2029-12-31T00:00:00Z"},
        "german": {"variants": half, "audience": {"country": "DE"}},
        "either": {"variants": half, "unit": ["user", "visitor"]},
        "browser": {"variants": half, "unit": "visitor"},
        "tenants": {"variants": half, "unit": "tenant"},
    }


def edges() -> Json:
    """Write experiments with a boundary on the very position of unit ``edge``."""
    half = variants(control=1, treatment=1)
    place = position_of("edge_weight", "edge")
    traffic = position_of("edge_traffic", "edge")
    layer = position_of("layer:edges", "edge")
    uneven = {f"v{n}": weight for n, weight in enumerate(edge_sum())}
    return {
        "edge_weight": {"variants": variants(control=place, b=1 - place)},
        "edge_traffic": {"variants": variants(control=1, b=0), "traffic": traffic},
        "edge_sum": {"variants": variants(**uneven)},
        "edge_below": {"variants": half, "layer": "edges", "range": [0.0, layer]},
        "edge_above": {"variants": half, "layer": "edges", "range": [layer, 1.0]},
    }


def document() -> Json:
    """Write the definition that the rows are asked about."""
    experiments = {**allocations(), **neighbours(), **edges()}
    for experiment in experiments.values():
        experiment.setdefault("unit", "user")
    layers: Json = {"checkout": {}, "named": {"salt": "another name"}, "edges": {}}
    return {"experiments": experiments, "layers": layers}


def rows_of(key: str) -> list[Json]:
    """Write whom one experiment is asked about."""
    users = [users_row(unit_id) for unit_id in SHORT]
    if key.startswith("edge"):
        return [users_row("edge"), users_row("other")]
    if key in {"sketch", "held", "won", "flat", "old", "early", "late"}:
        return [*users[:2], users_row(""), {"units": {}}]
    if key == "german":
        places: list[Json] = [{"country": "DE"}, {"country": "AT"}, {}]
        return [{**user, "attributes": place} for user in users[:5] for place in places]
    if key == "either":
        pairs = [("7", "v1"), ("", "v1"), (None, "v2"), ("8", ""), ("", "")]
        return [{"units": {"user": user, "visitor": seen}} for user, seen in pairs]
    if key == "browser":
        seen_ids = ("v1", "v2", "v3", "")
        return [{"units": {"user": "7", "visitor": seen}} for seen in seen_ids]
    if key == "tenants":
        tenants = ["acme", "globex", "initech", 7, "", None, 1.5, ["acme"]]
        return [{**users_row("7"), "attributes": {"tenant": t}} for t in tenants]
    if key in {"closing", "shut", "control_closed", "ninety", "left"}:
        kept = {"closing": "b", "ninety": "treatment"}.get(key, "control")
        users += [{**user, "remembered": kept} for user in users[:6]]
    if key == "halves":
        rest = [*TEXTS, *STRANGE, *LONG, *UUIDS[3:], *EMAILS[2:]]
        users += [users_row(unit_id) for unit_id in rest]
    return [*users, users_row("")]


def users_row(unit_id: str | int) -> Json:
    """Ask about one user."""
    return {"units": {"user": unit_id}}


def assignments() -> Json:
    """Make the document, and one row for each question with its answer."""
    asked = document()
    rows: list[Json] = []
    for key in asked["experiments"]:
        for row in rows_of(key):
            variant, in_experiment, reason = answer(asked, key, row)
            told = {
                "variant": variant,
                "in_experiment": in_experiment,
                "reason": reason,
            }
            rows.append({"experiment": key, **row, **told})
    return {"document": asked, "now": NOW, "rows": rows}


def positions() -> Json:
    """Make rows of salt, unit id and position, and the variant of two halves there."""
    halves: Json = {"variants": variants(control=1, treatment=1)}
    salts = [
        "headline",
        "headline:2",
        "layer:checkout",
        "Grüße",
        "Gru\u0308ße",
        "🫖",
        " ",
    ]
    ids: list[int | str] = [*SHORT, *TEXTS, *STRANGE, *EMAILS, *UUIDS]
    asked: list[tuple[str, int | str]] = [
        (salt, unit_id) for salt in salts for unit_id in ids
    ]
    asked += [("headline", long) for long in LONG]
    asked += [("a", "bc"), ("ab", "c"), ("a\u0308", "z"), ("ä", "z")]
    rows = []
    for salt, unit_id in sorted({(salt, str(unit_id)) for salt, unit_id in asked}):
        place = position_of(salt, unit_id)
        variant = variant_at(halves, place)
        rows.append(
            {"salt": salt, "unit": unit_id, "position": place, "variant": variant}
        )
    return {"rows": rows}


def text_of(vectors: Json) -> str:
    """Write JSON with sorted keys and one row a line."""
    head = {key: value for key, value in vectors.items() if key != "rows"}
    parts = [
        f"{json.dumps(key)}: {json.dumps(head[key], sort_keys=True, indent=1)}"
        for key in sorted(head)
    ]
    lines = ",\n".join(json.dumps(row, sort_keys=True) for row in vectors["rows"])
    return "{\n" + ",\n".join([*parts, f'"rows": [\n{lines}\n]']) + "\n}\n"


def main(folder: Path) -> None:
    """Write both files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, vectors in (("positions", positions()), ("assignments", assignments())):
        path = folder / f"{name}.json"
        path.write_text(text_of(vectors), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
