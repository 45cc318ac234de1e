"""A proxy before a database, which freezes lines or slows down transactions."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How often a line looks whether it was frozen, in seconds.
_BEAT = 0.05


@dataclass(slots=True)
class Proxy:
    """Passes on what comes, until it is told otherwise.

    Attributes:
        port: Where it listens, on loopback.
        delay: How long each end of a transaction takes, in seconds.
        lines: How many connections were made so far.
        commits: How many transactions were ended so far.
    """

    port: int
    target: int
    delay: float = 0.0
    lines: int = 0
    commits: int = 0
    _frozen: Event = field(default_factory=Event)
    _is_over: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    def freeze(self) -> None:
        """Pass on nothing more on the lines of now; those that come later work."""
        self._frozen.set()
        self._frozen = Event()

    def serve(self, listener: socket.socket) -> None:
        """Take lines until all is over."""
        listener.settimeout(_BEAT)
        while not self._is_over.is_set():
            try:
                near, _ = listener.accept()
            except TimeoutError:
                continue
            self.lines += 1
            thread = Thread(
                target=self._pass_on, args=(near, self._frozen), daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """Cut all lines."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(5)

    def _pass_on(self, near: socket.socket, frozen: Event) -> None:
        with near, suppress(OSError):
            far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            with far, selectors.DefaultSelector() as selector:
                for side, other in ((near, far), (far, near)):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(side, selectors.EVENT_READ, other)
                while not self._is_over.is_set():
                    if frozen.is_set():
                        # Open, and silent: what a lost route looks like.
                        self._is_over.wait()
                        return
                    for key, _ in selector.select(_BEAT):
                        side = near if key.fileobj is near else far
                        if not self._pass_block(side, key.data, is_asked=side is near):
                            return

    def _pass_block(
        self, side: socket.socket, other: socket.socket, *, is_asked: bool
    ) -> bool:
        block = side.recv(65536)
        if is_asked and b"COMMIT" in block:
            self.commits += 1
            time.sleep(self.delay)
        other.sendall(block)
        return bool(block)


@contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """Stand before a port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener.getsockname()[1], target)
        thread = Thread(target=proxy.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.end()
            thread.join(5)
