"""Who sends a request: asked lazily, answered once."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from flask_abx.assignment.decision import VISITOR
from flask_abx.events.safe import shown
from flask_abx.runtime.client import (
    is_bot,
    is_cross_site,
    is_read,
    is_secure,
    is_silent,
)
from flask_abx.runtime.consent import GIVEN, STORAGE, ask
from flask_abx.runtime.cookie import NOTHING, UNREAD
from flask_abx.runtime.override import NONE, Preview, is_asked_for, preview_of
from flask_abx.runtime.sticky import Sticky
from flask_abx.runtime.stored import Stored
from flask_abx.runtime.unit import RequestIdentity, first_unit, unit_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from flask_abx.assignment.decision import Unit
    from flask_abx.assignment.ruleset import Rule, Ruleset
    from flask_abx.runtime.cookie import Memory, Reading, Unread
    from flask_abx.runtime.state import State
    from flask_abx.runtime.unit import Identity


class Requester:
    """Who a request comes from, as far as decisions and records need to know.

    Attributes:
        environ: The request, or None where the code named the unit.
        ruleset: The one version of the definitions that this request sees.
        has_cookie: True once a valid cookie was read.
        is_started: True once the headers of the response are sent.
        reading: The cookie, where it was read before.
        ahead: The variants that the person met in experiments of a later version.
    """

    has_cookie = False
    is_started = False
    reading: Reading | Unread | None = UNREAD
    ahead: Mapping[str, str] = MappingProxyType({})
    _sticky: Sticky | None = None
    _stored: Stored | None = None
    _preview: Preview | None = None
    _is_silent: bool | None = None
    _is_bot: bool | None = None

    def __init__(
        self,
        app: Flask,
        state: State,
        environ: WSGIEnvironment | None,
        ruleset: Ruleset,
        identity: Identity | None = None,
    ) -> None:
        self.app = app
        self.state = state
        self.environ = environ
        self.ruleset = ruleset
        self._identity = identity
        self._consents: dict[str, bool] = {}
        self._units: dict[tuple[str, ...], Unit] = {}
        self.lost: set[str] = set()

    @property
    def is_dev(self) -> bool:
        """True in debug and testing."""
        config = self.app.config
        return bool(config["DEBUG"] or config["TESTING"])

    @property
    def is_strict(self) -> bool:
        """True where an unknown name raises."""
        strict = self.state.settings.strict
        return self.is_dev if strict is None else strict

    @property
    def is_bot(self) -> bool:
        """True for a crawler."""
        if self._is_bot is None:
            self._is_bot = self.environ is not None and is_bot(self.environ)
        return self._is_bot

    @property
    def is_silent(self) -> bool:
        """True where nobody may be looking, so that nothing is recorded or stored."""
        if self._is_silent is None:
            self._is_silent = self.environ is not None and is_silent(self.environ)
        return self._is_silent

    def consents(self, purpose: str) -> bool:
        """Tell whether the person agreed to a purpose."""
        consent = self.state.hooks.consent
        if consent is None:
            return purpose in GIVEN
        if purpose not in self._consents:
            # A callable that reads a variant itself is answered, not asked for ever.
            self._consents[purpose] = False
            self._consents[purpose] = ask(consent, purpose, self.app.logger)
        return self._consents[purpose]

    @property
    def is_overridden(self) -> bool:
        """True if a test or a tester may have chosen a variant."""
        return bool(self.state.forced.variants) or self.preview is not NONE

    def forced(self, rule: Rule) -> str | None:
        """Give the variant that a test, a tester or the definition chose."""
        held = self.state.forced.variants
        if held and rule.key in held:
            return held[rule.key]
        chosen = self.preview.variants.get(rule.key)
        if chosen is not None or not rule.forced:
            return chosen
        unit = self.unit(rule)
        return None if unit is None else rule.forced.get(unit.id)

    def unit(self, rule: Rule) -> Unit | None:
        """Give the first unit that the experiment names and that is known."""
        kinds = rule.unit
        unit = self._units.get(kinds)
        if unit is None:
            unit = first_unit(kinds, self.identity)
            if unit is not None:
                self._units[kinds] = unit
        return unit

    def remembered(self, rule: Rule, unit: Unit) -> str | None:
        """Give the variant that the unit met, as the browser or the database has it."""
        if unit.type != VISITOR and self.stored is not None:
            return self._remembered_anywhere(rule, unit, self.stored)
        if self._sticky is None and self.environ is None:
            return None
        return self.sticky.variant_of(rule, unit)

    def _remembered_anywhere(
        self, rule: Rule, unit: Unit, stored: Stored
    ) -> str | None:
        entry = self.sticky.entry_of(rule, unit)
        if entry is not None and entry.confirmed:
            return entry.variant
        rows = stored.rows_of(unit)
        variant = None if rows is None else rows.get((rule.key, rule.iteration))
        if variant is not None and variant in rule.variants:
            # The row decides, whatever the browser remembers.
            self.sticky.remember(rule, unit, variant, is_confirmed=True)
            return variant
        served = self.state.seen.get((rule.key, rule.iteration, unit))
        if entry is None and served is not None and served in rule.variants:
            # Its row is on the way, from this very process.
            self.sticky.remember(rule, unit, served)
            return served
        variant = self.sticky.variant_of(rule, unit)
        if variant is not None and rows is not None:
            # Not stored yet, or just taken over from the visitor.
            self.lost.add(rule.key)
        return variant

    def recall(self, unit: Unit) -> None:
        """Remember what is stored of a unit of which the browser knows nothing."""
        if self.stored is None or unit.type not in self.ruleset.stored_units:
            return
        if self.sticky.entries_of(unit):
            return
        rows = self.stored.rows_of(unit) or {}
        for key, iteration in sorted(self.ruleset.stored_units[unit.type]):
            rule = self.ruleset.rules[key]
            variant = rows.get((key, iteration))
            if variant in rule.variants and variant is not None:
                self.sticky.remember(rule, unit, variant, is_confirmed=True)
                continue
            # Its row may be on the way, from this very process.
            served = self.state.seen.get((key, iteration, unit))
            if served is not None and served in rule.variants:
                self.sticky.remember(rule, unit, served)

    @property
    def stored(self) -> Stored | None:
        """What the database knows, where there is one."""
        delivery = self.state.delivery
        if self._stored is None and delivery is not None:
            self._stored = Stored(delivery.lookups, self)
        return self._stored

    def attributes(self) -> Mapping[str, object]:
        """Give what is known about the person."""
        return self.identity.attributes()

    @property
    def preview(self) -> Preview:
        """What a tester asked for, in debug and testing only."""
        if self._preview is None:
            environ = self.environ
            self._preview = NONE
            if environ is not None and self.is_dev and is_asked_for(environ):
                self._preview = preview_of(environ, self.ruleset.rules)
                for fault in self._preview.faults:
                    self.app.logger.warning("?abx= is ignored: %s", fault)
        return self._preview

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
                self._load_user,
                hooks.attributes_loader,
            )
        return self._identity

    def _load_user(self) -> object:
        loaded = (self.state.hooks.unit_loader or self.state.default_user)()
        is_id = loaded is None or loaded == "" or unit_id(loaded) is not None
        if not is_id and self.state.tally.first("unit_loader"):
            self.app.logger.warning(
                "The unit loader returned %s, which is no id, so nobody is known: "
                "return a text, a whole number, a UUID or None.",
                shown(loaded),
            )
        return loaded

    def _read_cookie(self) -> Sticky:
        environ = self.environ
        if environ is None or self.preview.is_reset or not self.consents(STORAGE):
            return Sticky(NOTHING)
        reading = self.reading
        if reading is UNREAD:
            reading = self.state.cookie.read(environ)
        if reading is None:
            return Sticky(NOTHING)
        self.has_cookie = True
        return Sticky(*reading)

    def _may_mint(self) -> bool:
        # A visitor whose cookie cannot be sent any more would be another next time.
        return not self.is_started and self._may_store()

    def _may_store(self) -> bool:
        return (
            self.environ is not None
            and self.ruleset.is_ready
            and self.state.settings.enabled
            and not self.is_silent
            and not self.is_bot
            and (self.has_cookie or not self._is_without_jar(self.environ))
            and self.consents(STORAGE)
            and self._can_send_cookie(self.environ)
        )

    def _is_without_jar(self, environ: WSGIEnvironment) -> bool:
        """Tell whether the browser may hold a cookie of ours that it did not send."""
        is_strict = self.state.settings.cookie_samesite == "Strict"
        return is_cross_site(environ) and (is_strict or not is_read(environ))

    def _can_send_cookie(self, environ: WSGIEnvironment) -> bool:
        if is_secure(environ) or not self.state.cookie.is_secure(environ):
            return True
        if self.state.tally.first("cookie_withheld"):
            self.app.logger.warning(
                "ABX_COOKIE_SECURE is True but the request came over http: no cookie "
                "is set, and a new visitor gets the control. Serve HTTPS, or leave "
                "ABX_COOKIE_SECURE out."
            )
        return False

    @property
    def memory_to_store(self) -> Memory | None:
        """What the response should store in the cookie, or None."""
        sticky = self._sticky
        if sticky is None or not sticky.is_changed or not self._may_store():
            return None
        return sticky.memory

    @property
    def known_visitor(self) -> str | None:
        """The visitor, if there is one already."""
        if self.environ is None:
            return self.identity.visitor()
        return self.sticky.memory.visitor or None

    @property
    def has_cookies_to_set(self) -> bool:
        """True if the response may have to set a cookie."""
        sticky = self._sticky
        is_changed = sticky is not None and sticky.is_changed
        return is_changed or self.preview is not NONE

    def forget(self) -> None:
        """Ask again who it is, as somebody logged in or out."""
        self._units.clear()
        self._consents.clear()
        self._stored = None
        self.lost.clear()
        if self._identity is not None:
            self._identity.forget()
