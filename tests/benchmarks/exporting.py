"""What an export needs of memory: of many events as much as of few."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flask import Flask
from flask.cli import ScriptInfo
from flask_sqlalchemy import SQLAlchemy

from flask_abx import ABX
from flask_abx.runtime.state import state_of
from tests.benchmarks.report import BenchmarkError, Row
from tests.databases import ENGINES, fresh_database, run

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESSES = {
    "ABX_TEST_POSTGRES_URL": "postgresql://postgres@127.0.0.1:5432/test",
    "ABX_TEST_MYSQL_URL": "mysql://root@127.0.0.1:3306/test",
}
FORMS = ("parquet", "jsonl")
#: Megabytes, of the whole process.
MOST = 200
MOST_GROWTH = 1.2
START = 1_770_000_000_000
EXPORTER = "from tests.benchmarks.exporting import export_as_told; export_as_told()"
#: How rows are numbered, how digits are written, and how texts are joined.
NUMBERS = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT {low} UNION ALL SELECT n + 1 FROM s "
    "WHERE n + 1 < {high}) SELECT n FROM s) AS s",
    "postgresql": "(SELECT generate_series({low}::bigint, {high} - 1) AS n) AS s",
    "mariadb": "(SELECT seq AS n FROM seq_{low}_to_{last}) AS s",
}
HEX = {
    "sqlite": "printf('%032x', {value})",
    "postgresql": "lpad(to_hex({value}), 32, '0')",
    "mariadb": "lower(lpad(hex({value}), 32, '0'))",
}
INSERTS = (
    # Each tenth event comes a day late.
    (
        "INSERT INTO abx_events SELECT {event}, 'purchase', {at}, {start} + n * 8640, "
        "49.5, {units}, '{properties}', '{variants}', '12' FROM {numbers}"
    ),
    (
        "INSERT INTO abx_event_units SELECT {of_visitor}, 'purchase', {at}, {event}, "
        "49.5 FROM {numbers}"
    ),
    (
        "INSERT INTO abx_exposures SELECT 'headline', 1, {of_event}, 'bold', 1, "
        "'allocated', {at}, 0, NULL, {event}, '{variants}', 7, '12', "
        "{start} + n * 8640 FROM {numbers} WHERE n % 10 = 0"
    ),
)


def measure(small: int = 100_000, large: int = 1_000_000) -> list[Row]:
    """Measure the peak of the process that exports, on every kind of database."""
    for name, address in ADDRESSES.items():
        os.environ.setdefault(name, address)
    return [row for kind in ENGINES for row in _on(kind, small, large)]


def _on(kind: str, small: int, large: int) -> Iterator[Row]:
    with TemporaryDirectory() as name, fresh_database(kind, Path(name)) as url:
        folder = Path(name)
        with _application(url, folder) as app, app.app_context():
            app.extensions["sqlalchemy"].create_all()
        if kind == "sqlite":
            run(url, "PRAGMA journal_mode=WAL")
        peaks: dict[tuple[str, int], float] = {}
        seconds: dict[str, float] = {}
        for low, high in ((0, small), (small, large)):
            _fill(kind, url, low, high)
            for form in FORMS:
                start = time.perf_counter()
                peaks[form, high] = _peak(url, folder, form, high)
                seconds[form] = time.perf_counter() - start
        for form in FORMS:
            few, many = peaks[form, small], peaks[form, large]
            what = f"export as {form} on {kind}"
            note = f"{seconds[form]:.0f} s for {large:,} events"
            yield Row(f"{what}: peak", many, "MB", bar=MOST, note=note)
            note = f"{few:.0f} MB at {small:,}"
            yield Row(f"{what}: growth", many / few, bar=MOST_GROWTH, note=note)


def _fill(kind: str, url: str, low: int, high: int) -> None:
    """Insert events, a unit of each, and an exposure to every tenth."""

    def joined(*texts: str) -> str:
        return f"concat({', '.join(texts)})" if kind != "sqlite" else " || ".join(texts)

    event, visitor = (HEX[kind].format(value=each) for each in ("n", "n % 50000"))
    parts = {
        "numbers": NUMBERS[kind].format(low=low, high=high, last=high - 1),
        "start": str(START),
        "at": f"{START} + n * 8640 - CASE n % 10 WHEN 0 THEN 86400000 ELSE 0 END",
        "event": event,
        "of_visitor": joined("'visitor:'", visitor),
        "of_event": joined("'visitor:'", event),
        "units": joined("""'{"visitor": "'""", visitor, """'", "user": "7"}'"""),
        "properties": '{"tea": "sencha", "country": "DE", "basket": [1, 2, 3]}',
        "variants": '{"headline": "bold"}',
    }
    # A colon would be the beginning of a parameter.
    inserts = (each.format(**parts).replace(":", r"\:") for each in INSERTS)
    analyse = "ANALYZE TABLE abx_events, abx_event_units"
    run(url, *inserts, analyse if kind == "mariadb" else "ANALYZE")


def _peak(url: str, folder: Path, form: str, events: int) -> float:
    """Export in a process of its own, and give the most memory that it used."""
    target = folder / f"{form}-{events}"
    command = [sys.executable, "-c", EXPORTER, url, str(folder), form, str(target)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    told = done.stdout.split()
    if done.returncode != 0 or f"{events}," not in told:
        raise BenchmarkError(f"The export failed: {done.stdout}{done.stderr}")
    return float(told[-1])


def export_as_told() -> None:
    """Run the command, and print the peak in megabytes; what the process runs."""
    url, folder, form, target = sys.argv[1:]
    arguments = ["abx", "events", "export", "--format", form, "-o", target]
    with _application(url, Path(folder)) as app:
        info = ScriptInfo(create_app=lambda: app)
        app.cli.main([*arguments, "--summary", "json"], obj=info, standalone_mode=False)
    # What `getrusage` tells may be the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    line = next(each for each in status.splitlines() if each.startswith("VmHWM"))
    print(int(line.split()[1]) / 1000)


@contextmanager
def _application(url: str, folder: Path) -> Iterator[Flask]:
    """Make an application that keeps its tables in a database."""
    app = Flask(__name__, instance_path=str(folder))
    app.config.update(SECRET_KEY="benchmarks", SQLALCHEMY_DATABASE_URI=url)
    app.config["ABX_SINKS"] = ["memory"]
    ABX(app, db=SQLAlchemy(app))
    try:
        yield app
    finally:
        storage = state_of(app).storage
        assert storage.background is not None
        assert storage.database is not None
        storage.background.stop()
        storage.database.own.dispose()
        storage.database.host.dispose()
