"""`g.abx`: the variants of the current request, for code that inspects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from flask_abx.runtime.current import current_scope

if TYPE_CHECKING:
    from flask import Flask


class Variants(Mapping[str, str]):
    """Experiment key to variant key; reading resolves and exposes nobody.

    It holds nothing itself, so it never shows another request's variants.
    """

    def __getitem__(self, key: str) -> str:
        scope = current_scope()
        if key not in scope.ruleset.rules:
            raise KeyError(key)
        is_held = key in scope.state.forced.variants
        if scope.is_dev and not scope.is_bulk and not is_held:
            scope.peeked = {key, *(scope.peeked or ())}
        return scope.assignment(key).variant

    def __iter__(self) -> Iterator[str]:
        scope = current_scope()
        # Who reads them all inspects, and is not told to branch otherwise.
        scope.is_bulk = True
        return iter(scope.ruleset.rules)

    def __len__(self) -> int:
        return len(current_scope().ruleset.rules)

    def __contains__(self, key: object) -> bool:
        return key in current_scope().ruleset.rules

    def __repr__(self) -> str:
        return f"<Variants of {len(self)} experiments>"


def mirror_in_g(app: Flask) -> None:
    """Give every application context of an app its `g.abx`.

    The class of `g` does it, and not a hook: so hooks that run earlier see it too, as
    do commands, and a request pays nothing.
    """
    plain = app.app_ctx_globals_class

    class GlobalsWithVariants(plain):  # type: ignore[misc, valid-type]
        """The `g` of an application, with `g.abx`."""

        def __init__(self) -> None:
            super().__init__()
            # Flask sets attributes in Python, at three times the cost.
            self.__dict__["abx"] = VARIANTS

    app.app_ctx_globals_class = GlobalsWithVariants


VARIANTS = Variants()
