"""Which visitors were seen with which users, so that each login is told."""

from __future__ import annotations

from time import monotonic

from flask_abx.events.bounded import Bounded

#: How many visitors, and how many of their logins, a process remembers.
KEPT = 10_000
#: How long a visitor may be logged in before that is noticed, in seconds.
PAUSE = 60.0


class Company:
    """What this process knows of the users of its visitors.

    Whoever was exposed before records nothing any more, and asking each of them who is
    logged in would cost every page: so each is asked once a minute.
    """

    def __init__(self) -> None:
        self._asked_at: Bounded[str, float] = Bounded(KEPT)
        self._told: Bounded[tuple[str, str], bool] = Bounded(KEPT)

    def is_due(self, visitor: str) -> bool:
        """Tell whether it is time to ask who is with a visitor."""
        at = self._asked_at.get(visitor)
        return at is None or monotonic() - at > PAUSE

    def is_new(self, visitor: str, user: str | None) -> bool:
        """Note who is with a visitor; True for a user of whom nothing was recorded."""
        self._asked_at.put(visitor, monotonic())
        return user is not None and not self._told.get((visitor, user))

    def tell(self, visitor: str | None, user: str | None) -> None:
        """Note that something was recorded that names both."""
        if visitor is not None and user is not None:
            self._told.put((visitor, user), value=True)
