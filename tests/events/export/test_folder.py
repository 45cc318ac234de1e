"""A folder of exports: nothing of a stranger is touched, nothing is half there."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest

from flask_abx.errors import SetupError, UsageError
from flask_abx.events.export.folder import CONTENTS, Folder

if TYPE_CHECKING:
    from pathlib import Path

CSV = {"format": "csv"}


def put(path: Path, *names: str, text: str = "new", adds: bool = False) -> None:
    with Folder(path, CSV, adds=adds).opened() as folder:
        for name in names:
            with folder.create(name) as file:
                file.write(text.encode())
        folder.publish({"at": "now"}, replaced="epochs")


def held(path: Path) -> dict[str, str]:
    files = [each for each in path.rglob("*") if each.is_file()]
    return {
        each.relative_to(path).as_posix(): each.read_text()
        for each in files
        if each.name != CONTENTS
    }


def test_it_is_made_where_it_is_missing(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b", "events/day=1/part.csv")
    assert held(tmp_path / "a" / "b") == {"events/day=1/part.csv": "new"}


def test_files_are_readable_by_owner_and_group_alone(tmp_path: Path) -> None:
    put(tmp_path, "events.csv")
    assert (tmp_path / "events.csv").stat().st_mode & 0o137 == 0


def test_a_whole_export_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", "events/day=1/part.csv", text="old")
    put(tmp_path, "events.csv")
    assert held(tmp_path) == {"events.csv": "new"}
    assert not (tmp_path / "events").exists()


def test_what_is_new_stands_beside_it(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", "epochs/part-1", text="old")
    put(tmp_path, "events-2.csv", "epochs/part-2", adds=True)
    assert held(tmp_path) == {
        "events.csv": "old",
        "events-2.csv": "new",
        "epochs/part-2": "new",
    }
    put(tmp_path, "events.csv")
    assert held(tmp_path) == {"events.csv": "new"}


@pytest.mark.parametrize("name", ["mine.txt", "events/mine.csv", "events.csv"])
def test_a_folder_with_other_things_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="which no export wrote"):
        put(tmp_path, "events.csv")
    assert held(tmp_path) == {name: "mine"}


def test_a_list_that_names_others_deletes_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    path = tmp_path / "out"
    put(path, "events.csv")
    contents = json.loads((path / CONTENTS).read_text())
    contents["exports"][0]["files"].append("../mine.txt")
    (path / CONTENTS).write_text(json.dumps(contents))
    put(path, "events.csv")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_list_of_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / CONTENTS).write_text('{"exports": []}')
    with pytest.raises(UsageError, match="not what an export writes"):
        put(tmp_path, "events.csv")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        put(tmp_path / "out", "events.csv")


def test_another_kind_of_export_is_not_added_to(tmp_path: Path) -> None:
    put(tmp_path, "events.csv")
    other = Folder(tmp_path, {"format": "jsonl"}, adds=True)
    with pytest.raises(UsageError, match="another kind"):
        other.opened().__enter__()


def fail_to_put(path: Path) -> None:
    with Folder(path, CSV, adds=False).opened() as folder:
        folder.create("events.csv").close()
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_export_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", text="old")
    with pytest.raises(SetupError, match="No space left on device"):
        fail_to_put(tmp_path)
    assert held(tmp_path) == {"events.csv": "old"}


def test_what_a_killed_export_left_is_taken_away(tmp_path: Path) -> None:
    left = tmp_path / "_flask_abx_unfinished" / "events"
    left.mkdir(parents=True)
    (left / "part.csv").write_text("half")
    put(tmp_path, "events.csv")
    assert held(tmp_path) == {"events.csv": "new"}


def test_two_exports_at_once_are_refused(tmp_path: Path) -> None:
    with Folder(tmp_path, CSV, adds=False).opened() as folder:
        folder.create("events.csv").close()
        with pytest.raises(UsageError, match="Another export"):
            put(tmp_path, "events.csv")
        folder.publish({}, replaced="epochs")
    assert held(tmp_path) == {"events.csv": ""}
