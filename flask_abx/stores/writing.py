"""Publishing: one transaction that writes all of a version, or nothing."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from flask_abx.errors import ChangeRefused
from flask_abx.experiments.definition import canonical_json
from flask_abx.stores.change import Change, moment_of
from flask_abx.stores.database import clock, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from flask_abx.schema import Tables
    from flask_abx.stores.change import Author, Edit
    from flask_abx.stores.reading import Mark


class Prepared(NamedTuple):
    """One edit, worked out against a version that may have been overtaken.

    Attributes:
        before: The canonical JSON of before, or None where there was none.
        after: The one of now, or None where it is taken away.
        previous: The version that changed it before, or None.
        weights: What an epoch stores, or None where no unit can be exposed; where they
            are those of the last one, it goes on.
        not_before: When an earlier change takes effect that this one builds upon, in
            milliseconds.
        epoch_from: When it begins, in milliseconds; None is with the change.
    """

    edit: Edit
    before: str | None
    after: str | None
    previous: int | None
    status: str = ""
    iteration: int = 0
    weights: Mapping[str, float] | None = None
    not_before: int = 0
    epoch_from: int | None = None


class _Overtaken(Exception):  # noqa: N818 - it never leaves this module
    """Somebody published meanwhile."""


class Publisher:
    """Writes versions.

    Args:
        delay: Gives how long after its publication a change takes effect, in
            milliseconds, by the mark that it is worked out against.
    """

    def __init__(self, tables: Tables, delay: Callable[[Mark], int]) -> None:
        self._tables = tables
        self._delay = delay

    def publish(
        self,
        engine: Engine,
        mark: Mark,
        prepared: Sequence[Prepared],
        author: Author,
        *,
        keeps: bool = True,
    ) -> int | None:
        """Write everything as the version after `mark`.

        Args:
            engine: Whose connections are used.
            mark: What the edits were worked out against.
            prepared: The edits.
            author: Who does it.
            keeps: False where the configuration holds the definitions, so that only
                what became of them is told.

        Returns:
            When it was published, in milliseconds of the database's clock; None where
            somebody published meanwhile, and nothing was written.
        """
        try:
            with writing(engine) as connection:
                at = self._begin_version(connection, mark)
                for each in prepared:
                    if keeps:
                        self._keep(connection, each, mark.version + 1)
                    self._tell(connection, each, mark, author, at)
                    self._open_epoch(connection, each, mark, at)
                return at
        except _Overtaken:
            return None

    def effective_at(self, each: Prepared, mark: Mark, at: int) -> int:
        """Give the moment from which on an edit published at a moment counts."""
        delay = 0 if each.edit.is_urgent else self._delay(mark)
        return max(at + delay, each.not_before)

    def changes(
        self, mark: Mark, prepared: Iterable[Prepared], author: Author, at: int
    ) -> tuple[Change, ...]:
        """Describe edits as the changes that they make."""
        return tuple(
            Change(
                version=mark.version + 1,
                kind=each.edit.name.kind,
                key=each.edit.name.key,
                action=each.edit.action,
                iteration=each.iteration,
                before=content_of(each.before),
                after=content_of(each.after),
                previous=each.previous,
                actor=author.actor,
                channel=author.channel,
                note=author.note,
                at=moment_of(at),
                effective_at=moment_of(self.effective_at(each, mark, at)),
            )
            for each in prepared
        )

    def _begin_version(self, connection: Connection, mark: Mark) -> int:
        """Lock the version row and move it on, unless it has moved already."""
        state = self._tables.state
        moved = connection.execute(
            state.update()
            .where(
                state.c.id == 1,
                state.c.lineage == mark.lineage,
                state.c.version == mark.version,
            )
            .values(version=mark.version + 1)
        )
        if moved.rowcount != 1:
            raise _Overtaken
        return clock(connection)

    def _keep(self, connection: Connection, each: Prepared, version: int) -> None:
        table, name = self._tables.definitions, each.edit.name
        is_it = (table.c.kind == name.kind) & (table.c.key == name.key)
        if each.before is None:
            connection.execute(table.insert().values(_row(each, version)))
            return
        is_unchanged = is_it & (table.c.version == each.previous)
        if each.after is None:
            done = connection.execute(table.delete().where(is_unchanged))
        else:
            values = _row(each, version)
            done = connection.execute(table.update().where(is_unchanged).values(values))
        if done.rowcount != 1:
            raise ChangeRefused(
                f"The {name.kind} {name.key!r} was changed by hand in the database, "
                "nothing is written: look at it with `flask abx audit`, then try again."
            )

    def _tell(
        self,
        connection: Connection,
        each: Prepared,
        mark: Mark,
        author: Author,
        at: int,
    ) -> None:
        body = each.after
        connection.execute(
            self._tables.changes.insert().values(
                version=mark.version + 1,
                kind=each.edit.name.kind,
                key=each.edit.name.key,
                action=each.edit.action.value,
                iteration=each.iteration,
                body=body,
                sha256=None if body is None else sha256(body.encode()).hexdigest(),
                previous=each.previous,
                actor=author.actor,
                channel=author.channel,
                note=author.note,
                at=at,
                effective_at=self.effective_at(each, mark, at),
            )
        )

    def _open_epoch(
        self, connection: Connection, each: Prepared, mark: Mark, at: int
    ) -> None:
        if each.weights is None:
            return
        table, key = self._tables.epochs, each.edit.name.key
        is_run = (table.c.experiment == key) & (table.c.iteration == each.iteration)
        query = select(table.c.epoch, table.c.weights, table.c.started_at).where(is_run)
        last = connection.execute(query.order_by(table.c.epoch.desc())).first()
        weights = canonical_json(dict(each.weights))
        begins = self.effective_at(each, mark, at)
        later = each.epoch_from if (each.epoch_from or 0) > begins else None
        if last is not None and last.weights == weights:
            if last.started_at > at:
                # It has not begun, and begins with the experiment.
                moved = {"started_at": later or min(last.started_at, begins)}
                is_last = is_run & (table.c.epoch == last.epoch)
                connection.execute(table.update().where(is_last).values(moved))
            return
        connection.execute(
            table.insert().values(
                experiment=key,
                iteration=each.iteration,
                epoch=1 if last is None else last.epoch + 1,
                weights=weights,
                started_at=later or begins,
            )
        )


def content_of(body: str | None) -> Any:  # noqa: ANN401 - whatever a definition holds
    """Read a stored body; one that was broken by hand is given as it is."""
    try:
        return None if body is None else json.loads(body)
    except (ValueError, RecursionError):
        return body


def _row(each: Prepared, version: int) -> dict[str, Any]:
    return {
        "kind": each.edit.name.kind,
        "key": each.edit.name.key,
        "status": each.status,
        "iteration": each.iteration,
        "version": version,
        "body": each.after,
    }
