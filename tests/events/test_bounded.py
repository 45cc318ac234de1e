"""A mapping that forgets its oldest entries, whichever thread writes."""

from __future__ import annotations

from threading import Thread

from flask_abx.events.bounded import Bounded


def filled(*keys: str, size: int = 3) -> Bounded[str, int]:
    made: Bounded[str, int] = Bounded(size)
    for number, key in enumerate(keys):
        made.put(key, number)
    return made


def kept(bounded: Bounded[str, int], *keys: str) -> list[str]:
    return [key for key in keys if bounded.get(key) is not None]


def test_what_was_never_put_is_not_there() -> None:
    assert filled("a").get("b") is None


def test_the_oldest_makes_room() -> None:
    bounded = filled("a", "b", "c", "d")
    assert (kept(bounded, *"abcd"), len(bounded)) == (["b", "c", "d"], 3)


def test_what_is_put_again_is_the_newest() -> None:
    bounded = filled("a", "b", "c", "a", "d")
    assert kept(bounded, *"abcd") == ["a", "c", "d"]
    assert bounded.get("a") == 3


def test_what_is_read_grows_no_younger() -> None:
    bounded = filled("a", "b", "c")
    bounded.get("a")
    bounded.put("d", 4)
    assert bounded.get("a") is None


def test_what_is_dropped_is_gone_and_leaves_room() -> None:
    bounded = filled("a", "b", "c")
    bounded.drop("b")
    bounded.drop("never there")
    bounded.put("d", 4)
    assert kept(bounded, *"abcd") == ["a", "c", "d"]


def test_entries_are_swapped_and_each_keeps_its_size() -> None:
    bounded, other = filled("a", "b", "c"), filled("x", size=1)
    before = bounded.swap(other)
    assert (kept(bounded, *"abcx"), kept(before, *"abcx")) == (["x"], ["a", "b", "c"])
    before.put("d", 4)
    assert len(before) == 3


def test_threads_that_write_at_once_break_nothing() -> None:
    bounded = filled(size=10)

    def write(start: int) -> None:
        for number in range(start, start + 2_000):
            bounded.put(str(number % 50), number)
            bounded.drop(str(number % 7))

    crowd = [Thread(target=write, args=(number,)) for number in range(4)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert len(bounded) <= 10
