"""A browser without a network: it keeps a jar and calls an application in process."""

from __future__ import annotations

from io import BytesIO
from time import process_time_ns
from typing import TYPE_CHECKING, Any

from werkzeug.test import EnvironBuilder

from tests.benchmarks.report import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed.wsgi import WSGIApplication

HEADERS = {
    "Host": "shop.test",
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
    ),
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


#: What the browser of a returning visitor holds anyway, from either application.
ORDINARY = {"theme": "light"}


class Browser:
    """One visitor's browser, at one page of one application."""

    def __init__(
        self, app: WSGIApplication, path: str, jar: Mapping[str, str] | None = None
    ) -> None:
        self.jar = dict(jar or {})
        self.body = b""
        self._app = app
        self._path = path

    def visit(self) -> bool:
        """Visit the page and keep its cookies; true where it set one."""
        found: list[tuple[str, str]] = []
        status: list[str] = []

        def start_response(
            line: str, headers: list[tuple[str, str]], error: object = None, /
        ) -> Callable[[bytes], object]:
            status.append(line)
            found.extend(headers)
            return _ignore

        response = self._app(self.environ(), start_response)
        self.body = b"".join(response)
        getattr(response, "close", lambda: None)()
        if status != ["200 OK"]:
            raise BenchmarkError(f"{self._path} answers {status!r}, must be 200.")
        cookies = [value for name, value in found if name.lower() == "set-cookie"]
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.jar[name] = value
        return bool(cookies)

    def environ(self) -> dict[str, Any]:
        """What a server would hand over for one visit."""
        headers = dict(HEADERS)
        if self.jar:
            pairs = (f"{name}={value}" for name, value in self.jar.items())
            headers["Cookie"] = "; ".join(pairs)
        builder = EnvironBuilder(
            path=self._path,
            base_url="http://shop.test/",
            headers=headers.items(),
            environ_base={"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "50000"},
        )
        return {**builder.get_environ(), "wsgi.input": BytesIO()}

    def spend(self, calls: int) -> float:
        """Make so many equal visits and answer the nanoseconds of one.

        What the process was busy is counted, on all its threads: a machine that does
        other work as well would show in the time of day, and in one call only.
        """
        template = self.environ()
        environs = [template.copy() for _ in range(calls)]
        app = self._app
        start = process_time_ns()
        for environ in environs:
            response = app(environ, _start)
            for _ in response:
                pass
            response.close()  # type: ignore[attr-defined]
        return (process_time_ns() - start) / calls


def _start(
    line: str, headers: list[tuple[str, str]], error: object = None, /
) -> Callable[[bytes], object]:
    del line, headers, error
    return _ignore


def _ignore(body: bytes) -> None:
    del body
