"""The spool: what it has taken comes out again, and it says what is done."""

from __future__ import annotations

import errno
import logging
import os
import threading
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from flask_abx.events.spool import process as process_module
from flask_abx.events.spool import spool as spool_module
from tests.events.spool.conftest import Disk, drained, kill, names, texts_of

if TYPE_CHECKING:
    from flask_abx.events.tally import Tally
    from tests.events.spool.conftest import MakeSpool


def test_what_is_appended_is_taken(make_spool: MakeSpool, folder: Path) -> None:
    spool = make_spool()
    assert spool.append(["1"])
    assert spool.append(["2", "3"])
    haul = spool.take()
    assert texts_of(haul) == ["1", "2", "3"]
    assert texts_of(haul) == ["1", "2", "3"]
    assert haul is not None
    haul.done()
    assert spool.take() is None
    assert len(names(folder)) == 1


def test_nothing_is_made_before_it_is_needed(
    make_spool: MakeSpool, folder: Path
) -> None:
    spool = make_spool()
    assert spool.append([])
    assert spool.take() is None
    assert spool.adopt() is None
    assert not spool.has_drainer()
    assert spool.is_empty
    assert spool.state.folder == folder
    assert spool.state.is_on_disk
    assert not folder.parent.exists()


def test_a_haul_that_was_given_back_stays_first(make_spool: MakeSpool) -> None:
    spool = make_spool()
    spool.append(["1"])
    first = spool.take()
    spool.append(["2"])
    assert first is not None
    first.release()
    assert spool.take() is first
    assert drained(spool.take) == ["1", "2"]


def test_a_ticket_is_settled_when_all_before_it_are_done(
    make_spool: MakeSpool,
) -> None:
    spool = make_spool()
    spool.append(["1"])
    spool.append(["2"])
    haul = spool.take()
    spool.append(["3"])
    assert (spool.appended, spool.settled) == (3, 0)
    assert haul is not None
    haul.done()
    haul.done()
    assert (spool.appended, spool.settled) == (3, 2)
    assert not spool.is_empty
    drained(spool.take)
    assert (spool.appended, spool.settled) == (3, 3)
    assert spool.is_empty


def test_a_batch_in_memory_holds_back_the_tickets_after_it(
    make_spool: MakeSpool,
) -> None:
    spool = make_spool(disk=Disk(["", "full", ""]))
    assert [spool.append([text]) for text in "123"] == [True, False, True]
    haul = spool.take()
    assert texts_of(haul) == ["1", "3"]
    assert haul is not None
    haul.done()
    assert spool.settled == 1
    assert drained(spool.take) == ["2"]
    assert spool.settled == 3


@pytest.mark.parametrize("fault", ["full", "short", "torn"])
def test_a_failed_write_is_counted_told_and_kept_in_memory(
    make_spool: MakeSpool, tally: Tally, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    spool = make_spool(disk=Disk([fault, fault]))
    assert not spool.append(["1", "2"])
    assert not spool.append(["3"])
    assert tally.counts == {"spool_refused:disk": 3}
    (line,) = caplog.messages
    assert line.endswith("make room on the disk of ABX_SPOOL_DIR, or mend its rights.")
    assert spool.state.remembered == 3
    assert drained(spool.take) == ["1", "2", "3"]
    assert spool.state.remembered == 0


def test_what_finds_no_room_in_memory_is_dropped_and_told(
    make_spool: MakeSpool,
    tally: Tally,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process_module, "REMEMBERED", 3)
    spool = make_spool(disk=Disk(["full"] * 9))
    for batch in (["1", "2"], ["3", "4"], ["5"]):
        assert not spool.append(batch)
    haul = spool.take()
    assert not spool.append(["6"])
    assert texts_of(haul) == ["1", "2", "3"]
    assert tally.counts == {"spool_refused:disk": 6, "record_dropped:spool": 3}
    assert sum("were lost" in message for message in caplog.messages) == 1
    assert spool.appended == 2


def test_no_folder_keeps_everything_in_memory_and_complains_of_nothing(
    make_spool: MakeSpool, tally: Tally, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[None] = []
    spool = make_spool(find_folder=lambda: asked.append(None))
    assert not spool.append(["1"])
    assert not spool.append(["2"])
    assert drained(spool.take) == ["1", "2"]
    assert spool.settled == spool.appended == 2
    assert spool.adopt() is None
    spool.append(["3"])
    spool.close()
    assert (tally.counts, caplog.messages, len(asked)) == ({}, [], 1)
    assert spool.state.why == "The database itself is in memory, so are the records."


def test_a_folder_that_is_refused_is_told_and_looked_at_again(
    make_spool: MakeSpool,
    folder: Path,
    tally: Tally,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder.parent.touch()
    spool = make_spool()
    assert not spool.append(["1"])
    assert tally.counts == {"spool_refused:folder": 1}
    assert "cannot be made" in caplog.messages[0]
    assert str(spool.state.why).endswith("or set ABX_SPOOL_DIR.")
    folder.parent.unlink()
    assert not spool.append(["2"])
    later = monotonic() + spool_module.LOOK_AGAIN
    monkeypatch.setattr(spool_module, "monotonic", lambda: later)
    assert spool.append(["3"])
    assert spool.state.is_on_disk
    assert drained(spool.take) == ["3", "1", "2"]


def test_a_folder_that_was_removed_is_made_again(
    make_spool: MakeSpool, folder: Path
) -> None:
    spool = make_spool()
    spool.append(["1"])
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert drained(spool.take) == ["1"]
    assert spool.append(["2"])
    assert len(names(folder)) == 1


def test_a_file_that_cannot_be_opened_now_is_opened_by_a_later_batch(
    make_spool: MakeSpool, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    spool = make_spool()
    spool.append(["1"])
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        haul = spool.take()
        assert not spool.append(["2"])
    assert spool.append(["3"])
    assert texts_of(haul) == ["1"]
    assert drained(spool.take) == ["1", "3", "2"]
    assert tally.counts == {"spool_refused:disk": 1}


def test_the_limit_counts_own_files_and_those_of_others(
    make_spool: MakeSpool, tally: Tally, caplog: pytest.LogCaptureFixture
) -> None:
    other, spool = make_spool(), make_spool(max_bytes=150)
    other.append(["1" * 87])
    assert spool.append(["1"])
    assert spool.adopt() is None
    assert spool.append(["2" * 10])
    assert not spool.append(["3" * 20])
    assert tally.counts == {"spool_refused:size": 1}
    assert "raise ABX_SPOOL_MAX_BYTES" in caplog.messages[0]
    drained(other.take)
    assert spool.adopt() is None
    assert spool.append(["3" * 20])


def test_room_is_made_by_what_another_process_drains(make_spool: MakeSpool) -> None:
    spool, drainer = make_spool(max_bytes=40), make_spool()
    for number in range(5):
        assert spool.append([str(number) * 20])
        spool.hand_over()
        assert not spool.append(["more" * 5])
        drained(drainer.adopt)
        spool.hand_over()
        drained(drainer.adopt)
        spool.hand_over()


def test_room_is_made_by_what_is_done(make_spool: MakeSpool) -> None:
    spool = make_spool(max_bytes=40)
    assert spool.append(["1" * 20])
    assert not spool.append(["2" * 20])
    drained(spool.take)
    assert spool.append(["3" * 20])


def test_live_files_are_never_adopted(make_spool: MakeSpool) -> None:
    one, other = make_spool(), make_spool()
    one.append(["1"])
    other.append(["2"])
    one.take()
    one.append(["3"])
    assert one.adopt() is None
    assert other.adopt() is None


def test_files_of_the_dead_are_adopted_the_oldest_first(
    make_spool: MakeSpool, folder: Path
) -> None:
    for text in "123":
        dead = make_spool()
        dead.append([text])
        kill(dead)
    for old, new in zip(names(folder), "abc", strict=True):
        (folder / old).rename(folder / f"{new}.spool")
    stood = [(folder / name).read_bytes().split()[-1] for name in names(folder)]
    spool = make_spool()
    assert drained(spool.adopt) == [text.decode() for text in stood]
    assert names(folder) == []


def test_files_of_one_process_keep_their_order(make_spool: MakeSpool) -> None:
    dead = make_spool()
    for number in range(9):
        dead.append([str(number)])
        dead.hand_over()
    assert drained(make_spool().adopt) == list("012345678")


def test_an_orphan_that_was_given_back_is_met_once_a_round(
    make_spool: MakeSpool,
) -> None:
    dead, spool = make_spool(), make_spool()
    dead.append(["1"])
    kill(dead)
    for _ in range(2):
        haul = spool.adopt()
        assert texts_of(haul) == ["1"]
        assert haul is not None
        haul.release()
        assert spool.adopt() is None
    assert drained(make_spool().adopt) == ["1"]


def test_a_torn_or_garbled_orphan_gives_what_is_whole(
    make_spool: MakeSpool, folder: Path
) -> None:
    dead = make_spool()
    dead.append(["1"])
    kill(dead)
    (path,) = folder.iterdir()
    path.write_bytes(b"\0garbage\n" + path.read_bytes() * 2 + path.read_bytes()[:-3])
    assert drained(make_spool().adopt) == ["?", "1", "1", "?"]


def test_an_empty_orphan_is_removed(make_spool: MakeSpool, folder: Path) -> None:
    dead = make_spool()
    dead.append(["1"])
    drained(dead.take)
    kill(dead)
    assert len(names(folder)) == 1
    assert make_spool().adopt() is None
    assert names(folder) == []


def test_what_is_not_ours_is_counted_once_and_left(
    make_spool: MakeSpool,
    folder: Path,
    tally: Tally,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool = make_spool()
    spool.append(["1"])
    (folder / "0.spool").symlink_to("/etc/hostname")
    (folder / "1.spool").mkdir()
    for _ in range(3):
        assert spool.adopt() is None
    assert tally.counts == {"spool_passed:symlink": 1, "spool_passed:kind": 1}
    assert "is a symbolic link, remove it." in caplog.messages[0]
    assert (folder / "0.spool").is_symlink()


def test_a_file_that_was_never_finished_is_removed_after_a_minute(
    make_spool: MakeSpool, folder: Path
) -> None:
    spool = make_spool()
    spool.append(["1"])
    old, new = folder / "0.new", folder / "1.new"
    for path in (old, new):
        path.touch()
    os.utime(old, (1, 1))
    assert spool.adopt() is None
    assert not old.exists()
    assert new.exists()


def test_a_stored_file_that_cannot_be_removed_is_not_met_again(
    make_spool: MakeSpool, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    dead, spool = make_spool(), make_spool()
    dead.append(["1"])
    kill(dead)
    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(os, "ftruncate", refuse)
    assert drained(spool.adopt) == ["1"]
    assert spool.adopt() is None
    assert tally.counts == {"spool_passed:unlink": 1}


def test_what_is_handed_over_is_settled_when_its_file_is_gone(
    make_spool: MakeSpool,
) -> None:
    spool, drainer = make_spool(), make_spool()
    spool.append(["1"])
    spool.hand_over()
    spool.append(["2"])
    assert (spool.settled, spool.is_empty) == (0, False)
    assert drained(drainer.adopt) == ["1"]
    assert spool.settled == 1
    spool.hand_over()
    assert (spool.settled, spool.is_empty) == (1, True)
    assert drained(drainer.adopt) == ["2"]
    assert spool.settled == 2


def test_what_is_in_memory_is_handed_over_in_a_file(make_spool: MakeSpool) -> None:
    spool = make_spool(disk=Disk(["full", ""]))
    spool.append(["1"])
    spool.take()
    spool.hand_over()
    assert spool.state.remembered == 0
    assert drained(make_spool().adopt) == ["1"]
    assert spool.settled == 1


def test_the_end_leaves_what_is_there_and_no_empty_file(
    make_spool: MakeSpool, folder: Path
) -> None:
    spool = make_spool()
    spool.append(["1"])
    spool.take()
    spool.append(["2"])
    spool.close()
    spool.close()
    assert sorted(drained(make_spool().adopt)) == ["1", "2"]
    assert names(folder) == []
    assert spool.append(["3"])
    drained(spool.take)
    spool.close()
    assert names(folder) == []


def test_the_end_gives_back_what_was_adopted(make_spool: MakeSpool) -> None:
    dead, spool = make_spool(), make_spool()
    dead.append(["1"])
    kill(dead)
    assert texts_of(spool.adopt()) == ["1"]
    spool.close()
    assert drained(make_spool().adopt) == ["1"]


def test_the_end_tells_what_was_in_memory_only(
    make_spool: MakeSpool, tally: Tally, caplog: pytest.LogCaptureFixture
) -> None:
    spool = make_spool(disk=Disk(["full"] * 3))
    spool.append(["1", "2"])
    spool.close()
    assert tally.counts["record_dropped:spool"] == 2
    assert caplog.messages[-1].startswith("2 records were in memory only")
    assert spool.settled == spool.appended
    assert spool.take() is None


def test_an_interrupted_append_harms_no_other(make_spool: MakeSpool) -> None:
    spool = make_spool(disk=Disk(["", "interrupted", "", "short", ""]))
    spool.append(["1"])
    with pytest.raises(KeyboardInterrupt):
        spool.append(["2"])
    assert [spool.append([text]) for text in "345"] == [True, False, True]
    assert drained(spool.take) == ["1", "2", "3", "5", "4"]
    assert spool.settled == spool.appended == 4


def test_an_append_within_an_append_is_taken(make_spool: MakeSpool) -> None:
    def write(descriptor: int, data: bytes) -> int:
        if data.endswith(b" outer\n"):
            # As a collection of garbage that ends a response would do.
            spool.append(["inner"])
        return os.write(descriptor, data)

    spool = make_spool()
    spool._write = write
    assert spool.append(["outer"])
    assert spool.append(["last"])
    assert drained(spool.take) == ["inner", "outer", "last"]


def test_tickets_are_exact_under_many_threads(make_spool: MakeSpool) -> None:
    spool, taken = make_spool(), list[str]()

    def fill(name: int) -> None:
        for number in range(300):
            spool.append([f"{name}.{number}"])
            settled = spool.settled
            assert settled <= spool.appended

    crowd = [threading.Thread(target=fill, args=(name,)) for name in range(4)]
    for thread in crowd:
        thread.start()
    while any(thread.is_alive() for thread in crowd):
        taken += drained(spool.take)
    taken += drained(spool.take)
    assert spool.settled == spool.appended == 1200
    assert len(taken) == 1200
    for name in range(4):
        own = [text for text in taken if text.startswith(f"{name}.")]
        assert own == [f"{name}.{number}" for number in range(300)]


def test_the_state_tells_of_files_and_bytes(
    make_spool: MakeSpool, folder: Path
) -> None:
    spool = make_spool(max_bytes=40)
    spool.append(["1" * 20])
    state = spool.state
    assert (state.folder, state.files, state.bytes) == (folder, 1, 33)
    assert state.is_on_disk
    assert "ABX_SPOOL_MAX_BYTES (10)" in str(make_spool(max_bytes=10).state.why)


def test_a_spool_that_nobody_holds_gives_up_its_files(
    folder: Path, make_spool: MakeSpool, tally: Tally
) -> None:
    spool = spool_module.Spool(lambda: folder, 99, tally, logging.getLogger("spool"))
    spool.append(["1"])
    del spool
    assert drained(make_spool().adopt) == ["1"]
