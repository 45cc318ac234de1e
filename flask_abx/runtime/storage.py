"""Joining one application to its database."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import ref

from flask_abx.errors import ConfigError, SetupError
from flask_abx.events.signals import emit, experiment_changed
from flask_abx.runtime.address import address_of
from flask_abx.runtime.delivery import open_delivery
from flask_abx.runtime.state import Storage
from flask_abx.schema import fit_dialect
from flask_abx.stores.background import Background
from flask_abx.stores.config import ConfigStore
from flask_abx.stores.copy import DiskCopy
from flask_abx.stores.database import Database
from flask_abx.stores.editor import Editor
from flask_abx.stores.recording import Recording
from flask_abx.stores.serving import Standing
from flask_abx.stores.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from sqlalchemy import Engine

    from flask_abx.events.tally import Tally
    from flask_abx.runtime.address import Place
    from flask_abx.runtime.hooks import Hooks
    from flask_abx.runtime.state import Delivery
    from flask_abx.settings import Settings
    from flask_abx.stores.base import Store
    from flask_abx.stores.change import Change

#: A change waits at least so long to take effect everywhere, in milliseconds.
_SHORTEST_DELAY = 5_000
#: How long a test waits for its own change, in seconds.
_PATIENCE = 2.0


def open_storage(
    app: Flask, place: Place, settings: Settings, hooks: Hooks, tally: Tally
) -> Storage:
    """Decide where the definitions come from, and join what is needed for that.

    Raises:
        ConfigError: If the settings name two places.
        DefinitionError: With every fault of the definitions of the configuration.
    """
    is_in_config = bool(settings.experiments) or settings.definitions is not None
    if settings.store == "sql" and is_in_config:
        raise ConfigError(
            "ABX_STORE is 'sql', but ABX_EXPERIMENTS or ABX_DEFINITIONS is given too: "
            "move them with `flask abx apply FILE` and leave them out."
        )
    _fit(app, place)
    # Whoever waits for the database must not keep alive the application.
    database = Database(place.tables, partial(_host_engine, ref(app), place))
    background = Background(
        database, settings.refresh_seconds, tally, app.logger, settings.wait
    )
    deliver = partial(_deliver, app, place, settings, database, background, tally)
    if settings.store == "config" or (settings.store is None and is_in_config):
        store = ConfigStore(settings, Path(app.root_path), hooks.segments)
        background.add(Recording(database, store))
        delivery = deliver(store, lambda: True)
        return Storage(store, database, background, delivery=delivery)
    find_copy = partial(_copy, app, place, settings, database)
    sql = SqlStore(
        database, background, settings, hooks.segments, find_copy, tally, app.logger
    )
    editor = Editor(
        database,
        hooks.segments,
        delay=partial(_delay, app, settings, database),
        guard=partial(_guard, hooks),
        tell=partial(_tell, app, background, tally),
    )
    delivery = deliver(sql, lambda: sql.standing is not Standing.EMPTY)
    return Storage(sql, database, background, editor, delivery)


def _deliver(
    app: Flask,
    place: Place,
    settings: Settings,
    database: Database,
    background: Background,
    tally: Tally,
    store: Store,
    is_ready: Callable[[], bool],
) -> Delivery | None:
    """Join what brings records into the database, unless they go elsewhere."""
    if settings.sinks is not None and "sql" not in settings.sinks:
        return None
    return open_delivery(
        app, place, settings, database, background, store, is_ready, tally
    )


def _guard(hooks: Hooks, change: Change) -> None:
    for guard in hooks.change_guards:
        guard(change)


def _tell(
    app: Flask, background: Background, tally: Tally, changes: tuple[Change, ...]
) -> None:
    """Take up at once what this process has published, and tell the receivers."""
    # A test reads on at once what it has published.
    if app.testing:
        background.settle(_PATIENCE)
    else:
        background.wake()
    for change in changes:
        emit(experiment_changed, app, tally, change=change)


def _fit(app: Flask, place: Place) -> None:
    """Add the index that one kind of database alone profits from."""
    if place.bind_key is None:
        options = app.config.get("SQLALCHEMY_ENGINE_OPTIONS", {})
        address = app.config.get("SQLALCHEMY_DATABASE_URI", options.get("url"))
    else:
        address = app.config.get("SQLALCHEMY_BINDS", {}).get(place.bind_key)
    if isinstance(address, dict):
        address = address.get("url")
    scheme = str(address or "").partition(":")[0]
    fit_dialect(place.tables, scheme.partition("+")[0])


def _host_engine(find_app: Callable[[], Flask | None], place: Place) -> Engine:
    app, found = find_app(), None
    if app is None:
        raise SetupError("The application is gone, make it again.")
    try:
        with app.app_context():
            found = _engine(place)
    except Exception:
        # What others do at the end of a context is not needed here.
        if found is None:
            raise
    return found


def _engine(place: Place) -> Engine:
    engines = place.db.engines
    if place.bind_key not in engines:
        named = ", ".join(repr(key) for key in engines if key) or "none"
        raise SetupError(
            f"ABX got bind_key={place.bind_key!r}, which is no bind of the "
            f"application: SQLALCHEMY_BINDS names {named}."
        )
    return engines[place.bind_key]


def _copy(
    app: Flask, place: Place, settings: Settings, database: Database
) -> DiskCopy | None:
    """Give the copy on disk; none in tests, and none where it is switched off."""
    cache = settings.ruleset_cache
    if app.testing or cache is False:
        return None
    folder = Path(app.instance_path if cache is None else app.root_path)
    if cache is not None:
        folder /= cache
    return DiskCopy(folder, address_of(place, database))


def _delay(app: Flask, settings: Settings, database: Database) -> int:
    """Give the time that every process has to hear of a change, in milliseconds."""
    if app.testing or database.is_in_memory:
        return 0
    return max(_SHORTEST_DELAY, round(2_000 * settings.refresh_seconds) + 1_000)
