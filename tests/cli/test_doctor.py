from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_login import LoginManager
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_abx import ABX
from flask_abx.cli.doctor.serving import has_proxy_fix, weakness_of
from tests.cli.setups import SETUPS, STRONG, Setup

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import MakeApp

TWO = {"variants": ["control", "bold"], "metrics": ["signup"]}


def examined(run: Run, app: Flask) -> dict[str, dict[str, Any]]:
    """Run doctor, and give the findings by the name of the check."""
    data = json.loads(run(app, "doctor").stdout)
    return {finding["check"]: finding for finding in data["findings"]}


def level(run: Run, app: Flask, check: str) -> str:
    return str(examined(run, app)[check]["level"])


@pytest.mark.parametrize("name", SETUPS)
def test_every_failure_has_a_line_to_paste(
    name: str, make_app: MakeApp, run: Run, tmp_path: Path
) -> None:
    app = SETUPS[name][0](Setup(make_app, tmp_path))
    findings = json.loads(run(app, "doctor").stdout)["findings"]
    pastes = [each["paste"] for each in findings if each["level"] == "fail"]
    assert all(pastes)
    for paste in pastes:
        if paste.startswith(("app.", "abx.", "logging.")):
            compile(paste, "paste", "exec")


@pytest.mark.parametrize(
    ("disabled", "named"), [("1", logging.NOTSET), ("", logging.WARNING)]
)
def test_the_line_for_a_silent_log_makes_it_heard(
    make_app: MakeApp, run: Run, log: logging.Logger, disabled: str, named: int
) -> None:
    log.disabled = bool(disabled)
    log.setLevel(named)
    app = make_app(ABX_SINKS=None)
    finding = examined(run, app)["log"]
    exec(finding["paste"], {"logging": logging})  # noqa: S102 - our own line
    assert (finding["level"], level(run, app, "log")) == ("fail", "ok")


def test_a_warning_fails_nothing(make_app: MakeApp, run: Run) -> None:
    app = make_app({}, SECRET_KEY=STRONG)
    result = run(app, "doctor")
    data = json.loads(result.stdout)
    assert "warn" in {finding["level"] for finding in data["findings"]}
    assert (result.exit_code, data["ok"]) == (0, True)


def test_a_failure_fails_the_command(make_app: MakeApp, run: Run) -> None:
    result = run(make_app(SECRET_KEY="dev"), "doctor")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)


@pytest.mark.parametrize(
    ("key", "weakness"),
    [
        pytest.param("dev", "is a placeholder", id="dev"),
        pytest.param("please change me in production", "is a placeholder", id="change"),
        pytest.param(b"my secret key for now", "is a placeholder", id="bytes"),
        pytest.param("k3j2h4g5", "has 8 characters", id="short"),
        pytest.param("abab" * 8, "has 2 different characters", id="repeated"),
        pytest.param(STRONG, None, id="hex"),
        pytest.param("devuQ8t_3kfPz0aW1yLxEg", None, id="begins-like-dev"),
    ],
)
def test_a_key_that_can_be_guessed_is_weak(
    key: str | bytes, weakness: str | None
) -> None:
    assert weakness_of(key) == weakness


def test_a_weak_key_is_only_a_warning_in_debug(
    make_app: MakeApp, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert level(run, make_app(SECRET_KEY="dev"), "secret_key") == "warn"


@pytest.mark.parametrize(
    ("secure", "same_site", "debug", "expected"),
    [
        pytest.param(None, "Lax", "0", "ok", id="follows-the-request"),
        pytest.param(True, "None", "0", "ok", id="other-sites"),
        pytest.param(False, "Lax", "1", "ok", id="http-in-debug"),
        pytest.param(False, "Lax", "0", "warn", id="http"),
        pytest.param(True, "Lax", "1", "warn", id="https-only-in-debug"),
        pytest.param(None, "None", "0", "warn", id="refused-over-http"),
        pytest.param(False, "None", "0", "fail", id="refused"),
    ],
)
def test_a_cookie_that_browsers_refuse_is_found(
    make_app: MakeApp,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    secure: object,
    same_site: str,
    debug: str,
    expected: str,
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", debug)
    app = make_app(ABX_COOKIE_SECURE=secure, ABX_COOKIE_SAMESITE=same_site)
    assert level(run, app, "cookie") == expected


def test_proxy_fix_is_found_round_ours_and_within(make_app: MakeApp) -> None:
    outside, inside, bare = make_app(), Flask(__name__), make_app()
    outside.wsgi_app = ProxyFix(outside.wsgi_app)  # type: ignore[method-assign]
    inside.secret_key = STRONG
    inside.wsgi_app = ProxyFix(inside.wsgi_app)  # type: ignore[method-assign]
    ABX(inside)
    found = [has_proxy_fix(app.wsgi_app) for app in (outside, inside, bare)]
    assert found == [True, True, False]


@pytest.mark.parametrize(
    ("unit", "loaders", "expected"),
    [
        pytest.param("visitor", (), "ok", id="visitor"),
        pytest.param("user", (), "fail", id="user"),
        pytest.param("user", ("unit_loader",), "ok", id="user-told"),
        pytest.param(["user", "visitor"], (), "warn", id="user-or-visitor"),
        pytest.param("tenant", ("unit_loader",), "fail", id="tenant"),
        pytest.param("tenant", ("attributes_loader",), "ok", id="tenant-told"),
    ],
)
def test_a_unit_that_nothing_tells_is_found(
    make_app: MakeApp, run: Run, unit: object, loaders: tuple[str, ...], expected: str
) -> None:
    abx = ABX()
    for loader in loaders:
        getattr(abx, loader)(lambda: None)
    app = make_app({"headline": {**TWO, "unit": unit}}, abx=abx)
    assert level(run, app, "units") == expected


def test_flask_login_tells_the_user(make_app: MakeApp, run: Run) -> None:
    app = make_app({"headline": {**TWO, "unit": "user"}})
    LoginManager(app)
    assert level(run, app, "units") == "ok"


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        pytest.param({"user": {"$inGroup": "staff"}}, "ok", id="ids-are-known"),
        pytest.param({"country": "DE"}, "fail", id="attribute"),
        pytest.param({"$segment": "german"}, "fail", id="through-a-segment"),
        pytest.param({"$not": {"geo.country": "DE"}}, "fail", id="nested"),
    ],
)
def test_an_attribute_that_nothing_loads_is_found(
    make_app: MakeApp, run: Run, audience: dict[str, Any], expected: str
) -> None:
    document = {
        "segments": {"german": {"country": "DE"}, "staff": ["7"]},
        "experiments": {"headline": {**TWO, "audience": audience}},
    }
    app = make_app({}, ABX_DEFINITIONS=document)
    assert level(run, app, "attributes") == expected


@pytest.mark.parametrize(
    ("audience", "paste"),
    [
        pytest.param({"$segment": "code"}, "", id="code"),
        pytest.param({"user": {"$inGroup": "ids"}}, "", id="ids"),
        pytest.param({"user": {"$inGroup": ["7"]}}, "", id="listed-on-the-spot"),
        pytest.param(
            {"$or": [{"$segment": ["code", "vip"]}]},
            'abx.segment("vip")(lambda attributes: "vip" in attributes)',
            id="unknown",
        ),
        pytest.param(
            {"user": {"$notInGroup": "vip"}},
            '"segments": {"vip": ["7", "8"]}',
            id="unknown-ids",
        ),
        pytest.param(
            {"user": {"$inGroup": "code"}}, '"$segment": "code"', id="code-as-ids"
        ),
    ],
)
def test_a_segment_that_nobody_is_in_is_found(
    make_app: MakeApp, run: Run, audience: dict[str, Any], paste: str
) -> None:
    abx = ABX()
    abx.segment("code")(lambda attributes: True)
    document = {
        "segments": {"ids": ["7"]},
        "experiments": {"headline": {**TWO, "audience": audience}},
    }
    app = make_app({}, abx=abx, ABX_DEFINITIONS=document)
    finding = examined(run, app)["segments"]
    assert (finding["level"], finding["paste"]) == ("fail" if paste else "ok", paste)


def test_lines_for_a_toml_file_are_toml(
    make_app: MakeApp, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "experiments.toml"
    path.write_text('[experiments.headline]\nvariants = ["a", "b"]\n', "utf-8")
    app = make_app({}, ABX_DEFINITIONS=str(path))
    assert examined(run, app)["metrics"]["paste"] == 'metrics = ["signup"]'


def test_a_silent_log_is_only_a_warning_beside_a_file(
    make_app: MakeApp, run: Run, tmp_path: Path, log: logging.Logger
) -> None:
    log.disabled = True
    app = make_app(ABX_SINKS=None, ABX_EVENT_LOG=str(tmp_path / "events.jsonl"))
    assert level(run, app, "log") == "warn"


def test_a_folder_that_is_gone_is_found_with_the_line_that_makes_it(
    make_app: MakeApp, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "my  logs"
    folder.mkdir()
    app = make_app(ABX_EVENT_LOG=str(folder / "events.jsonl"))
    folder.rmdir()
    text = run(app, "doctor", "--format", "table").stdout
    assert f"Paste: mkdir -p '{folder}'\n" in text


def test_records_that_go_nowhere_are_told(make_app: MakeApp, run: Run) -> None:
    assert level(run, make_app(ABX_SINKS=[]), "sinks") == "warn"


def test_a_switched_off_extension_is_told(make_app: MakeApp, run: Run) -> None:
    assert level(run, make_app(ABX_ENABLED=False), "enabled") == "warn"
