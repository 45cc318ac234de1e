"""What one kind of database words in another way than the next."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Double,
    String,
    Text,
    case,
    cast,
    func,
    literal,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement

    from flask_abx.results.scanning.zones import Offset

_DAY = 86_400_000
#: Where the sign is another one.
_WHOLE_DIVISIONS = {"mysql": "DIV", "mariadb": "DIV", "duckdb": "//"}
#: A JSON text in ASCII has it nowhere, and every parser takes it within a text.
_MARK = "\x7f"
#: What backslashes become, in this order.
_CODES = (("\\\\", f"{_MARK}b"), ('\\"', f"{_MARK}q"), ("\\", f"{_MARK}e"))
#: Numbers that statements are full of.
_SHORT = (0, 1)
_WORD = re.compile(r"(?!true$|false$|null$)[A-Za-z_][A-Za-z0-9_ .:/-]*")
_NULL = "null"
#: Of the JSON of a value that units are told apart by, in characters.
_LONGEST = 255
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
        return self.dialect in ("mysql", "mariadb")

    @property
    def is_duckdb(self) -> bool:
        """True for DuckDB."""
        return self.dialect == "duckdb"

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

    def one_of(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Give a column of a group all of whose rows have the same value in it."""
        if self.is_duckdb:
            return func.any_value(value)
        # What is grouped by the key tells the rest to all but MariaDB.
        return func.min(value) if self.is_mysql else value

    def in_order(self, at: ColumnElement[int]) -> ColumnElement[int]:
        """Compare a column without its index: rows are read in the order of the key."""
        return at + literal_column("0") if self.is_sqlite else at

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
        sign = _WHOLE_DIVISIONS.get(self.dialect, "/")
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
        coded = text
        for sought, code in _CODES:
            coded = func.replace(coded, sought, code)
        place = func.strpos if self.is_postgresql else func.instr
        text = case((place(text, "\\") == 0, text), else_=coded)
        name = _coded(json.dumps(key)[1:-1])
        if self.is_postgresql:
            field = cast(text, JSON).op("->", return_type=JSON())
            return cast(field(literal(name, Text)), Text)
        if self.is_duckdb:
            pointer = "/" + name.replace("~", "~0").replace("/", "~1")
            return cast(func.json_extract(text, pointer), Text)
        path = f'$."{name}"'
        # With two paths SQLite tells the JSON of both, and with one the value.
        paths = (path, path) if self.is_sqlite else (path,)
        found = func.json_extract(text, *paths, type_=Text())
        # MariaDB compares JSON with a text by what the JSON means.
        return func.concat(found, "", type_=Text()) if self.is_mysql else found

    def short_token(self, text: ColumnElement[str], key: str) -> ColumnElement[str]:
        """Find a field as `token` does, to group by it."""
        token = self.token(text, key)
        if not self.is_mysql:
            return token
        # Long texts are grouped on the disk; codes take twice the room at most.
        return func.left(token, 2 * _LONGEST, type_=String(2 * _LONGEST))

    def plain_token(self, token: str | None) -> str | None:
        """Read what `token` found; None where it is null or not there."""
        if token is None:
            return None
        if self.is_sqlite:
            token = token[1 : len(token) // 2]
        if self.is_duckdb and _BARE.fullmatch(token):
            # It spells numbers its own way, and events are stored with Python's.
            return json.dumps(json.loads(token))
        for sought, code in reversed(_CODES):
            token = token.replace(code, sought)
        return None if token == _NULL else token

    def has_text(
        self, text: ColumnElement[str], key: str, wanted: Sequence[str]
    ) -> ColumnElement[bool]:
        """Tell whether a field of a JSON object is one of some texts."""
        if self.is_sqlite and all(map(_WORD.fullmatch, (key, *wanted))):
            # A word is no number and no JSON of a list: it needs no second look.
            return func.json_extract(text, f'$."{key}"', type_=Text()).in_(wanted)
        tokens = sorted({_coded(token) for each in wanted for token in _tokens(each)})
        if self.is_sqlite:
            tokens = [f"[{token},{token}]" for token in tokens]
        if self.is_duckdb:
            return self.token(text, key).in_([*_spelled(tokens)])
        return self.token(text, key).in_(tokens)

    def has(self, text: ColumnElement[str], key: str) -> ColumnElement[bool]:
        """Tell whether a JSON object has a field that is not null."""
        nothing = f"[{_NULL},{_NULL}]" if self.is_sqlite else _NULL
        return func.coalesce(self.token(text, key), nothing) != nothing


def text_of_token(token: str | None) -> str | None:
    """Read JSON as text: numbers and booleans in its own spelling.

    Lists and objects are no text: they give None, as null does. What is too long is
    cut.
    """
    if token is None or token[0] in "[{":
        return None
    if token[0] != '"':
        return token
    text: str = json.loads(token if len(token) < _LONGEST else _cut(token))
    # Half of a surrogate pair could be written nowhere.
    return text.encode("utf-8", "replace").decode("utf-8")


def _cut(token: str) -> str:
    """Cut the JSON of a text, though not within what stands for one letter."""
    kept = re.match(r'"(?:[^"\\]|\\u.{4}|\\[^u])*', token[: _LONGEST - 1])
    return '""' if kept is None else f'{kept[0]}"'


def _coded(token: str) -> str:
    for sought, code in _CODES:
        token = token.replace(sought, code)
    return token


def _spelled(tokens: Iterable[str]) -> Iterator[Any]:
    """Give numbers as DuckDB spells those that Python has written."""
    for token in tokens:
        if not _BARE.fullmatch(token):
            yield token
        elif json.dumps(json.loads(token)) == token:
            yield cast(func.json_extract(token, "$"), Text)


def _tokens(text: str) -> tuple[str, ...]:
    """List the ways in which JSON writes what is told by a text."""
    tokens = [json.dumps(text)]
    if not text.isascii() and text.isprintable():
        tokens.append(json.dumps(text, ensure_ascii=False))
    if _BARE.fullmatch(text):
        tokens.append(text)
    return tuple(tokens)
