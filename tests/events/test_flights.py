"""Which requests of a process are under way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flask_abx.events.flights import Flights

if TYPE_CHECKING:
    import pytest


def test_nobody_is_under_way_at_first() -> None:
    assert Flights().are_none


def test_a_request_is_under_way_until_it_ends() -> None:
    flights, request = Flights(), object()
    flights.begin(request)
    assert not flights.are_none
    flights.end(request)
    assert flights.are_none


def test_a_request_that_never_began_may_end() -> None:
    flights = Flights()
    flights.end(object())
    assert flights.are_none


def test_those_of_a_parent_do_not_fly_in_a_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flights, request = Flights(), object()
    flights.begin(object())
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert flights.are_none
    flights.begin(request)
    flights.end(request)
    assert flights.are_none
