"""A PostgreSQL of one's own, which a drill may hang and kill."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.drills.servers import children_of, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSTALLED = Path("/usr/lib/postgresql")
#: How long it may take to start and to stop, in seconds.
_PATIENCE = 15.0
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "100",
    "fsync": "off",
    "autovacuum": "off",
}


@dataclass(slots=True)
class Cluster:
    """A PostgreSQL that listens on loopback and belongs to one drill."""

    bin: Path
    folder: Path
    port: int
    account: str | None
    _process: subprocess.Popen[bytes] | None = None
    _stopped: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address of its one database, for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"--{name}={value}" for name, value in _OPTIONS.items()]
        command = [f"{self.bin}/postgres", "-D", f"{self.folder}/data"]
        with (self.folder / "log").open("ab") as log:
            self._process = self._run(
                [*command, "-p", str(self.port), *options], log.fileno()
            )
        deadline = time.monotonic() + _PATIENCE
        address = f"host=127.0.0.1 port={self.port} user=postgres connect_timeout=2"
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(psycopg.Error), psycopg.connect(address):
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL does not start:\n{self._said()}")

    def crash(self) -> None:
        """Kill it as ``pg_ctl stop -m immediate`` does."""
        self._stop(signal.SIGQUIT)

    def hang(self) -> None:
        """Stop the postmaster and every process of it, as a frozen disk would."""
        assert self._process is not None
        postmaster = self._process.pid
        os.kill(postmaster, signal.SIGSTOP)
        self._stopped = [postmaster]
        # Those that it forked before it stopped are all there are.
        for pid in children_of(postmaster):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self._stopped.append(pid)

    def resume(self) -> None:
        """Let it go on after `hang`."""
        for pid in reversed(self._stopped):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped = []

    def remove(self) -> None:
        """Kill it whatever state it is in, and delete all of it."""
        self.resume()
        if self._process is not None:
            self._stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def initialise(self) -> None:
        """Make its files."""
        command = [f"{self.bin}/initdb", "-D", f"{self.folder}/data"]
        options = ["--auth=trust", "--username=postgres", "--no-sync", "--no-locale"]
        with (self.folder / "log").open("ab") as log:
            made = self._run([*command, *options, "--encoding=UTF8"], log.fileno())
        if made.wait(_PATIENCE):
            raise RuntimeError(f"initdb fails:\n{self._said()}")

    def _run(self, command: list[str], output: int) -> subprocess.Popen[bytes]:
        account = self.account
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=account,
            group=None if account is None else pwd.getpwnam(account).pw_gid,
            extra_groups=None if account is None else [],
            start_new_session=True,
        )

    def _stop(self, number: signal.Signals) -> None:
        process = self._process
        assert process is not None
        children = children_of(process.pid)
        process.send_signal(number)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            for pid in [process.pid, *children]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(_PATIENCE)
        self._process = None

    def _said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@contextmanager
def own_cluster() -> Iterator[Cluster]:
    """Make and start a PostgreSQL that nobody else uses, and remove it at the end."""
    found = sorted(_INSTALLED.glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found:
        raise RuntimeError(f"There is no PostgreSQL in {_INSTALLED}, install it first.")
    # PostgreSQL refuses to run as root.
    account = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="abx-cluster-"))
    if account is not None:
        shutil.chown(folder, account)
    cluster = Cluster(found[-1], folder, free_port(), account)
    try:
        cluster.initialise()
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
