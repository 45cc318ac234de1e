"""What a served request costs: gunicorn on loopback, under more than it can take."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.applications import PAGE, READ
from tests.benchmarks.browser import HEADERS, ORDINARY
from tests.benchmarks.report import BenchmarkError, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORKERS = 2
IN_FLIGHT = 16
DEFINED = 10


def measure(pairs: int, window: float) -> list[Row]:
    """Measure the requests per second of both applications in alternated windows."""
    with _gunicorn(None) as bare, _gunicorn(DEFINED) as abx:
        return [
            _compare("gunicorn, JSON view, one read", READ, bare, abx, pairs, window),
            _compare("gunicorn, Jinja page, ten reads", PAGE, bare, abx, pairs, window),
        ]


def _compare(
    label: str, path: str, bare: int, abx: int, pairs: int, window: float
) -> Row:
    plain = _request(path, ORDINARY)
    known = _request(path, ORDINARY | _given(abx, path))
    _Client(bare, plain).run(0.2)
    _Client(abx, known).run(0.2)
    rows = []
    for turn in range(pairs):
        clients = [_Client(bare, plain), _Client(abx, known)]
        for client in clients if turn % 2 else reversed(clients):
            client.run(window)
        rows.append([client.done / window for client in clients])
    rates = [
        f"{median(column):.0f}/s" for column in reversed(list(zip(*rows, strict=True)))
    ]
    ratio = median(with_abx / without for without, with_abx in rows)
    return Row(f"{label}: requests per second", ratio, note=", ".join(rates))


def _given(port: int, path: str) -> dict[str, str]:
    """Visit the served application once and give the cookie that it sets."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=HEADERS)
    given = SimpleCookie(connection.getresponse().getheader("Set-Cookie") or "")
    connection.close()
    if not given:
        raise BenchmarkError(f"{path} sets no cookie at the first visit.")
    return {name: morsel.coded_value for name, morsel in given.items()}


def _request(path: str, jar: Mapping[str, str]) -> bytes:
    pairs = (f"{name}={value}" for name, value in jar.items())
    headers = {**HEADERS, "Cookie": "; ".join(pairs)}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
    return ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode()


@dataclass(slots=True)
class _Client:
    """Keeps a number of connections open at once, each for one request."""

    port: int
    request: bytes
    done: int = 0
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        for _ in range(IN_FLIGHT):
            self._open()
        while time.perf_counter() < end:
            for key, events in self._selector.select(timeout=0.1):
                assert isinstance(key.fileobj, socket.socket)
                self._serve(key.fileobj, events)
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()

    def _open(self) -> None:
        connection = socket.socket()
        connection.settimeout(0)
        connection.connect_ex(("127.0.0.1", self.port))
        self._selector.register(connection, selectors.EVENT_WRITE)

    def _serve(self, connection: socket.socket, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            connection.send(self.request)
            self._selector.modify(connection, selectors.EVENT_READ, b"")
            return
        chunk = connection.recv(65_536)
        key = self._selector.get_key(connection)
        if chunk:
            self._selector.modify(connection, selectors.EVENT_READ, key.data + chunk)
            return
        if not key.data.startswith(b"HTTP/1.1 200 "):
            raise BenchmarkError(f"gunicorn answers {key.data[:80]!r}.")
        self._selector.unregister(connection)
        connection.close()
        self.done += 1
        self._open()


@contextmanager
def _gunicorn(defined: int | None) -> Iterator[int]:
    """Serve an application on a free port until the block ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    target = f"tests.benchmarks.applications:make_app({defined})"
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), target]
    command += ["--bind", f"127.0.0.1:{port}", "--worker-class", "sync"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise BenchmarkError(f"gunicorn does not listen on port {port}.")
