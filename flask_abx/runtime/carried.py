"""The text that carries somebody to another process: written, signed and read."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask_abx.assignment.decision import USER, VISITOR
from flask_abx.runtime.consent import MEASUREMENT
from flask_abx.runtime.cookie import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flask_abx.runtime.cookie import Entries, Key

#: What the text begins with; no user is meant by one that does.
MARK = "abx1."
#: The longest text; a column of 300 characters holds it.
LONGEST = 299

#: The same without the signature and the dot before it.
ROOM = LONGEST - 44
_PLAIN = re.compile(r"[A-Za-z0-9_.:@+/-]*")
#: How the ids that stand first are marked; attribute units are named.
LEADING = {VISITOR: "v", USER: "u"}
_LONG = {short: kind for kind, short in LEADING.items()}
_MEASURED, _BOT, _SILENT = "mbq"


@dataclass(frozen=True, slots=True)
class Carried:
    """Somebody on the way to another process.

    Attributes:
        version: The newest version of the definitions that had a say.
        units: The ids by unit type.
        entries: What each of them was exposed to, by unit type, oldest first.
        purposes: What the person agreed to.
        is_silent: True where nothing is to be recorded.
    """

    version: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, Entries] = field(default_factory=dict)
    purposes: frozenset[str] = frozenset()
    is_bot: bool = False
    is_silent: bool = False


NOBODY = Carried(is_silent=True)


def write(carried: Carried, keys: Sequence[Key]) -> str:
    """Write and sign the text."""
    payload = compose(carried)
    return f"{payload}.{keys[0].sign(payload).decode()}"


def read(text: str, keys: Sequence[Key]) -> Carried | None:
    """Read a text that one of the keys has signed; None for any other."""
    if len(text) > LONGEST or not text.isascii():
        return None
    payload, _, signature = text.rpartition(".")
    for key in keys:
        # Signing again refuses a base64 text that differs but means the same.
        if hmac.compare_digest(key.sign(payload), signature.encode()):
            return parse(payload)
    return None


def compose(carried: Carried) -> str:
    """Write what is signed."""
    return MARK + "~".join(_fields(carried))


def _fields(carried: Carried) -> Iterator[str]:
    yield escaped(carried.version)
    marks = {
        _MEASURED: MEASUREMENT in carried.purposes,
        _BOT: carried.is_bot,
        _SILENT: carried.is_silent,
    }
    yield "".join(mark for mark, is_set in marks.items() if is_set)
    for purpose in sorted(carried.purposes - {MEASUREMENT}):
        yield f"!{escaped(purpose)}"
    for kind, who in carried.units.items():
        name = LEADING.get(kind) or f"={escaped(kind)}"
        yield f"@{name}={escaped(who)}"
        for key, entry in carried.entries.get(kind, {}).items():
            yield entry_text(key, entry)


def entry_text(key: str, entry: Entry) -> str:
    """Write what a unit was exposed to."""
    return f"{key}:{entry.iteration}:{entry.variant}"


def escaped(text: str) -> str:
    """Write a text with characters that are plain everywhere."""
    if _PLAIN.fullmatch(text):
        return text
    data = urlsafe_b64encode(text.encode("utf-8", "surrogatepass"))
    return f"*{data.decode().rstrip('=')}"


def _plain(text: str) -> str:
    if not text.startswith("*"):
        return text
    data = text[1:] + "=" * (-len(text[1:]) % 4)
    return urlsafe_b64decode(data).decode("utf-8", "surrogatepass")


def parse(payload: str) -> Carried | None:
    """Read what was signed; None where it is no such text."""
    if not payload.startswith(MARK):
        return None
    version, marks, *fields = payload.removeprefix(MARK).split("~")
    purposes = {MEASUREMENT} if _MEASURED in marks else set()
    units: dict[str, str] = {}
    entries: dict[str, dict[str, Entry]] = {}
    kind = ""
    for text in fields:
        if text.startswith("!"):
            purposes.add(_plain(text[1:]))
        elif text.startswith("@"):
            name, _, who = text[1:].rpartition("=")
            kind = _LONG.get(name) or _plain(name[1:])
            units[kind] = _plain(who)
        else:
            key, iteration, variant = text.split(":")
            entry = Entry(int(iteration), variant, confirmed=True)
            entries.setdefault(kind, {})[key] = entry
    return Carried(
        version=_plain(version),
        units=units,
        entries=entries,
        purposes=frozenset(purposes),
        is_bot=_BOT in marks,
        is_silent=_SILENT in marks,
    )
