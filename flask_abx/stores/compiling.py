"""From stored definitions to what a request reads, working only on what changed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask_abx.assignment.ruleset import compile_ruleset
from flask_abx.errors import DefinitionError, Fault
from flask_abx.experiments.definition import assemble, parse_entry
from flask_abx.experiments.model import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask_abx.assignment.audience import SegmentRule
    from flask_abx.assignment.ruleset import Ruleset
    from flask_abx.stores.reading import Name

#: How many definitions are parsed before others get their turn.
_AT_A_TIME = 5


@dataclass(frozen=True, slots=True)
class Compiled:
    """The definitions of one version, as people and as requests read them."""

    document: Document
    ruleset: Ruleset


class Parser:
    """Parses one version after the other, and keeps what stays the same.

    Args:
        rest: Called again and again during longer work, so that requests of the same
            process go on meanwhile.
    """

    def __init__(self, rest: Callable[[], None]) -> None:
        self._rest = rest
        self._parsed: dict[Name, tuple[str, Any]] = {}

    def parse(self, bodies: Mapping[Name, str], *, is_whole: bool = True) -> Document:
        """Turn the definitions of one version into a document.

        Args:
            bodies: The canonical JSON of each.
            is_whole: False passes over faults between them.

        Raises:
            DefinitionError: With every fault; what was parsed before is kept.
        """
        parsed = self._entries(bodies)
        parts: dict[str, dict[str, Any]] = {
            section: {} for section in Document.model_fields
        }
        for name, (_, entry) in parsed.items():
            parts[f"{name.kind}s"][name.key] = entry
        document = (
            assemble(parts) if is_whole else Document.model_construct(None, **parts)
        )
        self._parsed = parsed
        return document

    def sound(self, bodies: Mapping[Name, str]) -> dict[Name, str]:
        """Leave out the definitions that have faults by themselves."""
        found: dict[Name, str] = {}
        for name, body in bodies.items():
            with suppress(DefinitionError):
                _entry(name, body)
                found[name] = body
        return found

    def _entries(self, bodies: Mapping[Name, str]) -> dict[Name, tuple[str, Any]]:
        entries: dict[Name, tuple[str, Any]] = {}
        faults: list[Fault] = []
        for name, body in bodies.items():
            known = self._parsed.get(name)
            if known is not None and known[0] == body:
                entries[name] = known
                continue
            try:
                entries[name] = (body, _entry(name, body))
            except DefinitionError as error:
                faults.extend(error.faults)
            if len(entries) % _AT_A_TIME == 0:
                self._rest()
        if faults:
            raise DefinitionError(faults)
        return entries


class Compiler:
    """Compiles one version after the other, working only on what changed.

    Args:
        segments: Segments registered in code.
        rest: As for `Parser`.
    """

    def __init__(
        self, segments: Mapping[str, SegmentRule], rest: Callable[[], None]
    ) -> None:
        self._segments = segments
        self._rest = rest
        self._parser = Parser(rest)
        self._last: Compiled | None = None

    def compile(
        self, bodies: Mapping[Name, str], version: str, *, is_whole: bool = True
    ) -> Compiled:
        """Compile the definitions of one version.

        Args:
            bodies: The canonical JSON of each.
            version: The name of the version.
            is_whole: False passes over faults between them.

        Raises:
            DefinitionError: With every fault; what was compiled before is kept.
        """
        document = self._parser.parse(bodies, is_whole=is_whole)
        self._rest()
        last = self._last
        earlier = None if last is None else (last.document, last.ruleset)
        ruleset = compile_ruleset(document, version, self._segments, earlier)
        self._last = Compiled(document, ruleset)
        return self._last


def _entry(name: Name, body: str) -> Any:  # noqa: ANN401 - of its section
    section = f"{name.kind}s"
    if section not in Document.model_fields:
        why = f"is of the kind {name.kind!r}, which this release does not know."
        raise DefinitionError([Fault(f"{section}.{name.key}", why)])
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        why = f"is no JSON: {error}."
        raise DefinitionError([Fault(f"{section}.{name.key}", why)]) from error
    return parse_entry(section, name.key, content)
