"""A browser that tells what was served, what was recorded and what was set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask_abx import Event, Exposure, MemorySink
from flask_abx.runtime.state import state_of

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.datastructures import Headers

    from flask_abx.events.records import Record


def records_of(app: Flask) -> list[Record]:
    """Give what the memory sink of an application holds."""
    sink = state_of(app).recorder.sinks[0]
    assert isinstance(sink, MemorySink)
    return list(sink.records)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: what was served, what was recorded, which cookies were set."""

    status: int
    served: str
    recorded: tuple[Record, ...]
    cookies: tuple[str, ...]
    headers: Headers

    @property
    def exposed(self) -> list[str]:
        """The exposures as `experiment:variant`."""
        return [
            f"{record.experiment}:{record.variant}"
            for record in self.recorded
            if isinstance(record, Exposure)
        ]

    @property
    def events(self) -> list[Event]:
        """The events that were recorded."""
        return [record for record in self.recorded if isinstance(record, Event)]

    @property
    def cookie_names(self) -> list[str]:
        """The names of the cookies that were set."""
        return [cookie.partition("=")[0] for cookie in self.cookies]

    @property
    def token(self) -> str:
        """The value of the one cookie that was set."""
        [cookie] = self.cookies
        return cookie.partition(";")[0].partition("=")[2]

    @property
    def visitor(self) -> str:
        """The visitor in the one cookie that was set."""
        return self.token.split("~")[1].partition(".")[0]

    @property
    def is_silent(self) -> bool:
        """True if nothing was recorded and no cookie was set."""
        return not self.recorded and not self.cookies


@dataclass
class Browser:
    """A client with a jar, which keeps the rules of Secure and of the prefixes."""

    app: Flask
    jar: dict[str, str] = field(default_factory=dict)

    def visit(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        scheme: str = "https",
        cookie: str | None = None,
        **headers: str,
    ) -> Visit:
        """Send a request, with the jar or with a Cookie header of one's own."""
        before = len(records_of(self.app))
        sent = self._header(scheme) if cookie is None else cookie
        response = self.app.test_client(use_cookies=False).open(
            path,
            method=method,
            base_url=f"{scheme}://localhost",
            headers={name.replace("_", "-"): text for name, text in headers.items()},
            environ_overrides={"HTTP_COOKIE": sent} if sent else {},
        )
        served = response.get_data(as_text=True)
        response.close()
        cookies = tuple(response.headers.getlist("Set-Cookie"))
        for header in cookies:
            self._keep(header, scheme)
        recorded = tuple(records_of(self.app)[before:])
        return Visit(response.status_code, served, recorded, cookies, response.headers)

    def _header(self, scheme: str) -> str:
        return "; ".join(
            f"{name}={value}"
            for name, value in self.jar.items()
            if scheme == "https" or not name.startswith("__")
        )

    def _keep(self, header: str, scheme: str) -> None:
        pair, *attributes = header.split("; ")
        name, _, value = pair.partition("=")
        if name.startswith("__Host-"):
            assert {"Secure", "Path=/"} <= set(attributes), header
            assert "Domain=" not in header, header
        assert scheme == "https" or "Secure" not in attributes, header
        if "Max-Age=0" in attributes:
            self.jar.pop(name, None)
        else:
            self.jar[name] = value
