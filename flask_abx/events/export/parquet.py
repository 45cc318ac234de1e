"""Datasets as Parquet, parted by day, in memory that does not grow with them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask_abx.errors import SetupError
from flask_abx.events.export.datasets import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from flask_abx.events.export.datasets import Dataset, Row

#: So many rows are written at once, into one row group.
GROUP = 8_192
#: So many rows are held back at most, of all days together.
HELD = 2 * GROUP
#: So many parts are open at most; who comes back to a day begins another part.
OPEN = 4
#: A part of so many groups is long enough.
LONGEST = 128


def check_installed() -> None:
    """Look whether Parquet can be written at all.

    Raises:
        SetupError: If the library for it is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise SetupError(
            "Parquet is written by pyarrow, which is not installed: run `pip install "
            '"flask-abx[parquet]"`, or write --format csv or jsonl.'
        ) from error


class ParquetWriter:
    """Writes rows into ``NAME/day=2026-11-23/part-*.parquet``.

    Args:
        create: Makes a file, by its path within the export.
        run: Tells the parts of this export from those of others.
        empty_day: Where a part without rows goes if there are none, so that readers
            find the columns; None to write none.
    """

    def __init__(
        self,
        create: Callable[[str], BinaryIO],
        dataset: Dataset,
        run: str,
        empty_day: str | None,
    ) -> None:
        self._create = create
        self._dataset = dataset
        self._run = run
        self._empty_day = empty_day
        self._schema = _schema(dataset)
        self._rows: dict[str | None, list[Row]] = {}
        self._held = 0
        self._parts: dict[str | None, _Part] = {}
        self._made = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Take more rows, and write those of a day of which there are enough."""
        day_of = self._dataset.day_of
        for row in rows:
            day = day_of(row)
            kept = self._rows.setdefault(day, [])
            kept.append(row)
            self._held += 1
            if len(kept) == GROUP:
                self._write_group(day)
        while self._held > HELD:
            # The fewest groups come of it, and rows of the others may still follow.
            self._write_group(max(self._rows, key=lambda day: len(self._rows[day])))

    def close(self) -> None:
        """Write what was kept back, and finish the parts."""
        for day in sorted(self._rows, key=str):
            self._write_group(day)
        if not self._made and self._empty_day is not None:
            self._part(self._empty_day if self._dataset.day is not None else None)
        for day in list(self._parts):
            self._finish(day)

    def abandon(self) -> None:
        """Let go of the parts."""
        for part in self._parts.values():
            part.abandon()

    def _write_group(self, day: str | None) -> None:
        rows = self._rows.pop(day)
        self._held -= len(rows)
        part = self._part(day)
        part.write(rows)
        if part.groups == LONGEST:
            self._finish(day)

    def _finish(self, day: str | None) -> None:
        # One that cannot be finished is still there to be let go of.
        self._parts[day].close()
        del self._parts[day]

    def _part(self, day: str | None) -> _Part:
        part = self._parts.pop(day, None)
        if part is None:
            while len(self._parts) >= OPEN:
                self._finish(next(iter(self._parts)))
            self._made += 1
            folder = "" if day is None else f"day={day}/"
            name = f"part-{self._run}-{self._made:05}.parquet"
            file = self._create(f"{self._dataset.name}/{folder}{name}")
            part = _Part(file, self._schema)
        # The last one is the one that was used last.
        self._parts[day] = part
        return part


class _Part:
    """One file on its way."""

    def __init__(self, file: BinaryIO, schema: Any) -> None:  # noqa: ANN401 - pyarrow's
        from pyarrow import parquet

        self._file = file
        self._schema = schema
        self._writer = parquet.ParquetWriter(file, schema)
        self.groups = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows as one group."""
        import pyarrow as pa

        columns = zip(*rows, strict=True)
        arrays = [
            pa.array(_cells(values, field.type), field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._writer.write_batch(batch, row_group_size=len(rows))
        self.groups += 1

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file."""
        # Or else it would try to finish the file when it is collected.
        self._writer.is_open = False
        with suppress(OSError):
            self._file.close()


def _cells(values: Sequence[Any], kind: Any) -> Sequence[Any]:  # noqa: ANN401 - pyarrow's
    import pyarrow as pa

    if kind == pa.bool_():
        return [None if value is None else bool(value) for value in values]
    return values


def _schema(dataset: Dataset) -> Any:  # noqa: ANN401 - pyarrow's
    import pyarrow as pa

    kinds = {
        Kind.TEXT: pa.string(),
        Kind.JSON: pa.string(),
        Kind.TIME: pa.timestamp("ms", tz="UTC"),
        Kind.WHOLE: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.TRUTH: pa.bool_(),
    }
    return pa.schema([(each.name, kinds[each.kind]) for each in dataset.columns])
