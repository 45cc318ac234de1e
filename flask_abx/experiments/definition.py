"""Documents of experiments: from a dict, TOML or JSON to the model, and back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from flask_abx.errors import DefinitionError, Fault
from flask_abx.experiments.checks import check_document, check_experiment
from flask_abx.experiments.faults import faults_of, path_of, shown, suggestion
from flask_abx.experiments.metric import Metric
from flask_abx.experiments.model import Document, Experiment, Flag, Layer

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel


_SECTIONS: dict[str, type[BaseModel]] = {
    "experiments": Experiment,
    "layers": Layer,
    "segments": Document,
    "metrics": Metric,
    "flags": Flag,
}


@cache
def _adapter(section: str) -> TypeAdapter[Any]:
    annotation: Any = Document.model_fields[section].annotation
    return TypeAdapter(annotation)


def parse(source: Mapping[str, Any]) -> Document:
    """Turn a definition into the model.

    Args:
        source: The sections ``experiments``, ``layers``, ``segments``, ``metrics``
            and ``flags``, each a mapping by key; all may be left out.

    Raises:
        DefinitionError: With every fault, each with its path and the way out.
    """
    faults = [
        Fault(str(name), _unknown_section(name, body))
        for name, body in source.items()
        if name not in _SECTIONS
    ]
    parts = {name: _section(name, source.get(name), faults) for name in _SECTIONS}
    for experiment in parts["experiments"].values():
        faults.extend(check_experiment(experiment))
    return _assembled(parts, faults)


def parse_entry(section: str, key: str, body: object) -> Any:  # noqa: ANN401 - of its section
    """Turn one definition into its part of the model.

    Args:
        section: Where it stands, such as ``experiments``.
        key: The name it stands under.
        body: Its content, as in `parse`.

    Raises:
        DefinitionError: With every fault that it has by itself.
    """
    faults: list[Fault] = []
    parsed = _section(section, {key: body}, faults)
    for entry in parsed.values():
        if isinstance(entry, Experiment):
            faults.extend(check_experiment(entry))
    if faults:
        raise DefinitionError(faults)
    return parsed[key]


def assemble(parts: Mapping[str, Mapping[str, Any]]) -> Document:
    """Put parsed definitions together to a document.

    Args:
        parts: By section and key, what `parse_entry` gave.

    Raises:
        DefinitionError: With every fault between them.
    """
    return _assembled(parts, [])


def _assembled(parts: Mapping[str, Mapping[str, Any]], faults: list[Fault]) -> Document:
    document = Document.model_construct(None, **parts)
    faults.extend(check_document(document))
    if faults:
        raise DefinitionError(faults)
    return document


def _unknown_section(name: object, body: object) -> str:
    if isinstance(body, Mapping) and "variants" in body:
        return "is not a known section; put the experiment under 'experiments'."
    return f"is not a known section{suggestion(name, _SECTIONS)}"


def _section(name: str, entries: object, faults: list[Fault]) -> dict[str, Any]:
    if entries is None:
        return {}
    if not isinstance(entries, Mapping):
        faults.append(Fault(name, f"is {shown(entries)}, must be a table by key."))
        return {}
    form, adapter = _SECTIONS[name], _adapter(name)
    parsed: dict[str, Any] = {}
    for key, body in entries.items():
        entry = _keyed(key, body, faults) if name == "experiments" else body
        try:
            parsed.update(adapter.validate_python({key: entry}))
        except ValidationError as error:
            # A bad key is told once, as the name that the experiment stands under.
            twice = path_of(name, key, "key") if name == "experiments" else None
            found = faults_of(error, form, name)
            faults.extend(fault for fault in found if fault.path != twice)
    return parsed


def _keyed(key: object, body: object, faults: list[Fault]) -> object:
    if not isinstance(body, Mapping):
        return body
    if body.get("key", key) != key:
        faults.append(
            Fault(
                path_of("experiments", str(key), "key"),
                f"is {body['key']!r}, must be {key!r}, the name it stands under.",
            )
        )
    return {**body, "key": key}


def read(path: Path) -> Document:
    """Read a definition from a TOML or a JSON file.

    Raises:
        DefinitionError: If the file cannot be read or has faults.
    """
    return parse(load(path))


def load(path: Path) -> dict[str, Any]:
    """Read the plain content of a TOML or a JSON file.

    Raises:
        DefinitionError: If the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix == ".json":
            content = json.loads(text)
        else:
            raise _unreadable(path, "must end in .toml or .json")
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, DefinitionError):
            raise
        raise _unreadable(path, f"cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise _unreadable(path, f"is {shown(content)}, must be an object")
    return content


def _unreadable(path: Path, why: str) -> DefinitionError:
    return DefinitionError([Fault(str(path), f"{why}.")])


def canonical_json(value: object) -> str:
    """Write JSON in the one form that hashes and comparisons use."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def version_of(document: Document) -> str:
    """Name a document by its content: ``c`` and 12 hexadecimal digits."""
    text = canonical_json(document.canonical())
    return f"c{blake2b(text.encode(), digest_size=6).hexdigest()}"


def json_schema() -> dict[str, Any]:
    """Describe definition files for editors, as a JSON Schema."""
    schema = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
