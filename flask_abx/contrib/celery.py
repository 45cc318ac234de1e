"""Celery: a task acts for whoever caused it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flask_abx.errors import SetupError
from flask_abx.runtime.task import TaskLoad, luggage

try:
    from celery import Celery, signals
except ImportError as error:
    raise SetupError(
        'Celery is not installed: run `pip install "flask-abx[celery]"`.'
    ) from error

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["connect"]

HEADER = "abx"
_LOAD = "flask_abx_load"
_logger = logging.getLogger(__name__)


def connect(celery_app: Celery) -> None:
    """Let every task act for whoever caused it, without a change to its code.

    Call it once, where the Celery app is made, in the processes that send tasks and in
    the workers. Celery's signals belong to the process, so all its Celery apps follow.

    Args:
        celery_app: The Celery app.

    Raises:
        SetupError: If it is no Celery app.
    """
    if not isinstance(celery_app, Celery):
        raise SetupError(
            f"connect() got {celery_app!r}, must get the Celery app: "
            "write `connect(celery_app)`."
        )
    signals.before_task_publish.connect(_pack)
    signals.task_prerun.connect(_take_up)
    signals.task_postrun.connect(_put_down)


def _pack(headers: MutableMapping[str, Any] | None = None, **extra: object) -> None:
    """Put whoever is acted for into the headers of a task."""
    del extra
    # A task that is tried again keeps what it came with.
    if headers is None or HEADER in headers:
        return
    try:
        text = luggage()
    except Exception:
        _logger.exception("A task is sent for nobody.")
        return
    if text is not None:
        headers[HEADER] = text


def _take_up(task: Any, **extra: object) -> None:  # noqa: ANN401 - Celery has no types
    del extra
    text = task.request.get(HEADER) or (task.request.headers or {}).get(HEADER)
    if isinstance(text, str):
        load = TaskLoad(text)
        load.take_up()
        setattr(task.request, _LOAD, load)


def _put_down(task: Any, **extra: object) -> None:  # noqa: ANN401 - Celery has no types
    del extra
    load = task.request.get(_LOAD)
    if load is not None:
        load.put_down()
