"""Which requests of a process are under way."""

from __future__ import annotations

import os
from threading import get_ident
from time import monotonic, sleep

#: How long a request is held back by a write at most, in seconds.
_LONGEST = 0.25
#: How soon it looks again whether the write is over, in seconds.
_SHORTLY = 0.001


class Flights:
    """Tells whether a write of ours could come between two steps of a request.

    On SQLite a transaction that has read cannot write any more once somebody else has
    written, so the background thread writes while nobody is in the middle of one. Nor
    can it while somebody else is writing, so who comes meanwhile is held back.

    Attributes:
        are_counted: False where nobody could be disturbed.
    """

    def __init__(self) -> None:
        self.are_counted = True
        self._flying: dict[object, int] = {}
        self._pid = os.getpid()
        self._is_held = False

    def begin(self, request: object) -> None:
        """Note that a request begins, once a write of ours is over."""
        if self._pid != os.getpid():
            # Those of the parent never end here, nor does its write.
            self._pid, self._flying, self._is_held = os.getpid(), {}, False
        self._flying[request] = get_ident()
        if self._is_held:
            self._wait(request)

    def _wait(self, request: object) -> None:
        until = monotonic() + _LONGEST
        while self._is_held:
            if monotonic() > until:
                # Nobody else waits for it; it sees that it is not alone.
                self._is_held = False
                return
            self._flying.pop(request, None)
            sleep(_SHORTLY)
            # First this and then the look; who writes does it the other way round.
            self._flying[request] = get_ident()

    def hold(self) -> None:
        """Hold back who comes from now on; then look whether there is nobody."""
        self._is_held = True

    def release(self) -> None:
        """Hold back nobody any more."""
        self._is_held = False

    def end(self, request: object) -> None:
        """Note that the application has done its part of a request."""
        self._flying.pop(request, None)

    @property
    def are_none(self) -> bool:
        """True while no request is under way."""
        return not self._flying or self._pid != os.getpid()

    @property
    def are_own(self) -> bool:
        """True where this thread itself is in the middle of a request."""
        return get_ident() in tuple(self._flying.values())
