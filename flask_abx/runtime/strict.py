"""Help for those who develop: a variant that notices a misspelt comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_abx.errors import UnknownVariant
from flask_abx.runtime.override import unknown_variant

if TYPE_CHECKING:
    from flask_abx.assignment.ruleset import Rule


class CheckedVariant(str):
    """A variant's key that refuses to be compared with what is no variant."""

    __slots__ = ("rule",)
    rule: Rule

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and other not in self.rule.variants:
            raise UnknownVariant(
                unknown_variant(self.rule.key, other, self.rule.variants)
            )
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Copy and pickle it as the plain text that it is elsewhere."""
        return str, (str(self),)


def checked(rule: Rule, variant: str) -> CheckedVariant:
    """Make the key of a variant notice misspelt comparisons."""
    result = CheckedVariant(variant)
    result.rule = rule
    return result
