"""Events that exist if and only if what the application wrote beside them exists."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NoReturn

from flask import current_app, has_app_context
from flask_sqlalchemy.session import Session
from sqlalchemy.event import contains, listen

from flask_abx.errors import UsageError
from flask_abx.events.sql.faults import is_conflict
from flask_abx.events.sql.storing import store_event

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session as AnySession
    from sqlalchemy.orm import SessionTransaction

    from flask_abx.events.records import Event
    from flask_abx.events.tally import Tally
    from flask_abx.runtime.address import Place

#: Where a session keeps what waits for its transactions.
_WAITING = "flask_abx.waiting"
#: libpq's word for a transaction that can only be rolled back.
_IN_ERROR = 3


class AtomicRefused(UsageError):  # noqa: N818 - named after what happened
    """An event cannot share the fate of a transaction, and nothing was written."""


class Atomic:
    """Inserts events in the transaction of the application's own `db.session`."""

    def __init__(self, place: Place, tally: Tally, logger: logging.Logger) -> None:
        self._place = place
        self._tally = tally
        self._logger = logger
        # Sessions that choose an engine by what is done tell a write by its class.
        self._clause = place.tables.events.insert()

    def insert(self, event: Event, deliver: Callable[[Event], None]) -> None:
        """Insert an event, and deliver it once the root transaction has committed.

        A failure that is not the application's own is logged and counted; the event is
        delivered after the commit all the same, and stored on that way.

        Raises:
            AtomicRefused: If the promise cannot be kept.
            DBAPIError: On a deadlock or a serialisation failure, as it came.
        """
        session = self._session_to_join()
        waiting = Waiting.of(session)
        try:
            self._store(session, event, waiting)
        except AtomicRefused:
            raise
        except Exception as error:
            if is_conflict(error):
                if session.get_bind(clause=self._clause).dialect.name != "postgresql":
                    # MariaDB has undone the whole transaction, savepoints and all.
                    waiting.forget()
                raise
            if self._tally.count("atomic_failed"):
                self._logger.exception(
                    "The event %r could not be inserted beside what the application "
                    "writes: it is delivered after the commit.",
                    event.name,
                )
        transaction = _current(session)
        if transaction is None:
            _refuse("the session is closed for good: open another, or")
        waiting.add(transaction, partial(self._deliver, deliver, event))

    def _session_to_join(self) -> Session:
        try:
            session = self._session()
            self._check_engines(session)
        except AtomicRefused:
            raise
        except Exception as error:  # noqa: BLE001 - told as the reason
            _refuse(f"db.session raised {error!r}: mend that, or")
        self._check_state(session)
        return session

    def _session(self) -> Session:
        db = self._place.db
        if not has_app_context() or current_app.extensions.get("sqlalchemy") is not db:
            _refuse("there is no context of the application: push one, or")
        found: object = db.session
        session = found() if callable(found) else found
        if not isinstance(session, Session):
            _refuse(
                f"db.session gives a {type(session).__name__!r}, which is no session "
                "of Flask-SQLAlchemy: derive it from flask_sqlalchemy.session.Session, "
                "or"
            )
        return session

    def _check_engines(self, session: Session) -> None:
        engine = self._place.db.engines.get(self._place.bind_key)
        if engine is None:
            _refuse(f"bind_key={self._place.bind_key!r} is no bind: name another, or")
        bind = session.get_bind(clause=self._clause)
        # It is a connection where a test has bound the application to one.
        if bind.engine is not engine.engine:
            _refuse(
                f"the session writes to {bind.engine.url.render_as_string()!r} and the "
                "tables of flask-abx have another engine: send both to one bind, or"
            )
        for other in _engines_in(session):
            if other is not engine.engine:
                _refuse(
                    f"{other.url.render_as_string()!r} takes part in the transaction "
                    "and has another engine than the tables of flask-abx: commit "
                    "before, or"
                )

    def _check_state(self, session: Session) -> None:
        state = getattr(session.get_transaction(), "_state", None)
        if getattr(state, "name", None) == "COMMITTED":
            _refuse("the transaction is committed already: track before that, or")

    def _store(self, session: Session, event: Event, waiting: Waiting) -> None:
        tables = self._place.tables
        connection = session.connection(bind_arguments={"clause": self._clause})
        if _is_in_savepoint_of_its_own(connection, _current(session)):
            _refuse(
                "a savepoint of the connection is open that the session does not know: "
                "write db.session.begin_nested(), or"
            )
        if connection.dialect.name != "postgresql":
            store_event(connection, tables, event.to_dict())
            return
        waiting.watch(connection)
        if getattr(connection.connection.driver_connection, "autocommit", False):
            store_event(connection, tables, event.to_dict())
            return
        # Elsewhere a failed statement leaves the transaction as it was.
        with connection.begin_nested():
            store_event(connection, tables, event.to_dict())

    def _deliver(self, deliver: Callable[[Event], None], event: Event) -> None:
        try:
            deliver(event)
        except Exception:
            # The commit that this happens in has succeeded, and must say so.
            if self._tally.count("atomic_undelivered"):
                self._logger.exception("The event %r was not delivered.", event.name)


class Waiting:
    """What one session does once its open transactions have committed.

    It is kept per transaction, as SQLAlchemy tells of a released savepoint in the same
    words as of a commit, and of a session that is closed in none.
    """

    def __init__(self) -> None:
        self._tasks: dict[SessionTransaction, list[Callable[[], None]]] = {}
        self._committed: set[SessionTransaction] = set()

    @classmethod
    def of(cls, session: AnySession) -> Waiting:
        """Give what waits in a session, which is listened to from now on."""
        waiting = session.info.get(_WAITING)
        if not isinstance(waiting, cls):
            waiting = session.info[_WAITING] = cls()
            listen(session, "after_commit", waiting.on_commit)
            listen(session, "after_transaction_end", waiting.on_end)
        return waiting

    def add(self, transaction: SessionTransaction, task: Callable[[], None]) -> None:
        """Do something once this transaction, and all round it, have committed."""
        self._tasks.setdefault(transaction, []).append(task)

    def forget(self) -> None:
        """Do none of it: what was done in the open transactions is undone."""
        self._tasks.clear()

    def watch(self, connection: Connection) -> None:
        """Look at a PostgreSQL connection before it commits."""
        if not contains(connection, "commit", self.on_sending):
            listen(connection, "commit", self.on_sending)

    def on_sending(self, connection: Connection) -> None:
        """Forget all if the server will answer the COMMIT by rolling back."""
        # It does so, without an error, where the application caught one and went on.
        driver = connection.connection.driver_connection
        info = getattr(driver, "info", None)
        if getattr(info, "transaction_status", None) == _IN_ERROR:
            self.forget()

    def on_commit(self, session: AnySession) -> None:
        """Note which transaction it is that was committed or released."""
        transaction = _current(session)
        if transaction is not None:
            self._committed.add(transaction)

    def on_end(self, session: AnySession, transaction: SessionTransaction) -> None:
        """Do the tasks, drop them, or pass them on to the transaction round this."""
        del session
        tasks = self._tasks.pop(transaction, None)
        is_committed = transaction in self._committed
        self._committed.discard(transaction)
        if not (tasks and is_committed):
            return
        outer = transaction.parent
        while outer is not None and outer.parent is not None and not outer.nested:
            outer = outer.parent
        if outer is None:
            _do(tasks)
        else:
            self._tasks.setdefault(outer, []).extend(tasks)


def _do(tasks: Sequence[Callable[[], None]]) -> None:
    last: BaseException | None = None
    for task in tasks:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - raised below
            # The process is told to end: the other events are delivered first.
            last = error
    if last is not None:
        raise last


def _current(session: AnySession) -> SessionTransaction | None:
    """Give the innermost savepoint of a session, else its transaction."""
    return session.get_nested_transaction() or session.get_transaction()


def _engines_in(session: AnySession) -> set[Engine]:
    """Give the engines that take part in the open transaction."""
    root = session.get_transaction()
    # The public name is younger than the oldest SQLAlchemy that is supported.
    connections = getattr(root, "connections", None)
    if connections is None:
        held = getattr(root, "_connections", {})
        connections = [each[0] for each in held.values()]
    return {connection.engine for connection in connections}


def _is_in_savepoint_of_its_own(
    connection: Connection, transaction: SessionTransaction | None
) -> bool:
    """Tell whether a savepoint was made on a connection without its session."""
    held = getattr(transaction, "_connections", {}).get(connection)
    if held is None:
        return False
    return held[1] is not (
        connection.get_nested_transaction() or connection.get_transaction()
    )


def _refuse(reason: str) -> NoReturn:
    raise AtomicRefused(
        f"durability='atomic' cannot be promised, as {reason} track with "
        "durability='request'."
    )
