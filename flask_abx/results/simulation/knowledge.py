"""What an application would know of simulated people: their attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask_abx.results.simulation.chance import Chance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flask_abx.experiments.model import Document, Experiment

#: How many of the people have what an audience asks for.
_WANTED = 0.85
_USUAL: Mapping[str, tuple[object, ...]] = {
    "country": ("DE", "DE", "DE", "DE", "AT", "CH", "FR", "FR", "GB", "NL"),
    "device": (*["mobile"] * 6, *["desktop"] * 3, "tablet"),
    "browser": (*["chrome"] * 6, "safari", "safari", "firefox", "edge"),
    "language": ("de", "de", "de", "de", "de", "fr", "fr", "en", "en", "nl"),
    "plan": (*["free"] * 7, "plus", "plus", "business"),
}


class Knowledge:
    """The attributes that experiments ask for, with values that some people have.

    Args:
        document: The definitions.
        experiments: Those whose audiences and dimensions count.
    """

    def __init__(self, document: Document, experiments: Iterable[Experiment]) -> None:
        self._document = document
        self._wanted: dict[str, list[object]] = {}
        self._usual: dict[str, tuple[object, ...]] = {}
        for experiment in experiments:
            for name, value in self._asked(experiment.audience):
                self._wanted.setdefault(name, []).append(value)
            for name in (*self._wanted, *experiment.dimensions):
                others = tuple(f"{name}-{each}" for each in "aaabbc")
                self._usual[name] = _USUAL.get(name, others)

    def facts(self, name: str) -> dict[str, object]:
        """Give the attributes of somebody."""
        if not self._usual:
            return {}
        chance, found = Chance(f"{name}:facts"), dict[str, object]()
        for path, usual in self._usual.items():
            wanted = self._wanted.get(path)
            values = wanted if wanted and chance.happens(_WANTED) else usual
            _put(found, path, values[int(chance.uniform() * len(values))])
        return found

    def unit(self, kind: str, number: int, usual: str) -> str | None:
        """Name a unit of some type: where an audience lists them, one of these.

        Returns:
            None where the list has no more.
        """
        listed = sorted({str(value) for value in self._wanted.get(kind, ())})
        if not listed:
            return usual
        return listed[number] if number < len(listed) else None

    def _asked(self, condition: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401 - JSON
        """Find values that would meet a condition, as far as that is easily told."""
        if not isinstance(condition, Mapping):
            return
        for name, asked in condition.items():
            if name in {"$and", "$or"}:
                for each in asked:
                    yield from self._asked(each)
            elif name == "$segment":
                for segment in asked if isinstance(asked, list) else [asked]:
                    yield from self._asked(self._document.segments.get(str(segment)))
            elif not name.startswith("$"):
                yield from ((name, value) for value in self._values(asked))

    def _values(self, asked: Any) -> Iterator[object]:  # noqa: ANN401 - JSON
        if not isinstance(asked, Mapping):
            yield asked
            return
        for operator, value in asked.items():
            if operator in {
                "$eq",
                "$gte",
                "$lte",
                "$startsWith",
                "$contains",
                "$endsWith",
            }:
                yield value
            elif operator in {"$gt", "$lt"} and isinstance(value, int | float):
                yield value + (1 if operator == "$gt" else -1)
            elif operator in {"$in", "$ini"}:
                yield from value
            elif operator == "$inGroup":
                group = self._document.segments.get(str(value))
                yield from () if group is None or isinstance(group, dict) else group
            elif operator == "$exists" and value:
                yield "yes"


def _put(facts: dict[str, object], path: str, value: object) -> None:
    """Put a value where a dotted path looks for it."""
    *folders, name = path.split(".")
    for folder in folders:
        inner = facts.setdefault(folder, {})
        if not isinstance(inner, dict):
            return
        facts = inner
    facts[name] = value
