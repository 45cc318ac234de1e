"""Print the lowest versions that the project admits, as a constraints file for pip.

The dependencies in pyproject.toml come first, those of extras included, each of which
has to be a lower bound and nothing else. With names, the lower bounds that these
installed distributions set for what they bring along follow.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import requires
from itertools import chain
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
BOUND = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,.-]+\])?\s*>=\s*(?P<version>[\w.]+)")


def normal(name: str) -> str:
    """Spell the name of a distribution as package indexes do."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> dict[str, str]:
    """Tell the lower bound of every dependency of the project and its extras."""
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    bounds = {}
    for requirement in chain(project["dependencies"], *extras):
        bound = BOUND.fullmatch(requirement)
        if bound is None:
            sys.exit(f"{requirement!r} is not a plain lower bound, use NAME>=VERSION.")
        bounds[normal(bound["name"])] = bound["version"]
    return bounds


def brought(distribution: str) -> dict[str, str]:
    """Tell the lower bounds of what an installed distribution always needs."""
    needed = [line for line in requires(distribution) or () if ";" not in line]
    bounds = [bound for bound in map(BOUND.match, needed) if bound]
    return {normal(bound["name"]): bound["version"] for bound in bounds}


def main(distributions: list[str]) -> None:
    """Print one exact version a line; what the project declares counts first."""
    lowest = declared()
    for distribution in distributions:
        lowest = brought(distribution) | lowest
    print("\n".join(f"{name}=={lowest[name]}" for name in sorted(lowest)))


if __name__ == "__main__":
    main(sys.argv[1:])
