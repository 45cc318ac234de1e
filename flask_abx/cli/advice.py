"""Changes of what the configuration defines: the lines that a person has to edit."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from flask_abx.cli.changing import tell
from flask_abx.cli.output import note, write
from flask_abx.errors import ChangeRefused, UnknownExperiment, UsageError
from flask_abx.experiments.checklist import unmet
from flask_abx.experiments.definition import assemble
from flask_abx.experiments.edits import refusals
from flask_abx.experiments.lifecycle import Action, Status
from flask_abx.experiments.model import Document
from flask_abx.experiments.moves import apply_move
from flask_abx.runtime.override import unknown_experiment
from flask_abx.stores.change import content, entry_of, merged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx.cli.changing import Manner
    from flask_abx.experiments.model import Experiment
    from flask_abx.runtime.state import State

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_CONSTANTS = {"true": "True", "false": "False", "null": "None"}


class Source(NamedTuple):
    """Where a definition is written down.

    Attributes:
        name: The file or the setting.
        form: ``toml``, ``json`` or ``python``.
    """

    name: str
    form: str

    def line(self, name: str, value: object) -> str:
        """Write one field of a definition."""
        if self.form == "toml":
            return f"{_toml_key(name)} = {_toml(value)}"
        return f"{json.dumps(name)}: {self._value(value)}"

    def _value(self, value: object) -> str:
        return _python(value) if self.form == "python" else _json(value)

    def lines(self, key: str, fields: Mapping[str, Any], *, is_new: bool) -> str:
        """Write fields of an experiment as they stand there."""
        written = [self.line(name, value) for name, value in fields.items()]
        if self.form == "toml":
            return "\n".join([f"[experiments.{_toml_key(key)}]", *written])
        if not is_new:
            return ",\n".join(written)
        inner = ",\n".join(f"    {each}" for each in written)
        return f"{json.dumps(key)}: {{\n{inner}\n}}"


def advise_move(
    state: State,
    key: str,
    action: Action,
    manner: Manner,
    fields: Mapping[str, Any],
    options: dict[str, Any],
) -> None:
    """Say which lines make a move.

    Raises:
        UnknownExperiment: If there is none of this key.
        ChangeRefused: In any other case; with the reasons where it is not possible.
        DefinitionError: If it would clash with another experiment.
    """
    document, now = state.store.document(), datetime.now(UTC)
    before = _defined(state, key)
    if fields:
        options["definition"] = entry_of(key, merged(before, fields))
    after = apply_move(before, action, now, **options)
    if action is Action.START:
        for reason in unmet(document, key, now, state.hooks.segments):
            note(reason)
    else:
        _check_together(document, after)
    _advise_difference(state, before, after, fields, manner)


def advise_create(
    state: State, key: str, fields: Mapping[str, Any], manner: Manner
) -> None:
    """Say which lines make a draft.

    Raises:
        ChangeRefused: In any case; with the reasons where it is not possible.
        DefinitionError: With every fault of the fields.
    """
    document = state.store.document()
    if key in document.experiments:
        raise ChangeRefused(
            f"Experiment {key!r} exists already in {_source(state, key).name}: change "
            "it there or choose another key."
        )
    draft = {"status": Status.DRAFT.value, **fields}
    _check_together(document, entry_of(key, draft))
    _advise(state, key, draft, (), manner, is_new=True)


def advise_edit(
    state: State, key: str, fields: Mapping[str, Any], manner: Manner
) -> None:
    """Say which lines change fields.

    Raises:
        UnknownExperiment: If there is none of this key.
        ChangeRefused: If it is unsafe, with the reasons, or else with the lines.
        DefinitionError: With every fault of the new content.
    """
    before = _defined(state, key)
    if not fields:
        name = _source(state, key).name
        raise ChangeRefused(
            f"Experiment {key!r} is defined in {name}, which no command changes: edit "
            "it there and deploy."
        )
    after = entry_of(key, merged(before, fields))
    reasons = refusals(before, after, datetime.now(UTC))
    if reasons:
        raise ChangeRefused(*reasons)
    _check_together(state.store.document(), after)
    _advise_difference(state, before, after, fields, manner)


def advise_delete(state: State, key: str) -> None:
    """Say where a draft is taken away.

    Raises:
        UnknownExperiment: If there is none of this key.
        ChangeRefused: In any other case.
    """
    status, name = _defined(state, key).status, _source(state, key).name
    if status is not Status.DRAFT:
        raise ChangeRefused(
            f"Experiment {key!r} is {status}, only a draft can be deleted: "
            "conclude and archive it, so that what it found is kept."
        )
    raise ChangeRefused(
        f"Experiment {key!r} is defined in {name}, which no command changes: take all "
        "of it away there and deploy."
    )


def _advise_difference(
    state: State,
    before: Experiment,
    after: Experiment,
    given: Mapping[str, Any],
    manner: Manner,
) -> None:
    old, new = content(before), content(after)
    if old == new:
        tell(after.key, (), manner)
        return
    written = {
        name: given[name] if given.get(name) is not None else value
        for name, value in new.items()
        if old.get(name) != value
    }
    dropped = tuple(name for name in old if name not in new)
    _advise(state, after.key, written, dropped, manner, is_new=False)


def _advise(
    state: State,
    key: str,
    fields: Mapping[str, Any],
    dropped: tuple[str, ...],
    manner: Manner,
    *,
    is_new: bool,
) -> None:
    source = _source(state, key)
    lines = source.lines(key, fields, is_new=is_new) if fields else ""
    data = {
        "key": key,
        "source": source.name,
        "fields": dict(fields),
        "dropped": list(dropped),
        "lines": lines.splitlines(),
    }
    write(manner.form, data, lambda: lines)
    todo = []
    if fields:
        todo.append(f"{'add' if is_new else 'write'} these lines there")
    if dropped:
        todo.append(f"take away {' and '.join(dropped)}")
    belongs = "belongs into" if is_new else "is defined in"
    raise ChangeRefused(
        f"Experiment {key!r} {belongs} {source.name}, which no command changes: "
        f"{', '.join(todo)} and deploy."
    )


def _defined(state: State, key: str) -> Experiment:
    experiments = state.store.document().experiments
    if key not in experiments:
        raise UnknownExperiment(unknown_experiment(key, state.store.ruleset().rules))
    return experiments[key]


def _source(state: State, key: str) -> Source:
    settings = state.settings
    if settings.definitions is None or key in settings.experiments:
        return Source("ABX_EXPERIMENTS", "python")
    name = str(settings.definitions)
    if name.endswith((".toml", ".json")):
        return Source(name, name.rpartition(".")[2])
    return Source("ABX_DEFINITIONS", "python")


def _check_together(document: Document, after: Experiment) -> None:
    """See that an experiment gets along with all others."""
    parts = {section: getattr(document, section) for section in Document.model_fields}
    experiments = {**document.experiments, after.key: after}
    assemble({**parts, "experiments": experiments})


def _json(value: object) -> str:
    # Broken text is written as JSON escapes it, for no terminal can show it.
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def _python(value: object) -> str:
    if isinstance(value, dict):
        pairs = (f"{_json(name)}: {_python(each)}" for name, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_python, value))}]"
    text = _json(value)
    return _CONSTANTS.get(text, text)


def _toml(value: object) -> str:
    if value is None or (isinstance(value, str) and _is_broken(value)):
        raise UsageError(
            f"A value is {_json(value)}, and TOML has nothing for it: leave it out."
        )
    if isinstance(value, dict):
        pairs = (f"{_toml_key(name)} = {_toml(each)}" for name, each in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    # A string of JSON is one of TOML but for this character.
    return _json(value).replace("\x7f", "\\u007f")


def _is_broken(text: str) -> bool:
    return any(0xD800 <= ord(each) <= 0xDFFF for each in text)


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _toml(name)
