"""What one request records, and how it is handed over."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.errors import UsageError
from flask_abx.events.safe import shown
from flask_abx.events.signals import emit, event_tracked
from flask_abx.runtime import making
from flask_abx.runtime.consent import MEASUREMENT
from flask_abx.runtime.requester import Requester

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from blinker import NamedSignal
    from flask import Flask

    from flask_abx.assignment.ruleset import Ruleset
    from flask_abx.events.records import Event, Exposure, Record
    from flask_abx.runtime.state import State
    from flask_abx.runtime.unit import Identity

_NO_DATABASE = (
    'An event with durability="atomic" needs the database of the application: write '
    'ABX(db=db), and leave "sql" among ABX_SINKS.'
)


class Witness(Requester):
    """Takes down what happens during one stay, and hands it over.

    Attributes:
        records: What was recorded and not yet delivered.
        met: The variants that the unit was exposed to here.
        is_finished: True once the stay is over; what still comes goes at once.
        is_awaited: True once an event was recorded that the response waits for.
    """

    is_finished = False
    is_awaited = False

    def __init__(
        self,
        app: Flask,
        state: State,
        environ: WSGIEnvironment | None,
        ruleset: Ruleset,
        identity: Identity | None = None,
    ) -> None:
        super().__init__(app, state, environ, ruleset, identity)
        self.records: deque[Record] = deque()
        self.met: dict[str, str] = {}

    def is_unseen(self) -> bool:
        """Tell whether nothing of this stay is to be recorded."""
        if self.is_silent or self.is_bot or not self.state.settings.enabled:
            return True
        # Who misspells ?abx= looks on purpose, and takes what is shown for the other.
        return bool(self.preview.faults)

    def tell_not_ready(self) -> None:
        """Tell that defaults are served, as nothing is known yet."""
        if self.state.tally.count("not_ready"):
            self.app.logger.warning(
                "No definitions are known yet, as the database has not answered: "
                "defaults are served and nothing is recorded. `flask abx doctor` tells "
                "what is wrong."
            )

    def track(
        self,
        name: str,
        value: object,
        properties: Mapping[str, object] | None,
        id_: object,
        durability: object = None,
    ) -> None:
        """Record that something happened, with the variants that the units met.

        Raises:
            UsageError: If an argument is wrong, in debug and testing.
            DBAPIError: If an atomic event met a deadlock, which is the application's.
        """
        if self.is_unseen() or not self.consents(MEASUREMENT):
            return
        promised = self.state.settings.track_durability
        # Most calls leave both out.
        if id_ is not making.UNSET or durability is not None:
            making.check_id(self, name, id_)
            promised = making.durability(self, name, durability)
        if not self.ruleset.is_ready:
            self.state.tally.count("record_dropped:not_ready")
            self.tell_not_ready()
            return
        event = self._event(name, value, properties, id_)
        if event is None or (promised == "atomic" and self._join(event)):
            return
        self.is_awaited |= promised != "spool"
        self.keep(event, event_tracked, event=event)

    def _event(
        self,
        name: str,
        value: object,
        properties: Mapping[str, object] | None,
        id_: object,
    ) -> Event | None:
        try:
            event = making.event(self, name, value, properties, id_)
            return event if self.is_storable(event) else None
        except Exception:
            self.state.tally.count("record_failed")
            self.app.logger.exception("The event %s was not recorded.", shown(name))
            return None

    def _join(self, event: Event) -> bool:
        """Store an event in the transaction of the application.

        Returns:
            False where that cannot be promised, so that it is stored by itself.

        Raises:
            UsageError: Instead of that, in debug and testing.
        """
        try:
            self._insert(event)
        except UsageError as refused:
            if self.is_dev:
                raise
            if self.state.tally.first("atomic_refused"):
                self.app.logger.warning(
                    'track(%r, durability="atomic") is taken as "request": %s',
                    event.name,
                    refused,
                )
            return False
        return True

    def _insert(self, event: Event) -> None:
        delivery = self.state.delivery
        if delivery is None:
            raise UsageError(_NO_DATABASE)
        delivery.atomic.insert(event, self._take_committed)

    def _take_committed(self, event: Event) -> None:
        """Hand over and tell an event, now that the transaction has committed."""
        self.keep(event, event_tracked, event=event)

    def is_storable(self, record: Exposure | Event) -> bool:
        """Tell whether every database takes a record, and log why it would not."""
        fault = record.fault()
        if fault is not None and self.state.tally.count(f"record_dropped:{fault}"):
            self.app.logger.warning("%s", making.dropped(record, fault))
        return fault is None

    def keep(
        self, record: Exposure | Event, signal: NamedSignal, **payload: object
    ) -> None:
        """Keep a record until it is handed over, and tell the receivers of a signal."""
        self.records.append(record)
        units = record.units
        self.state.company.tell(units.get(VISITOR), units.get(USER))
        if signal.receivers:
            emit(signal, self.app, self.state.tally, **payload)
        if self.is_finished:
            self.deliver()

    def deliver(self) -> None:
        """Hand over what was recorded so far."""
        batch: list[Record] = []
        records = self.records
        # One by one: a copied context may add, or take, from another thread.
        while records:
            try:
                batch.append(records.popleft())
            except IndexError:
                break
        if not batch:
            return
        self.state.recorder.deliver(tuple(batch), self.app.logger)
        delivery = self.state.delivery
        if delivery is not None:
            is_awaited, self.is_awaited = self.is_awaited, False
            delivery.sink.settle(is_awaited=is_awaited, is_test=self.app.testing)
