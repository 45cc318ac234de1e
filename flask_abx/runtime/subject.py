"""The subject of a request's decisions: asked lazily, answered once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.runtime.client import is_bot, is_silent
from flask_abx.runtime.consent import STORAGE, ask
from flask_abx.runtime.cookie import Memory
from flask_abx.runtime.override import NONE, Override, is_asked_for, override_of
from flask_abx.runtime.sticky import Sticky
from flask_abx.runtime.unit import RequestIdentity, first_unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from flask_abx.assignment.decision import Unit
    from flask_abx.assignment.ruleset import Rule
    from flask_abx.runtime.state import State
    from flask_abx.runtime.unit import Identity


class RequestSubject:
    """Who a request comes from, as far as decisions and records need to know.

    Attributes:
        environ: The request, or None where the code named the unit.
        ruleset: The one version of the definitions that this request sees.
        has_cookie: True once a valid cookie was read.
    """

    __slots__ = (
        "_consents",
        "_identity",
        "_is_silent",
        "_override",
        "_sticky",
        "app",
        "environ",
        "has_cookie",
        "ruleset",
        "state",
    )

    def __init__(
        self,
        app: Flask,
        state: State,
        environ: WSGIEnvironment | None,
        identity: Identity | None = None,
    ) -> None:
        self.app = app
        self.state = state
        self.environ = environ
        self.ruleset = state.store.ruleset()
        self.has_cookie = False
        self._identity = identity
        self._sticky: Sticky | None = None
        self._override: Override | None = None
        self._is_silent: bool | None = None
        self._consents: dict[str, bool] = {}

    @property
    def is_dev(self) -> bool:
        """True in debug and testing."""
        return self.app.debug or self.app.testing

    @property
    def is_strict(self) -> bool:
        """True where an unknown name raises."""
        strict = self.state.settings.strict
        return self.is_dev if strict is None else strict

    @property
    def is_bot(self) -> bool:
        """True for a crawler."""
        return self.environ is not None and is_bot(self.environ)

    @property
    def is_silent(self) -> bool:
        """True where nobody may be looking, so that nothing is recorded or stored."""
        if self._is_silent is None:
            self._is_silent = self.environ is not None and is_silent(self.environ)
        return self._is_silent

    def consents(self, purpose: str) -> bool:
        """Tell whether the person agreed to a purpose."""
        if purpose not in self._consents:
            consent = self.state.hooks.consent
            # A callable that reads a variant itself is answered, not asked for ever.
            self._consents[purpose] = False
            self._consents[purpose] = ask(consent, purpose, self.app.logger)
        return self._consents[purpose]

    def forced(self, rule: Rule) -> str | None:
        """Give the variant that a test, a tester or the definition chose."""
        held = self.state.forced.variants
        if held and rule.key in held:
            return held[rule.key]
        chosen = self.override.variants.get(rule.key)
        if chosen is not None or not rule.forced:
            return chosen
        unit = self.unit(rule)
        return None if unit is None else rule.forced.get(unit.id)

    def unit(self, rule: Rule) -> Unit | None:
        """Give the first unit that the experiment names and that is known."""
        return first_unit(rule.unit, self.identity)

    def remembered(self, rule: Rule, unit: Unit) -> str | None:
        """Give the variant that the browser remembers for the unit."""
        return self.sticky.variant_of(rule, unit)

    def attributes(self) -> Mapping[str, object]:
        """Give what is known about the person."""
        return self.identity.attributes()

    @property
    def override(self) -> Override:
        """What a tester asked for, in debug and testing only."""
        if self._override is None:
            environ = self.environ
            self._override = NONE
            if environ is not None and is_asked_for(environ) and self.is_dev:
                self._override = override_of(environ, self.ruleset.rules)
                for fault in self._override.faults:
                    self.app.logger.warning("?abx= is ignored: %s", fault)
        return self._override

    @property
    def sticky(self) -> Sticky:
        """What the browser remembers."""
        if self._sticky is None:
            self._sticky = self._read_cookie()
        return self._sticky

    @property
    def identity(self) -> Identity:
        """Who it is."""
        if self._identity is None:
            hooks = self.state.hooks
            self._identity = RequestIdentity(
                self.sticky,
                self._may_mint,
                hooks.unit_loader or self.state.default_user,
                hooks.attributes_loader,
            )
        return self._identity

    def _read_cookie(self) -> Sticky:
        environ = self.environ
        if environ is None or self.override.is_reset or not self.consents(STORAGE):
            return Sticky(Memory())
        reading = self.state.cookie.read(environ)
        if reading is None:
            return Sticky(Memory())
        self.has_cookie = True
        return Sticky(reading.memory, is_changed=reading.is_outdated)

    def _may_mint(self) -> bool:
        return (
            self.environ is not None
            and self.state.settings.enabled
            and not self.is_silent
            and not self.is_bot
            and self.consents(STORAGE)
        )

    @property
    def memory_to_store(self) -> Memory | None:
        """What the response should store in the cookie, or None."""
        sticky = self._sticky
        if sticky is None or not sticky.is_changed or not self._may_mint():
            return None
        return sticky.memory

    @property
    def known_visitor(self) -> str | None:
        """The visitor, if there is one already."""
        if self.environ is None:
            return self.identity.visitor()
        return self.sticky.memory.visitor or None

    @property
    def is_looked_at(self) -> bool:
        """True once somebody asked what the browser remembers, or for an override."""
        if self._sticky is not None:
            return True
        return self.environ is not None and is_asked_for(self.environ)

    def forget(self) -> None:
        """Ask again who it is, as somebody logged in or out."""
        if self._identity is not None:
            self._identity.forget()
