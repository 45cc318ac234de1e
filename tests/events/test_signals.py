"""The signals: who hears them, in which order, and what a receiver may do."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from blinker import NamedSignal
from flask import Flask, current_app
from werkzeug.local import LocalProxy

from flask_abx import ABX, event_tracked, unit_exposed
from flask_abx.events.signals import emit
from flask_abx.events.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.conftest import MakeApp


class Shop:
    """As much of an application as a signal needs."""

    def __init__(self) -> None:
        self.logger = logging.getLogger("shop")
        self.synced: list[object] = []

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Run a coroutine function to its end."""
        self.synced.append(func)

        def call(*args: object, **extra: object) -> object:
            return asyncio.run(func(*args, **extra))

        return call


def test_nobody_connected_costs_and_counts_nothing() -> None:
    shop, tally = Shop(), Tally()
    emit(NamedSignal("shop"), shop, tally, event=1)
    assert (shop.synced, tally.counts) == ([], {})


def test_every_receiver_hears_every_signal_in_order() -> None:
    signal, shop, heard = NamedSignal("shop"), Shop(), list[tuple[int, object]]()

    def one(sender: object, **told: object) -> None:
        heard.append((1, told["event"]))

    def other(sender: object, **told: object) -> None:
        heard.append((2, told["event"]))

    with signal.connected_to(one, sender=shop), signal.connected_to(other, sender=shop):
        for number in range(5):
            emit(signal, shop, Tally(), event=number)
    for who in (1, 2):
        assert [event for name, event in heard if name == who] == list(range(5))


def test_receivers_of_another_sender_hear_nothing() -> None:
    signal, shop, blog = NamedSignal("shop"), Shop(), Shop()
    heard: list[object] = []

    def hear(sender: object, **told: object) -> None:
        heard.append(sender)

    with signal.connected_to(hear, sender=blog):
        emit(signal, shop, Tally(), event=1)
        emit(signal, blog, Tally(), event=1)
    assert heard == [blog]


def test_a_receiver_that_raises_is_logged_and_counted_and_harms_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    signal, shop, tally = NamedSignal("bell"), Shop(), Tally()
    heard: list[object] = []

    def broken(sender: object, **told: object) -> None:
        raise RuntimeError("broken")

    def also_broken(sender: object, **told: object) -> None:
        raise RuntimeError("broken")

    def hear(sender: object, **told: object) -> None:
        heard.append(told["event"])

    receivers = (broken, hear, also_broken)
    for receiver in receivers:
        signal.connect(receiver, sender=shop)
    for number in range(3):
        emit(signal, shop, tally, event=number)
    assert heard == [0, 1, 2]
    assert tally.counts == {"receiver_raised:bell": 6}
    [line] = caplog.records
    assert line.getMessage() == (
        "A receiver of 'bell' raised; the page and the others are unharmed."
    )
    assert line.exc_info is not None


def test_an_async_receiver_goes_through_ensure_sync_and_a_plain_one_does_not() -> None:
    signal, shop, heard = NamedSignal("shop"), Shop(), list[str]()

    async def slow(sender: object, **told: object) -> None:
        await asyncio.sleep(0)
        heard.append("slow")

    def plain(sender: object, **told: object) -> None:
        heard.append("plain")

    with signal.connected_to(slow), signal.connected_to(plain):
        emit(signal, shop, Tally(), event=1)
    assert sorted(heard) == ["plain", "slow"]
    assert shop.synced == [slow]


def test_the_sender_is_the_application_itself(make_app: MakeApp) -> None:
    app, senders = make_app(), list[object]()

    async def hear(sender: Flask, **told: object) -> None:
        senders.append(sender)

    client = app.test_client()
    with unit_exposed.connected_to(hear), event_tracked.connected_to(hear):
        client.get("/")
        client.post("/signup")
    assert len(senders) == 2
    for sender in senders:
        assert sender is app
        assert not isinstance(sender, LocalProxy)


def test_a_receiver_connected_for_the_proxy_of_no_context_hears_by_the_real_app(
    make_app: MakeApp,
) -> None:
    abx = ABX()
    app, heard = make_app(abx=abx), list[str]()

    def hear(sender: Flask, **told: Any) -> None:
        heard.append(told["event"].name)

    with app.app_context(), abx.as_unit("ada"):
        event_tracked.connect(hear, sender=current_app._get_current_object())  # type: ignore[attr-defined]
        abx.track("order")
    event_tracked.disconnect(hear)
    assert heard == ["order"]


def test_an_exposure_is_told_before_the_event_that_follows(make_app: MakeApp) -> None:
    abx = ABX()
    app, heard = make_app(abx=abx), list[str]()

    def hear(sender: Flask, **told: Any) -> None:
        heard.extend(told)

    both = unit_exposed.connected_to(hear), event_tracked.connected_to(hear)
    with both[0], both[1], app.test_request_context():
        abx.variant("headline")
        abx.track("order")
        assert heard == ["exposure", "event"]
