"""A booth whose work is done by a Celery worker, in which tasks may die."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Celery, Task

from flask_abx.contrib.celery import connect
from tests.drills.booth import make_app
from tests.drills.market import SOLD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_abx import ABX

#: How the tasks differ: when they are acknowledged, and how they track.
KINDS = ("early, as_unit", "early, flush", "late, as_unit", "late, carried")
#: The kind of work in which nobody dies.
QUIET = "early, carried"


def make_jobs(config: Mapping[str, Any], broker: str, queue: str) -> Celery:
    """Make the Celery app of a booth; a worker serves it.

    Args:
        config: The configuration of the booth; where ``SEEN`` is a folder, each task
            leaves a file there for each time that it is run.
        broker: The address of Redis.
        queue: The name of the queue.
    """
    app = make_app(config)
    abx: ABX = app.jinja_env.globals["abx"]  # type: ignore[assignment]

    class FlaskTask(Task):  # type: ignore[misc]  # it ships no types
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery("jobs", task_cls=FlaskTask)
    celery_app.conf.update(
        broker_url=broker,
        broker_transport_options={"global_keyprefix": f"{queue}:"},
        task_default_queue=queue,
        task_ignore_result=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
    )
    connect(celery_app)

    def work(kind: str, number: int) -> None:
        if kind.endswith("as_unit"):
            with abx.as_unit("7"):
                abx.track(SOLD, 1, id=number)
        else:
            abx.track(SOLD, 1, id=number)
        if kind.endswith("flush"):
            assert abx.flush(10)
        _note_and_die(Path(config["SEEN"]), number, is_fatal=kind != QUIET)

    for name, is_late in (("early", False), ("late", True)):
        celery_app.task(name=name, shared=False, acks_late=is_late)(work)
    return celery_app


def _note_and_die(seen: Path, number: int, *, is_fatal: bool) -> None:
    """Note that a task was run, and die the first time."""
    times = len(list(seen.glob(f"{number}-*")))
    (seen / f"{number}-{times}").touch()
    if is_fatal and not times:
        os.kill(os.getpid(), signal.SIGKILL)
