"""What a request costs, called in process: returning visitors and new ones."""

from __future__ import annotations

import io
import logging
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tests.benchmarks.applications import PAGE, PLAIN, READ, make_app
from tests.benchmarks.browser import ORDINARY, Browser
from tests.benchmarks.report import BenchmarkError, Row, VoidRunError
from tests.benchmarks.timing import interleave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask

    from tests.benchmarks.timing import Rounds, Subject

    Measure = Callable[["Applications", int], list[Row]]

EVENTS = "flask_abx.events"
TOLERANCE = 0.03
ATTEMPTS = 3


class Applications:
    """The applications that are compared: two equal bare ones, two with ABX."""

    def __init__(self) -> None:
        self.bare = make_app(None)
        self.twin = make_app(None)
        self.ten = make_app(10)
        self.thousand = make_app(1_000)


def measure(rounds: int) -> list[Row]:
    """Measure all kinds of requests; repeat one where two bare applications differ.

    Raises:
        VoidRunError: Where the bare applications still differ at the last attempt.
    """
    apps = Applications()
    kinds: list[Measure] = [_nothing_read, _one_read, _ten_reads, _new_visitors]
    with _nowhere() as nowhere, _logging_to(EVENTS, nowhere):
        return [row for kind in kinds for row in _steadily(kind, apps, rounds)]


def _steadily(kind: Measure, apps: Applications, rounds: int) -> list[Row]:
    """Repeat a measure until its first row, bare against bare, is near to 1."""
    for _ in range(ATTEMPTS):
        rows = kind(apps, rounds)
        if abs(rows[0].figure - 1) <= TOLERANCE:
            return rows
    raise VoidRunError(
        f"{rows[0].measure} is {rows[0].figure:.3f} at attempt {ATTEMPTS},"
        f" must be within {TOLERANCE} of 1."
    )


def _nothing_read(apps: Applications, rounds: int) -> list[Row]:
    subjects = _bare(apps, PLAIN, ORDINARY) | {
        "abx": _returning(apps.ten, READ, at=PLAIN).spend
    }
    found = interleave(subjects, rounds=rounds, calls=20)
    return [
        _row("bare / bare: JSON view", found, "twin", None),
        _row("returning visitor, nothing read", found, "abx", 1.08),
    ]


def _one_read(apps: Applications, rounds: int) -> list[Row]:
    subjects = _bare(apps, READ, ORDINARY) | {
        "abx": _returning(apps.ten, READ).spend,
        "thousand": _returning(apps.thousand, READ).spend,
    }
    found = interleave(subjects, rounds=rounds, calls=20)
    return [
        _row("bare / bare: JSON view that reads", found, "twin", None),
        _row("returning visitor, one read, JSON view", found, "abx", 1.20),
        Row(
            "returning visitor, 1,000 defined / 10 defined",
            found.ratio("thousand", "abx"),
            bar=1.03,
            note=_times(found, "thousand", "abx"),
        ),
    ]


def _ten_reads(apps: Applications, rounds: int) -> list[Row]:
    subjects = _bare(apps, PAGE, ORDINARY) | {"abx": _returning(apps.ten, PAGE).spend}
    found = interleave(subjects, rounds=rounds, calls=8)
    return [
        _row("bare / bare: Jinja page", found, "twin", None),
        _row("returning visitor, ten reads, Jinja page", found, "abx", 1.10),
    ]


def _new_visitors(apps: Applications, rounds: int) -> list[Row]:
    """Measure visits without a jar, less the log line of the exposure.

    What the line alone costs is the difference between the bare application and the
    same one when it logs that line at each visit.
    """
    line = _line_of(apps.ten)
    with _nowhere() as nowhere, _logging_to("benchmarks", nowhere) as logger:
        subjects = _bare(apps, READ, {}) | {
            "abx": Browser(apps.ten, READ).spend,
            "logging": Browser(_logging(apps.bare, logger, line), READ).spend,
        }
        found = interleave(subjects, rounds=rounds, calls=20)
    return [
        _row("bare / bare: beside new visitors", found, "twin", None),
        Row(
            "new visitor, less its log line",
            1 + found.ratio("abx", "bare", less="logging"),
            bar=1.8,
            note=_times(found, "abx", "logging", "bare"),
        ),
    ]


def _bare(apps: Applications, path: str, jar: Mapping[str, str]) -> dict[str, Subject]:
    return {
        "bare": Browser(apps.bare, path, jar).spend,
        "twin": Browser(apps.twin, path, jar).spend,
    }


def _row(measure: str, found: Rounds, name: str, bar: float | None) -> Row:
    ratio = found.ratio(name, "bare")
    return Row(measure, ratio, bar=bar, note=_times(found, name, "bare"))


def _times(found: Rounds, *names: str) -> str:
    return ", ".join(f"{found.microseconds(name):.1f} us" for name in names)


def _returning(app: Flask, path: str, at: str | None = None) -> Browser:
    """A browser whose cookie the application gave before and wants unchanged."""
    browser = Browser(app, path, ORDINARY)
    is_new = browser.visit()
    body = browser.body
    is_new_again = browser.visit()
    if not is_new or is_new_again or browser.body != body:
        raise BenchmarkError(
            f"{path} sets a cookie at the first visit: {is_new!r}, at the second:"
            f" {is_new_again!r}; must be once, and the page the same."
        )
    if at is None:
        return browser
    return Browser(app, at, browser.jar)


def _line_of(app: Flask) -> str:
    with io.StringIO() as stream:
        with _logging_to(EVENTS, stream):
            is_new = Browser(app, READ).visit()
        lines = stream.getvalue().splitlines()
    if not is_new or len(lines) != 1 or '"exposure"' not in lines[0]:
        raise BenchmarkError(f"A new visitor is logged as {lines!r}, must be one line.")
    return lines[0]


def _logging(app: Flask, logger: logging.Logger, line: str) -> WSGIApplication:
    def logging_app(
        environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        body = app(environ, start_response)
        logger.info(line)
        return body

    return logging_app


@contextmanager
def _nowhere() -> Iterator[TextIO]:
    with Path(os.devnull).open("w") as stream:
        yield stream


@contextmanager
def _logging_to(name: str, stream: TextIO) -> Iterator[logging.Logger]:
    """Send what a logger is told to a stream alone."""
    logger = logging.getLogger(name)
    handler = logging.StreamHandler(stream)
    level, propagate, handlers = logger.level, logger.propagate, logger.handlers
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield logger
    finally:
        logger.handlers = handlers
        logger.setLevel(level)
        logger.propagate = propagate
