"""A/B testing inside a Flask application."""

from __future__ import annotations

from flask_abx.assignment.decision import Assignment, Reason
from flask_abx.errors import (
    ABXError,
    ChangeRefused,
    ConfigError,
    DefinitionError,
    Fault,
    ResultsNotReady,
    SetupError,
    UnknownExperiment,
    UnknownVariant,
    UsageError,
)
from flask_abx.events.records import Event, Exposure
from flask_abx.events.signals import event_tracked, experiment_changed, unit_exposed
from flask_abx.events.sinks.base import Sink
from flask_abx.events.sinks.buffered import Buffered
from flask_abx.events.sinks.memory import MemorySink
from flask_abx.extension import ABX
from flask_abx.runtime.hooks import Actor
from flask_abx.stores.change import Change

__version__ = "0.1.0"

__all__ = [
    "ABX",
    "ABXError",
    "Actor",
    "Assignment",
    "Buffered",
    "Change",
    "ChangeRefused",
    "ConfigError",
    "DefinitionError",
    "Event",
    "Exposure",
    "Fault",
    "MemorySink",
    "Reason",
    "ResultsNotReady",
    "SetupError",
    "Sink",
    "UnknownExperiment",
    "UnknownVariant",
    "UsageError",
    "event_tracked",
    "experiment_changed",
    "unit_exposed",
]
