"""Every deliberate exception of the extension."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ABXError(Exception):
    """The root of every error that flask-abx raises on purpose."""


class ConfigError(ABXError, ValueError):
    """A setting of the application, or the way it is set up, is wrong."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a definition, and the way out.

    Attributes:
        path: Where it stands, such as ``experiments.headline.variants[1].weight``.
        message: What is wrong and what to write instead, as a full sentence.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DefinitionError(ABXError, ValueError):
    """A definition of experiments has faults; all of them are listed at once.

    Attributes:
        faults: Every fault that was found, in the order of the document.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        head = f"The definitions have {count} fault{'' if count == 1 else 's'}:"
        super().__init__("\n".join([head, *(f"  {fault}" for fault in self.faults)]))

    def __reduce__(self) -> tuple[type[DefinitionError], tuple[tuple[Fault, ...]]]:
        return type(self), (self.faults,)


class ChangeRefused(ABXError, RuntimeError):  # noqa: N818 - named after what happened
    """A change of an experiment is not made, and nothing was written.

    Args:
        reasons: Why, each a full sentence with the way out.
    """

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__("\n".join(reasons))


class UnknownExperiment(ABXError, LookupError):  # noqa: N818 - named after what is unknown
    """Code asked for an experiment that is not defined."""


class UnknownVariant(ABXError, ValueError):  # noqa: N818 - named after what is unknown
    """Code named a variant that its experiment does not have."""


class Missing(StrEnum):
    """What there is not to read of an experiment."""

    RESULTS = "results"
    METRIC = "metric"
    DIMENSION = "dimension"


class ResultsNotReady(ABXError, LookupError):  # noqa: N818 - named after what is missing
    """What was asked for is not there to read, or nobody has looked at it yet.

    Attributes:
        missing: What is not there: ``results``, a ``metric`` or a ``dimension``.
    """

    def __init__(self, message: str, *, missing: Missing = Missing.RESULTS) -> None:
        self.missing = missing
        super().__init__(message)


class SetupError(ABXError, RuntimeError):
    """Something was registered too late, twice, or where it cannot work."""


class UsageError(ABXError, ValueError):
    """Code gave the extension something that it can do nothing with."""
