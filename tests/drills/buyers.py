"""Buyers on lines that are kept open, and the book of what they were told."""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from flask_abx.events.records import digest_of
from tests.drills.clients import AGENT
from tests.drills.market import SOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: What a sale may promise; an exposure alone tracks nothing.
KINDS = ("spool", "request", "atomic", "exposure")
#: How long a buyer whose request failed waits, in seconds.
_BREATH = 0.02


@dataclass(frozen=True, slots=True)
class Reply:
    """What one buyer got for one request.

    Attributes:
        number: The number of the sale.
        kind: What was promised for it.
        status: The status, or 0 where no whole response came.
        sent_at: When it was asked for, by `monotonic`, which processes share.
        latency: How long the buyer waited, in seconds.
        pid: The process that served it.
        began: When that process began, by `monotonic`.
        took: How long it took there, in seconds.
        starved: How much of `took` the thread was ready to run and got no CPU.
        lost: How many records were lost meanwhile, as the process counts.
        body: The JSON of the page.
    """

    number: int
    kind: str
    status: int
    sent_at: float
    latency: float
    pid: int = 0
    began: float = 0.0
    took: float = 0.0
    starved: float = 0.0
    lost: int = 0
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def is_acknowledged(self) -> bool:
        """True where the response was read whole, and tells of no loss."""
        return self.status == 200 and not self.lost

    @property
    def net(self) -> float:
        """How long the process took for it, but for what other processes took."""
        return max(0.0, self.took - self.starved)


@dataclass(slots=True)
class Book:
    """What was asked for, and what was answered.

    Attributes:
        sent: What was promised for each number that was ever sent.
        replies: All answers, in the order in which they came.
        passing: What passers-by got, who leave no record.
    """

    sent: dict[int, str] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    passing: list[Reply] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def open(self, kind: str) -> int:
        """Take the next number."""
        number = next(self._numbers)
        self.sent[number] = kind
        return number

    @property
    def acknowledged(self) -> dict[int, Reply]:
        """The answers that promise that what was sent is safe, by number."""
        return {each.number: each for each in self.replies if each.is_acknowledged}

    def ids_of(self, numbers: Iterable[int]) -> set[str]:
        """Give the ids of the events that some numbers stand for."""
        return {
            digest_of("event", SOLD, str(number))
            for number in numbers
            if self.sent[number] != "exposure"
        }


class Line:
    """One connection that is kept open as long as the other side keeps it."""

    def __init__(self, port: int, timeout: float = 15.0) -> None:
        self._address = ("127.0.0.1", port)
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._rest = b""

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Ask for a page, and read the whole response.

        Raises:
            OSError: If it does not come whole.
        """
        asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {AGENT}\r\n\r\n"
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, self._timeout)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._rest = b""
            self._socket.sendall(asked.encode("ascii"))
            while b"\r\n\r\n" not in self._rest:
                self._read(self._socket)
            head, _, self._rest = self._rest.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            pairs = (line.split(": ", 1) for line in lines)
            headers = {name.lower(): value for name, value in pairs}
            length = int(headers["content-length"])
            while len(self._rest) < length:
                self._read(self._socket)
        except OSError:
            self.close()
            raise
        body, self._rest = self._rest[:length], self._rest[length:]
        if headers.get("connection") == "close":
            self.close()
        return int(first.split()[1]), headers, body

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, connection: socket.socket) -> None:
        block = connection.recv(65536)
        if not block:
            raise ConnectionResetError("The line was cut.")
        self._rest += block


class Buyer:
    """Somebody who buys again and again, and asks again for what was not confirmed.

    Args:
        book: Where all is written down.
        port: Where the market is.
        kinds: What is promised, in turn.
        has_name: True where each sale is the first of a user who is logged in.
    """

    def __init__(
        self,
        book: Book,
        port: int,
        kinds: Sequence[str] = KINDS,
        *,
        has_name: bool = True,
    ) -> None:
        self._book = book
        self._line = Line(port)
        self._kinds = cycle(kinds)
        self._has_name = has_name
        self._number: int | None = None

    def buy(self) -> None:
        """Ask once."""
        book = self._book
        if self._number is None:
            self._number = book.open(next(self._kinds))
        number, kind = self._number, book.sent[self._number]
        reply = _ask(self._line, number, kind, has_name=self._has_name)
        book.replies.append(reply)
        if reply.is_acknowledged:
            self._number = None
        else:
            time.sleep(_BREATH)

    def leave(self) -> None:
        """Close the line."""
        self._line.close()


class Passerby:
    """Somebody who only looks at a page that leaves no record."""

    def __init__(self, book: Book, port: int) -> None:
        self._book = book
        self._line = Line(port)

    def buy(self) -> None:
        """Ask once."""
        self._book.passing.append(_get(self._line, "/plain", 0, "plain"))

    def leave(self) -> None:
        """Close the line."""
        self._line.close()


def _ask(line: Line, number: int, kind: str, *, has_name: bool) -> Reply:
    path = f"/sell?number={number}&kind={kind}"
    if has_name:
        path += f"&user={number}"
    return _get(line, path, number, kind)


def _get(line: Line, path: str, number: int, kind: str) -> Reply:
    sent_at = time.monotonic()
    try:
        status, headers, body = line.get(path)
    except OSError:
        return Reply(number, kind, 0, sent_at, time.monotonic() - sent_at)
    return Reply(
        number,
        kind,
        status,
        sent_at,
        time.monotonic() - sent_at,
        pid=int(headers.get("x-pid", "0")),
        began=float(headers.get("x-began", "0")),
        took=float(headers.get("x-took", "0")),
        starved=float(headers.get("x-starved", "0")),
        lost=int(headers.get("x-lost", "0")),
        body=json.loads(body) if status == 200 else {},
    )


@contextmanager
def trade(buyers: Sequence[Buyer | Passerby], pause: float = 0.0) -> Iterator[None]:
    """Have each buyer go on in a thread of its own until the end.

    Args:
        buyers: Who buys.
        pause: How long each rests between two sales, in seconds.
    """
    is_over = Event()

    def go_on(buyer: Buyer | Passerby) -> None:
        while not is_over.is_set():
            buyer.buy()
            is_over.wait(pause)
        buyer.leave()

    threads = [Thread(target=go_on, args=(each,), daemon=True) for each in buyers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join(20)


def visit_all(port: int, pids: Callable[[], Sequence[int]], seconds: float) -> None:
    """Ask each worker for a page.

    Args:
        port: Where they listen.
        pids: Gives the workers that live.
        seconds: How long to try.

    Raises:
        TimeoutError: If one has not answered by then.
    """
    deadline, seen = time.monotonic() + seconds, set[int]()

    def visit() -> None:
        line = Line(port)
        with suppress(OSError):
            seen.add(int(line.get("/plain")[1].get("x-pid", "0")))
        line.close()

    while not seen.issuperset(alive := pids()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Of {alive} only {sorted(seen)} have answered.")
        # One after the other might all be taken by the worker that is warm.
        threads = [Thread(target=visit, daemon=True) for _ in range(4 * len(alive))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds)
