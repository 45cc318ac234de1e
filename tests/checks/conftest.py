"""Fixtures: browsers, signed cookies and a user who is named by a header."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import pytest
from flask import request
from itsdangerous import Signer

from flask_abx import ABX
from tests.checks.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask


class Sign(Protocol):
    """Signs a payload as the extension does."""

    def __call__(self, payload: str, *, key: str = "secret") -> str: ...


class Browse(Protocol):
    """Opens a browser, with a jar of one's own if wanted."""

    def __call__(self, app: Flask, jar: Mapping[str, str] | None = None) -> Browser: ...


@pytest.fixture
def browse() -> Browse:
    """Open browsers on applications."""

    def open_browser(app: Flask, jar: Mapping[str, str] | None = None) -> Browser:
        return Browser(app, dict(jar or {}))

    return open_browser


@pytest.fixture
def sign() -> Sign:
    """Sign cookies by the written contract, not by the code under test."""

    def sign_payload(payload: str, *, key: str = "secret") -> str:
        signer = Signer(
            key, salt="flask-abx.cookie", key_derivation="hmac", digest_method=sha256
        )
        return signer.sign(payload).decode()

    return sign_payload


@pytest.fixture
def abx() -> ABX:
    """An extension that takes the user from the header X-User."""
    extension = ABX()

    @extension.unit_loader
    def load_user() -> str | None:
        return request.headers.get("X-User")

    return extension
