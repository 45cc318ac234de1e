"""A shop whose pages start tasks, for the tests and for the worker that runs them."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task, chain
from flask import Flask, request

from flask_abx import ABX
from flask_abx.contrib.celery import connect

PAIR = ["control", "bold"]
DEFINITIONS = {
    "headline": {"variants": PAIR},
    "for_users": {"variants": PAIR, "unit": "user"},
}


def make_shop(broker: str, queue: str, **config: object) -> tuple[Flask, Celery]:
    """Make an application and its Celery app, as the documentation of Flask does."""
    app, abx = Flask("shop"), ABX()
    app.config.update(
        SECRET_KEY="secret", ABX_EXPERIMENTS=DEFINITIONS, ABX_SINKS=["memory"]
    )
    app.config.update(config)
    abx.init_app(app)

    class FlaskTask(Task):  # type: ignore[misc]  # it ships no types
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery("shop", task_cls=FlaskTask)
    celery_app.conf.update(
        broker_url=broker,
        broker_transport_options={"global_keyprefix": f"{queue}:"},
        task_default_queue=queue,
        task_ignore_result=True,
    )
    celery_app.set_default()
    connect(celery_app)
    _add_tasks(celery_app, abx)
    _add_pages(app, celery_app, abx)
    return app, celery_app


def _add_tasks(celery_app: Celery, abx: ABX) -> None:
    def track(number: int) -> None:
        abx.track("billed", value=number)

    def again(self: Any, number: int) -> None:  # noqa: ANN401 - it ships no types
        if self.request.retries == 0:
            raise self.retry(countdown=0, args=(number,))
        track(number)

    def outer(number: int) -> None:
        celery_app.tasks["plain"].delay(number)

    def idle(number: int) -> None:
        del number

    # A shared task would belong to every Celery app of the process.
    celery_app.task(name="plain", shared=False)(track)
    celery_app.task(name="bare", shared=False, base=Task)(track)
    celery_app.task(name="again", shared=False, bind=True)(again)
    celery_app.task(name="outer", shared=False)(outer)
    celery_app.task(name="idle", shared=False)(idle)


def _add_pages(app: Flask, celery_app: Celery, abx: ABX) -> None:
    abx.unit_loader(lambda: request.headers.get("X-User"))

    @app.get("/order/<task>/<int:number>")
    def order(task: str, number: int) -> str:
        served = {key: abx.variant(key) for key in DEFINITIONS}
        tasks = celery_app.tasks
        if task == "chained":
            chain(tasks["idle"].si(number), tasks["plain"].si(number)).delay()
        else:
            tasks[task].delay(number)
        return " ".join(served.values())

    app.get("/plain")(lambda: "plain")
