"""Rows as text: what spreadsheets run is harmless, and a row is a line."""

from __future__ import annotations

import csv
import json
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx.events.export.datasets import EVENTS, LINKS
from flask_abx.events.export.text import CsvWriter, JsonLinesWriter

if TYPE_CHECKING:
    from flask_abx.events.export.datasets import Dataset, Row

ROW: Row = ("event", "e1", 0, "order", -49.9, "{}", "{}", '{"a": "b"}', "c0")


class File(BytesIO):
    """Keeps what was in it when it was closed."""

    written = b""

    def close(self) -> None:
        self.written = self.getvalue()
        super().close()


def as_csv(*rows: Row, dataset: Dataset = EVENTS) -> str:
    file = File()
    writer = CsvWriter(file, dataset)
    writer.write(rows)
    writer.close()
    return file.written.decode("utf-8")


def as_lines(*rows: Row) -> list[Any]:
    file = File()
    writer = JsonLinesWriter(file, EVENTS)
    writer.write(rows)
    writer.close()
    return [json.loads(line) for line in file.written.splitlines()]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"],
    ids=["equals", "plus", "minus", "at", "tab", "return"],
)
def test_no_text_is_run_by_a_spreadsheet(text: str) -> None:
    row = (*ROW[:3], text, *ROW[4:])
    cells = list(csv.reader(StringIO(as_csv(row), newline="")))
    assert cells[1][3] == f"'{text}"


def test_a_number_stays_a_number_in_csv() -> None:
    assert ",-49.9," in as_csv(ROW)


def test_csv_is_as_its_standard_has_it() -> None:
    row = (*ROW[:3], 'a "b",\nc', None, *ROW[5:])
    assert as_csv(row) == (
        "type,id,at,name,value,variants,units,properties,version\r\n"
        'event,e1,1970-01-01T00:00:00.000Z,"a ""b"",\nc",,{},{},"{""a"": ""b""}",c0\r\n'
    )


def test_truth_is_written_out_in_csv() -> None:
    text = as_csv(("v", "user", "7", 1, 0), dataset=LINKS)
    assert text.endswith("v,user,7,true,1970-01-01T00:00:00.000Z\r\n")


def test_a_row_is_a_line_whatever_is_stored() -> None:
    row = (*ROW[:7], '{\n"a": "ä\u2028"}', "c0")
    (found,) = as_lines(row)
    assert found["properties"] == {"a": "ä\u2028"}


def test_nothing_is_null_in_json() -> None:
    (found,) = as_lines((*ROW[:4], None, *ROW[5:]))
    assert found["value"] is None
