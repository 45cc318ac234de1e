"""Applications whose database and files hold records of people."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from flask_abx.events.records import digest_of, stamp
from flask_abx.events.spool.letters import DeadLetters, Letter
from flask_abx.events.spool.spool import Spool
from flask_abx.events.tally import Tally
from flask_abx.runtime.state import Delivery, state_of
from flask_abx.stores.change import moment_of
from tests.cli.stored import stored_app
from tests.events.sql.people import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from flask import Flask

    from flask_abx.stores.database import Database

#: Why and when dead letters were refused.
REASON, REFUSED_AT = "The trigger says no.", datetime(2030, 1, 7, 9, tzinfo=UTC)


class Files:
    """What stands in for all that delivers records: the files alone.

    Args:
        folder: Where they are.
    """

    def __init__(self, app: Flask, folder: Path) -> None:
        self.folder = folder
        tally = Tally()
        self.spool = Spool(lambda: folder, 2**30, tally, app.logger)
        self.letters = DeadLetters(folder)

    def leave(self, *records: Mapping[str, Any]) -> None:
        """Leave records in a file whose owner is gone."""
        self.spool.append([json.dumps(record) for record in records])
        self.spool.close()

    def refuse(self, *told: Mapping[str, Any] | str) -> None:
        """Keep records as dead letters; a text is a line that cannot be read."""
        self.folder.mkdir(exist_ok=True)
        self.letters.add(
            [
                Letter(REASON, REFUSED_AT, None, each)
                if isinstance(each, str)
                else Letter(REASON, REFUSED_AT, each, None)
                for each in told
            ]
        )

    def waiting(self) -> list[str]:
        """Name the events that wait."""
        names = []
        while (haul := self.spool.adopt()) is not None:
            for lines in haul.chunks(100):
                names += [json.loads(line.text or "{}").get("name") for line in lines]
            haul.release()
        return names


@contextmanager
def shop_with_files(url: str, folder: Path, **config: object) -> Iterator[Flask]:
    """Make an application with its tables and a folder for records."""
    with stored_app(url, folder / "instance", **config) as app:
        state = state_of(app)
        files = Files(app, folder / "spool")
        storage = replace(state.storage, delivery=cast("Delivery", files))
        app.extensions["abx"] = replace(state, storage=storage)
        try:
            yield app
        finally:
            files.spool.close()


def files_of(app: Flask) -> Files:
    return cast("Files", state_of(app).storage.delivery)


def database_of(app: Flask) -> Database:
    database = state_of(app).database
    assert database is not None
    return database


def event(name: str, *, at: int = NOON, **units: str) -> dict[str, Any]:
    """Make the record of an event, as it waits in a file."""
    return {
        "type": "event",
        "id": digest_of("event", name, "1"),
        "at": stamp(moment_of(at)),
        "name": name,
        "value": 1,
        "variants": {},
        "units": units,
        "properties": {},
        "version": "3",
    }
