"""Visitors of a booth, the notes that they took, and what became of them."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.cookies import SimpleCookie
from itertools import count
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from flask_abx.events.records import digest_of
from tests.databases import engine_of
from tests.drills.booth import CHILD
from tests.drills.clients import AGENT
from tests.drills.market import SOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from http.client import HTTPMessage


@dataclass(frozen=True, slots=True)
class Note:
    """What one visitor got for one request.

    Attributes:
        number: The number of the event.
        path: What was asked for.
        status: The status, or 0 where no whole response came.
        asked_at: When, in seconds since 1970, as the records have it.
        latency: How long the visitor waited, in seconds.
        pid: The process that served it.
        lost: How many records that process counted as lost meanwhile.
        body: The JSON of the page.
    """

    number: int
    path: str
    status: int
    asked_at: float
    latency: float
    pid: int = 0
    lost: int = 0
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def is_acknowledged(self) -> bool:
        """True where the response was read whole, and tells of no loss."""
        return self.status == 200 and not self.lost


@dataclass(slots=True)
class Notes:
    """All that was asked for, and what was answered."""

    taken: list[Note] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def next(self) -> int:
        """Take the next number."""
        number = next(self._numbers)
        self.sent.add(number)
        return number

    @property
    def acknowledged(self) -> set[int]:
        """The numbers of the events that are promised to be safe."""
        found = {each.number for each in self.taken if each.is_acknowledged}
        # A child that has ended well has been answered too.
        return found | {
            CHILD + each.number for each in self.taken if each.body.get("child") == 0
        }

    @property
    def slowest(self) -> float:
        """The longest that anybody has waited, in seconds."""
        return max((each.latency for each in self.taken), default=0.0)


class Browser:
    """A connection that is kept open, and the cookies that came on it."""

    def __init__(self, port: int, *, has_cookies: bool = False) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=15)
        self._jar: dict[str, str] | None = {} if has_cookies else None

    def get(self, path: str) -> tuple[int, HTTPMessage, bytes]:
        """Ask for a page, and read the whole response.

        Raises:
            OSError: If it does not come whole.
        """
        headers = {"User-Agent": AGENT}
        if self._jar:
            pairs = (f"{name}={value}" for name, value in self._jar.items())
            headers["Cookie"] = "; ".join(pairs)
        try:
            self._connection.request("GET", path, headers=headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, HTTPException) as error:
            self.close()
            raise ConnectionResetError(path) from error
        if self._jar is not None:
            given = SimpleCookie(response.getheader("Set-Cookie") or "")
            self._jar |= {name: each.coded_value for name, each in given.items()}
        return response.status, response.headers, body

    def close(self) -> None:
        """Close it; the next request opens another."""
        self._connection.close()


def ask(browser: Browser, path: str, number: int) -> Note:
    """Ask once.

    Args:
        browser: Who asks.
        path: The page, with ``{}`` where the number goes.
        number: The number of the event.
    """
    at, began, path = time.time(), time.monotonic(), path.format(number)
    try:
        status, headers, body = browser.get(path)
    except OSError:
        return Note(number, path, 0, at, time.monotonic() - began)
    return Note(
        number,
        path,
        status,
        at,
        time.monotonic() - began,
        int(headers["x-pid"]),
        int(headers["x-lost"]),
        json.loads(body) if status == 200 else {},
    )


@contextmanager
def noting(
    port: int, paths: Sequence[str], pause: float = 0.0, *, has_cookies: bool = False
) -> Iterator[Notes]:
    """Have one visitor for each path ask for it again and again until the end.

    Args:
        port: Where the booth is.
        paths: The pages, with ``{}`` where the number goes.
        pause: How long each rests between two requests, in seconds.
        has_cookies: False where each request comes from somebody new.
    """
    notes, is_over = Notes(), Event()

    def go_on(path: str) -> None:
        browser = Browser(port, has_cookies=has_cookies)
        while not is_over.is_set():
            note = ask(browser, path, notes.next())
            notes.taken.append(note)
            is_over.wait(pause if note.status else 0.02)
        browser.close()

    threads = [Thread(target=go_on, args=(path,), daemon=True) for path in paths]
    for thread in threads:
        thread.start()
    try:
        yield notes
    finally:
        is_over.set()
        for thread in threads:
            thread.join(20)


def ids_of(numbers: Iterable[int]) -> set[str]:
    """Give the ids of the events with some numbers."""
    return {digest_of("event", SOLD, str(number)) for number in numbers}


def stored_ids(url: str) -> set[str]:
    """Give the ids of all events that are stored, each of which is there once.

    Raises:
        AssertionError: If one is there twice, or belongs to nobody.
    """
    with engine_of(url) as engine, engine.connect() as connection:
        events = connection.scalars(text("SELECT id FROM abx_events")).all()
        units = connection.scalars(text("SELECT event_id FROM abx_event_units")).all()
    ids = {str(each) for each in events}
    assert len(ids) == len(events)
    assert ids == {str(each) for each in units}
    return ids


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the notes.

    Attributes:
        acknowledged: How many events were promised to be safe.
        lost: How many of them are not stored.
        strange: How many are stored that nobody has sent.
    """

    acknowledged: int
    lost: int
    strange: int

    def __str__(self) -> str:
        return (
            f"{self.acknowledged:,} events acknowledged, {self.lost} lost, "
            f"{self.strange} never sent"
        )


def outcome(url: str, notes: Notes) -> Outcome:
    """Compare the tables with what was promised."""
    stored, promised = stored_ids(url), ids_of(notes.acknowledged)
    sent = ids_of(notes.sent) | ids_of(CHILD + number for number in notes.sent)
    return Outcome(len(promised), len(promised - stored), len(stored - sent))
