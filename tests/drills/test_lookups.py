"""One user keeps one variant on every device and server, whatever is published."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from flask_abx.experiments.lifecycle import Action
from tests.databases import engine_of, fresh_database
from tests.drills.buyers import visit_all
from tests.drills.clients import Visitor
from tests.drills.kept import wait_until_drained
from tests.drills.market import TARGET, opened
from tests.drills.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flask_abx.runtime.state import State

pytestmark = pytest.mark.drill

WORKERS = 2
REFRESH = 0.5
OPTIONS = ("--worker-class=gthread", "--threads=4")
HEADLINE = {
    "unit": ["user", "visitor"],
    "variants": ["control", "bold"],
    "status": "running",
}
#: How long each process may take to follow a change, in seconds.
PATIENCE = 10.0
USERS, PAIRS = 16, 16


@dataclass(frozen=True, slots=True)
class Place:
    """Two servers on one database.

    Attributes:
        folder: Where their files are.
    """

    folder: Path
    url: str
    ports: tuple[int, int]
    state: State


@dataclass(slots=True)
class Person:
    """Somebody with two devices.

    Attributes:
        seen: What they were shown while they were logged in, in turn.
    """

    name: str
    devices: tuple[Visitor, Visitor]
    seen: list[str] = field(default_factory=list)

    @classmethod
    def named(cls, name: str) -> Person:
        """Make one whose devices have no cookie yet."""
        return cls(name, (Visitor(f"{name}-phone"), Visitor(f"{name}-desk")))

    def browse(self, device: Visitor, port: int) -> str:
        """Look at a page before the login."""
        return _shown(device, port, "/sell?number=1&kind=exposure")

    def read(self, device: Visitor, port: int) -> None:
        """Look at a page, logged in."""
        path = f"/sell?number=1&kind=exposure&user={self.name}"
        self.seen.append(_shown(device, port, path))

    def read_everywhere(self, ports: Sequence[int]) -> None:
        """Look from each device at each server, and from one without cookies."""
        for device, port in product(self.devices, ports):
            self.read(device, port)
        for port in ports:
            self.read(Visitor(f"{self.name}-robot"), port)


def _shown(device: Visitor, port: int, path: str) -> str:
    answer = device.get(port, path)
    assert answer.status == 200, answer.body
    return str(answer.body["variant"])


@contextmanager
def _place(folder: Path) -> Iterator[Place]:
    with fresh_database("postgresql", folder) as url:
        config = {
            "SQLALCHEMY_DATABASE_URI": url,
            "ABX_REFRESH_SECONDS": REFRESH,
            # What a look-up takes on a busy machine is not the question here.
            "ABX_WAIT": 2.0,
            "INSTANCE": str(folder / "instance"),
        }
        with (
            opened(folder, config, HEADLINE) as state,
            serving(
                folder / "a", config, *OPTIONS, workers=WORKERS, target=TARGET
            ) as one,
            serving(
                folder / "b", config, *OPTIONS, workers=WORKERS, target=TARGET
            ) as other,
        ):
            for server in (one, other):
                visit_all(server.port, server.workers, PATIENCE)
            yield Place(folder, url, (one.port, other.port), state)


def test_a_user_keeps_one_variant_everywhere(tmp_path: Path) -> None:
    with _place(tmp_path) as place:
        known = [Person.named(f"known-{number}") for number in range(USERS)]
        logged_in = [Person.named(f"late-{number}") for number in range(USERS)]
        for person in known:
            person.read(person.devices[0], place.ports[0])
        for person in logged_in:
            device = person.devices[0]
            person.seen.append(person.browse(device, place.ports[0]))
            person.read(device, place.ports[1])
        wait_until_drained(tmp_path)
        # From now on whoever is only hashed gets the control.
        assert place.state.editor is not None
        (change,) = place.state.editor.move("headline", Action.CLOSE, variant="bold")
        _wait_until_followed(place, change.version)
        for person in [*known, *logged_in]:
            person.read_everywhere(place.ports)
        (change,) = place.state.editor.edit("headline", {"name": "Another"})
        _wait_until_followed(place, change.version)
        for person in [*known, *logged_in]:
            person.read_everywhere(place.ports)
        fresh = Person.named("fresh")
        fresh.read_everywhere(place.ports)
    people = [*known, *logged_in]
    bold = [person for person in people if person.seen[0] == "bold"]
    changed = [person for person in people if len(set(person.seen)) > 1]
    print(
        f"\n{len(people)} users on two devices, two servers and without cookies: "
        f"{sum(len(each.seen) for each in people)} pages, {len(bold)} keep a variant "
        f"that is closed, {len(changed)} changed"
    )
    assert [(person.name, person.seen) for person in changed] == []
    assert bold
    assert set(fresh.seen) == {"control"}


def test_two_devices_race_for_a_first_exposure(tmp_path: Path) -> None:
    with _place(tmp_path) as place:
        people = [Person.named(f"user-{number}") for number in range(PAIRS)]
        met = {
            person.name: {
                person.browse(device, port)
                for device, port in zip(person.devices, place.ports, strict=True)
            }
            for person in people
        }
        for person in people:
            _race(person, place.ports)
        wait_until_drained(tmp_path)
        stored = _stored(place.url)
        for person in people:
            person.seen.clear()
            person.read_everywhere(place.ports)
        again = _stored(place.url)
    differed = {name for name, variants in met.items() if len(variants) > 1}
    print(
        f"\n{PAIRS} users log in on two devices at once, {len(differed)} with two "
        f"variants: {len(stored)} rows, {sum(each[1] for each in stored.values())} "
        f"told as mixed"
    )
    assert differed
    assert stored == again
    assert {name for name, (_, is_mixed) in stored.items() if is_mixed} == differed
    for person in people:
        assert set(person.seen) == {stored[person.name][0]}, person.name


def _race(person: Person, ports: Sequence[int]) -> None:
    """Log in on both devices at the same moment, at two servers."""
    start = Barrier(2)

    def log_in(device: Visitor, port: int) -> None:
        start.wait(5)
        person.read(device, port)

    pairs = zip(person.devices, ports, strict=True)
    threads = [Thread(target=log_in, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(person.seen) == 2


def _stored(url: str) -> dict[str, tuple[str, bool]]:
    """Give the variant of each user, and whether they met another one, too."""
    query = "SELECT unit, variant, mixed FROM abx_exposures WHERE unit LIKE 'user:%'"
    with engine_of(url) as engine, engine.connect() as connection:
        rows = connection.execute(text(query)).all()
    found = {row[0].removeprefix("user:"): (row[1], bool(row[2])) for row in rows}
    assert len(found) == len(rows)
    return found


def _wait_until_followed(place: Place, version: int) -> None:
    """Wait until every worker of both servers serves a version."""
    deadline = time.monotonic() + PATIENCE
    for port in place.ports:
        seen: set[int] = set()
        while len(seen) < WORKERS:
            assert time.monotonic() < deadline, seen
            path = "/sell?number=1&kind=exposure"
            answer = Visitor("watcher").get(port, path)
            if answer.version >= version:
                seen.add(answer.pid)
            time.sleep(0.02)
