"""Visitors with cookie jars, who ask served applications for pages."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.cookies import SimpleCookie
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one visitor got for one request.

    Attributes:
        status: The status, or 0 where no response came.
        sent_at: When it was asked for, by `monotonic`, which processes share.
        latency: How long the visitor waited, in seconds.
        pid: The process that served it.
        began: When that process began, by `monotonic`.
        took: How long it took there until the headers were ready, in seconds.
        body: The JSON of the page; what went wrong stands under ``error``.
        is_given_cookie: True where the response sets one.
        starved: How much of `took` the thread was ready to run and got no CPU.
    """

    visitor: str
    path: str
    status: int
    sent_at: float
    latency: float
    pid: int
    began: float
    took: float
    body: dict[str, Any]
    is_given_cookie: bool
    starved: float = 0.0

    @property
    def net(self) -> float:
        """How long the process took for it, but for what other processes took."""
        return max(0.0, self.took - self.starved)

    @property
    def version(self) -> int:
        """The version of the definitions that the page saw; 0 where none was ready."""
        text = self.body.get("version") or "0"
        return int(text) if text.isdecimal() else 0

    @property
    def variants(self) -> dict[str, str]:
        """The variants that the page read, by experiment."""
        return dict(self.body.get("variants", {}))


@dataclass(slots=True)
class Visitor:
    """One browser: it keeps its cookies, whichever port it asks."""

    name: str
    jar: dict[str, str] = field(default_factory=dict)
    timeout: float = 15.0

    def get(self, port: int, path: str = "/") -> Answer:
        """Ask for a page on a connection of its own."""
        headers = {"User-Agent": AGENT, "Connection": "close"}
        if self.jar:
            pairs = (f"{name}={value}" for name, value in self.jar.items())
            headers["Cookie"] = "; ".join(pairs)
        connection = HTTPConnection("127.0.0.1", port, timeout=self.timeout)
        sent_at = time.monotonic()
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            latency = time.monotonic() - sent_at
            told = {"error": repr(error)}
            return Answer(
                self.name,
                path,
                0,
                sent_at,
                latency,
                0,
                0,
                0,
                told,
                is_given_cookie=False,
            )
        finally:
            connection.close()
        latency = time.monotonic() - sent_at
        given = SimpleCookie(response.getheader("Set-Cookie") or "")
        self.jar |= {name: morsel.coded_value for name, morsel in given.items()}
        return Answer(
            self.name,
            path,
            response.status,
            sent_at,
            latency,
            int(response.getheader("X-Pid") or 0),
            float(response.getheader("X-Began") or 0),
            float(response.getheader("X-Took") or 0),
            _json(content),
            is_given_cookie=bool(given),
            starved=float(response.getheader("X-Starved") or 0),
        )


def newcomers(name: str, port: int, path: str = "/") -> Callable[[], Answer]:
    """Give a stream of visitors of whom each comes once, without a cookie."""
    seen = 0

    def ask() -> Answer:
        nonlocal seen
        seen += 1
        return Visitor(f"{name}-{seen}").get(port, path)

    return ask


@contextmanager
def load(
    streams: Iterable[Callable[[], Answer]], pause: float = 0.02
) -> Iterator[list[Answer]]:
    """Have each stream ask again and again, in a thread of its own, until the end.

    Args:
        streams: Each is called for one answer at a time.
        pause: How long each rests between two calls, in seconds.

    Yields:
        The answers so far, in the order in which they came.
    """
    answers: list[Answer] = []
    is_over = Event()

    def keep_asking(ask: Callable[[], Answer]) -> None:
        while not is_over.is_set():
            answers.append(ask())
            is_over.wait(pause)

    threads = [Thread(target=keep_asking, args=(ask,), daemon=True) for ask in streams]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join(20)


def warm(port: int, count: int, path: str = "/ten", seconds: float = 10.0) -> set[int]:
    """Ask until so many processes have answered with definitions, and give their ids.

    Args:
        port: Where they listen.
        count: How many processes serve there.
        path: The page.
        seconds: How long to try.

    Raises:
        TimeoutError: If they have not answered by then.
    """
    deadline = time.monotonic() + seconds
    streams = [newcomers(f"early-{number}", port, path) for number in range(2 * count)]
    with load(streams, pause=0) as answers:
        while time.monotonic() < deadline:
            ready = {it.pid for it in tuple(answers) if it.body.get("version")}
            if len(ready) >= count:
                return ready
            time.sleep(0.05)
    last = answers[-1].body if answers else None
    raise TimeoutError(f"{len(ready)} of {count} processes are ready, one says {last}.")


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that a share of all values does not exceed; 0 where none is."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def told(values: Sequence[float]) -> str:
    """Say the median, the 99th percentile and the largest of times, in ms."""
    shares = (percentile(values, share) * 1000 for share in (0.5, 0.99, 1.0))
    middle, high, most = shares
    return f"p50 {middle:.1f}, p99 {high:.1f}, max {most:.1f} ms of {len(values)}"


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {"error": content[:200].decode(errors="replace")}
    return found if isinstance(found, dict) else {"error": repr(found)[:200]}
