"""The cookie, whatever stands in it."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flask_abx.assignment.decision import Unit
from flask_abx.assignment.ruleset import Rule, compile_ruleset
from flask_abx.events.tally import Tally
from flask_abx.experiments.definition import parse as parse_document
from flask_abx.runtime.cookie import (
    MAX_HEADER,
    CookieCodec,
    Entry,
    Memory,
    Reading,
    compose,
    find,
    parse,
    shrink,
    tag_of,
)
from flask_abx.runtime.sticky import Sticky
from flask_abx.settings import Settings

ANNA = "a" * 32
KEYS = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,63}", fullmatch=True)
DIGITS = "0123456789abcdef"
VISITORS = st.text(DIGITS, min_size=32, max_size=32)
ITERATIONS = st.integers(1, 999_999_999)
OWN = st.builds(Entry, ITERATIONS, KEYS, st.just(value=True))
OTHER = st.builds(Entry, ITERATIONS, KEYS, st.booleans())
TAGS = st.text(DIGITS, min_size=8, max_size=8)
MEMORIES = st.builds(
    Memory,
    VISITORS | st.just(""),
    st.dictionaries(KEYS, OWN, max_size=8),
    st.dictionaries(TAGS, st.dictionaries(KEYS, OTHER, min_size=1), max_size=2),
)
CHARACTERS = string.ascii_letters + string.digits + "~:.@?_-"


def codec(*keys: str, **settings: object) -> CookieCodec:
    """Make a codec of its own, which has verified nothing yet."""
    made = Settings.model_validate({"cookie_name": "abx", **settings})
    return CookieCodec(made, keys or ("secret",), Tally())


def issued(memory: Memory, made: CookieCodec | None = None) -> str:
    """Give the value of the cookie that holds a memory."""
    header = (made or codec()).header(memory, {}, lambda _: True)
    return header.partition(";")[0].partition("=")[2]


def rule(key: str, *units: str) -> Rule:
    """Compile an experiment, on users unless other units are named."""
    experiment = {"variants": ["control", "bold"], "unit": list(units) or "user"}
    document = parse_document({"experiments": {key: experiment}})
    return compile_ruleset(document, "c1", {}).rules[key]


@given(MEMORIES)
def test_a_memory_survives_being_written_and_read(memory: Memory) -> None:
    assert parse(compose(memory)) == memory
    assert codec().verify(issued(memory)) == Reading(memory, is_outdated=False)


@given(st.text())
def test_no_text_raises(text: str) -> None:
    made = codec()
    parse(text)
    assert made.verify(text) is None
    assert made.read({"HTTP_COOKIE": f"abx={text}"}) is None
    find(text, "abx")


@given(st.text(CHARACTERS), st.text(CHARACTERS))
def test_what_is_no_entry_is_skipped_and_the_rest_kept(before: str, after: str) -> None:
    assume("@" not in before)
    memory = parse(f"1~{ANNA}~{before}~headline:1:bold~@{after}")
    assert memory is not None
    assert memory.visitor == ANNA
    assert memory.entries["headline"] == Entry(1, "bold", confirmed=True)


@given(MEMORIES, st.data())
def test_a_flipped_character_is_refused(memory: Memory, data: st.DataObject) -> None:
    text = issued(memory)
    index = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from([c for c in CHARACTERS if c != text[index]]))
    assert codec().verify(text[:index] + other + text[index + 1 :]) is None


def many(count: int, length: int) -> dict[str, Entry]:
    """Make so many entries with keys of one length."""
    keys = [f"{number:02}".ljust(length, "k") for number in range(count)]
    return {key: Entry(7, "bold", confirmed=False) for key in keys}


@given(
    st.tuples(st.integers(0, 90), st.integers(2, 64)),
    st.lists(st.tuples(st.integers(0, 90), st.integers(2, 64)), max_size=2),
    st.sampled_from(["http", "https"]),
)
def test_the_header_stays_below_what_browsers_keep(
    own: tuple[int, int], others: list[tuple[int, int]], scheme: str
) -> None:
    entries = {key: entry._replace(confirmed=True) for key, entry in many(*own).items()}
    units = {f"{n:08}": many(*size) for n, size in enumerate(others)}
    memory = Memory(ANNA, entries, units)
    header = codec().header(memory, {"wsgi.url_scheme": scheme}, lambda _: True)
    assert len(header) <= MAX_HEADER
    reading = codec().verify(header.partition(";")[0].partition("=")[2])
    assert reading is not None
    assert reading.memory.visitor == ANNA
    assert _places(reading.memory) <= _places(memory)
    is_full = len(header) > MAX_HEADER - 100
    assert is_full or _places(reading.memory) == _places(memory)


@given(MEMORIES, st.integers(1, 4_000), st.sets(KEYS))
def test_shrinking_drops_what_ended_first(
    memory: Memory, excess: int, live: set[str]
) -> None:
    live |= set(list(memory.entries)[::2])
    smaller = shrink(memory, excess, live.__contains__)
    kept = _places(smaller)
    gone = _places(memory) - kept
    assert kept <= _places(memory)
    is_enough = len(compose(memory)) - len(compose(smaller)) >= excess
    assert is_enough or not kept
    if any(key in live for _, key in gone):
        assert all(key in live for _, key in kept)


def _places(memory: Memory) -> set[tuple[str, str]]:
    groups = {"": memory.entries, **memory.units}
    return {(tag, key) for tag, entries in groups.items() for key in entries}


def test_shrinking_drops_the_oldest_and_no_more_than_needed() -> None:
    entries = {key: Entry(1, "bold", confirmed=True) for key in ("a", "b", "c", "d")}
    smaller = shrink(Memory(ANNA, entries), len("~a:1:bold") + 1, lambda _: True)
    assert list(smaller.entries) == ["c", "d"]


@pytest.mark.parametrize("fallback", ["first", "second"])
def test_a_cookie_of_an_earlier_key_is_accepted_and_outdated(fallback: str) -> None:
    text = issued(Memory(ANNA), codec(fallback))
    made = codec("first", "second", "now")
    reading = Reading(Memory(ANNA), is_outdated=True)
    assert made.verify(text) == made.verify(text) == reading
    assert codec("now").verify(text) is None


@pytest.mark.parametrize(
    ("settings", "scheme", "name"),
    [
        pytest.param({}, "http", "abx", id="http"),
        pytest.param({}, "https", "__Host-abx", id="https"),
        pytest.param({"cookie_path": "/shop"}, "https", "__Secure-abx", id="path"),
        pytest.param(
            {"cookie_domain": "tea.example"}, "https", "__Secure-abx", id="domain"
        ),
        pytest.param({"cookie_domain": "tea.example"}, "http", "abx", id="bare domain"),
        pytest.param({"cookie_secure": False}, "https", "abx", id="never secure"),
        pytest.param({"cookie_name": "t.e-a"}, "https", "__Host-t.e-a", id="name"),
    ],
)
def test_the_name_follows_the_security(
    settings: dict[str, object], scheme: str, name: str
) -> None:
    environ = {"wsgi.url_scheme": scheme}
    header = codec(**settings).header(Memory(ANNA), environ, lambda _: True)
    assert header.partition("=")[0] == name
    assert ("; Secure" in header) == name.startswith("__")
    value = header.partition(";")[0]
    assert codec(**settings).read({**environ, "HTTP_COOKIE": value}) == Reading(
        Memory(ANNA), is_outdated=False
    )


def test_a_bare_cookie_is_adopted_over_https() -> None:
    environ = {"wsgi.url_scheme": "https", "HTTP_COOKIE": f"abx={issued(Memory(ANNA))}"}
    assert codec().read(environ) == Reading(Memory(ANNA), is_outdated=True)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("abx=1", "1"),
        ('abx="1"', "1"),
        ("a=2; abx=1; b=3", "1"),
        ("a=2;abx=1;b=3", "1"),
        ("xabx=2; abx=1", "1"),
        ("abx=1; abx=2", "1"),
        ("abx=", ""),
        ("xabx=2", None),
        ("abx", None),
        ("", None),
    ],
)
def test_a_cookie_is_found_by_its_whole_name(header: str, found: str | None) -> None:
    assert find(header, "abx") == found


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["one", "two"]))))
def test_the_last_two_units_are_kept(exposures: list[tuple[int, str]]) -> None:
    sticky = Sticky(Memory(ANNA))
    for number, key in exposures:
        sticky.remember(rule(key), Unit("user", str(number)), "bold")
    last = dict.fromkeys(str(number) for number, _ in reversed(exposures))
    expected = {tag_of(Unit("user", user)) for user in list(last)[:2]}
    assert set(sticky.memory.units) == expected


def test_the_first_user_of_a_browser_takes_over_what_the_visitor_met() -> None:
    shared = rule("headline", "user", "visitor")
    sticky = Sticky(Memory(ANNA, {"headline": Entry(1, "bold", confirmed=True)}))
    anna, bert = Unit("user", "anna"), Unit("user", "bert")

    assert sticky.variant_of(shared, anna) == "bold"
    assert compose(sticky.memory) == f"1~{ANNA}~@{tag_of(anna)}~headline:1:bold?"
    assert sticky.variant_of(shared, anna) == "bold"
    assert sticky.variant_of(shared, bert) is None


def test_nobody_takes_over_what_is_for_users_alone() -> None:
    sticky = Sticky(Memory(ANNA, {"headline": Entry(1, "bold", confirmed=True)}))
    assert sticky.variant_of(rule("headline"), Unit("user", "anna")) is None
    assert not sticky.is_changed
