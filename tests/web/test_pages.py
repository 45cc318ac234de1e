"""The list of experiments, and the report of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import redirect
from werkzeug.exceptions import HTTPException

from flask_abx import Actor
from flask_abx.runtime.state import state_of
from tests.web.looked import looked_app, winner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    """Come as somebody who is let in."""
    with looked_app(tmp_path, actor=Actor("7")) as app:
        yield app.test_client()


def test_the_list_links_each_report(client: FlaskClient) -> None:
    page = client.get("/abx").text
    assert 'href="/abx/headline"' in page
    assert "flask abx refresh prices" in page


def test_a_report_tells_the_verdict(client: FlaskClient) -> None:
    answer = client.get("/abx/headline")
    assert winner().verdict.sentence.split(":")[0] in answer.text
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_a_page_may_load_nothing_and_be_framed_by_nobody(client: FlaskClient) -> None:
    policy = client.get("/abx/headline").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("key", ["prices", "nothing"])
def test_a_report_that_is_not_there_says_so(client: FlaskClient, key: str) -> None:
    assert client.get(f"/abx/{key}").status_code == 404


def test_whom_the_application_keeps_out_sees_nothing(tmp_path: Path) -> None:
    with looked_app(tmp_path) as app:
        assert app.test_client().get("/abx").status_code == 403
        assert app.test_client().get("/abx/headline").status_code == 403


@pytest.mark.parametrize("answer", [False, 0, "", True, "ada"])
def test_only_an_actor_is_let_in(tmp_path: Path, answer: object) -> None:
    with looked_app(tmp_path) as app:
        state_of(app).hooks.access = lambda: answer  # type: ignore[assignment]  # that is the point
        assert app.test_client().get("/abx/headline").status_code == 403


def test_the_gate_may_lead_to_the_login(tmp_path: Path) -> None:
    class Login(HTTPException):
        def get_response(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # any response will do
            return redirect("/login")

    def ask() -> Actor | None:
        raise Login

    with looked_app(tmp_path) as app:
        state_of(app).hooks.access = ask
        assert app.test_client().get("/abx").location == "/login"
