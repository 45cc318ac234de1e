"""A MariaDB of one's own, which a drill may hang and kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql  # type: ignore[import-untyped]

from tests.drills.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: How long it may take to start and to stop, in seconds.
_PATIENCE = 20.0
_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=16M",
    # The processes are killed here, and the machine goes on.
    "--innodb-flush-log-at-trx-commit=2",
)


@dataclass(slots=True)
class Maria:
    """A MariaDB that listens on loopback and belongs to one drill."""

    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of its one database, for SQLAlchemy."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/test"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = self._run(
                ["mariadbd", *self._place(), *_OPTIONS, f"--port={self.port}"],
                log.fileno(),
            )
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(pymysql.Error):
                pymysql.connect(
                    host="127.0.0.1", port=self.port, user="root", connect_timeout=2
                ).close()
                return
            time.sleep(0.05)
        raise RuntimeError(f"MariaDB does not start:\n{self._said()}")

    def crash(self) -> None:
        """Kill it."""
        self._stop()

    def hang(self) -> None:
        """Stop it, as a frozen disk would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `hang`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it whatever state it is in, and delete all of it."""
        if self._process is not None:
            self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def initialise(self) -> None:
        """Make its files."""
        command = ["mariadb-install-db", *self._place(), "--skip-test-db"]
        command += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
        with (self.folder / "log").open("ab") as log:
            made = self._run(command, log.fileno())
        if made.wait(2 * _PATIENCE):
            raise RuntimeError(f"mariadb-install-db fails:\n{self._said()}")

    def make_database(self) -> None:
        """Make the database that `url` names."""
        with (
            pymysql.connect(host="127.0.0.1", port=self.port, user="root") as line,
            line.cursor() as cursor,
        ):
            cursor.execute("CREATE DATABASE test CHARACTER SET utf8mb4")

    def _place(self) -> Sequence[str]:
        folder = self.folder
        places = [
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder}",
            f"--socket={folder / 'socket'}",
            f"--pid-file={folder / 'pid'}",
        ]
        # It refuses to run as root unless it is told to.
        return [*places, "--user=root"] if os.geteuid() == 0 else places

    def _run(self, command: list[str], output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={"PATH": f"{os.environ['PATH']}:/usr/sbin", "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(_PATIENCE)
        self._process = None

    def _said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@contextmanager
def own_maria() -> Iterator[Maria]:
    """Make and start a MariaDB that nobody else uses, and remove it at the end."""
    # A path of a socket must be short.
    maria = Maria(Path(tempfile.mkdtemp(prefix="abx-maria-")), free_port())
    try:
        maria.initialise()
        maria.start()
        maria.make_database()
        yield maria
    finally:
        maria.remove()
