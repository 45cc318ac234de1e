"""ABX: wires one Flask application; the only place where everything meets."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import current_app

from flask_abx.cli.group import create_group
from flask_abx.contrib import flask_login
from flask_abx.errors import ConfigError, SetupError
from flask_abx.events.recorder import Recorder
from flask_abx.events.tally import Tally
from flask_abx.runtime.block import UnitBlock
from flask_abx.runtime.carried import MARK
from flask_abx.runtime.carrying import carry
from flask_abx.runtime.cookie import CookieCodec
from flask_abx.runtime.current import current_scope, variant_of
from flask_abx.runtime.making import UNSET
from flask_abx.runtime.middleware import Middleware
from flask_abx.runtime.omissions import tell_omissions
from flask_abx.runtime.payload import payload
from flask_abx.runtime.registry import Registry
from flask_abx.runtime.sinks import open_sinks
from flask_abx.runtime.state import EXTENSION, State, Storage, state_of
from flask_abx.runtime.unit import GivenIdentity
from flask_abx.runtime.variants import mirror_in_g
from flask_abx.settings import Settings, read_settings
from flask_abx.stores.config import ConfigStore
from flask_abx.web.api.blueprint import create_blueprint
from flask_abx.web.pages.blueprint import create_blueprint as create_pages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    from flask_abx.assignment.decision import Assignment
    from flask_abx.events.records import Durability, Number
    from flask_abx.results.shapes import HealthCheck, Results
    from flask_abx.runtime.address import Place


class ABX(Registry):
    """A/B testing for Flask applications.

    Create it with the application, or call `init_app` in an application factory. One
    object serves several applications.

    Args:
        app: The application to set up, if it is there already.
        db: The application's own database, where experiments and records are kept.
        table_prefix: What the names of the tables begin with.
        bind_key: The bind whose database holds the tables; None is the default one.

    Raises:
        SetupError: If ``db`` is no Flask-SQLAlchemy, or has such tables already.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        db: SQLAlchemy | None = None,
        table_prefix: str = "abx_",
        bind_key: str | None = None,
    ) -> None:
        super().__init__()
        self._place = None if db is None else _place(db, table_prefix, bind_key)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up one application.

        Raises:
            ConfigError: If a setting is wrong, or ``SECRET_KEY`` is missing.
            DefinitionError: With every fault of the definitions.
            SetupError: If another ABX serves the application already.
        """
        if EXTENSION in app.extensions:
            raise SetupError(
                f"An ABX is set up on {app.name!r} already, "
                "use one for each application."
            )
        settings = read_settings(app.config)
        root, tally = Path(app.root_path), Tally()
        storage = self._storage(app, settings, tally)
        sinks = open_sinks(settings, root, tally, storage.delivery)
        state = State(
            settings=settings,
            storage=storage,
            hooks=self._hooks,
            recorder=Recorder(sinks, tally),
            tally=tally,
            cookie=CookieCodec(settings, _secret_keys(app), tally),
            default_user=partial(flask_login.current_user_id, app),
        )
        self._wire(app, state)
        app.extensions[EXTENSION] = state

    def _storage(self, app: Flask, settings: Settings, tally: Tally) -> Storage:
        if self._place is None:
            if settings.store == "sql":
                raise ConfigError(
                    "ABX_STORE is 'sql', but there is no database: write ABX(db=db)."
                )
            root = Path(app.root_path)
            return Storage(ConfigStore(settings, root, self._hooks.segments))
        from flask_abx.runtime.storage import open_storage

        return open_storage(app, self._place, settings, self._hooks, tally)

    def _wire(self, app: Flask, state: State) -> None:
        def begin() -> None:
            self._hooks.is_frozen = True
            flask_login.connect(app)
            tell_omissions(app, state)

        app.wsgi_app = Middleware(app, state, app.wsgi_app, begin)  # type: ignore[method-assign]
        mirror_in_g(app)
        app.jinja_env.globals[EXTENSION] = self
        app.cli.add_command(create_group())
        if state.settings.api_prefix is not None:
            app.register_blueprint(create_blueprint(state.settings.api_prefix))
        app.register_blueprint(create_pages())

    def variant(self, key: str, default: str = "control") -> str:
        """Give the variant of an experiment, and mark that the unit has seen it.

        Args:
            key: The key of the experiment.
            default: What is served where no such experiment is defined.

        Returns:
            The key of a variant; who is not in the experiment gets the control's.

        Raises:
            UnknownExperiment: If it is not defined, in debug and testing.
        """
        return variant_of(key, default)

    def track(
        self,
        name: str,
        value: Number | None = None,
        *,
        properties: Mapping[str, Any] | None = None,
        id: str | int | UUID = UNSET,  # noqa: A002 - the field of the record
        durability: Durability | None = None,
    ) -> None:
        """Record that something happened, with the variants that the unit has seen.

        Args:
            name: What happened, at most 100 characters.
            value: A finite int, float or Decimal, such as the money spent.
            properties: Whatever else is worth keeping; made safe for JSON.
            id: The key of what happened, such as an order number: the same event told
                twice is one event. Left out, each call is an event of its own.
            durability: What is promised. ``"spool"`` survives the end of the process;
                ``"request"`` has the response wait for the database, at most
                ``ABX_WAIT``; ``"atomic"`` stores both the event and what `db.session`
                writes beside it, or neither. None is ``ABX_TRACK_DURABILITY``.

        Raises:
            UsageError: If ``id`` is given but is no id, or ``durability`` cannot be
                promised here, in debug and testing.
        """
        current_scope().track(name, value, properties, id, durability)

    def flag(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - the flag's type
        """Give the value of a flag, and expose the experiment that drives it.

        The first that has a value answers: the variant of a running experiment, the
        winner of the latest concluded one, the declared default, the argument.

        Args:
            name: The name of the flag.
            default: What is served where nothing else is known.
        """
        return current_scope().flag(name, default, expose=True)

    def assignment(self, key: str) -> Assignment:
        """Resolve an experiment with its reason, and expose nobody.

        Raises:
            UnknownExperiment: If it is not defined, in debug and testing.
        """
        return current_scope().assignment(key)

    def assignments(self) -> Mapping[str, Assignment]:
        """Resolve every experiment by key, and expose nobody."""
        scope = current_scope()
        return {key: scope.assignment(key) for key in scope.ruleset.rules}

    def expose(self, key: str) -> None:
        """Mark that the unit has seen its variant.

        Raises:
            UnknownExperiment: If it is not defined, in debug and testing.
        """
        scope = current_scope()
        scope.expose(scope.assignment(key))

    def payload(self, *keys: str, expose: bool = False) -> dict[str, Any]:
        """Give what the HTTP API tells, as a dict for a page: ``payload()|tojson``.

        Args:
            keys: The experiments to tell, all where none is named.
            expose: Mark them as seen.
        """
        return payload(current_scope(), keys, expose=expose)

    def as_unit(
        self, user: str | int | UUID | None = None, /, **units: Any
    ) -> UnitBlock:
        """Act for somebody in a job, a command or a webhook.

        Args:
            user: The id of a user, or the text that `carry` gave.
            units: ``visitor`` and ``user`` are ids, all else are attributes.

        Raises:
            TypeError: If the user is given twice.
            UsageError: On entering, in debug and testing, if a text that begins as
                those of `carry` do is damaged. Elsewhere nobody is known then.
        """
        if user is not None and "user" in units:
            raise TypeError("as_unit() got the user twice, give it once.")
        if isinstance(user, str) and user.startswith(MARK):
            if "visitor" in units:
                raise TypeError("as_unit() got the visitor twice, give it once.")
            return UnitBlock(user, units)
        visitor, named = units.pop("visitor", None), units.pop("user", None)
        identity = GivenIdentity(visitor, named if user is None else user, units)
        return UnitBlock(identity)

    def carry(self) -> str:
        """Write down who this is for, to be taken up by `as_unit` in a job.

        The text has fewer than 300 characters, all of them plain. It holds the ids, the
        variants they met, and what the person agreed to, and is signed.

        Raises:
            UsageError: If an id is too long to be carried, in debug and testing.
        """
        return carry(current_scope())

    def flush(self, timeout: float = 2.0) -> bool:
        """Hand over what was recorded so far, and wait for sinks that write later.

        Args:
            timeout: The longest wait in seconds, for each sink.

        Returns:
            True if nothing is left waiting.
        """
        scope = current_scope()
        scope.deliver()
        return scope.state.recorder.flush(timeout, scope.app.logger)

    def results(
        self,
        key: str,
        *,
        metric: str | None = None,
        by: str | None = None,
        series: bool = False,
        iteration: int | None = None,
        refresh: bool = False,
    ) -> Results:
        """Read what the last look at an experiment found; nothing is computed.

        Args:
            key: The key of the experiment.
            metric: The one metric to tell; None is all.
            by: The dimension to break the metrics down by.
            series: True to tell how each day stood.
            iteration: Which of its runs; None is the last that was looked at.
            refresh: True to look now, which scans the tables.

        Raises:
            UnknownExperiment: If it is not defined.
            ResultsNotReady: If nobody has looked at it yet, or not by that.
            SetupError: If there is no database, or no tables in it.
        """
        from flask_abx.runtime import results

        state = state_of(current_app)
        if refresh:
            results.refreshed(state, key, iteration=iteration)
        return results.stored(
            state, key, metric=metric, by=by, series=series, iteration=iteration
        )

    def health(self, key: str | None = None) -> tuple[HealthCheck, ...]:
        """Read the health checks of the last look.

        Args:
            key: The key of the experiment; None is all that were looked at.

        Raises:
            UnknownExperiment: If it is not defined.
            ResultsNotReady: If nobody has looked at it yet.
            SetupError: If there is no database, or no tables in it.
        """
        from flask_abx.runtime import results

        return results.checks(state_of(current_app), key)

    def looks(self, key: str) -> tuple[Results, ...]:
        """Read every look at an experiment, the first one first.

        Raises:
            UnknownExperiment: If it is not defined and never was looked at.
            SetupError: If there is no database, or no tables in it.
        """
        from flask_abx.runtime import results

        return results.looks(state_of(current_app), key)


def _place(db: SQLAlchemy, prefix: str, bind_key: str | None) -> Place:
    # Who defines experiments in the configuration alone never loads SQLAlchemy.
    from flask_abx.runtime.address import place_of

    return place_of(db, prefix, bind_key)


def _secret_keys(app: Flask) -> list[str | bytes]:
    """Give the keys that may have signed a cookie, the current one last."""
    if not app.secret_key:
        raise ConfigError(
            f"SECRET_KEY is {app.secret_key!r}, must be a long random text: "
            "the cookie is signed with it."
        )
    fallbacks = app.config.get("SECRET_KEY_FALLBACKS") or []
    if isinstance(fallbacks, str | bytes):
        raise ConfigError(
            "SECRET_KEY_FALLBACKS is one text, must be a list of earlier keys: "
            'write ["..."].'
        )
    if not isinstance(fallbacks, list | tuple) or not all(
        isinstance(key, str | bytes) and key for key in fallbacks
    ):
        raise ConfigError(
            "SECRET_KEY_FALLBACKS must be a list of earlier keys, each a text that is "
            "not empty."
        )
    return [*fallbacks, app.secret_key]
