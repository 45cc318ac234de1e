"""Fixtures: signed cookies, and an application before the extension is set up."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

import pytest
from flask import Flask
from itsdangerous import Signer

from tests.conftest import HEADLINE


class Sign(Protocol):
    """Signs a payload as the written contract says."""

    def __call__(self, payload: str) -> str: ...


@pytest.fixture
def sign() -> Sign:
    """Sign cookies without the code under test."""

    def sign_payload(payload: str) -> str:
        signer = Signer(
            "secret",
            salt="flask-abx.cookie",
            key_derivation="hmac",
            digest_method=sha256,
        )
        return signer.sign(payload).decode()

    return sign_payload


@pytest.fixture
def unwired() -> Flask:
    """Make an application that is configured, but not set up."""
    shop = Flask("shop")
    shop.config["SECRET_KEY"] = "secret"
    shop.config["ABX_SINKS"] = ["memory"]
    shop.config["ABX_EXPERIMENTS"] = HEADLINE
    return shop
