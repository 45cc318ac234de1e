from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest

from flask_abx.cli import changing
from tests.cli.people import database_of, event, files_of, shop_with_files
from tests.cli.shops import shops
from tests.cli.stored import data_of, stored_app
from tests.databases import ENGINES, fresh_database
from tests.events.sql.people import ANNAS, Rows, two_people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

#: Before any erasure of these tests.
EARLIER = 1_000_000_000_000
ERASE = ("unit", "erase", "--yes")
TENANTS = {"prices": {"unit": "tenant", "variants": ["low", "high"]}}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with shop_with_files(url, tmp_path, ABX_EXPERIMENTS=TENANTS) as app:
        yield app


@pytest.fixture
def rows(app: Flask) -> Rows:
    return Rows(database_of(app))


@pytest.mark.parametrize("kind", ENGINES)
def test_export_prints_what_is_stored_of_a_unit(
    tmp_path: Path, run: Run, kind: str
) -> None:
    with fresh_database(kind, tmp_path) as url, stored_app(url, tmp_path) as app:
        two_people(Rows(database_of(app)))
        data = data_of(run(app, "unit", "export", "user:anna"))
    assert (data["unit"], data["visitors"]) == ("user:anna", [ANNAS, "c" * 32])
    assert (len(data["exposures"]), len(data["events"]), len(data["links"])) == (
        3,
        3,
        2,
    )


def test_export_tells_what_waits_in_files(app: Flask, run: Run, rows: Rows) -> None:
    rows.link(ANNAS, "anna")
    files = files_of(app)
    files.leave(event("hers", visitor=ANNAS), event("his", user="ben"))
    files.refuse(event("bad", user="anna"), "broken")
    data = data_of(run(app, "unit", "export", "anna"))
    assert [record["name"] for record in data["spool"]] == ["hers"]
    assert [each["record"]["name"] for each in data["dead_letters"]] == ["bad"]


def test_export_reads_the_files_of_processes_that_live(app: Flask, run: Run) -> None:
    files_of(app).spool.append([json.dumps(event("hers", user="anna"))])
    data = data_of(run(app, "unit", "export", "anna"))
    assert [record["name"] for record in data["spool"]] == ["hers"]


def test_export_leaves_the_files_as_they_are(app: Flask, run: Run) -> None:
    files = files_of(app)
    files.leave(event("hers", user="anna"))
    run(app, "unit", "export", "anna")
    assert files.waiting() == ["hers"]


def test_export_of_somebody_unknown_says_so(app: Flask, run: Run) -> None:
    result = run(app, "unit", "export", "carl")
    data = data_of(result)
    assert not any(data[name] for name in data if name != "unit")
    assert result.stderr == (
        "Nothing is stored of user:carl. If 'carl' is the id of something else than a "
        "user, say so with --type.\n"
    )


def test_export_says_where_a_record_names_others(
    app: Flask, run: Run, rows: Rows
) -> None:
    rows.event("1", {"user": "anna", "tenant": "acme"})
    assert "with the ids of these others" in run(app, "unit", "export", "anna").stderr


@pytest.mark.parametrize(
    ("arguments", "unit"),
    [
        pytest.param(["anna"], "user:anna", id="a-user"),
        pytest.param([ANNAS], f"visitor:{ANNAS}", id="a-visitor"),
        pytest.param([ANNAS.upper()], f"user:{ANNAS.upper()}", id="capitals"),
        pytest.param(["user:7"], "user:7", id="typed"),
        pytest.param(["user:a:b"], "user:a:b", id="a-colon-in-the-id"),
        pytest.param(["tenant:acme"], "tenant:acme", id="an-attribute"),
        pytest.param(["--type", "shop", "a:b"], "shop:a:b", id="told"),
        pytest.param(["--type", "user", ANNAS], f"user:{ANNAS}", id="told-otherwise"),
    ],
)
def test_a_unit_is_named_in_many_ways(
    app: Flask, run: Run, arguments: list[str], unit: str
) -> None:
    assert data_of(run(app, "unit", "export", *arguments))["unit"] == unit


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([""], id="empty"),
        pytest.param(["user:"], id="no-id"),
        pytest.param([":7"], id="no-type"),
        pytest.param(["x" * 321], id="too-long"),
        pytest.param(["--type", "a:b", "c"], id="a-colon-in-the-type"),
    ],
)
def test_what_can_be_no_unit_is_refused(
    app: Flask, run: Run, arguments: list[str]
) -> None:
    assert run(app, "unit", "export", *arguments).exit_code == 2


def test_a_type_that_no_experiment_has_is_not_guessed(app: Flask, run: Run) -> None:
    result = run(app, *ERASE, "auth0:anna")
    assert result.exit_code == 2
    assert "write `--type user auth0:anna` if that is the whole id" in result.stderr


@pytest.mark.parametrize("kind", ENGINES)
def test_erase_takes_a_unit_out_of_every_table(
    tmp_path: Path, run: Run, kind: str
) -> None:
    with fresh_database(kind, tmp_path) as url, stored_app(url, tmp_path) as app:
        rows = Rows(database_of(app))
        two_people(rows)
        data = data_of(run(app, *ERASE, "user:anna"))
        assert (data["events"], data["shared_events"]) == (2, 2)
        text = rows.text()
        assert not [each for each in ("anna", ANNAS) if each in text]


def test_erase_says_what_went(app: Flask, run: Run, rows: Rows) -> None:
    two_people(rows)
    result = run(app, *ERASE, "anna", "--format", "table")
    assert result.stdout.startswith(
        "Erased user:anna and 2 visitors: 2 exposures, 2 events, 3 links, 0 records in "
        "the spool, 0 dead letters.\n"
        "2 events of others stayed for these, without the erased ids.\n"
    )
    assert "Logs, exports and backups are not touched" in result.stderr


def test_erase_takes_records_out_of_files_that_were_left(
    app: Flask, run: Run, rows: Rows
) -> None:
    rows.link(ANNAS, "anna")
    files = files_of(app)
    files.leave(
        event("hers", at=EARLIER, user="anna"),
        event("his", at=EARLIER, user="ben"),
        event("before", at=EARLIER, visitor=ANNAS),
    )
    files.leave(event("other", at=EARLIER, user="ben"))
    assert data_of(run(app, *ERASE, "anna"))["spool"] == 2
    assert sorted(files.waiting()) == ["his", "other"]


def test_erase_leaves_what_is_newer(app: Flask, run: Run) -> None:
    files = files_of(app)
    files.leave(event("again", at=32_000_000_000_000, user="anna"))
    assert data_of(run(app, *ERASE, "anna"))["spool"] == 0
    assert files.waiting() == ["again"]


def test_erase_removes_a_file_that_held_nothing_else(app: Flask, run: Run) -> None:
    files = files_of(app)
    files.leave(event("hers", at=EARLIER, user="anna"))
    run(app, *ERASE, "anna")
    assert list(files.folder.glob("*.spool")) == []


def test_erase_tells_of_files_that_are_in_use(app: Flask, run: Run) -> None:
    files = files_of(app)
    files.spool.append([json.dumps(event("hers", at=EARLIER, user="anna"))])
    result = run(app, *ERASE, "anna")
    assert data_of(result)["busy_files"] == 1
    assert "1 spool file in use by running processes: what of " in result.stderr


def test_erase_goes_round_a_file_that_is_none_of_ours(app: Flask, run: Run) -> None:
    files = files_of(app)
    files.leave(event("his", at=EARLIER, user="ben"))
    (files.folder / "0.spool").symlink_to("/dev/null")
    assert data_of(run(app, *ERASE, "anna"))["failed_files"] == 1


def test_erase_takes_damaged_lines_that_name_the_unit(app: Flask, run: Run) -> None:
    files = files_of(app)
    files.leave(event("his", at=EARLIER, user="ben"))
    (path,) = files.folder.glob("*.spool")
    with path.open("ab") as file:
        file.write(b'00 7 {"units": {"user": "anna"}, "na\n00 3 {"x": 1}\n')
    assert data_of(run(app, *ERASE, "anna"))["spool"] == 1
    (path,) = files.folder.glob("*.spool")
    assert path.read_bytes().endswith(b'\n00 3 {"x": 1}\n')


def test_erase_takes_dead_letters(app: Flask, run: Run) -> None:
    files = files_of(app)
    files.refuse(event("hers", at=EARLIER, user="anna"), '{"user": "anna", "na')
    files.refuse(event("his", at=EARLIER, user="ben"), "broken")
    assert data_of(run(app, *ERASE, "anna"))["dead_letters"] == 2
    left = [each.raw or (each.record or {})["name"] for each in files.letters.read()]
    assert left == ["his", "broken"]


def test_erase_twice_is_as_once(app: Flask, run: Run, rows: Rows) -> None:
    two_people(rows)
    run(app, *ERASE, "anna")
    before = rows.counts()
    data = data_of(run(app, *ERASE, "anna"))
    assert (data["exposures"], data["events"], rows.counts()) == (0, 0, before)


def test_erase_asks_nobody_who_is_not_there(app: Flask, run: Run, rows: Rows) -> None:
    two_people(rows)
    before = rows.counts()
    result = run(app, "unit", "erase", "anna")
    assert (result.exit_code, rows.counts()) == (2, before)
    assert "say --yes" in result.stderr


def test_erase_asks_and_obeys_a_no(
    app: Flask, run: Run, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_people(rows)
    before = rows.counts()
    asked: list[str] = []

    def refuse(question: str, **_: object) -> None:
        asked.append(question)
        raise click.Abort

    monkeypatch.setattr(changing, "is_interactive", lambda: True)
    monkeypatch.setattr(click, "confirm", refuse)
    assert run(app, "unit", "erase", "anna").exit_code == 1
    assert asked == ["Erase everything that is stored of user:anna, for good?"]
    assert rows.counts() == before


@pytest.mark.parametrize("command", ["export", "erase"])
def test_without_a_database_it_is_told(
    make_app: MakeApp, run: Run, command: str
) -> None:
    more = ["--yes"] if command == "erase" else []
    result = run(make_app(), "unit", command, "anna", *more)
    assert result.exit_code == 1
    assert "has no database for experiments" in result.stderr


@pytest.mark.parametrize("command", ["export", "erase"])
def test_without_tables_the_way_out_is_told(
    tmp_path: Path, run: Run, command: str
) -> None:
    more = ["--yes"] if command == "erase" else []
    with shops(tmp_path) as make:
        result = run(make(), "unit", command, "anna", *more)
    assert result.exit_code == 1
    assert "`flask abx db create`" in result.stderr


def test_in_memory_both_work(tmp_path: Path, run: Run) -> None:
    with shops(tmp_path) as make:
        app = make("memory")
        run(app, "db", "create")
        assert run(app, "unit", "export", "anna").exit_code == 0
        assert run(app, *ERASE, "anna").exit_code == 0
