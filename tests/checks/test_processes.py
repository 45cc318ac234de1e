"""Threads, processes, hosts and applications side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from flask_abx import ABX
from flask_abx.runtime.state import state_of
from tests.checks.browser import records_of

if TYPE_CHECKING:
    from tests.checks.conftest import Browse, Sign
    from tests.conftest import MakeApp

ANNA, BERT = "a" * 32, "b" * 32
NAME = "__Host-abx"
FOR_USERS = {"headline": {"variants": ["a", "b", "c"], "unit": "user"}}
USERS = [str(number) for number in range(60)] + ["anna@example.com", "é", "👩"]

SERVE = """
import json, sys
from flask import Flask, request
from flask_abx import ABX

asked = json.load(sys.stdin)
app, abx = Flask("shop"), ABX()
app.config.update(SECRET_KEY="secret", ABX_SINKS=["memory"])
app.config["ABX_EXPERIMENTS"] = asked["experiments"]
abx.unit_loader(lambda: json.loads(request.args["user"]))
abx.init_app(app)
app.get("/")(lambda: abx.variant("headline"))
client, told = app.test_client(use_cookies=False), []
sink = app.extensions["abx"].recorder.sinks[0]
for user, cookie in asked["visits"]:
    before = len(sink.records)
    response = client.get(
        "/",
        query_string={"user": json.dumps(user)},
        headers={"Cookie": cookie} if cookie else {},
        base_url=f"https://{asked['host']}",
    )
    recorded = [record.id for record in list(sink.records)[before:]]
    told.append([response.text, recorded, response.headers.getlist("Set-Cookie")])
print(json.dumps(told))
"""


def python(code: str, *, told: object = None, **environ: str) -> list[Any]:
    """Run code in another process, and give what it prints as JSON."""
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(  # noqa: S603 - the code is our own
        [sys.executable, "-c", code],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environ},
    )
    assert done.returncode == 0, done.stderr
    printed: list[Any] = json.loads(done.stdout)
    return printed


def served_elsewhere(
    experiments: object, visits: list[tuple[str | None, str]], host: str, **environ: str
) -> list[Any]:
    """Serve visits in another process."""
    told = {"experiments": experiments, "visits": visits, "host": host}
    return python(SERVE, told=told, **environ)


@pytest.mark.check(27)
def test_a_unit_has_one_variant_in_all_threads(
    make_app: MakeApp, browse: Browse, abx: ABX
) -> None:
    app, together = make_app(FOR_USERS, abx=abx), Barrier(64)

    def visit(number: int) -> tuple[str, str]:
        together.wait(30)
        response = app.test_client(use_cookies=False).get(
            "/", headers={"X-User": "anna"}, base_url=f"https://host-{number % 2}"
        )
        return response.text, response.headers["Set-Cookie"]

    with ThreadPoolExecutor(64) as pool:
        answers = set(pool.map(visit, range(64)))
    [(served, cookie)] = answers
    assert {record.id for record in records_of(app)} == {records_of(app)[0].id}
    assert f"headline:1:{served}?" in cookie
    alone = browse(app).visit(X_User="anna")
    assert (alone.served, alone.cookies) == (served, (cookie,))


@pytest.mark.check(27)
def test_a_unit_has_one_variant_in_all_processes_and_on_all_hosts(
    make_app: MakeApp, browse: Browse, abx: ABX
) -> None:
    app = make_app(FOR_USERS, abx=abx)
    here = [
        browse(app).visit(X_User=user.encode().decode("latin-1"))
        if user.isascii()
        else None
        for user in USERS
    ]
    fresh: list[tuple[str | None, str]] = [(user, "") for user in USERS]
    with ThreadPoolExecutor(2) as pool:
        there = list(
            pool.map(
                lambda host: served_elsewhere(FOR_USERS, fresh, host),
                ["one.example", "two.example", "one.example", "two.example"],
            )
        )

    assert there[0] == there[1] == there[2] == there[3]
    assert {served for served, _, _ in there[0]} == {"a", "b", "c"}
    for visit, (served, recorded, cookies) in zip(here, there[0], strict=True):
        if visit is not None:
            assert visit.served == served
            assert [record.id for record in visit.recorded] == recorded
            assert list(visit.cookies) == cookies


@pytest.mark.check(27)
def test_another_process_reads_our_cookie(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    browsers = [browse(make_app()) for _ in range(20)]
    served = [browser.visit().served for browser in browsers]
    jars = [(None, f"{NAME}={browser.jar[NAME]}") for browser in browsers]
    turned = {"headline": {"variants": {"bold": 1, "control": 9}, "traffic": 0.01}}
    there = served_elsewhere(turned, list(jars), "two.example")

    assert there == [[variant, [], []] for variant in served]
    foreign = sign(f"1~{ANNA}~headline:1:bold", key="other")
    planted = (None, f"{NAME}={foreign}")
    [[_, _, cookies]] = served_elsewhere(turned, [planted], "two.example")
    assert len(cookies) == 1
    assert ANNA not in cookies[0]


@pytest.mark.check(35)
@pytest.mark.parametrize("seed", ["0", "1", "4294967295", "random"])
def test_the_seed_of_the_hash_changes_nothing(
    make_app: MakeApp, browse: Browse, abx: ABX, seed: str
) -> None:
    app = make_app(FOR_USERS, abx=abx)
    users: list[tuple[str | None, str]] = [(str(number), "") for number in range(60)]
    visits = [browse(app).visit(X_User=str(number)) for number in range(60)]

    there = served_elsewhere(FOR_USERS, users, "localhost", PYTHONHASHSEED=seed)
    assert there == [
        [visit.served, [record.id for record in visit.recorded], list(visit.cookies)]
        for visit in visits
    ]


@pytest.mark.check(109)
def test_two_applications_do_not_mix(
    make_app: MakeApp, browse: Browse, sign: Sign
) -> None:
    shop = make_app({"headline": {"variants": ["control", "bold"]}}, SECRET_KEY="one")
    blog = make_app({"headline": {"variants": ["x", "y"]}}, ABX_COOKIE_NAME="blog")
    bold = sign(f"1~{ANNA}~headline:1:bold", key="one")
    jar = {NAME: bold, "__Host-blog": sign(f"1~{BERT}~headline:1:y")}
    assert browse(shop, jar).visit().served == "bold"
    assert browse(blog, jar).visit().served == "y"
    assert records_of(shop) == records_of(blog) == []

    fresh = browse(shop).visit()
    assert fresh.exposed == [f"headline:{fresh.served}"]
    assert (fresh.cookie_names, records_of(blog)) == ([NAME], [])
    assert browse(blog, {"__Host-blog": fresh.token}).visit().visitor != fresh.visitor
    assert state_of(shop).tally is not state_of(blog).tally


@pytest.mark.check(109)
def test_an_application_called_inside_another_keeps_to_itself(
    make_app: MakeApp, browse: Browse
) -> None:
    abx = ABX()
    outer = make_app(abx=abx)
    inner = make_app({"headline": {"variants": ["x", "y"]}}, abx=abx)

    @outer.get("/nested")
    def nested() -> str:
        before = abx.variant("headline")
        within = browse(inner).visit()
        assert within.exposed == [f"headline:{within.served}"]
        assert within.served in {"x", "y"}
        return f"{before} {abx.variant('headline')}"

    visit = browse(outer).visit("/nested")
    [served] = set(visit.served.split())
    assert visit.exposed == [f"headline:{served}"]
    assert visit.cookie_names == [NAME]
    assert len(records_of(inner)) == 1


@pytest.mark.check(109)
@pytest.mark.parametrize("shared", [False, True], ids=["one each", "one for all"])
def test_a_factory_called_a_hundred_times_leaves_nothing_behind(
    make_app: MakeApp,
    browse: Browse,
    shared: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    abx = ABX() if shared else None
    before = threading.enumerate()
    keys = [f"key-{number}" for number in range(100)]
    apps = [make_app(abx=abx, SECRET_KEY=key) for key in keys]
    browsers = [browse(app) for app in apps]
    first = [browser.visit() for browser in browsers]
    second = [browser.visit() for browser in browsers]

    assert not set(threading.enumerate()) - set(before)
    assert len({visit.visitor for visit in first}) == 100
    assert [visit.served for visit in second] == [visit.served for visit in first]
    assert all(visit.is_silent for visit in second)
    assert [len(records_of(app)) for app in apps] == [1] * 100


@pytest.mark.check(109)
def test_no_application_outlives_its_test(make_app: MakeApp, browse: Browse) -> None:
    import gc
    import weakref

    app = make_app()
    assert browse(app).visit().exposed
    watched = weakref.ref(app)
    del app
    gc.collect()
    assert watched() is None


WATCHED = """
import json, os, sys, threading
import flask, flask_sqlalchemy, pydantic

found = []
def watch(event, arguments):
    if event in ("socket.__new__", "os.fork"):
        found.append(event)
    elif event == "open" and isinstance(arguments[2], int):
        name = str(arguments[0])
        if arguments[2] & (os.O_WRONLY | os.O_RDWR) and ".pyc" not in name:
            found.append(f"open {name}")

def register_at_fork(**hooks):
    caller = sys._getframe(1).f_globals["__name__"]
    if caller.startswith("flask_abx"):
        found.append(f"fork hook of {caller}")
    registered(**hooks)

def start(thread):
    found.append(f"thread {thread.name}")
    started(thread)

registered, os.register_at_fork = os.register_at_fork, register_at_fork
started, threading.Thread.start = threading.Thread.start, start
before = set(os.listdir("/proc/self/fd"))
sys.addaudithook(watch)
import flask_abx, flask_abx.testing
STEP
found += [f"file {name}" for name in set(os.listdir("/proc/self/fd")) - before]
print(json.dumps(found))
"""

SET_UP = """
app = flask.Flask("shop")
app.config.update(SECRET_KEY="secret", ABX_EVENT_LOG="events.log")
app.config["ABX_EXPERIMENTS"] = {"headline": {"variants": ["control", "bold"]}}
flask_abx.ABX(app)
"""

OPENS = """
threading.Thread(target=lambda: None, name="mine").start()
open(os.devnull, "w").close()
kept = open("/proc/self/stat")
"""


@pytest.mark.check(110)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("step", ["", SET_UP], ids=["import", "init_app"])
def test_starting_opens_nothing(step: str) -> None:
    assert python(WATCHED.replace("STEP", step)) == []


@pytest.mark.check(110)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_starting_opens_would_be_seen() -> None:
    found = python(WATCHED.replace("STEP", OPENS))
    assert found[:2] == ["thread mine", f"open {os.devnull}"]
    assert found[2].startswith("file ")


BROUGHT = """
import json, sys
import flask, pydantic
before = set(sys.modules)
import flask_abx
app = flask.Flask("shop")
app.config["SECRET_KEY"] = "secret"
app.config["ABX_EXPERIMENTS"] = {"headline": {"variants": ["control", "bold"]}}
flask_abx.ABX(app)
print(json.dumps([name.partition(".")[0] for name in set(sys.modules) - before]))
"""

#: What takes long to import, and is only needed by some: the seconds are measured
#: among the benchmarks.
HEAVY = {
    "asyncio",
    "flask_login",
    "flask_sqlalchemy",
    "sqlalchemy",
    "unittest",
}


@pytest.mark.check(110)
def test_importing_brings_nothing_heavy() -> None:
    brought = set(python(BROUGHT))
    assert "flask_abx" in brought
    assert brought & HEAVY == set()
