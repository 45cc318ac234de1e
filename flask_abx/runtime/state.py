"""What the extension keeps for one application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask_abx.errors import SetupError
from flask_abx.runtime.bounded import Bounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from flask_abx.assignment.decision import Unit
    from flask_abx.assignment.ruleset import Ruleset
    from flask_abx.events.recorder import Recorder
    from flask_abx.events.tally import Tally
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
    """

    store: Store
    database: Database | None = None
    background: Background | None = None
    editor: Editor | None = None


@dataclass(frozen=True, slots=True)
class State:
    """The parts that serve one application; made once, in `init_app`.

    Attributes:
        default_user: Answers for the user where no loader is registered.
        seen: Who was exposed to what, of clients that keep no cookie.
    """

    settings: Settings
    storage: Storage
    hooks: Hooks
    recorder: Recorder
    tally: Tally
    cookie: CookieCodec
    default_user: Callable[[], object]
    forced: Forced = field(default_factory=Forced)
    seen: Bounded[tuple[str, int, Unit], bool] = field(
        default_factory=lambda: Bounded(REMEMBERED)
    )

    @property
    def store(self) -> Store:
        """Where the definitions come from."""
        return self.storage.store

    @property
    def database(self) -> Database | None:
        """Where the tables are, if the application gave a database."""
        return self.storage.database

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
