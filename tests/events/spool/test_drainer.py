"""A drainer says that it is there, and is alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flask_abx.errors import ABXError
from flask_abx.events.spool import drainer
from flask_abx.events.spool.drainer import DrainerPresent
from flask_abx.events.spool.folder import FolderRefused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.events.spool.conftest import MakeSpool


def test_workers_know_of_the_drainer_while_it_watches(make_spool: MakeSpool) -> None:
    worker, watcher = make_spool(), make_spool()
    with watcher.watch():
        assert worker.has_drainer()
        assert worker.has_drainer()
    assert not worker.has_drainer()


def test_a_second_drainer_is_refused(
    make_spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drainer, "_PAUSE", 0)
    with make_spool().watch():
        second = make_spool()
        with pytest.raises(DrainerPresent, match="drains this folder"), second.watch():
            pytest.fail("It watches.")
    assert issubclass(DrainerPresent, ABXError)
    with second.watch():
        assert make_spool().has_drainer()


def test_there_is_nothing_to_watch_in_memory(make_spool: MakeSpool) -> None:
    spool = make_spool(find_folder=lambda: None)
    with pytest.raises(FolderRefused, match="in memory only"):
        spool.watch()
    assert not spool.has_drainer()


def test_a_folder_that_is_refused_cannot_be_watched(
    make_spool: MakeSpool, folder: Path
) -> None:
    folder.parent.touch()
    with pytest.raises(FolderRefused, match="cannot be made"):
        make_spool().watch()


def test_a_lock_that_cannot_be_opened_is_told(
    make_spool: MakeSpool, folder: Path
) -> None:
    folder.mkdir(0o700, parents=True)
    (folder / drainer.NAME).mkdir()
    with pytest.raises(FolderRefused, match="cannot be opened"), make_spool().watch():
        pytest.fail("It watches.")
