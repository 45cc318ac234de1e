"""Real processes: a fork inherits nothing, a death leaves what was taken."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.events.spool.conftest import drained

if TYPE_CHECKING:
    from pathlib import Path

    from tests.events.spool.conftest import MakeSpool

BEGIN = """
import ctypes, logging, os, pathlib, signal, sys, threading, time
from flask_abx.events.spool.spool import Spool
from flask_abx.events.tally import Tally

logging.basicConfig()
folder = pathlib.Path(sys.argv[1])

def make():
    return Spool(lambda: folder, 1 << 30, Tally(), logging.getLogger("spool"))

def texts(take):
    found = []
    while (haul := take()) is not None:
        found += [line.text for chunk in haul.chunks(9) for line in chunk]
        haul.done()
    return found

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

spool = make()
"""

C_FORK = """
# A server that forks in C runs no hook of Python.
fork = ctypes.PyDLL(None).fork
"""

OS_FORK = "fork = os.fork\n"


def ran(code: str, folder: Path) -> str:
    """Run a program of its own; give what it prints."""
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


OWN = """
spool.append(["parent"])
inherited = set(spool._processes[os.getpid()].descriptors._files)
child = fork()
if child == 0:
    assert spool.append(["child"])
    mine = spool._processes[os.getpid()].descriptors._files
    assert len(spool._processes) == 1 and len(mine) == 1
    assert spool.appended == 1
    print(texts(spool.take), len(os.listdir(folder)), flush=True)
    spool.close()
    os._exit(0)
assert ended(child) == 0
print(texts(spool.take), spool.settled)
spool.close()
print(os.listdir(folder))
"""


@pytest.mark.parametrize(
    "fork", [pytest.param(OS_FORK, id="python"), pytest.param(C_FORK, id="c")]
)
def test_a_child_has_a_file_of_its_own_and_touches_no_other(
    folder: Path, fork: str
) -> None:
    out = ran(BEGIN + fork + OWN, folder)
    assert out.splitlines() == ["['child'] 2", "['parent'] 1", "[]"]


OUTLIVED = """
spool.append(["parent"])
haul = spool.take()
spool.append(["more"])
first, second = os.pipe(), os.pipe()
middle = os.fork()
if middle == 0:
    spool = make()
    spool.append(["middle"])
    haul = spool.take()
    spool.append(["rest"])
    child = fork()
    if child == 0:
        TOUCH
        os.write(first[1], b"1")
        os.read(second[0], 1)
        os._exit(0)
    os.read(first[0], 1)
    os.kill(os.getpid(), signal.SIGKILL)
assert ended(middle) == -signal.SIGKILL
# The child is alive and would hold the locks, had it kept its copies.
print(texts(make().adopt))
os.write(second[1], b"1")
"""


@pytest.mark.parametrize(
    ("fork", "touch"),
    [
        pytest.param(OS_FORK, "pass", id="python, at once"),
        pytest.param(C_FORK, "spool.is_empty", id="c, at its first use"),
    ],
)
def test_files_of_a_dead_parent_are_adopted_though_its_child_lives(
    folder: Path, fork: str, touch: str
) -> None:
    out = ran(BEGIN + fork + OUTLIVED.replace("TOUCH", touch), folder)
    assert out == "['middle', 'rest']\n"


LOCKED = """
spool.append(["parent"])
process, held = spool._processes[os.getpid()], threading.Event()
def hold():
    with process.lock:
        held.set()
        time.sleep(2)
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    crowd = [threading.Thread(target=spool.append, args=([str(n)],)) for n in range(9)]
    for thread in crowd: thread.start()
    for thread in crowd: thread.join(1)
    os._exit(0 if len(texts(spool.take)) == 9 else 1)
print(ended(child))
"""


def test_a_child_of_a_fork_in_mid_append_does_not_wait(folder: Path) -> None:
    assert ran(BEGIN + LOCKED, folder) == "0\n"


OPENING = """
spool.append(["parent"])
process, held = spool._processes[os.getpid()], threading.Event()
real_fstat = os.fstat
def slow(descriptor):
    held.set()
    time.sleep(0.3)
    return real_fstat(descriptor)
os.fstat = slow
opening = threading.Thread(target=spool.take)
opening.start()
held.wait()
child = os.fork()
if child == 0:
    mine = {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{n}")}
    os._exit(sum(name.startswith(str(folder)) for name in mine))
print(ended(child))
opening.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="It looks into /proc.")
def test_a_fork_waits_for_a_file_that_is_being_opened(folder: Path) -> None:
    assert ran(BEGIN + OPENING, folder) == "0\n"


IN_CHILD = """
spool.append(["1"])
haul = spool.take()
child = os.fork()
if child == 0:
    haul.done()
    os._exit(0)
assert ended(child) == 0
found = [line.text for chunk in haul.chunks(9) for line in chunk]
print(found, haul.segment.path.exists())
"""


def test_a_child_removes_no_file_of_its_parent(folder: Path) -> None:
    assert ran(BEGIN + IN_CHILD, folder) == "['1'] True\n"


REUSED = """
spool.append(["1"])
(number,) = spool._processes[os.getpid()].descriptors._files
child = ctypes.PyDLL(None).fork()
if child == 0:
    os.close(number)
    one, two = os.pipe()
    assert one == number
    assert spool.is_empty
    os.write(two, b"1")
    os._exit(0 if os.read(one, 1) == b"1" else 1)
print(ended(child))
"""


def test_a_number_that_means_another_file_now_is_not_closed(folder: Path) -> None:
    assert ran(BEGIN + REUSED, folder) == "0\n"


KILLED = """
for number in range(1000):
    assert spool.append([f'"{number}"'])
    if number == 500:
        spool.take()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_nothing_that_it_took(
    folder: Path, make_spool: MakeSpool
) -> None:
    with pytest.raises(AssertionError):
        ran(BEGIN + KILLED, folder)
    texts = drained(make_spool().adopt)
    assert texts == [f'"{number}"' for number in range(1000)]


RACE = """
dead = make()
for number in range(20):
    dead.append([str(number)])
dead.close()
gate, told = os.pipe(), os.pipe()
for _ in range(10):
    if os.fork() == 0:
        os.close(gate[1])
        os.read(gate[0], 1)
        os.write(told[1], b"%d\\n" % len(texts(make().adopt)))
        os._exit(0)
os.close(gate[1])
for _ in range(10):
    os.wait()
print(os.read(told[0], 999).decode())
"""


def test_of_ten_processes_exactly_one_gets_an_orphan(folder: Path) -> None:
    found = sorted(int(each) for each in ran(BEGIN + RACE, folder).split())
    assert found == [0] * 9 + [20]


GEVENT = """
from gevent import monkey
monkey.patch_all()
import _thread
import gevent
from gevent.threadpool import ThreadPool
from flask_abx.events.spool.descriptors import native_lock

assert type(native_lock()) is monkey.get_original("_thread", "RLock")
pool, done = ThreadPool(1), []

def drain():
    while len(done) < 400:
        done.extend(texts(spool.take))

drainer = pool.spawn(drain)
def fill(name):
    for number in range(100):
        assert spool.append([f"{name}.{number}"])
        gevent.sleep(0)
gevent.joinall([gevent.spawn(fill, name) for name in range(4)], raise_error=True)
drainer.get(timeout=30)
print(len(done), len(set(done)), spool.settled)
"""


def test_a_drain_in_a_real_thread_goes_along_with_greenlets(folder: Path) -> None:
    assert ran(GEVENT_FIRST, folder) == "400 400 400\n"


GEVENT_FIRST = "from gevent import monkey\nmonkey.patch_all()\n" + BEGIN + GEVENT
