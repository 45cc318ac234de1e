"""Break the package one patch at a time and see that the named test turns red."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).parent
COPIED = ("flask_abx", "tests", "pyproject.toml", "README.md")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache", "drills", "benchmarks")
PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")
TESTS_FAILED = 1


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to break the package, and the tests that must notice."""

    name: str
    patch: Path
    kills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutation."""

    name: str
    verdict: str
    is_red: bool
    seconds: float


def mutations(folder: Path = PATCHES) -> list[Mutation]:
    """Read every patch and the tests named in its ``# kills:`` lines."""
    found = []
    for patch in sorted(folder.glob("*.patch")):
        kills = re.findall(r"^# kills: (\S+)$", patch.read_text("utf-8"), re.MULTILINE)
        found.append(Mutation(patch.stem, patch, tuple(kills)))
    return found


def copy_tree(target: Path) -> Path:
    """Copy what the tests need, so that the working tree is never touched."""
    target.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=LEFT_OUT)
        elif source.exists():
            shutil.copy2(source, target / name)
    return target


def applied(mutation: Mutation, tree: Path) -> bool:
    """Apply a patch to a copy; True where every hunk fits."""
    # Without the ceiling git would skip the files of a copy inside a repository.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    command = ["git", "apply", "-p1", str(mutation.patch)]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    sys.stderr.write(done.stderr)
    return done.returncode == 0


def run_tests(tree: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run tests of a copy against the package of that copy."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Plugins, of which these tests use none, load longer than the tests run.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(
        [*PYTEST, f"--rootdir={tree}", *tests],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def judge(mutation: Mutation, folder: Path) -> Outcome:
    """Break one copy, run the named tests, and say whether each turned red."""
    began = time.perf_counter()
    tree = copy_tree(folder / mutation.name)
    verdict = "does not apply"
    if not mutation.kills:
        verdict = "names no test"
    elif applied(mutation, tree):
        codes = [run_tests(tree, (test,)).returncode for test in mutation.kills]
        survived = [code for code in codes if code != TESTS_FAILED]
        verdict = f"survives (pytest exit {survived[0]})" if survived else "red"
    seconds = time.perf_counter() - began
    shutil.rmtree(tree)
    return Outcome(mutation.name, verdict, verdict == "red", seconds)


def unbroken(found: list[Mutation], folder: Path) -> bool:
    """Run all named tests on an unbroken copy: red there would prove nothing."""
    tests = tuple(sorted({test for mutation in found for test in mutation.kills}))
    done = run_tests(copy_tree(folder / "unbroken"), tests)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
    return done.returncode == 0


def main() -> int:
    """Judge every mutation and print a table; 0 where each turns the suite red."""
    found = mutations()
    with tempfile.TemporaryDirectory(prefix="abx-mutations-") as name:
        folder = Path(name)
        if not unbroken(found, folder):
            print("The named tests are red without any mutation.")
            return 1
        with ThreadPoolExecutor(max_workers=2) as pool:
            outcomes = list(pool.map(lambda each: judge(each, folder), found))
    width = max(len(outcome.name) for outcome in outcomes)
    for outcome in outcomes:
        print(f"{outcome.name:<{width}}  {outcome.seconds:5.1f} s  {outcome.verdict}")
    alive = [outcome.name for outcome in outcomes if not outcome.is_red]
    print(f"{len(outcomes) - len(alive)} of {len(outcomes)} mutations turn red.")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
