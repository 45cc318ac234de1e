"""Datasets as text: CSV for spreadsheets, JSON lines for everything else."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from io import TextIOWrapper
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, BinaryIO

from flask_abx.events.export.datasets import Kind, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask_abx.events.export.datasets import Dataset, Row

#: A spreadsheet takes a text that begins so for a formula, and runs it.
_RUN = ("=", "+", "-", "@", "\t", "\r")


class CsvWriter:
    """Writes rows as RFC 4180 has it, in UTF-8, with the names in the first line."""

    def __init__(self, file: BinaryIO, dataset: Dataset) -> None:
        self._text = TextIOWrapper(file, "utf-8", "surrogatepass", newline="")
        self._csv = csv.writer(self._text)
        self._cells = [_CELLS[column.kind] for column in dataset.columns]
        self._csv.writerow([column.name for column in dataset.columns])

    def write(self, rows: Sequence[Row]) -> None:
        """Write more rows."""
        cells = self._cells
        self._csv.writerows(
            [
                None if value is None else cell(value)
                for cell, value in zip(cells, row, strict=True)
            ]
            for row in rows
        )

    def close(self) -> None:
        """Finish the file."""
        self._text.close()

    def abandon(self) -> None:
        """Let go of the file."""
        with suppress(OSError):
            self._text.close()


class JsonLinesWriter:
    """Writes a row as one JSON object a line, as the log writes records."""

    def __init__(self, file: BinaryIO, dataset: Dataset) -> None:
        self._file = file
        self._fields = [
            (encode_basestring_ascii(column.name), _VALUES[column.kind])
            for column in dataset.columns
        ]

    def write(self, rows: Sequence[Row]) -> None:
        """Write more rows."""
        self._file.write("".join(map(self._line, rows)).encode())

    def _line(self, row: Row) -> str:
        pairs = [
            f"{name}: {'null' if value is None else written(value)}"
            for (name, written), value in zip(self._fields, row, strict=True)
        ]
        return f"{{{', '.join(pairs)}}}\n"

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file."""
        with suppress(OSError):
            self._file.close()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_RUN) else text


def _line_of_json(text: str) -> str:
    # What is stored is JSON already, and keeps its digits; but a line is a line.
    is_one_line = "\n" not in text and "\r" not in text
    return text if is_one_line else json.dumps(json.loads(text))


def _truth(value: Any) -> str:  # noqa: ANN401 - 0 or 1, or what a driver makes of it
    return "true" if value else "false"


_CELLS: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: _harmless,
    Kind.JSON: _harmless,
    Kind.TIME: time_text,
    Kind.WHOLE: str,
    Kind.NUMBER: repr,
    Kind.TRUTH: _truth,
}
_VALUES: dict[Kind, Callable[[Any], str]] = {
    **_CELLS,
    Kind.TEXT: encode_basestring_ascii,
    Kind.JSON: _line_of_json,
    Kind.TIME: lambda value: f'"{time_text(value)}"',
}
