"""Who it is: the visitor, the user, and what is known about them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from flask_abx.assignment.decision import USER, VISITOR, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_abx.runtime.hooks import AttributesLoader
    from flask_abx.runtime.sticky import Sticky


def unit_id(value: object) -> str | None:
    """Take a text, a whole number or a UUID as the id of a unit; None for the rest."""
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        return None
    try:
        return str(value) or None
    except ValueError:
        # Python writes no whole number of more than 4,300 digits.
        return None


class Identity(Protocol):
    """Answers who it is, each question at most once."""

    def visitor(self) -> str | None:
        """Give the visitor's id, or None where there may be none."""
        ...

    def user(self) -> str | None:
        """Give the user's id, or None."""
        ...

    def attributes(self) -> Mapping[str, object]:
        """Give what is known, with ``visitor`` and ``user`` where known."""
        ...

    def forget(self) -> None:
        """Ask again next time."""
        ...


class GivenIdentity:
    """Somebody whom the code names: a job, a command, a webhook."""

    def __init__(
        self, visitor: object, user: object, attributes: Mapping[str, object]
    ) -> None:
        self._visitor = unit_id(visitor)
        self._user = unit_id(user)
        self._attributes = with_ids(attributes, self._visitor, self._user)

    def visitor(self) -> str | None:
        """Give the visitor's id, if one was named."""
        return self._visitor

    def user(self) -> str | None:
        """Give the user's id, if one was named."""
        return self._user

    def attributes(self) -> Mapping[str, object]:
        """Give the attributes that were named."""
        return self._attributes

    def forget(self) -> None:
        """Stay the same."""


class RequestIdentity:
    """Somebody who sends a request: asked of the cookie and the loaders.

    Args:
        sticky: What the browser's cookie holds.
        may_mint: Tells whether a visitor's id may be made and stored.
        load_user: Answers who is logged in.
        load_attributes: Answers what is known.
    """

    def __init__(
        self,
        sticky: Sticky,
        may_mint: Callable[[], bool],
        load_user: Callable[[], object],
        load_attributes: AttributesLoader | None,
    ) -> None:
        self._sticky = sticky
        self._may_mint = may_mint
        self._load_user = load_user
        self._load_attributes = load_attributes
        self._is_user_known = False
        self._user: str | None = None
        self._attributes: Mapping[str, object] | None = None

    def visitor(self) -> str | None:
        """Give the visitor of the cookie, or mint one where that is allowed."""
        visitor = self._sticky.memory.visitor
        if not visitor and self._may_mint():
            visitor = secrets.token_hex(16)
            self._sticky.name_visitor(visitor)
        return visitor or None

    def user(self) -> str | None:
        """Give the user that the loader names; what it raises is the caller's."""
        if not self._is_user_known:
            self._user = unit_id(self._load_user())
            self._is_user_known = True
        return self._user

    def attributes(self) -> Mapping[str, object]:
        """Give what the loader knows; what it raises is the caller's."""
        if self._attributes is None:
            user = self.user()
            loaded: object = None
            if self._load_attributes is not None:
                loaded = self._load_attributes()
            if loaded is not None and not isinstance(loaded, Mapping):
                raise TypeError(
                    f"The attributes loader returned {loaded!r}, must be a dict."
                )
            visitor = self._sticky.memory.visitor
            self._attributes = with_ids(loaded or {}, visitor, user)
        return self._attributes

    def forget(self) -> None:
        """Ask the loaders again next time, as somebody logged in or out."""
        self._is_user_known = False
        self._user = None
        self._attributes = None


def with_ids(
    attributes: Mapping[str, object], visitor: str | None, user: str | None
) -> Mapping[str, object]:
    """Add the ids to the attributes, which keep their own values."""
    ids = {kind: who for kind, who in ((VISITOR, visitor), (USER, user)) if who}
    return {**ids, **attributes}


def first_unit(kinds: tuple[str, ...], identity: Identity) -> Unit | None:
    """Find the first of some unit types that is known."""
    for kind in kinds:
        if kind == VISITOR:
            found = identity.visitor()
        elif kind == USER:
            found = identity.user()
        else:
            found = unit_id(identity.attributes().get(kind))
        if found is not None:
            return Unit(kind, found)
    return None
