"""Whatever happens in whatever order: what was acknowledged comes out."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flask_abx.events.spool.spool import Spool
from flask_abx.events.tally import Tally
from tests.events.spool.conftest import Disk, kill

if TYPE_CHECKING:
    from flask_abx.events.spool.haul import Haul

FAULTS = st.sampled_from(["", "", "", "full", "short", "torn", "interrupted"])
WHICH = st.integers(0, 1)


@dataclass
class Owner:
    """A process, and what it was told.

    Attributes:
        tickets: The records of each ticket.
        held: What it has adopted and neither finished nor given back.
    """

    spool: Spool
    disk: Disk
    tickets: dict[int, list[int]] = field(default_factory=dict)
    held: list[Haul] = field(default_factory=list)


class Spools(RuleBasedStateMachine):
    """Some processes on one folder, each of which may die at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.owners = [self.an_owner(), self.an_owner()]
        self.number = 0
        self.acknowledged: set[int] = set()
        self.stored: set[int] = set()

    def an_owner(self) -> Owner:
        disk = Disk()
        logger = logging.getLogger("flask_abx.spool.quiet")
        logger.disabled = True
        spool = Spool(lambda: self.folder, 1 << 20, Tally(), logger, write=disk)
        return Owner(spool, disk)

    def store(self, haul: Haul, *, whole: bool = True) -> None:
        lines = [line for chunk in haul.chunks(2) for line in chunk]
        numbers = [int(line.text) for line in lines if line.text is not None]
        assert all(number <= self.number for number in numbers)
        in_file = [number for number in numbers if number in self.acknowledged]
        assert in_file == sorted(in_file)
        if whole:
            self.stored.update(numbers)
            haul.done()
        else:
            self.stored.update(numbers[: len(numbers) // 2])
            haul.release()

    @rule(which=WHICH, count=st.integers(1, 3), fault=FAULTS)
    def append(self, which: int, count: int, fault: str) -> None:
        owner = self.owners[which]
        numbers = list(range(self.number + 1, self.number + count + 1))
        self.number += count
        owner.disk.faults = [fault]
        try:
            is_safe = owner.spool.append([str(number) for number in numbers])
        except KeyboardInterrupt:
            return
        finally:
            owner.disk.faults = []
        assert is_safe == (fault == "")
        owner.tickets[owner.spool.appended] = numbers
        if is_safe:
            self.acknowledged.update(numbers)

    @rule(which=WHICH, whole=st.booleans())
    def take(self, which: int, whole: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        haul = self.owners[which].spool.take()
        if haul is not None:
            self.store(haul, whole=whole)

    @rule(which=WHICH)
    def adopt(self, which: int) -> None:
        owner = self.owners[which]
        haul = owner.spool.adopt()
        if haul is not None:
            owner.held.append(haul)

    @precondition(lambda self: any(owner.held for owner in self.owners))
    @rule(whole=st.booleans())
    def go_on(self, whole: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        owner = next(owner for owner in self.owners if owner.held)
        self.store(owner.held.pop(0), whole=whole)

    @rule(which=WHICH)
    def hand_over(self, which: int) -> None:
        self.owners[which].spool.hand_over()

    @rule(which=WHICH, kindly=st.booleans())
    def end(self, which: int, kindly: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        owner = self.owners[which]
        if kindly:
            owner.spool.close()
        kill(owner.spool)
        self.owners[which] = self.an_owner()

    @invariant()
    def what_is_settled_is_stored(self) -> None:
        for owner in self.owners:
            settled = owner.spool.settled
            assert settled <= owner.spool.appended
            for ticket, numbers in owner.tickets.items():
                assert ticket > settled or self.stored.issuperset(numbers)

    def teardown(self) -> None:
        try:
            for owner in self.owners:
                while (haul := owner.spool.take()) is not None:
                    self.store(haul)
                assert (
                    owner.spool.settled == owner.spool.appended
                    or any(each.held for each in self.owners)
                    or any(self.folder.glob("*.spool"))
                )
                kill(owner.spool)
            last = self.an_owner()
            while (haul := last.spool.adopt()) is not None:
                self.store(haul)
            assert self.acknowledged <= self.stored
            assert not any(self.folder.iterdir())
            kill(last.spool)
        finally:
            shutil.rmtree(self.folder)


Spools.TestCase.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None
)
test_what_was_acknowledged_comes_out = Spools.TestCase
