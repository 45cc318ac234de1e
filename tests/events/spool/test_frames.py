"""Lines with a checksum: what is whole is read, what is not costs only itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_abx.events.spool import frames
from flask_abx.events.spool.frames import Line, frame, line_of, lines

TEXT = '{"id": "1"}'


def read_back(data: bytes) -> list[Line]:
    return list(lines(lambda size, offset: data[offset : offset + size]))


def texts(data: bytes) -> list[str | None]:
    return [line.text for line in read_back(data)]


def test_a_frame_is_checksum_length_and_text() -> None:
    assert frame(TEXT) == b'c3dbaec1 11 {"id": "1"}\n'


def test_a_line_comes_back_as_it_was() -> None:
    assert line_of(frame(TEXT)[:-1]) == Line(frame(TEXT)[:-1], TEXT)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"c3dbaec2 11 " + TEXT.encode(), id="checksum"),
        pytest.param(b"C3DBAEC1 11 " + TEXT.encode(), id="checksum in capitals"),
        pytest.param(b"c3dbaec1 12 " + TEXT.encode(), id="length"),
        pytest.param(b"c3dbaec1 011 " + TEXT.encode(), id="length with a zero"),
        pytest.param(b"c3dbaec1 11 " + TEXT.encode()[:-1], id="torn"),
        pytest.param(b"c3dbaec1", id="checksum alone"),
        pytest.param(b"\0\0\0", id="zeros"),
        pytest.param(b"ffff0000 2 \xff\xff", id="no text"),
    ],
)
def test_what_is_not_whole_has_no_text(raw: bytes) -> None:
    assert read_back(raw + b"\n" + frame(TEXT)) == [
        Line(raw, None),
        Line(frame(TEXT)[:-1], TEXT),
    ]


def test_a_last_line_without_newline_is_read() -> None:
    assert texts(frame(TEXT) + frame(TEXT)[:-1]) == [TEXT, TEXT]
    assert texts(frame(TEXT) + frame(TEXT)[:-5]) == [TEXT, None]


def test_empty_lines_are_skipped() -> None:
    assert texts(b"\n\n" + frame(TEXT) + b"\n\n" + frame(TEXT) + b"\n") == [TEXT, TEXT]


def test_an_empty_file_has_no_lines() -> None:
    assert texts(b"") == []


@given(
    st.lists(st.one_of(st.text(st.characters(codec="utf-8"), max_size=40), st.none())),
    st.integers(1, 50),
)
def test_blocks_of_any_size_give_the_same_lines(
    wanted: list[str | None], block: int
) -> None:
    plain = [text and text.replace("\n", " ") for text in wanted]
    data = b"".join(b"torn\n" if text is None else frame(text) for text in plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "BLOCK", block)
        assert texts(data) == plain


def test_an_endless_line_is_cut_and_what_follows_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "BLOCK", 512)
    monkeypatch.setattr(frames, "LONGEST", 4096)
    most = 0

    def read(size: int, offset: int) -> bytes:
        nonlocal most
        most = max(most, size)
        return data[offset : offset + size]

    data = b"x" * 100_000 + b"\n" + frame(TEXT)
    assert list(lines(read)) == [
        Line(b"x" * frames.KEPT, None),
        Line(frame(TEXT)[:-1], TEXT),
    ]
    assert most == 512
