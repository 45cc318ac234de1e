"""What one kind of database words in another way than the next."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Double,
    Text,
    case,
    cast,
    func,
    literal,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement

    from flask_abx.results.zones import Offset

_DAY = 86_400_000
#: A JSON text in ASCII has it nowhere, and every parser takes it within a text.
_MARK = "\x7f"
#: What backslashes become, in this order.
_CODES = (("\\\\", f"{_MARK}b"), ('\\"', f"{_MARK}q"), ("\\", f"{_MARK}e"))
#: Numbers that statements are full of.
_SHORT = (0, 1)
_NULL = "null"
_BARE = re.compile(r"true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one kind of database.

    Attributes:
        dialect: Its name, such as ``postgresql``.
    """

    dialect: str

    @property
    def is_postgresql(self) -> bool:
        """True for PostgreSQL."""
        return self.dialect == "postgresql"

    @property
    def is_sqlite(self) -> bool:
        """True for SQLite."""
        return self.dialect == "sqlite"

    @property
    def is_mysql(self) -> bool:
        """True for MariaDB and MySQL."""
        return not self.is_postgresql and not self.is_sqlite

    def number(self, value: float) -> ColumnElement[float]:
        """Write a number that is a double, and never a decimal."""
        if value not in _SHORT:
            # SQLite reads long numbers less exactly than it takes them.
            return literal(float(value), Double)
        kind = "::float8" if self.is_postgresql else "e0"
        return literal_column(f"{int(value)}{kind}", Double)

    def as_double(self, value: ColumnElement[Any]) -> ColumnElement[float]:
        """Make a whole number a double."""
        return cast(value, Double) if self.is_postgresql else value * self.number(1)

    def calm(self, value: ColumnElement[float]) -> ColumnElement[float]:
        """Take what is next to nothing for nothing, where its square would fail."""
        if not self.is_postgresql:
            return value
        return case((func.abs(value) < self.number(1e-75), self.number(0)), else_=value)

    def sorted_text(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """Sort texts by their code points, as the other databases do."""
        return text.collate("C") if self.is_postgresql else text

    def day(
        self, at: ColumnElement[int], offsets: Sequence[Offset]
    ) -> ColumnElement[int]:
        """Count the days from 1970 to a moment, in a time zone."""
        *earlier, latest = (
            (each.until, literal(each.added, BigInteger)) for each in offsets
        )
        whens = [(at < literal(until, BigInteger), added) for until, added in earlier]
        local = at + (case(*whens, else_=latest[1]) if whens else latest[1])
        sign = "DIV" if self.is_mysql else "/"
        # SQLAlchemy's own division would give a fraction.
        return local.op(sign, precedence=8, return_type=BigInteger())(
            literal_column(str(_DAY))
        )

    def token(self, text: ColumnElement[str], key: str) -> ColumnElement[str]:
        """Find a field of a JSON object, in the JSON that it is written in.

        What is not there is NULL, or a null of JSON; see `plain_token`.
        """
        # PostgreSQL refuses a whole text for a NUL or half of a surrogate pair in it,
        # and none finds names in one way: no parser is given a backslash to read.
        for sought, code in _CODES:
            text = func.replace(text, sought, code)
        name = _coded(json.dumps(key)[1:-1])
        if self.is_postgresql:
            field = cast(text, JSON).op("->", return_type=JSON())
            return cast(field(literal(name, Text)), Text)
        path = f'$."{name}"'
        # With two paths SQLite tells the JSON of both, and with one the value.
        paths = (path, path) if self.is_sqlite else (path,)
        found = func.json_extract(text, *paths, type_=Text())
        # MariaDB compares JSON with a text by what the JSON means.
        return func.concat(found, "", type_=Text()) if self.is_mysql else found

    def plain_token(self, token: str | None) -> str | None:
        """Read what `token` found; None where it is null or not there."""
        if token is None:
            return None
        if self.is_sqlite:
            token = token[1 : len(token) // 2]
        for sought, code in reversed(_CODES):
            token = token.replace(code, sought)
        return None if token == _NULL else token

    def has_text(
        self, text: ColumnElement[str], key: str, wanted: Iterable[str]
    ) -> ColumnElement[bool]:
        """Tell whether a field of a JSON object is one of some texts."""
        tokens = sorted({_coded(token) for each in wanted for token in _tokens(each)})
        if self.is_sqlite:
            tokens = [f"[{token},{token}]" for token in tokens]
        return self.token(text, key).in_(tokens)

    def has(self, text: ColumnElement[str], key: str) -> ColumnElement[bool]:
        """Tell whether a JSON object has a field that is not null."""
        nothing = f"[{_NULL},{_NULL}]" if self.is_sqlite else _NULL
        return func.coalesce(self.token(text, key), nothing) != nothing


def text_of_token(token: str | None) -> str | None:
    """Read JSON as text: numbers and booleans in its own spelling.

    Lists and objects are no text: they give None, as null does.
    """
    if token is None or token[0] in "[{":
        return None
    if token[0] != '"':
        return token
    text: str = json.loads(token)
    # Half of a surrogate pair could be written nowhere.
    return text.encode("utf-8", "replace").decode("utf-8")


def _coded(token: str) -> str:
    for sought, code in _CODES:
        token = token.replace(sought, code)
    return token


def _tokens(text: str) -> tuple[str, ...]:
    """List the ways in which JSON writes what is told by a text."""
    tokens = [json.dumps(text)]
    if not text.isascii() and text.isprintable():
        tokens.append(json.dumps(text, ensure_ascii=False))
    if _BARE.fullmatch(text):
        tokens.append(text)
    return tuple(tokens)
