from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.cli.doctor import delivery as doctor
from flask_abx.events.records import stamp
from flask_abx.events.spool.letters import Letter
from flask_abx.runtime.state import Delivery, state_of
from tests.cli.people import event
from tests.cli.shops import MakeShop, shops

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

HEADLINE = {"headline": {"variants": ["control", "bold"], "metrics": ["signup"]}}
OURS = {
    *("delivery", "spool", "filesystem", "waiting", "dead_letters"),
    "durability",
}


@pytest.fixture
def make_shop(tmp_path: Path) -> Iterator[MakeShop]:
    with shops(tmp_path) as make:
        yield make


@pytest.fixture
def shop(
    make_shop: MakeShop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flask]:
    """Make a shop with its tables, on a disk of its own."""
    monkeypatch.setattr(doctor, "filesystem_of", lambda path: "ext4")
    app = make_shop(ABX_EXPERIMENTS=HEADLINE)
    run(app, "db", "create")
    yield app
    delivery_of(app).spool.close()


def delivery_of(app: Flask) -> Delivery:
    delivery = state_of(app).delivery
    assert delivery is not None
    return delivery


def record(age: float) -> str:
    """Make the record of an event that happened so many seconds ago."""
    at = stamp(datetime.now(UTC) - timedelta(seconds=age))
    return json.dumps({**event("purchase", user="anna"), "at": at})


def wait(app: Flask, *ages: float) -> None:
    """Have records wait, each so many seconds old."""
    delivery_of(app).spool.append([record(age) for age in ages])


def refuse(app: Flask, raw: str) -> None:
    wait(app, 0)
    letters = delivery_of(app).letters
    assert letters is not None
    letters.add([Letter("The trigger says no.", datetime.now(UTC), None, raw)])


def found(run: Run, app: Flask) -> dict[str, dict[str, Any]]:
    """Run doctor, and give what it found out about the way of the records."""
    data = json.loads(run(app, "doctor").stdout)
    return {each["check"]: each for each in data["findings"] if each["check"] in OURS}


def levels(run: Run, app: Flask) -> dict[str, str]:
    return {check: each["level"] for check, each in found(run, app).items()}


def test_without_a_database_nothing_is_said(make_app: MakeApp, run: Run) -> None:
    assert found(run, make_app()) == {}


def test_a_way_as_it_should_be_is_well(shop: Flask, run: Run) -> None:
    wait(shop, 0)
    checks = ("delivery", "spool", "waiting", "dead_letters")
    assert levels(run, shop) == dict.fromkeys(checks, "ok")


def test_before_the_first_record_there_is_no_folder_and_all_is_well(
    shop: Flask, run: Run
) -> None:
    findings = found(run, shop)
    folder = delivery_of(shop).spool.state.folder
    assert folder is not None
    assert not folder.exists()
    assert findings["spool"]["message"].endswith(f"{str(folder)!r}.")
    assert {each["level"] for each in findings.values()} == {"ok"}


@pytest.mark.parametrize(
    ("testing", "expected"),
    [pytest.param(False, "warn", id="served"), pytest.param(True, "ok", id="tested")],
)
def test_a_database_that_gets_no_records_is_told(
    make_shop: MakeShop, run: Run, *, testing: bool, expected: str
) -> None:
    app = make_shop(ABX_SINKS=["log"], TESTING=testing)
    assert levels(run, app) == {"delivery": expected}


def test_a_folder_that_is_refused_fails_with_the_reason(
    shop: Flask, run: Run, tmp_path: Path
) -> None:
    folder = delivery_of(shop).spool.state.folder
    assert folder is not None
    folder.parent.mkdir(exist_ok=True)
    folder.symlink_to(tmp_path)
    spool = found(run, shop)["spool"]
    assert spool["level"] == "fail"
    assert "is a symbolic link: set ABX_SPOOL_DIR" in spool["message"]
    assert spool["paste"].startswith('app.config["ABX_SPOOL_DIR"] = ')


def test_a_folder_of_another_user_is_for_that_user_to_judge(
    shop: Flask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait(shop, 0)
    delivery_of(shop).spool.close()
    owner = os.geteuid()
    delivery_of(shop).spool._processes.clear()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    findings = found(run, shop)
    assert findings["spool"]["level"] == "warn"
    assert findings["spool"]["paste"] == f"sudo -u '#{owner}' flask abx doctor"
    assert "waiting" not in findings


def test_records_that_the_spool_did_not_take_are_a_warning(
    make_shop: MakeShop, run: Run
) -> None:
    app = make_shop(ABX_SPOOL_MAX_BYTES=1_024)
    while delivery_of(app).spool.append([record(0)]):
        pass
    spool = found(run, app)["spool"]
    delivery_of(app).spool.close()
    assert spool["level"] == "warn"
    assert spool["message"].startswith("This process keeps 1 record in memory only, ")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param(100, "ok", id="room"),
        pytest.param(950, "warn", id="nearly"),
        pytest.param(1_100, "fail", id="full"),
    ],
)
def test_a_folder_that_fills_up_is_told(
    make_shop: MakeShop, run: Run, size: int, expected: str
) -> None:
    app = make_shop(ABX_SPOOL_MAX_BYTES=1_024)
    folder = delivery_of(app).spool.state.folder
    assert folder is not None
    folder.mkdir(mode=0o700, parents=True)
    (folder / "0.spool").write_bytes(b"." * size)
    assert levels(run, app)["spool"] == expected


def test_a_database_in_memory_keeps_records_there_too(
    make_shop: MakeShop, run: Run
) -> None:
    spool = found(run, make_shop("memory"))["spool"]
    assert spool["level"] == "warn"
    assert spool["message"] == "The database itself is in memory, so are the records."


def test_a_database_in_memory_is_well_in_a_test(make_shop: MakeShop, run: Run) -> None:
    assert levels(run, make_shop("memory", TESTING=True))["spool"] == "ok"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param("tmpfs", "is in memory (tmpfs)", id="tmpfs"),
        pytest.param("overlay", "is within the container (overlay)", id="overlay"),
    ],
)
def test_a_file_system_that_does_not_last_is_a_warning(
    shop: Flask, run: Run, monkeypatch: pytest.MonkeyPatch, kind: str, words: str
) -> None:
    monkeypatch.setattr(doctor, "filesystem_of", lambda path: kind)
    finding = found(run, shop)["filesystem"]
    assert (finding["level"], words in finding["message"]) == ("warn", True)


def test_how_much_waits_is_told(shop: Flask, run: Run) -> None:
    wait(shop, 0)
    message = found(run, shop)["waiting"]["message"]
    assert message.endswith(" bytes in 1 file wait for the database.")


def test_a_record_that_waits_too_long_is_a_warning(shop: Flask, run: Run) -> None:
    wait(shop, 90, 0)
    waiting = found(run, shop)["waiting"]
    assert (waiting["level"], waiting["paste"]) == ("warn", "flask abx events drain")
    assert "the oldest record since 9" in waiting["message"]
    assert "in the log of the servers" in waiting["message"]


def test_the_oldest_of_all_files_counts(shop: Flask, run: Run) -> None:
    wait(shop, 90)
    delivery_of(shop).spool.close()
    wait(shop, 0)
    waiting = found(run, shop)["waiting"]
    assert waiting["level"] == "warn"
    assert "in 2 files wait" in waiting["message"]


def test_a_file_that_is_damaged_is_not_late(shop: Flask, run: Run) -> None:
    wait(shop, 90)
    state = delivery_of(shop).spool.state
    assert state.folder is not None
    (file,) = state.folder.glob("*.spool")
    file.write_bytes(b"damaged")
    assert levels(run, shop)["waiting"] == "ok"


def test_a_drainer_that_is_late_is_blamed(shop: Flask, run: Run) -> None:
    wait(shop, 90)
    with delivery_of(shop).spool.watch():
        message = found(run, shop)["waiting"]["message"]
    assert "in the log of `flask abx events drain --watch`" in message


def test_dead_letters_are_told_with_the_command(shop: Flask, run: Run) -> None:
    refuse(shop, "broken")
    letters = found(run, shop)["dead_letters"]
    assert letters["level"] == "warn"
    assert letters["message"].startswith("The database has refused 1 record, ")
    assert letters["paste"] == "flask abx events dead-letters list"


def test_dead_letters_that_cannot_be_read_are_told(
    shop: Flask, run: Run, tmp_path: Path
) -> None:
    wait(shop, 0)
    letters = delivery_of(shop).letters
    assert letters is not None
    letters.path.symlink_to(tmp_path)
    finding = found(run, shop)["dead_letters"]
    assert (finding["level"], "cannot be read" in finding["message"]) == ("warn", True)


@pytest.mark.parametrize(
    ("bind", "config", "expected"),
    [
        pytest.param(None, {}, "ok", id="beside-the-rows"),
        pytest.param("abx", {}, "warn", id="on-a-bind"),
        pytest.param(None, {"ABX_SINKS": ["log"]}, "fail", id="no-delivery"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_told(
    make_shop: MakeShop,
    run: Run,
    bind: str | None,
    config: dict[str, Any],
    expected: str,
) -> None:
    app = make_shop(bind=bind, ABX_TRACK_DURABILITY="atomic", **config)
    assert levels(run, app)["durability"] == expected


def test_a_promise_without_a_database_fails(make_app: MakeApp, run: Run) -> None:
    app = make_app(ABX_TRACK_DURABILITY="atomic")
    assert levels(run, app) == {"durability": "fail"}


def test_a_promise_that_nobody_made_is_not_checked(
    make_shop: MakeShop, run: Run
) -> None:
    assert "durability" not in levels(run, make_shop(bind="abx"))
