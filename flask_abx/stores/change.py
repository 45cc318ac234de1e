"""A change of a definition: what is done, by whom, and from when on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask_abx.errors import ChangeRefused
from flask_abx.experiments.definition import parse_entry
from flask_abx.experiments.model import Experiment, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from flask_abx.experiments.lifecycle import Action
    from flask_abx.experiments.values import Form
    from flask_abx.stores.reading import Name

_MOST_ACTOR = 320
_MOST_NOTE = 10_000

#: The channel of what an application's configuration defines.
CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, through which door, and why.

    Attributes:
        actor: A name or an id that the team knows.
        channel: Such as ``cli`` or ``python``.
        note: Why, in a sentence.

    Raises:
        ChangeRefused: If a text cannot be stored.
    """

    actor: str = ""
    channel: str = "python"
    note: str = ""

    def __post_init__(self) -> None:
        for field, text, most in (
            ("actor", self.actor, _MOST_ACTOR),
            ("note", self.note, _MOST_NOTE),
        ):
            if len(text) > most or not is_plain(text):
                raise ChangeRefused(
                    f"The {field} {text[:40]!r} cannot be stored, must be plain text "
                    f"of at most {most:,} characters."
                )


def is_plain(text: str) -> bool:
    """Tell whether every database stores it and no terminal obeys it."""
    codes = (ord(each) for each in text if each not in "\n\t")
    return not any(_is_control(code) or 0xD800 <= code <= 0xDFFF for code in codes)


def _is_control(code: int) -> bool:
    return code < 0x20 or 0x7F <= code < 0xA0


@dataclass(frozen=True, slots=True)
class Edit:
    """What shall become of one definition.

    Attributes:
        body: Its new content, or None to take it away.
        is_urgent: True to take effect at once instead of everywhere at one moment.
    """

    name: Name
    action: Action
    body: Mapping[str, Any] | list[str] | None
    is_urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one definition, as guards, receivers and the audit see it.

    Attributes:
        version: The version of the definitions that it makes.
        kind: Such as ``experiment`` or ``segment``.
        action: What was done, such as ``pause``.
        before: The content of before, or None where there was none.
        after: The content of now, or None where it is taken away.
        previous: The version that changed it before, or None.
        at: When it was published.
        effective_at: From when on it counts.
    """

    version: int
    kind: str
    key: str
    action: Action
    iteration: int
    before: Any
    after: Any
    previous: int | None
    actor: str
    channel: str
    note: str
    at: datetime
    effective_at: datetime


def content(entry: Experiment | Form | tuple[str, ...] | dict[str, JsonValue]) -> Any:  # noqa: ANN401 - JSON
    """Give what is stored of a definition, the state of an experiment in any case."""
    if isinstance(entry, Experiment):
        state = {"status": entry.status.value, "iteration": entry.iteration}
        return {**plain(entry), **state}
    return plain(entry)


def entry_of(key: str, content: Mapping[str, Any]) -> Experiment:
    """Turn a content into an experiment.

    Raises:
        DefinitionError: With every fault.
    """
    entry: Experiment = parse_entry("experiments", key, {**content, "key": key})
    return entry


def merged(experiment: Experiment, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the content of an experiment with other fields; None takes one back."""
    merged = {**content(experiment), **fields}
    return {name: value for name, value in merged.items() if value is not None}


def moment_of(milliseconds: int) -> datetime:
    """Turn what is stored into an aware moment."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds_of(moment: datetime) -> int:
    """Turn an aware moment into what is stored."""
    return round(moment.timestamp() * 1000)
