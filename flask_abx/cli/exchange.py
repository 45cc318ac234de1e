"""Definitions as files, and back: dump, diff, apply and rollback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import with_appcontext
from pydantic_core import to_jsonable_python

from flask_abx.cli.application import loaded_state
from flask_abx.cli.changing import change_data, changing, moment_text
from flask_abx.cli.output import NotFound, fail, format_option, note, write
from flask_abx.errors import ChangeRefused, UsageError
from flask_abx.experiments.checklist import unmet
from flask_abx.experiments.definition import canonical_json, load, parse_entry
from flask_abx.experiments.faults import path_of
from flask_abx.experiments.lifecycle import Status
from flask_abx.experiments.model import Document, plain
from flask_abx.experiments.values import Form
from flask_abx.runtime.state import state_of
from flask_abx.stores.importing import merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flask_abx.cli.changing import Manner
    from flask_abx.runtime.state import State
    from flask_abx.stores.change import Change
    from flask_abx.stores.desk import Desk
    from flask_abx.stores.editor import Editor

_FILE = click.Path(dir_okay=False, path_type=Path)
_STORE, _IN_FILE = "store", "file"
_MOST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that a store and a file do not agree on, or one definition.

    Attributes:
        path: Where it stands, such as ``experiments.headline.traffic``.
        known: What the store holds, as plain JSON.
        wanted: What the file holds.
        only_in: ``store`` or ``file`` where the other lacks the whole definition.
    """

    path: str
    known: Any = None
    wanted: Any = None
    only_in: str | None = None

    def as_data(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {
            "path": self.path,
            _STORE: self.known,
            _IN_FILE: self.wanted,
            "only_in": self.only_in,
        }

    def as_text(self, place: str) -> str:
        """Write it as a line; the place is where the store is."""
        if self.only_in is not None:
            where = "file" if self.only_in == _IN_FILE else place
            return f"{self.path}: only in the {where}"
        return f"{self.path}: {_shown(self.known)} -> {_shown(self.wanted)}"


@click.command("dump")
@click.option(
    "--format",
    "form",
    type=click.Choice(["toml", "json"]),
    default="toml",
    show_default=True,
    help="What is written, in a pipe too.",
)
@with_appcontext
def dump_command(form: str) -> None:
    """Write the definitions as a file that `apply` takes back."""
    source = source_of(loaded_state().store.document())
    if form == "json":
        click.echo(json.dumps(source, indent=2))
    else:
        click.echo(as_toml(source), nl=False)


@click.command("diff")
@click.argument("file", type=_FILE)
@format_option
@with_appcontext
def diff_command(file: Path, form: str) -> None:
    """Compare a TOML or JSON file with what is defined, field by field."""
    source = _load(file)
    state = loaded_state()
    known = state.store.document()
    found = tuple(differences(known, merged(source, known)))
    place = "configuration" if state.editor is None else "database"
    same = f"{file} and the {place} say the same."
    data = {"ok": not found, "differences": [each.as_data() for each in found]}
    write(form, data, lambda: "\n".join(e.as_text(place) for e in found) or same)
    if found:
        fail()


@click.command("apply")
@click.argument("file", type=_FILE)
@changing
def apply_command(manner: Manner, file: Path) -> None:
    """Take a TOML or JSON file over into the database.

    Status, salt, iteration and start stay as they are where the file does not name
    them, and so does every definition that it does not name.
    """
    editor = _editor("apply")
    source = _load(file)
    if not any(source.values()):
        raise UsageError(f"{str(file)!r} defines nothing, so nothing is taken over.")
    changes = editor.apply(source, manner.author, dry_run=manner.dry_run)
    _tell(changes, manner)
    for reason in _unready(changes, editor.desk()):
        note(reason)


@click.command("rollback")
@click.argument("version", type=int)
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@changing
def rollback_command(manner: Manner, version: int, keys: tuple[str, ...]) -> None:
    """Publish a new version with the content of an earlier one, all or some KEYs."""
    editor = _editor("rollback")
    changes = editor.rollback(version, manner.author, keys=keys, dry_run=manner.dry_run)
    _tell(changes, manner)


def source_of(document: Document) -> dict[str, Any]:
    """Give a document as a person would write it, the shortest forms and a status."""
    source: dict[str, Any] = {}
    for section in Document.model_fields:
        entries = getattr(document, section)
        if entries:
            shape: Callable[[Any], Any] = _short if section == "experiments" else plain
            source[section] = {key: shape(entries[key]) for key in sorted(entries)}
    return source


def _short(experiment: Form) -> dict[str, Any]:
    body: dict[str, Any] = plain(experiment)
    del body["key"]
    short = {"status": body.pop("status", Status.RUNNING.value), **body}
    if all([*variant] == ["key"] for variant in body["variants"]):
        short["variants"] = [variant["key"] for variant in body["variants"]]
    if len(body.get("unit", ())) == 1:
        (short["unit"],) = body["unit"]
    if [*body.get("metrics", ())] == ["primary"]:
        short["metrics"] = body["metrics"]["primary"]
    return short


def as_toml(source: Mapping[str, Any]) -> str:
    """Write the source of a document as TOML.

    Raises:
        ClickException: If the extra is not there, or TOML cannot hold the document.
    """
    try:
        import tomli_w
    except ImportError as error:
        raise click.ClickException(
            "TOML is written by tomli-w, which is not installed: run "
            "`pip install 'flask-abx[toml]'`, or dump with `--format json`."
        ) from error
    faults = [*_unfit_for_toml(source)]
    if faults:
        raise click.ClickException("\n".join(faults))
    return tomli_w.dumps(source)


def _unfit_for_toml(value: object, *place: str | int) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _unfit_for_toml(each, *place, key)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _unfit_for_toml(each, *place, number)
    elif value is None or (isinstance(value, str) and _is_broken(value)):
        what = "null" if value is None else f"{value!r}, which is no text in UTF-8"
        yield (
            f"{path_of(*place)} is {what}, and TOML has nothing for it: dump with "
            "`--format json`."
        )


def _is_broken(text: str) -> bool:
    return any(0xD800 <= ord(each) <= 0xDFFF for each in text)


def differences(known: Document, wanted: Document) -> Iterator[Difference]:
    """Compare the document of a store with one that is to be, field by field."""
    for section in Document.model_fields:
        old, new = getattr(known, section), getattr(wanted, section)
        for key in sorted({*old, *new}):
            path = path_of(section, key)
            if key not in new:
                yield Difference(path, known=plain(old[key]), only_in=_STORE)
            elif key not in old:
                yield Difference(path, wanted=plain(new[key]), only_in=_IN_FILE)
            else:
                yield from _in_parts(path, old[key], new[key])


def _in_parts(path: str, old: object, new: object) -> Iterator[Difference]:
    """Compare two values, and forms field by field."""
    parts = _parts(old, new)
    for name, one, other in parts or ():
        yield from _in_parts(f"{path}{name}", one, other)
    if parts is None:
        known, wanted = _json(old), _json(new)
        if canonical_json(known) != canonical_json(wanted):
            yield Difference(path, known, wanted)


def _json(value: object) -> Any:  # noqa: ANN401 - JSON
    """Give a value as plain JSON; each form knows how to write itself."""
    if isinstance(value, Form):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    return to_jsonable_python(value)


def _parts(old: object, new: object) -> list[tuple[str, Any, Any]] | None:
    """Pair what can be compared by itself; None where that is nothing."""
    if isinstance(old, Form) and isinstance(new, Form):
        fields = type(old).model_fields
        return [(f".{name}", getattr(old, name), getattr(new, name)) for name in fields]
    if isinstance(old, tuple) and isinstance(new, tuple):
        keys = [[getattr(each, "key", None) for each in side] for side in (old, new)]
        if None not in keys[0] and keys[0] == keys[1]:
            pairs = zip(old, new, strict=True)
            return [(f"[{number}]", *pair) for number, pair in enumerate(pairs)]
    return None


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def _load(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise NotFound(f"There is no file {str(file)!r}.")
    return load(file)


def _editor(command: str) -> Editor:
    """Give what changes the definitions of the application.

    Raises:
        ChangeRefused: If they are in its configuration.
    """
    state = state_of(current_app)
    if state.editor is None:
        raise ChangeRefused(_in_config(state, command))
    return state.editor


def _in_config(state: State, command: str) -> str:
    places = []
    if state.settings.definitions is not None:
        path = getattr(state.store, "path", None)
        places.append("ABX_DEFINITIONS" if path is None else f"the file {path}")
    if state.settings.experiments or not places:
        places.append("ABX_EXPERIMENTS")
    needed = "" if state.database is not None else "write ABX(app, db=db), "
    return (
        f"The definitions of {current_app.name!r} are in its configuration "
        f"({' and '.join(places)}), which `{command}` does not change: edit them "
        "there. To move them into the database, save what `flask abx dump` writes, "
        f"{needed}leave ABX_EXPERIMENTS and ABX_DEFINITIONS out, and give the file to "
        "`flask abx apply`."
    )


def _tell(changes: Sequence[Change], manner: Manner) -> None:
    """Write what was changed, or would be."""
    data = [change_data(change) for change in changes]
    write(manner.form, data, lambda: "\n".join(_lines(changes, manner)))


def _lines(changes: Sequence[Change], manner: Manner) -> Iterator[str]:
    if not changes:
        yield "Nothing is different, no version is published."
        return
    version = changes[0].version
    if manner.dry_run:
        yield f"Nothing is written. Version {version} would be:"
    else:
        seconds = state_of(current_app).settings.refresh_seconds
        yield f"Version {version} counts {moment_text(changes, seconds)}:"
    for change in changes:
        known, wanted = _entry(change, change.before), _entry(change, change.after)
        end = ", new" if known is None else ", taken away" if wanted is None else ""
        yield f"{path_of(f'{change.kind}s', change.key)}: {change.action}{end}"
        if not end:
            for each in _in_parts("", known, wanted):
                yield f"  {each.as_text('').removeprefix('.')}"


def _entry(change: Change, body: object) -> Any:  # noqa: ANN401 - of its section
    # What was broken by hand is as good as nothing.
    if body is None or isinstance(body, str):
        return None
    return parse_entry(f"{change.kind}s", change.key, body)


def _unready(changes: Sequence[Change], desk: Desk) -> Iterator[str]:
    """Say what the experiments lack that come in running."""
    document = _with(desk.document, changes)
    registered = state_of(current_app).hooks.segments
    for change in changes:
        if change.kind != "experiment" or not _starts(change):
            continue
        yield from unmet(document, change.key, desk.now, registered)


def _with(document: Document, changes: Sequence[Change]) -> Document:
    """Give a document as it is after changes, written or not."""
    parts = {name: {**getattr(document, name)} for name in Document.model_fields}
    for change in changes:
        parts[f"{change.kind}s"].pop(change.key, None)
        if change.after is not None:
            parts[f"{change.kind}s"][change.key] = _entry(change, change.after)
    return Document.model_construct(None, **parts)


def _starts(change: Change) -> bool:
    before, after = change.before, change.after
    if after is None or after["status"] != Status.RUNNING:
        return False
    if before is None or before["status"] == Status.DRAFT:
        return True
    return bool(before["iteration"] != after["iteration"])
