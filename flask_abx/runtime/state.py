"""What the extension keeps for one application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask_abx.errors import SetupError
from flask_abx.events.bounded import Bounded
from flask_abx.runtime.company import Company

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from flask_abx.assignment.decision import Unit
    from flask_abx.assignment.ruleset import Ruleset
    from flask_abx.events.flights import Flights
    from flask_abx.events.lookups import Lookups
    from flask_abx.events.porter import Porter
    from flask_abx.events.recorder import Recorder
    from flask_abx.events.sinks.sql import SqlSink
    from flask_abx.events.spool.letters import DeadLetters
    from flask_abx.events.spool.spool import Spool
    from flask_abx.events.tally import Tally
    from flask_abx.runtime.atomic import Atomic
    from flask_abx.runtime.cookie import CookieCodec
    from flask_abx.runtime.hooks import Hooks
    from flask_abx.settings import Settings
    from flask_abx.stores.background import Background
    from flask_abx.stores.base import Store
    from flask_abx.stores.database import Database
    from flask_abx.stores.editor import Editor

EXTENSION = "abx"
#: How many exposures a process remembers of clients without a cookie.
REMEMBERED = 10_000


@dataclass(slots=True)
class Forced:
    """The variants that a test holds, and whom it has exposed to them."""

    variants: dict[str, str] = field(default_factory=dict)
    exposed: set[tuple[str, Unit]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Storage:
    """What serves the definitions of one application, and what changes them.

    Attributes:
        database: Where the tables are, if the application gave one.
        background: The one thread that talks to it.
        editor: Changes the definitions there, if they are defined there.
        delivery: What brings records into it.
    """

    store: Store
    database: Database | None = None
    background: Background | None = None
    editor: Editor | None = None
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What brings records into the database, and what asks for those that are there.

    Attributes:
        sink: Takes the records of a request.
        spool: Where they wait, also those of other processes.
        porter: Stores what waits there.
        find_letters: Gives where those are kept that the database refuses; None where
            nothing is written on disk.
        lookups: Answers what is stored of a unit.
        atomic: Stores an event together with what the application writes.
        flights: The requests under way, where a write could disturb them.
    """

    sink: SqlSink
    spool: Spool
    porter: Porter
    find_letters: Callable[[], DeadLetters | None]
    lookups: Lookups
    atomic: Atomic
    flights: Flights

    @property
    def letters(self) -> DeadLetters | None:
        """Where those are kept that the database refuses."""
        return self.find_letters()


@dataclass(frozen=True, slots=True)
class State:
    """The parts that serve one application; made once, in `init_app`.

    Attributes:
        default_user: Answers for the user where no loader is registered.
        seen: Who was exposed to which variant, of clients that keep no cookie, and of
            units whose rows are on their way; empty where a test has forced it.
        company: Which visitors were seen with which users.
    """

    settings: Settings
    storage: Storage
    hooks: Hooks
    recorder: Recorder
    tally: Tally
    cookie: CookieCodec
    default_user: Callable[[], object]
    forced: Forced = field(default_factory=Forced)
    seen: Bounded[tuple[str, int, Unit], str] = field(
        default_factory=lambda: Bounded(REMEMBERED)
    )

    company: Company = field(default_factory=Company)

    @property
    def store(self) -> Store:
        """Where the definitions come from."""
        return self.storage.store

    @property
    def database(self) -> Database | None:
        """Where the tables are, if the application gave a database."""
        return self.storage.database

    @property
    def delivery(self) -> Delivery | None:
        """What brings records into the database, if they go there."""
        return self.storage.delivery

    @property
    def editor(self) -> Editor | None:
        """Changes the definitions, if they are defined in the database."""
        return self.storage.editor

    def ruleset(self) -> Ruleset:
        """Give the compiled definitions of this moment, and keep the thread at work."""
        storage = self.storage
        if storage.background is not None:
            storage.background.touch()
        return storage.store.ruleset()


def state_of(app: Flask) -> State:
    """Give the state of an application.

    Raises:
        SetupError: If the extension is not set up on it.
    """
    try:
        state: State = app.extensions[EXTENSION]
    except KeyError:
        raise SetupError(
            f"flask-abx is not set up on {app.name!r}, call `abx.init_app(app)`."
        ) from None
    return state
