"""Joining one application to the place where its records go."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import finalize

from flask_abx.events.draining import Adoption, Drain
from flask_abx.events.flights import Flights
from flask_abx.events.lookups import Lookups
from flask_abx.events.porter import Porter
from flask_abx.events.sinks.sql import SqlSink
from flask_abx.events.spool.letters import DeadLetters
from flask_abx.events.spool.spool import Spool
from flask_abx.runtime.address import address_of
from flask_abx.runtime.atomic import Atomic
from flask_abx.runtime.state import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from flask_abx.events.tally import Tally
    from flask_abx.runtime.address import Place
    from flask_abx.settings import Settings
    from flask_abx.stores.background import Background
    from flask_abx.stores.base import Store
    from flask_abx.stores.database import Database


def open_delivery(
    app: Flask,
    place: Place,
    settings: Settings,
    database: Database,
    background: Background,
    store: Store,
    is_ready: Callable[[], bool],
    tally: Tally,
) -> Delivery:
    """Join what brings the records of an application into its database.

    Args:
        app: The application.
        place: Where it keeps the tables.
        settings: Its settings.
        database: The same place, as connections.
        background: The thread that does the work.
        store: Knows which units an experiment has.
        is_ready: Tells whether the definitions are known.
        tally: Counts what is lost or late.
    """
    logger, flights, temporary = app.logger, Flights(), _Temporary()
    find_folder = partial(_folder, app, place, settings, database, temporary)
    spool = Spool(find_folder, settings.spool_max_bytes, tally, logger)
    finalize(spool, temporary.remove)
    find_letters = partial(_letters, spool)
    kinds_of = partial(_kinds, store)
    lookups = Lookups(database, background, settings.wait)
    porter = Porter(
        database, kinds_of, flights, find_letters, lookups.forget, tally, logger
    )
    drain = Drain(spool, porter, is_ready)
    background.add_errand(lookups)
    background.add_errand(drain)
    background.add_errand(Adoption(spool, porter, is_ready), can_wait=True)
    return Delivery(
        sink=SqlSink(spool, drain, background, flights, settings.wait, tally, logger),
        spool=spool,
        porter=porter,
        find_letters=find_letters,
        lookups=lookups,
        atomic=Atomic(place, tally, logger),
        flights=flights,
    )


class _Temporary:
    """A folder that is removed with whoever uses it, in the process that made it."""

    def __init__(self) -> None:
        self._folders: dict[int, str] = {}

    def make(self) -> Path:
        """Give the folder of this process."""
        pid = os.getpid()
        if pid not in self._folders:
            self._folders[pid] = tempfile.mkdtemp(prefix="flask-abx-")
        return Path(self._folders[pid])

    def remove(self) -> None:
        """Remove the folder of this process."""
        folder = self._folders.pop(os.getpid(), None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _folder(
    app: Flask,
    place: Place,
    settings: Settings,
    database: Database,
    temporary: _Temporary,
) -> Path | None:
    """Give the folder in which records wait for this one database."""
    if database.is_in_memory:
        # What waits for it has no longer a life than the database itself.
        return None
    if app.testing:
        return temporary.make()
    told = settings.spool_dir
    above = Path(app.instance_path) if told is None else Path(app.root_path) / told
    return above / address_of(place, database)


def _letters(spool: Spool) -> DeadLetters | None:
    folder = spool.folder
    return None if folder is None else DeadLetters(folder)


def _kinds(store: Store, experiment: str) -> tuple[str, ...]:
    found = store.document().experiments.get(experiment)
    return () if found is None else found.unit
