"""How long buyers waited in one stretch of a drill, and whether anybody had to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.drills.clients import told

if TYPE_CHECKING:
    from tests.drills.buyers import Book, Reply

#: How long a request waits for the database at most, in seconds: ABX_WAIT.
WAIT = 0.25
#: What a request may take on top of its deadline, in seconds.
SLACK = 0.05
#: A request that took so long has waited for something, in seconds.
WAITED = 0.1


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was served from one moment to another.

    Attributes:
        name: What happened meanwhile.
        began: When it began, by `monotonic`.
        ended: When it ended.
        replies: What was served from begin to end in that time.
        noise: The longest that a page took which waits for nothing, in seconds.
    """

    name: str
    began: float
    ended: float
    replies: list[Reply]
    noise: float

    @classmethod
    def of(cls, name: str, book: Book, began: float, ended: float) -> Stretch:
        """Cut a stretch out of a book."""

        def within(replies: list[Reply]) -> list[Reply]:
            return [each for each in replies if began < each.began < ended]

        noise = max((each.net for each in within(book.passing)), default=0.0)
        replies = [each for each in within(book.replies) if each.kind != "atomic"]
        return cls(name, began, ended, replies, noise)

    @property
    def longest(self) -> float:
        """The longest that a request took, in seconds."""
        return max(each.net for each in self.replies)

    @property
    def waiting(self) -> list[Reply]:
        """The requests that have waited."""
        return [each for each in self.replies if each.net > WAITED + self.noise]

    @property
    def needless(self) -> list[Reply]:
        """Those that began to wait where another of their process had in vain."""
        found: list[Reply] = []
        for pid in {each.pid for each in self.replies}:
            own = [each for each in self.replies if each.pid == pid]
            ends = [each.began + each.took for each in own if each.took >= WAIT]
            first = min(ends, default=self.ended)
            found += [
                each for each in self.waiting if each.pid == pid and each.began > first
            ]
        return found

    def __str__(self) -> str:
        return (
            f"{self.name}: {told([each.net for each in self.replies])}, "
            f"{len(self.waiting)} waited, {len(self.needless)} of them after a "
            f"deadline was missed; a page that waits for nothing at most "
            f"{self.noise * 1000:.0f} ms"
        )
