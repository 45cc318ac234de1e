"""The group that holds every command."""

from __future__ import annotations

from flask.cli import AppGroup


def create_group() -> AppGroup:
    """Make the command group of one application."""
    return AppGroup("abx", help="A/B testing.")
