"""`g.abx`: the variants of the current request, for code that inspects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flask_abx.runtime.current import current_scope


class Variants(Mapping[str, str]):
    """Experiment key to variant key; reading resolves and exposes nobody.

    It holds nothing itself, so it never shows another request's variants.
    """

    def __getitem__(self, key: str) -> str:
        scope = current_scope()
        if key not in scope.ruleset.rules:
            raise KeyError(key)
        if scope.is_dev and scope.peeked is not None:
            scope.peeked.add(key)
        return scope.assignment(key).variant

    def __iter__(self) -> Iterator[str]:
        scope = current_scope()
        # Who reads them all inspects, and is not told to branch otherwise.
        scope.peeked = None
        return iter(scope.ruleset.rules)

    def __len__(self) -> int:
        return len(current_scope().ruleset.rules)

    def __contains__(self, key: object) -> bool:
        return key in current_scope().ruleset.rules

    def __repr__(self) -> str:
        return f"<Variants of {len(self)} experiments>"
