"""Definitions from the configuration: a mapping, a file, or both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask_abx.assignment.ruleset import compile_ruleset
from flask_abx.errors import ConfigError, DefinitionError, Fault
from flask_abx.experiments.definition import load, parse, version_of

if TYPE_CHECKING:
    from flask_abx.assignment.audience import SegmentRule
    from flask_abx.assignment.ruleset import Ruleset
    from flask_abx.experiments.model import Document
    from flask_abx.settings import Settings


class ConfigStore:
    """Reads the definitions once, and again when the file changes and it is asked to.

    Args:
        settings: Hold the experiments and the whole document.
        root: The folder that a relative path starts from.
        segments: Segments registered in code.

    Raises:
        ConfigError: If ``ABX_EXPERIMENTS`` is no mapping, or ``ABX_DEFINITIONS`` is
            neither a path nor a mapping.
        DefinitionError: With every fault of the definitions.
    """

    def __init__(
        self, settings: Settings, root: Path, segments: Mapping[str, SegmentRule]
    ) -> None:
        if not isinstance(settings.experiments, Mapping):
            raise ConfigError(
                f"ABX_EXPERIMENTS is {settings.experiments!r}, "
                "must be a mapping of experiments by key."
            )
        if not isinstance(settings.definitions, str | Path | Mapping | None):
            raise ConfigError(
                f"ABX_DEFINITIONS is {settings.definitions!r}, "
                "must be the path of a TOML or JSON file, or a mapping."
            )
        self._experiments = settings.experiments
        self._definitions = settings.definitions
        self._segments = segments
        self.path: Path | None = None
        if isinstance(self._definitions, str | Path):
            self.path = root / self._definitions
        self._seen = self._file_state()
        self._document, self._ruleset = self._read()

    def ruleset(self) -> Ruleset:
        """Give the compiled definitions."""
        return self._ruleset

    def document(self) -> Document:
        """Give the definitions."""
        return self._document

    def refresh(self) -> None:
        """Read the definitions file again if it changed.

        Raises:
            DefinitionError: If the file has faults now; what it held stays in force.
        """
        if self.path is None:
            return
        state = self._file_state()
        if state != self._seen:
            self._seen = state
            self._document, self._ruleset = self._read()

    def load(self) -> None:
        """Keep what was read when the application was made."""

    def _file_state(self) -> tuple[int, int] | None:
        if self.path is None:
            return None
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_size)

    def _read(self) -> tuple[Document, Ruleset]:
        try:
            document = parse(self._merged())
            version = version_of(document)
            return document, compile_ruleset(document, version, self._segments)
        except DefinitionError:
            raise
        except (RecursionError, ValueError) as error:
            why = f"cannot be read, simplify or shorten what it holds: {error}."
            raise DefinitionError([Fault("The document", why)]) from error

    def _merged(self) -> dict[str, Any]:
        whole = self._whole()
        experiments = whole.get("experiments", {})
        if not isinstance(experiments, Mapping):
            return whole
        inner = self._experiments.get("experiments")
        if isinstance(inner, Mapping) and "variants" not in inner:
            raise ConfigError(
                "ABX_EXPERIMENTS holds a whole document, must hold experiments alone: "
                "give the document as ABX_DEFINITIONS."
            )
        twice = sorted(set(experiments) & set(self._experiments))
        if twice:
            raise DefinitionError(
                [
                    Fault(
                        f"experiments.{key}",
                        "stands in both ABX_EXPERIMENTS and ABX_DEFINITIONS, "
                        "keep one of them.",
                    )
                    for key in twice
                ]
            )
        return {**whole, "experiments": {**experiments, **self._experiments}}

    def _whole(self) -> dict[str, Any]:
        if self.path is not None:
            return load(self.path)
        if isinstance(self._definitions, Mapping):
            return dict(self._definitions)
        return {}
