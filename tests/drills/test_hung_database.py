"""PostgreSQL hung and dead for ten seconds, while visitors come and workers start."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from itertools import cycle, product
from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.drills.clients import Visitor, load, told, warm
from tests.drills.cluster import own_cluster
from tests.drills.servers import serving
from tests.drills.shop import joined

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.drills.clients import Answer
    from tests.drills.cluster import Cluster
    from tests.drills.servers import Server

pytestmark = pytest.mark.drill

FAULT = 10.0
#: How long it is watched before the fault, and after it, in seconds.
QUIET = 2.0
FIRST_WAIT = 1.0
#: What a request may take on top of its deadline, in seconds.
SLACK = 0.05
#: A request that took so long has waited for something, in seconds.
WAITED = 0.1
#: How much slower than before half of the requests may be.
SLOWER = 1.2
#: What a page shows where no definitions are ready.
DEFAULT = "unknown"
EXPERIMENTS = {"headline": {"variants": ["control", "bold"]}}


@dataclass(slots=True)
class Outage:
    """What was seen before, during and after one fault.

    Attributes:
        began: When the database stopped, by `monotonic`.
        ended: When it was let go on.
        ready: How long it took then until every process was sure again; 0 is never.
        steady: The processes that serve all the while.
        apart: The processes that know no database.
        warm: All processes that had served before.
        answers: What came before, meanwhile and until all were sure again.
        later: What one in ten visitors got after that.
    """

    began: float = 0.0
    ended: float = 0.0
    ready: float = 0.0
    steady: set[int] = field(default_factory=set)
    apart: set[int] = field(default_factory=set)
    warm: set[int] = field(default_factory=set)
    answers: list[Answer] = field(default_factory=list)
    later: list[Answer] = field(default_factory=list)

    @property
    def before(self) -> list[Answer]:
        """The answers of the quiet time."""
        return [each for each in self.answers if each.sent_at < self.began]

    @property
    def after(self) -> list[Answer]:
        """The answers of the quiet time that came back."""
        quiet_from = self.ended + self.ready
        return [each for each in self.answers if each.sent_at > quiet_from]

    @property
    def during(self) -> list[Answer]:
        """The answers to requests that were served while the database was away."""
        return [
            each
            for each in self.answers
            if each.sent_at > self.began and each.began + each.took < self.ended
        ]

    def of(self, pid: int) -> list[Answer]:
        """The answers of one process during the fault, in the order of serving."""
        own = (each for each in self.during if each.pid == pid)
        return sorted(own, key=lambda each: each.began)

    @property
    def fresh(self) -> set[int]:
        """The processes that started while the database was away."""
        return {each.pid for each in self.during} - self.warm


class Crowd:
    """Visitors who come back again and again, and new ones among them."""

    def __init__(self) -> None:
        self.visitors: list[Visitor] = []

    def newcomer(self) -> Visitor:
        """Add a visitor without a cookie."""
        visitor = Visitor(f"visitor-{len(self.visitors)}")
        self.visitors.append(visitor)
        return visitor

    def returning(self, ports: list[int], count: int) -> Callable[[], Answer]:
        """Give a stream of a few visitors who turn to every server."""
        group = [self.newcomer() for _ in range(count)]
        turns = cycle(product(group, ports))

        def ask() -> Answer:
            visitor, port = next(turns)
            return visitor.get(port)

        return ask

    def new(self, ports: list[int]) -> Callable[[], Answer]:
        """Give a stream of visitors of whom each comes for the first time."""
        turns = cycle(ports)
        return lambda: self.newcomer().get(next(turns))


@pytest.mark.parametrize("copy", ["copy", "no-copy"])
@pytest.mark.parametrize("fault", ["hung", "dead"])
def test_nobody_notices_that_the_database_is_away(
    fault: str, copy: str, tmp_path: Path
) -> None:
    with own_cluster() as cluster:
        config = {
            "SQLALCHEMY_DATABASE_URI": cluster.url,
            "ABX_FIRST_WAIT": FIRST_WAIT,
            "ABX_RULESET_CACHE": None if copy == "copy" else False,
            "INSTANCE": str(tmp_path / "instance"),
        }
        with joined(tmp_path, config) as state:
            assert state.editor is not None
            state.editor.apply({"experiments": EXPERIMENTS})
        outage = _go_through(cluster, fault, config, tmp_path)
    print(f"\n{fault}, {'with' if copy == 'copy' else 'without'} a copy on disk:")
    _check_waiting(outage)
    _check_warm(outage)
    _check_variants(outage)
    _check_standing(outage, keeps_copy=copy == "copy")
    _check_recovery(outage)


def _go_through(
    cluster: Cluster, fault: str, config: dict[str, object], folder: Path
) -> Outage:
    """Serve from two servers, of which one renews its workers meanwhile.

    A third one stands by that knows no database: it tells how fast the machine is.
    """
    outage, crowd = Outage(), Crowd()
    apart = {"ABX_EXPERIMENTS": EXPERIMENTS}
    with (
        serving(folder / "steady", config) as steady,
        serving(folder / "renewed", config, "--threads=4") as renewed,
        serving(folder / "apart", apart) as other,
    ):
        ports = [steady.port, renewed.port, other.port]
        outage.steady, former, outage.apart = (warm(port, 2, "/") for port in ports)
        outage.warm = outage.steady | former | outage.apart
        streams = [crowd.returning(ports, 10) for _ in range(4)]
        streams += [crowd.new(ports) for _ in range(4)]
        with load(streams, pause=0.01) as outage.answers:
            time.sleep(QUIET)
            outage.began = time.monotonic()
            _break(cluster, fault)
            renewed.signal(signal.SIGHUP)
            time.sleep(FAULT)
            outage.ended = time.monotonic()
            _mend(cluster, fault)
            outage.ready = _wait_until_ready(outage, [steady, renewed])
            time.sleep(QUIET)
        for visitor in crowd.visitors[::10]:
            outage.later += [visitor.get(port) for port in ports]
    return outage


def _break(cluster: Cluster, fault: str) -> None:
    if fault == "hung":
        cluster.hang()
    else:
        cluster.crash()


def _mend(cluster: Cluster, fault: str) -> None:
    if fault == "hung":
        cluster.resume()
    else:
        cluster.start()


def _wait_until_ready(outage: Outage, servers: list[Server]) -> float:
    """Give the seconds until every worker is READY; 0 if one never is."""
    ended = time.monotonic()
    workers = {pid for server in servers for pid in server.workers()}
    while time.monotonic() < ended + 8:
        time.sleep(0.05)
        latest = {each.pid: each for each in tuple(outage.answers)}
        if all(
            pid in latest and latest[pid].body.get("standing") == "READY"
            for pid in workers
        ):
            return time.monotonic() - ended
    return 0.0


def _check_waiting(outage: Outage) -> None:
    """Nobody waits past the deadline, and nobody once it was missed.

    What the machine itself takes shows in the server without a database.
    """
    noise = max(each.net for each in outage.during if each.pid in outage.apart)
    assert {each.status for each in outage.answers + outage.later} == {200}
    print(f"requests meanwhile: {told([each.net for each in outage.during])}")
    print(f"  with what other processes took: {told([x.took for x in outage.during])}")
    print(f"  longest without database: {noise:.3f} s")
    for pid in sorted({each.pid for each in outage.during}):
        own = outage.of(pid)
        slow = [each for each in own if each.net > WAITED + noise]
        last = max((each.began - own[0].began for each in slow), default=0.0)
        kind = "warm" if pid in outage.warm else "fresh"
        most = max(each.net for each in own)
        print(
            f"  {kind} process: {len(own)} requests, {len(slow)} waited, the last of "
            f"them began {last:.3f} s after its first, longest {most:.3f} s"
        )
        assert most <= FIRST_WAIT + SLACK + noise
        assert last <= FIRST_WAIT
        assert pid in outage.fresh or not slow


def _check_warm(outage: Outage) -> None:
    """Who had definitions before is as fast as in the quiet before and after.

    What a processor gives changes all the time: so it is told in terms of the server
    without a database, which is asked in turn.
    """
    quiet, ratios = outage.before + outage.after, []
    for name, is_new in (("known visitors", False), ("new visitors", True)):
        parts = []
        for moment, answers in (("quiet", quiet), ("meanwhile", outage.during)):
            own, others = (
                [
                    x.net
                    for x in answers
                    if x.pid in pids and x.is_given_cookie is is_new
                ]
                for pids in (outage.steady, outage.apart)
            )
            parts.append(median(own) / median(others))
            print(f"{name}, {moment}: {told(own)}; without database {told(others)}")
        ratios.append(parts[1] / parts[0])
        print(f"  meanwhile {ratios[-1]:.2f} of what it is in the quiet")
    assert max(ratios) <= SLOWER


def _check_variants(outage: Outage) -> None:
    """Everyone keeps the variant of before, all through and afterwards."""
    met: dict[str, set[str]] = {}
    for each in [*outage.answers, *outage.later]:
        met.setdefault(each.visitor, set()).add(each.variants["headline"])
    changed = [name for name, variants in met.items() if len(variants - {DEFAULT}) > 1]
    unserved = [name for name, variants in met.items() if DEFAULT in variants]
    print(
        f"visitors: {len(met)}, changed {len(changed)}, saw the default meanwhile "
        f"{len(unserved)}"
    )
    assert not changed
    defaults = {x.pid for x in outage.answers if x.variants["headline"] == DEFAULT}
    assert defaults <= outage.fresh
    assert not [x for x in outage.later if x.variants["headline"] == DEFAULT]


def _check_standing(outage: Outage, *, keeps_copy: bool) -> None:
    """A worker that starts meanwhile serves the copy, or the default and no record."""
    for pid in outage.steady:
        assert outage.of(pid)[-1].body["standing"] == "STALE"
    assert len(outage.fresh) == 2
    for pid in outage.fresh:
        own = outage.of(pid)
        standing, recorded = own[-1].body["standing"], own[-1].body["recorded"]
        print(f"fresh process at the end of it: {standing}, {recorded} records")
        assert standing == ("STALE" if keeps_copy else "EMPTY")
        assert bool(recorded) is keeps_copy
        assert all((x.variants["headline"] != DEFAULT) is keeps_copy for x in own)
        assert keeps_copy or not any(each.is_given_cookie for each in own)


def _check_recovery(outage: Outage) -> None:
    """All processes find back to the database by themselves."""
    print(f"all READY {outage.ready:.2f} s after the database was back")
    assert outage.ready
