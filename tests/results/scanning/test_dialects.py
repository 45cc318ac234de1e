"""Fields of JSON, and days, in the words of each kind of database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Text, literal, select

from flask_abx.results.scanning.dialects import Words, text_of_token
from flask_abx.stores.database import reading

if TYPE_CHECKING:
    from tests.results.tilled import Field

TOLD: dict[str, Any] = {
    "text": "x",
    "number": 1.0,
    "large": 1e16,
    "exact": 0.30000000000000004,
    "true": True,
    "null": None,
    "object": {"text": "y"},
    "list": [1, 2],
    'qu"ote': 'v"q',
    "\u00e9": "\u00fc\U0001f600",
    "nul": "a\0b",
    "half": "\ud800x",
    "back\\slash": "a\\b\\u0000",
    "control": "\n\t",
    "digits": "1",
    "mark": "\x7fb",
}


def expected(key: str) -> str | None:
    """Write the text of a field."""
    value = TOLD.get(key)
    if value is None or isinstance(value, dict | list):
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("key", [*TOLD, "missing"])
def test_fields_of_json_are_the_same_everywhere(ground: Field, key: str) -> None:
    engine = ground.database.own
    words = Words(engine.dialect.name)
    text = literal(json.dumps(TOLD, sort_keys=True, separators=(",", ":")), Text)
    wanted = [TOLD[key] if isinstance(TOLD.get(key), str) else expected(key) or "-"]
    query = select(
        words.token(text, key),
        words.has(text, key),
        words.has_text(text, key, wanted),
        words.has_text(text, key, ["something else"]),
    )
    with reading(engine) as connection:
        token, is_there, is_alike, is_other = connection.execute(query).one()
    assert text_of_token(words.plain_token(token)) == expected(key)
    assert bool(is_there) == (TOLD.get(key) is not None)
    assert (bool(is_alike), bool(is_other)) == (expected(key) is not None, False)


@pytest.mark.parametrize(
    ("token", "text"),
    [
        pytest.param('"' + "a" * 252 + '"', "a" * 252, id="short"),
        pytest.param('"' + "a" * 253 + '"', "a" * 253, id="as long as may be"),
        pytest.param('"' + "a" * 300, "a" * 253, id="cut by the database"),
        pytest.param('"' + "a" * 250 + '\\u00e9"', "a" * 250, id="within a letter"),
        pytest.param('"' + "a" * 252 + '\\n"', "a" * 252, id="within a break"),
    ],
)
def test_what_is_too_long_is_cut(token: str, text: str) -> None:
    assert text_of_token(token) == text
