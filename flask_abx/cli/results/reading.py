"""What experiments say: results."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from flask_abx.cli.application import loaded_state
from flask_abx.cli.output import fail, harmless, is_json, note
from flask_abx.cli.results.overview import overview_data, overview_lines, running
from flask_abx.cli.results.painting import show
from flask_abx.cli.results.refreshing import Failed, chances_option, refresh_each
from flask_abx.errors import UsageError
from flask_abx.results.charts import forest_svg
from flask_abx.results.health import check_reading
from flask_abx.results.report import lines
from flask_abx.results.showing.tabular import csv_text, markdown
from flask_abx.runtime.results import refreshed, selected, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_abx.results.shapes import Results
    from flask_abx.runtime.state import State

_path = click.Path(dir_okay=False, path_type=Path)
#: What is asked of one experiment only.
_OF_ONE = ("metric", "by", "iteration", "svg", "html", "log")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options say."""

    metric: str | None
    by: str | None
    refresh: bool
    chances: bool
    iteration: int | None
    form: str
    svg: Path | None
    html: Path | None
    log: tuple[Path, ...]

    @property
    def written(self) -> str:
        """How results are written, once it is known where they go."""
        if self.form != "auto":
            return self.form
        return "json" if is_json(self.form) else "table"


@click.command("results")
@click.argument("key", required=False)
@click.option("--metric", metavar="METRIC", help="One metric, with all its figures.")
@click.option("--by", metavar="DIMENSION", help="Broken down; it decides nothing.")
@click.option("--refresh", is_flag=True, help="Compute them anew before.")
@chances_option
@click.option(
    "--iteration",
    type=click.IntRange(min=1),
    help="An earlier run of the experiment.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "table", "json", "csv", "md"]),
    default="auto",
    show_default=True,
    help="auto: a table on a terminal, JSON in a pipe.",
)
@click.option("--svg", metavar="FILE", type=_path, help="Draw all effects there, too.")
@click.option("--html", metavar="FILE", type=_path, help="Write the report there, too.")
@click.option(
    "--log",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Read this log and no database; give it once for each file.",
)
@with_appcontext
def results_command(key: str | None, **options: Any) -> None:
    """Say what an experiment has found, and what to do next.

    Without KEY every experiment that runs gets a line. Nothing is computed here: that
    is done by refresh, or with --refresh.
    """
    asked, state = _Asked(**options), loaded_state()
    if asked.chances and (asked.log or not asked.refresh):
        raise click.UsageError("--chances are computed: add --refresh, without --log.")
    if key is None:
        _show_all(state, asked)
        return
    results = _found(state, key, asked)
    if asked.svg is not None:
        _write(asked.svg, forest_svg(results))
    if asked.html is not None:
        _write(asked.html, results.to_html())
    _show(results, asked)


def _found(state: State, key: str, asked: _Asked) -> Results:
    """Read what is asked for, computed before where that is asked for, too."""
    if asked.log:
        # Who reads no log does not load what reads one.
        from flask_abx.cli.results.logs import results_of_logs

        whole = results_of_logs(state, key, asked.log, asked.iteration)
        return selected(whole, asked.metric, asked.by, series=True)
    if asked.refresh:
        told = asked.chances
        refreshed(state, key, iteration=asked.iteration, with_chances=told)
    return stored(
        state,
        key,
        metric=asked.metric,
        by=asked.by,
        series=True,
        iteration=asked.iteration,
    )


def _show(results: Results, asked: _Asked) -> None:
    form = asked.written
    if form == "json":
        click.echo(json.dumps(results.to_dict(), indent=2))
    elif form == "csv":
        click.echo(harmless(csv_text([results])), nl=False)
    else:
        now = datetime.now(UTC)
        health = (*results.health, *check_reading(results, now))
        shown = replace(results, health=health)
        if form == "md":
            click.echo(harmless(markdown(shown)))
        else:
            show(lines(shown, is_detailed=asked.metric is not None))


def _show_all(state: State, asked: _Asked) -> None:
    for name in _OF_ONE:
        if getattr(asked, name):
            raise click.UsageError(f"--{name} is about one experiment: name its KEY.")
    failed = list(_refreshed(state, asked)) if asked.refresh else []
    told, form = running(state), asked.written
    known = [each for each in told.values() if each is not None]
    if form == "json":
        click.echo(json.dumps(overview_data(told), indent=2))
    elif form == "csv":
        click.echo(harmless(csv_text(known)), nl=False)
    elif form == "md":
        click.echo(harmless("\n\n".join(map(markdown, known))))
    else:
        show(overview_lines(state, told))
    if failed:
        fail()


def _refreshed(state: State, asked: _Asked) -> Iterator[Failed]:
    for each in refresh_each(state, running(state), with_chances=asked.chances):
        if isinstance(each, Failed):
            note(f"{each.key}: {each.reason} The last numbers stay.")
            yield each


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} cannot be written ({error.strerror}): choose another file."
        ) from error
    note(f"{path} is written.")
