"""The order of version numbers such as ``1.10.0-beta.2``."""

from __future__ import annotations

import re

from flask_abx.assignment.values import plain

_IGNORED = re.compile(r"^v|\+.*$", re.DOTALL)
_MOST = 1e21
_SEPARATOR = re.compile(r"[-.]")


def version_key(value: object) -> str | None:
    """Write a version so that text order is version order; None for no version.

    Numbers are padded to five places, the build part is ignored, and a release
    comes after its pre-releases. What is not known counts as version 0.
    """
    value = plain(value)
    if value is None:
        return _padded("0")
    if type(value) is str:
        return _padded(value or "0")
    if type(value) is int or type(value) is float:
        return _padded(_digits(value))
    return None


def _digits(value: int | float) -> str:
    # JSON knows one kind of number, so 2.0 is version 2.
    whole = abs(value) < _MOST and value == int(value)
    return str(int(value)) if whole else repr(float(min(value, _MOST)))


def _padded(version: str) -> str:
    parts = _SEPARATOR.split(_IGNORED.sub("", version))
    if len(parts) == 3:
        # "~" follows every letter and digit.
        parts.append("~")
    return "-".join(
        part.rjust(5) if part.isascii() and part.isdigit() else part for part in parts
    )
