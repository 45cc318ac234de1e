"""Fields of a definition on the command line: --set FIELD=VALUE, --unset FIELD."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import click

from flask_abx.experiments.faults import suggestion
from flask_abx.experiments.model import Experiment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

set_option = click.option(
    "--set",
    "given",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field of the definition; the value is JSON, or else text.",
    callback=lambda context, parameter, values: _pairs(parameter, values),
)
unset_option = click.option(
    "--unset",
    "unset",
    multiple=True,
    metavar="FIELD",
    help="A field that goes back to its default.",
    callback=lambda context, parameter, names: _names(parameter, names),
)


def collected(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Put fields together; what is None goes back to its default.

    Raises:
        UsageError: If a field is given twice.
    """
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise click.UsageError(f"The field {name!r} is given twice, give it once.")
        fields[name] = value
    return fields


def json_or_text(text: str) -> Any:  # noqa: ANN401 - JSON
    """Read a value: JSON where it is JSON, or else the text itself."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON.")


def _pairs(parameter: click.Parameter, values: Sequence[str]) -> list[tuple[str, Any]]:
    pairs = []
    for value in values:
        name, sign, text = value.partition("=")
        if not sign or not name:
            raise click.BadParameter(
                f"{value!r} sets no field, write FIELD=VALUE.", param=parameter
            )
        pairs.append((_field(parameter, name), json_or_text(text)))
        if pairs[-1][1] is None:
            _check_known(parameter, name)
    return pairs


def _names(parameter: click.Parameter, names: Sequence[str]) -> list[tuple[str, None]]:
    for name in names:
        _check_known(parameter, _field(parameter, name))
    return [(name, None) for name in names]


def _field(parameter: click.Parameter, name: str) -> str:
    if name == "key":
        raise click.BadParameter(
            "The key stays as it is, everything is stored under it: create another "
            "experiment.",
            param=parameter,
        )
    return name


def _check_known(parameter: click.Parameter, name: str) -> None:
    # A value is judged with the definition; the lack of one would go unnoticed.
    known = Experiment.model_fields
    if name not in known:
        raise click.BadParameter(
            f"{name!r} is not a known field{suggestion(name, known)}", param=parameter
        )
