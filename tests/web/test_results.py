"""Results over HTTP, for those who are let in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flask_abx import Actor
from tests.web.looked import looked_app, winner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

ADDRESS = "/api/v1/experiments/headline/results"
ADA = Actor("7", "Ada")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    """Come as somebody who is let in."""
    with looked_app(tmp_path, actor=ADA) as app:
        yield app.test_client()


def test_the_last_look_is_told_as_it_was_stored(client: FlaskClient) -> None:
    told = client.get(f"{ADDRESS}?series=1").get_json()
    known = winner()
    assert told["verdict"] == known.to_dict()["verdict"]
    assert len(told["series"]) == len(known.series)


def test_days_are_told_where_they_are_asked_for(client: FlaskClient) -> None:
    assert client.get(ADDRESS).get_json()["series"] == []


def test_one_metric_is_told_alone(client: FlaskClient) -> None:
    told = client.get(f"{ADDRESS}?metric=signup").get_json()
    assert {each["metric"] for each in told["metrics"]} == {"signup"}


def test_what_is_known_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get(ADDRESS)
    again = client.get(ADDRESS, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert first.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("prices/results", 404, "no-results-yet"),
        ("nothing/results", 404, "unknown-experiment"),
        ("headline/results?metric=signups", 404, "unknown-metric"),
        ("headline/results?by=country", 404, "unknown-dimension"),
        ("headline/results?iteration=2", 404, "no-results-yet"),
        ("headline/results?iteration=x", 400, "bad-iteration"),
    ],
)
def test_what_is_not_there_is_a_problem(
    client: FlaskClient, path: str, status: int, kind: str
) -> None:
    answer = client.get(f"/api/v1/experiments/{path}")
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["type"] == f"urn:flask-abx:problem:{kind}"


def test_whom_the_application_keeps_out_learns_nothing(tmp_path: Path) -> None:
    with looked_app(tmp_path) as app:
        answer = app.test_client().get(ADDRESS)
    assert answer.status_code == 403
    assert "signup" not in answer.text


def test_without_a_gate_there_is_nothing(tmp_path: Path) -> None:
    with looked_app(tmp_path, has_access=False) as app:
        for path in (ADDRESS, "/abx", "/abx/headline"):
            assert app.test_client().get(path).status_code == 404
