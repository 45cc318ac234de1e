"""Lines of a log: records are found whatever stands before and between them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from flask_abx.events.lines import read_lines, unpacked
from tests.events.conftest import an_event, an_exposure

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_abx.events.lines import Line

EVENT = an_event().to_json()


def lines_of(data: bytes) -> list[Line]:
    return list(read_lines(unpacked(BytesIO(data)), "log"))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(EVENT, id="bare"),
        pytest.param(f"2030-01-07 INFO flask_abx.events: {EVENT}", id="prefix"),
        pytest.param(f"{{pid 7}} {EVENT}", id="brace"),
        pytest.param(f"\ufeffweb-1 | {EVENT} ", id="container"),
        pytest.param(json.dumps(json.loads(EVENT), sort_keys=True), id="sorted"),
    ],
)
def test_a_record_is_found(line: str) -> None:
    (found,) = lines_of(line.encode())
    assert found.record == json.loads(EVENT)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "GET / 200",
        '{"level": "info"}',
        '{"type": "event"}',
        '{"type": "access", "id": "1", "units": {}}',
        "[1]",
    ],
    ids=["empty", "access", "object", "no record", "another type", "list"],
)
def test_other_lines_are_none(line: str) -> None:
    (found,) = lines_of(f"{line}\n".encode())
    assert (found.record, found.is_broken) == (None, False)


def test_a_record_that_was_cut_off_is_told() -> None:
    cut, whole = lines_of(f"{EVENT[:60]}\n{EVENT}\n".encode())
    assert (cut.is_broken, cut.number) == (True, 1)
    assert whole.record is not None


@pytest.mark.parametrize(
    "packed",
    [bytes, gzip.compress, bz2.compress, lzma.compress],
    ids=["plain", "gz", "bz2", "xz"],
)
def test_compressed_files_are_read_whatever_they_are_called(
    packed: Callable[[bytes], bytes],
) -> None:
    data = f"{an_exposure().to_json()}\n{EVENT}\n".encode()
    found = lines_of(packed(data))
    assert [line.number for line in found if line.record] == [1, 2]
