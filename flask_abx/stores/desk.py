"""The latest definitions, laid out for somebody who goes to change them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_abx.errors import UnknownExperiment
from flask_abx.experiments.faults import suggestion
from flask_abx.experiments.lifecycle import Status
from flask_abx.stores.change import moment_of
from flask_abx.stores.reading import Name

if TYPE_CHECKING:
    from datetime import datetime

    from flask_abx.experiments.model import Document, Experiment
    from flask_abx.stores.reading import Snapshot

EXPERIMENT = "experiment"


@dataclass(frozen=True, slots=True)
class Desk:
    """The latest definitions, in force or not, as somebody goes to change them."""

    snapshot: Snapshot
    document: Document

    @property
    def now(self) -> datetime:
        """What the clock of the database showed."""
        return moment_of(self.snapshot.now)

    def experiment(self, key: str) -> Experiment:
        """Give an experiment.

        Raises:
            UnknownExperiment: If there is none of this key.
        """
        try:
            return self.document.experiments[key]
        except KeyError:
            known = self.document.experiments
            raise UnknownExperiment(
                f"Experiment {key!r} is not in the database{suggestion(key, known)}"
            ) from None

    def as_draft(self, experiment: Experiment) -> Document:
        """Give the document in which an experiment has not begun yet."""
        draft = experiment.model_copy(update={"status": Status.DRAFT})
        experiments = {**self.document.experiments, experiment.key: draft}
        return self.document.model_copy(update={"experiments": experiments})

    def version_of(self, key: str) -> int:
        """Give the version that changed an experiment last.

        Raises:
            UnknownExperiment: If there is none of this key.
        """
        self.experiment(key)
        return self.snapshot.definitions[Name(EXPERIMENT, key)].version
