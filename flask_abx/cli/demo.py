"""A page in two variants and its report, served from a temporary folder: demo."""

from __future__ import annotations

import signal
import socket
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.resources import files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_abx.cli.database import make_missing
from flask_abx.cli.events.progress import progress_bar
from flask_abx.errors import UsageError
from flask_abx.results.simulation.scenario import Scenario, Simulation
from flask_abx.results.simulation.simulating import simulate
from flask_abx.runtime.results import metrics_of, refreshed
from flask_abx.runtime.state import state_of
from flask_abx.stores.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from werkzeug.serving import BaseWSGIServer

    from flask_abx.runtime.state import State
    from flask_abx.stores.database import Database

_HOST = "127.0.0.1"
_KEY = "headline"
_UNITS = 20_000
_EFFECT = 0.3


class _Silent(WSGIRequestHandler):
    """Serves without a line for each request, so that records stand out."""

    def log_request(self, *told: object, **options: object) -> None:
        """Say nothing."""


@click.command("demo")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=5000,
    show_default=True,
    help="Where to serve it; where that is taken, on a free port.",
)
@click.option(
    "--visitors",
    type=click.IntRange(1, 1_000_000),
    default=_UNITS,
    show_default=True,
    help="How many have come within two weeks, all of them made up.",
)
def demo_command(port: int, visitors: int) -> None:
    """Serve a page in two variants, and its report.

    Everything is in a temporary folder, which is gone when this ends.
    """
    # Whoever is told to end removes the folder, too; a shell that starts this in the
    # background would have it ignore Ctrl-C.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    with suppress(KeyboardInterrupt), _served(port, visitors) as server:
        _tell(server)
        server.serve_forever()
    click.echo("\nEnded, and everything is removed.")


def code() -> str:
    """Give the lines of the application."""
    return files("flask_abx.cli").joinpath("demo_app.txt").read_text("utf-8")


@contextmanager
def _served(port: int, visitors: int) -> Iterator[BaseWSGIServer]:
    with TemporaryDirectory(prefix="flask-abx-demo-") as folder:
        app = _load(Path(folder).resolve() / "app.py")
        state = state_of(app)
        try:
            with app.app_context():
                _fill(state, visitors)
            server = _listen(app, port)
            try:
                yield server
            finally:
                server.server_close()
        finally:
            _close(app, state)


def _load(path: Path) -> Flask:
    """Write the application down, and load it from there as it is."""
    path.write_text(code(), "utf-8")
    spec = spec_from_file_location("flask_abx_demo", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{str(path)!r} cannot be loaded: set TMPDIR to a folder.")
    module = module_from_spec(spec)
    # Flask finds out by the name where an application lives.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    app: Flask = module.app
    # In debug everyone may choose a variant.
    app.debug = True
    return app


def _fill(state: State, visitors: int) -> None:
    """Make the tables, let visitors come, and look at what they did."""
    database = _database(state)
    engine, document = database.own, state.store.document()
    make_missing(engine, database.tables)
    # What nobody has recorded yet would have begun after its visitors.
    Recording(database, state.store).record(engine, document)
    simulation = Simulation(
        scenarios=(Scenario(_KEY, _EFFECT),),
        now=datetime.now(UTC),
        units=visitors,
        metrics=metrics_of(state),
    )
    with progress_bar("Visitors") as tell:
        simulate(
            engine, database.tables, state.store.ruleset(), document, simulation, tell
        )
    refreshed(state, _KEY)


def _listen(app: Flask, port: int) -> BaseWSGIServer:
    free = port if _is_free(port) else 0
    return make_server(_HOST, free, app, threaded=True, request_handler=_Silent)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does it: who listened a moment ago is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _tell(server: BaseWSGIServer) -> None:
    base = f"http://{_HOST}:{server.port}"
    lines = code().rstrip()
    count = sum(bool(line) for line in lines.splitlines())
    click.echo(f"These {count} lines are all there is to it:\n\n{lines}\n")
    click.echo(f"The page    {base}/  (add ?abx={_KEY}:bold to choose)")
    click.echo(f"Its report  {base}/abx/{_KEY}")
    click.echo("\nThe visitors so far are made up. Press Ctrl-C to end.")
    # Whoever reads from a pipe is told before the first request.
    sys.stdout.flush()


def _database(state: State) -> Database:
    if state.database is None:
        raise UsageError("The application has no database: write ABX(app, db=db).")
    return state.database


def _close(app: Flask, state: State) -> None:
    """End what keeps files open."""
    storage = state.storage
    if storage.delivery is not None:
        # At the exit of the process there is no database to store it in.
        storage.delivery.sink.close()
    if storage.background is not None:
        storage.background.stop()
    if storage.database is not None:
        storage.database.own.dispose()
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()
