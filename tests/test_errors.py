"""What the errors are and what they say."""

from __future__ import annotations

import inspect
import pickle

import pytest

from flask_abx import errors
from flask_abx.errors import ABXError, DefinitionError, Fault

ERRORS = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, Exception) and error is not ABXError
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_is_ours_and_one_of_python(error: type[Exception]) -> None:
    assert issubclass(error, ABXError)
    assert issubclass(error, (ValueError, LookupError, RuntimeError))


def test_faults_are_listed_one_a_line() -> None:
    faults = [Fault("experiments.a.traffic", "is 2."), Fault("", "is empty.")]
    error = DefinitionError(faults)
    assert error.faults == tuple(faults)
    assert str(error) == (
        "The definitions have 2 faults:\n  experiments.a.traffic: is 2.\n  is empty."
    )


def test_one_fault_is_no_plural() -> None:
    error = DefinitionError([Fault("a", "is b.")])
    assert str(error) == "The definitions have 1 fault:\n  a: is b."


def test_faults_survive_a_process_boundary() -> None:
    error = DefinitionError([Fault("a", "is b.")])
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.faults, str(again)) == (error.faults, str(error))
