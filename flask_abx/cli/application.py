"""The application that a command works on, with the definitions of this moment."""

from __future__ import annotations

from flask import current_app

from flask_abx.runtime.state import State, state_of


def loaded_state() -> State:
    """Give the state of the current application, its definitions freshly read.

    Raises:
        SetupError: If the tables are not there, or the extension is not set up.
        DefinitionError: If what is defined has faults.
    """
    state = state_of(current_app)
    state.store.load()
    return state
