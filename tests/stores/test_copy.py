"""The copy on disk: whole or not at all, one's own, and nobody else's to read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import get_ident
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_abx.stores.copy import Copied, DiskCopy
from flask_abx.stores.reading import Mark, Name

if TYPE_CHECKING:
    from collections.abc import Callable

LINE = "f" * 32
HEADLINE = {Name("experiment", "headline"): '{"variants":["a","b"]}'}
COPIED = Copied(Mark(LINE, 7), HEADLINE)

any_text = st.text(st.characters())
names = st.builds(Name, any_text, any_text)
marks = st.builds(Mark, st.text("0123456789abcdef", min_size=1), st.integers(0, 2**53))
copies = st.builds(Copied, marks, st.dictionaries(names, any_text))


def file_in(folder: Path) -> Path:
    """Give the one file in a folder."""
    (path,) = folder.iterdir()
    return path


def written(folder: Path, copied: Copied = COPIED) -> Path:
    """Write a copy, and give its file."""
    DiskCopy(folder, "db").write(copied)
    return file_in(folder)


@settings(max_examples=50)
@given(copied=copies)
def test_what_is_written_is_read(copied: Copied) -> None:
    with TemporaryDirectory() as folder:
        copy = DiskCopy(Path(folder), "db")
        copy.write(copied)
        assert copy.read() == copied


@settings(max_examples=50)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_torn_file_is_no_copy(share: float) -> None:
    with TemporaryDirectory() as folder:
        path = written(Path(folder))
        content = path.read_bytes().rstrip()
        path.write_bytes(content[: int(share * len(content))])
        assert DiskCopy(Path(folder), "db").read() is None


@settings(max_examples=50)
@given(data=st.data())
def test_a_changed_byte_is_seen(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = written(Path(folder))
        content = bytearray(path.read_bytes().rstrip())
        place = data.draw(st.integers(0, len(content) - 1))
        other = data.draw(st.integers(0, 255).filter(lambda it: it != content[place]))
        content[place] = other
        path.write_bytes(content)
        assert DiskCopy(Path(folder), "db").read() is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"\xff\xfe garbage",
        b"{}\n{}\n",
        b"null\nnull\n",
        b"[" * 100_000,
        b'{"format":2,"sha256":""}\n{}\n',
    ],
    ids=["empty", "zeros", "binary", "objects", "nulls", "nested", "later format"],
)
def test_garbage_is_no_copy(tmp_path: Path, content: bytes) -> None:
    written(tmp_path).write_bytes(content)
    assert DiskCopy(tmp_path, "db").read() is None


def _link(path: Path, target: Path) -> None:
    target.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(target)


def _folder(path: Path, target: Path) -> None:
    del target
    path.unlink()
    path.mkdir()


def _pipe(path: Path, target: Path) -> None:
    del target
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("become", [_link, _folder, _pipe])
def test_only_a_file_is_a_copy(
    tmp_path: Path, become: Callable[[Path, Path], None]
) -> None:
    folder = tmp_path / "instance"
    become(written(folder), tmp_path / "elsewhere")
    assert DiskCopy(folder, "db").read() is None


def test_a_huge_file_is_no_copy(tmp_path: Path) -> None:
    os.truncate(written(tmp_path), 2**30)
    assert DiskCopy(tmp_path, "db").read() is None


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = written(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    written(tmp_path)
    written(tmp_path, Copied(Mark(LINE, 8), {}))
    assert file_in(tmp_path).name == f"abx-db-{LINE}.json"


def test_a_link_where_it_is_written_first_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "instance"
    folder.mkdir()
    name = f"abx-db-{LINE}.{os.getpid()}-{get_ident()}.tmp"
    (folder / name).symlink_to(victim)
    with pytest.raises(OSError, match=name):
        DiskCopy(folder, "db").write(COPIED)
    assert victim.read_text() == "precious"


def test_a_link_at_the_copy_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    folder = tmp_path / "instance"
    _link(written(folder), victim)
    before = victim.read_bytes()
    path = written(folder, Copied(Mark(LINE, 8), {}))
    assert not path.is_symlink()
    assert victim.read_bytes() == before


def test_a_copy_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / f"abx-db-{LINE}.{os.getpid()}-{get_ident()}.tmp").mkdir()
    copy = DiskCopy(tmp_path, "db")
    with pytest.raises(OSError, match="tmp"):
        copy.write(Copied(Mark(LINE, 8), {}))
    assert path.exists()
    assert copy.read() == COPIED


def test_the_newest_of_two_is_read(tmp_path: Path) -> None:
    for lineage, age in (("a", 5), ("b", 1), ("c", 9)):
        path = written(tmp_path / lineage, Copied(Mark(lineage, 3), {}))
        moved = path.rename(tmp_path / path.name)
        os.utime(moved, (1_000_000 - age, 1_000_000 - age))
    found = DiskCopy(tmp_path, "db").read()
    assert found is not None
    assert found.mark.lineage == "b"


def test_a_torn_one_gives_way_to_the_one_before(tmp_path: Path) -> None:
    path = written(tmp_path)
    os.utime(path, (1, 1))
    (tmp_path / f"abx-db-{'0' * 32}.json").write_text("torn")
    assert DiskCopy(tmp_path, "db").read() == COPIED


def test_the_file_of_another_lineage_is_removed(tmp_path: Path) -> None:
    written(tmp_path)
    other = Copied(Mark("0" * 32, 1), {})
    assert written(tmp_path, other).name == f"abx-db-{'0' * 32}.json"


def test_the_file_of_another_database_is_left_alone(tmp_path: Path) -> None:
    written(tmp_path)
    other = DiskCopy(tmp_path, "other")
    assert other.read() is None
    other.write(Copied(Mark("0" * 32, 1), {}))
    assert DiskCopy(tmp_path, "db").read() == COPIED


@pytest.mark.parametrize("name", ["missing", "file/below"])
def test_a_folder_that_is_none_has_no_copy(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    assert DiskCopy(tmp_path / name, "db").read() is None


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        DiskCopy(tmp_path / "file" / "below", "db").write(COPIED)
