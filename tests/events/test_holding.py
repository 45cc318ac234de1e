"""Requests that begin while SQLite is written to."""

from __future__ import annotations

import os
from threading import Thread
from typing import TYPE_CHECKING

from flask_abx.events import flights as module
from flask_abx.events.flights import Flights

if TYPE_CHECKING:
    import pytest


def test_who_comes_while_nobody_writes_is_not_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(seconds: float) -> None:
        raise AssertionError(seconds)

    monkeypatch.setattr(module, "sleep", refuse)
    flights = Flights()
    flights.hold()
    flights.release()
    flights.begin(object())
    assert not flights.are_none


def test_who_comes_while_we_write_is_not_under_way_until_that_is_over() -> None:
    flights = Flights()
    flights.hold()
    thread = Thread(target=flights.begin, args=(object(),))
    thread.start()
    while not flights.are_none:
        pass
    flights.release()
    thread.join(5)
    assert not flights.are_none


def test_a_write_that_takes_too_long_holds_nobody_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LONGEST", 0.0)
    flights = Flights()
    flights.hold()
    flights.begin(object())
    assert not flights.are_none


def test_what_a_parent_writes_holds_back_no_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(seconds: float) -> None:
        raise AssertionError(seconds)

    flights = Flights()
    flights.hold()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    monkeypatch.setattr(module, "sleep", refuse)
    flights.begin(object())
    assert not flights.are_none
