"""A progress bar, on a terminal alone and for what takes a while."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Nobody needs a bar for what is done in so many seconds.
PATIENCE = 2.0


def is_watched() -> bool:
    """Tell whether somebody would see a bar."""
    return sys.stderr.isatty()


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give what is told of progress: how much more is done, and how much there is."""
    if not is_watched():
        yield lambda done, total: None
        return
    began, position = monotonic(), 0
    bars: list[Any] = []
    with ExitStack() as stack:

        def tell(done: int, total: int) -> None:
            nonlocal position
            position += done
            if not bars:
                if monotonic() - began < PATIENCE:
                    return
                bar = click.progressbar(length=total, label=label, file=sys.stderr)
                bars.append(stack.enter_context(bar))
                done = position
            bars[0].length = max(total, position)
            bars[0].update(done)

        yield tell
