"""The cookie: its format, its signature, its name."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, NamedTuple

from itsdangerous import Signer
from itsdangerous.encoding import base64_encode

from flask_abx.events.bounded import Bounded
from flask_abx.runtime.client import is_secure

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from flask_abx.assignment.decision import Unit
    from flask_abx.events.tally import Tally
    from flask_abx.settings import Settings

SALT = "flask-abx.cookie"
CARRYING_SALT = "flask-abx.carry"
FORMAT = "1"
#: The longest Set-Cookie header that is sent; browsers drop what exceeds 4,096.
MAX_HEADER = 3_800
#: Nothing longer is looked at.
MAX_INPUT = 4_096
#: How many user and attribute units one browser remembers.
MAX_UNITS = 2
#: How many verified cookies a process remembers, and how long ones at most.
VERIFIED = 10_000
MAX_KEPT = 1_500

_VISITOR = re.compile(r"[0-9a-f]{32}")
_TAG = re.compile(r"@[0-9a-f]{8}")
_ENTRY = re.compile(
    r"([a-z0-9][a-z0-9_.-]{0,63}):([1-9][0-9]{0,8}):([a-z0-9][a-z0-9_.-]{0,63})(\??)"
)


class Entry(NamedTuple):
    """An exposure that the browser remembers."""

    iteration: int
    variant: str
    confirmed: bool


Entries = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Memory:
    """What one cookie holds.

    Attributes:
        visitor: 32 hexadecimal digits, or empty where none was minted.
        entries: The visitor's own exposures by experiment, oldest first.
        units: Those of users and attribute units by tag, the last used at the end.
    """

    visitor: str = ""
    entries: Entries = field(default_factory=dict)
    units: Mapping[str, Entries] = field(default_factory=dict)


NOTHING = Memory()


class Reading(NamedTuple):
    """A verified cookie, and whether it must be issued anew."""

    memory: Memory
    is_outdated: bool


class Unread(Enum):
    """Marks a cookie that nobody has looked at."""

    UNREAD = "unread"


UNREAD = Unread.UNREAD


def tag_of(unit: Unit) -> str:
    """Shorten a user or attribute unit to eight digits that name nobody."""
    data = f"{unit.type}:{unit.id}".encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=4).hexdigest()


def parse(payload: str) -> Memory | None:
    """Read the text of format 1; None if it is none. Strange entries are skipped."""
    kind, _, rest = payload.partition("~")
    visitor, *fields = rest.split("~")
    if kind != FORMAT or (visitor and not _VISITOR.fullmatch(visitor)):
        return None
    own: dict[str, Entry] = {}
    units: dict[str, dict[str, Entry]] = {}
    current = own
    for text in fields:
        if _TAG.fullmatch(text):
            current = units.setdefault(text[1:], {})
        elif found := _ENTRY.fullmatch(text):
            key, iteration, variant, mark = found.groups()
            current[key] = Entry(int(iteration), variant, not mark)
    return Memory(visitor, own, units)


def compose(memory: Memory) -> str:
    """Write the text of format 1."""
    return "~".join([FORMAT, memory.visitor, *_fields(memory)])


def _fields(memory: Memory) -> Iterator[str]:
    for key, entry in memory.entries.items():
        yield f"{key}:{entry.iteration}:{entry.variant}"
    for tag, entries in memory.units.items():
        if entries:
            yield f"@{tag}"
        for key, entry in entries.items():
            mark = "" if entry.confirmed else "?"
            yield f"{key}:{entry.iteration}:{entry.variant}{mark}"


def shrink(memory: Memory, excess: int, is_live: Callable[[str], bool]) -> Memory:
    """Drop so many characters: entries of ended experiments, then the oldest."""
    groups = {"": dict(memory.entries)}
    groups.update((tag, dict(entries)) for tag, entries in memory.units.items())
    entries = [(tag, key) for tag, group in groups.items() for key in group]
    for tag, key in sorted(entries, key=lambda place: is_live(place[1])):
        entry = groups[tag].pop(key)
        mark = bool(tag) and not entry.confirmed
        excess -= len(f"~{key}:{entry.iteration}:{entry.variant}") + mark
        if excess <= 0:
            break
    own = groups.pop("")
    return Memory(memory.visitor, own, groups)


class Key:
    """One secret key, derived once for all signatures of one kind."""

    def __init__(self, secret: str | bytes, salt: str) -> None:
        self._signer = Signer(
            secret, salt=salt, key_derivation="hmac", digest_method=sha256
        )
        self._derived = self._signer.derive_key()

    def sign(self, payload: str) -> bytes:
        """Make the signature that `Signer.get_signature` makes."""
        algorithm = self._signer.algorithm
        return base64_encode(algorithm.get_signature(self._derived, payload.encode()))


class CookieCodec:
    """Reads and writes the cookie of one application.

    Args:
        settings: Hold the name and the attributes.
        secret_keys: The keys that may have signed, the current one last.
        tally: Counts the cookies that are refused, and why.

    Attributes:
        carrying_keys: The same keys for what `carry` gives, the current one first.
    """

    def __init__(
        self, settings: Settings, secret_keys: Sequence[str | bytes], tally: Tally
    ) -> None:
        self._tally = tally
        secrets = tuple(reversed(secret_keys))
        self._keys = [Key(secret, SALT) for secret in secrets]
        self.carrying_keys = [Key(secret, CARRYING_SALT) for secret in secrets]
        self._settings = settings
        self.bare_name = settings.cookie_name
        is_narrow = settings.cookie_domain is not None or settings.cookie_path != "/"
        prefix = "__Secure-" if is_narrow else "__Host-"
        self.secure_name = prefix + settings.cookie_name
        self._attributes = {
            secure: self._attributes_for(secure=secure) for secure in (True, False)
        }
        self._verified: Bounded[str, Reading] = Bounded(VERIFIED)

    def _attributes_for(self, *, secure: bool) -> str:
        settings = self._settings
        parts = [f"Max-Age={settings.cookie_max_age}", f"Path={settings.cookie_path}"]
        if settings.cookie_domain is not None:
            parts.insert(0, f"Domain={settings.cookie_domain}")
        if secure:
            parts.append("Secure")
        return "; ".join([*parts, "HttpOnly", f"SameSite={settings.cookie_samesite}"])

    def is_secure(self, environ: WSGIEnvironment) -> bool:
        """Tell whether the cookie of this request is a Secure one."""
        wanted = self._settings.cookie_secure
        return is_secure(environ) if wanted is None else wanted

    def read(self, environ: WSGIEnvironment) -> Reading | None:
        """Read the cookie of a request; a bad one is none.

        Over HTTPS a bare cookie from before is adopted, and issued anew.
        """
        header = environ.get("HTTP_COOKIE")
        if not header or self.bare_name not in header:
            return None
        if not self.is_secure(environ):
            return self.verify(find(header, self.bare_name))
        text = find(header, self.secure_name)
        if text is not None:
            return self.verify(text)
        reading = self.verify(find(header, self.bare_name))
        return None if reading is None else Reading(reading.memory, is_outdated=True)

    def verify(self, text: str | None) -> Reading | None:
        """Check the signature of a cookie's text and read it."""
        if text is None:
            return None
        known = self._verified.get(text)
        if known is not None:
            return known
        if len(text) > MAX_INPUT or not text.isascii():
            self._reject("size" if text.isascii() else "signature")
            return None
        payload, _, signature = text.rpartition(".")
        for age, key in enumerate(self._keys):
            # Signing again, and not decoding, refuses a base64 text that differs
            # but means the same.
            expected = key.sign(payload)
            if hmac.compare_digest(expected, signature.encode()):
                memory = parse(payload)
                if memory is None:
                    self._reject("format")
                    return None
                reading = Reading(memory, is_outdated=age > 0)
                self._keep(text, reading)
                return reading
        self._reject("signature")
        return None

    def _keep(self, text: str, reading: Reading) -> None:
        # What is parsed takes ten times the room of its text.
        if len(text) <= MAX_KEPT:
            self._verified.put(text, reading)

    def _reject(self, why: str) -> None:
        self._tally.count(f"cookie_rejected:{why}")

    def header(
        self, memory: Memory, environ: WSGIEnvironment, is_live: Callable[[str], bool]
    ) -> str:
        """Write the Set-Cookie header, within the size that browsers keep."""
        secure = self.is_secure(environ)
        name = self.secure_name if secure else self.bare_name
        attributes = self._attributes[secure]
        around = len(name) + len(attributes) + len("=.; ") + 43
        payload = compose(memory)
        excess = len(payload) + around - MAX_HEADER
        if excess > 0:
            memory = shrink(memory, excess, is_live)
            payload = compose(memory)
        signature = self._keys[0].sign(payload).decode()
        text = f"{payload}.{signature}"
        self._keep(text, Reading(memory, is_outdated=False))
        return f"{name}={text}; {attributes}"

    def removals(self, environ: WSGIEnvironment) -> list[str]:
        """Write the Set-Cookie headers that delete the cookie under its names."""
        names = {self.bare_name: False}
        if is_secure(environ):
            names[self.secure_name] = True
        return [
            re.sub(
                "Max-Age=[0-9]+", "Max-Age=0", f"{name}=; {self._attributes[secure]}"
            )
            for name, secure in names.items()
        ]


def find(header: str, name: str) -> str | None:
    """Take the first cookie of a name out of a Cookie header."""
    start = f"{name}="
    if header.startswith(start):
        return header[len(start) :].partition(";")[0].strip(' "')
    for part in header.split(";"):
        text = part.strip()
        if text.startswith(start):
            return text[len(start) :].strip('"')
    return None
