"""Definitions from the configuration: a mapping, a file, or both."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from flask_abx import ABX
from flask_abx.errors import ConfigError, DefinitionError
from flask_abx.runtime.state import state_of
from flask_abx.settings import read_settings
from flask_abx.stores.config import ConfigStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeApp

PAIR = ["control", "bold"]
ONE = {"variants": PAIR}
FILE = '[experiments.headline]\nvariants = ["control", "bold"]\n'


def store_of(root: Path, **config: object) -> ConfigStore:
    """Make a store from settings."""
    return ConfigStore(read_settings(config), root, {})


def keys_of(store: ConfigStore) -> list[str]:
    """Name the experiments of the compiled definitions."""
    return sorted(store.ruleset().rules)


def refused(root: Path, **config: object) -> str:
    """Make a store that must be refused, and give its faults."""
    with pytest.raises(DefinitionError) as caught:
        store_of(root, **config)
    return "\n".join(str(fault) for fault in caught.value.faults)


def changed(path: Path, text: str) -> None:
    """Write a file, so that it looks younger than before."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text, "utf-8")
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_nothing_defined_is_no_fault(tmp_path: Path) -> None:
    assert keys_of(store_of(tmp_path)) == []


def test_experiments_and_a_document_are_one(tmp_path: Path) -> None:
    document = {"experiments": {"a": ONE}, "flags": {"new_ui": False}}
    store = store_of(tmp_path, ABX_EXPERIMENTS={"b": ONE}, ABX_DEFINITIONS=document)
    assert keys_of(store) == ["a", "b"]
    assert set(store.ruleset().flags) == {"new_ui"}
    assert set(store.document().experiments) == {"a", "b"}


def test_where_an_experiment_stands_does_not_change_the_version(
    tmp_path: Path,
) -> None:
    both = {"a": ONE, "b": ONE}
    stores = [
        store_of(tmp_path, ABX_EXPERIMENTS=both),
        store_of(tmp_path, ABX_DEFINITIONS={"experiments": both}),
        store_of(
            tmp_path,
            ABX_EXPERIMENTS={"b": ONE},
            ABX_DEFINITIONS={"experiments": {"a": ONE}},
        ),
    ]
    assert len({store.ruleset().version for store in stores}) == 1


def test_a_key_in_both_is_a_fault(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        ABX_EXPERIMENTS={"b": ONE, "a": ONE, "c": ONE},
        ABX_DEFINITIONS={"experiments": {"a": ONE, "b": ONE}},
    )
    way_out = "stands in both ABX_EXPERIMENTS and ABX_DEFINITIONS, keep one of them."
    assert told == f"experiments.a: {way_out}\nexperiments.b: {way_out}"


def test_a_salt_that_both_use_is_a_fault(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        ABX_EXPERIMENTS={"b": {**ONE, "salt": "a"}},
        ABX_DEFINITIONS={"experiments": {"a": ONE}},
    )
    assert told == (
        "experiments.b.salt: is 'a', which experiments.a has too; "
        "give each its own salt."
    )


@pytest.mark.parametrize("value", [7, None, ["headline"], "abx.toml"], ids=repr)
def test_experiments_must_be_a_mapping(tmp_path: Path, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        store_of(tmp_path, ABX_EXPERIMENTS=value)
    assert str(caught.value) == (
        f"ABX_EXPERIMENTS is {value!r}, must be a mapping of experiments by key."
    )


@pytest.mark.parametrize("value", [7, ["abx.toml"], True], ids=repr)
def test_definitions_must_be_a_path_or_a_mapping(tmp_path: Path, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        store_of(tmp_path, ABX_DEFINITIONS=value)
    assert str(caught.value) == (
        f"ABX_DEFINITIONS is {value!r}, must be the path of a TOML or JSON file, "
        "or a mapping."
    )


@pytest.mark.parametrize("kind", ["text", "path", "absolute"])
def test_a_path_starts_from_the_root(tmp_path: Path, kind: str) -> None:
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "abx.toml"
    path.write_text(FILE, "utf-8")
    value = {
        "text": "sub/abx.toml",
        "path": path.relative_to(tmp_path),
        "absolute": str(path),
    }[kind]
    assert keys_of(store_of(tmp_path, ABX_DEFINITIONS=value)) == ["headline"]


def test_the_root_is_that_of_the_application(tmp_path: Path) -> None:
    (tmp_path / "abx.json").write_text(json.dumps({"experiments": {"a": ONE}}), "utf-8")
    app = Flask("shop", root_path=str(tmp_path))
    app.config.update(SECRET_KEY="secret", ABX_DEFINITIONS="abx.json")
    ABX(app)
    assert list(state_of(app).store.ruleset().rules) == ["a"]


UNREADABLE: dict[str, tuple[str, bytes | None, str]] = {
    "missing": (
        "abx.toml",
        None,
        "cannot be read: [Errno 2] No such file or directory",
    ),
    "bad TOML": ("abx.toml", b"[a\n", "cannot be read: Expected ']' at the end of a"),
    "bad JSON": (
        "abx.json",
        b"{,}",
        "cannot be read: Expecting property name enclosed",
    ),
    "no UTF-8": (
        "abx.toml",
        b"a = '\xff'",
        "cannot be read: 'utf-8' codec can't decode",
    ),
    "array": ("abx.json", b"[1, 2]", "is [1, 2], must be an object."),
    "wrong ending": ("abx.yaml", b"a: 1", "must end in .toml or .json."),
    "too deep": ("abx.json", b"[" * 100_000, "cannot be read: maximum recursion depth"),
}


@pytest.mark.parametrize(
    ("name", "content", "told"), UNREADABLE.values(), ids=UNREADABLE
)
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    message = refused(tmp_path, ABX_DEFINITIONS=name)
    assert message.startswith(f"{tmp_path / name}: {told}")
    assert message.endswith(".")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "abx.toml").mkdir()
    assert "Is a directory" in refused(tmp_path, ABX_DEFINITIONS="abx.toml")


def test_a_changed_file_is_taken_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "abx.toml"
    path.write_text(FILE, "utf-8")
    store = store_of(tmp_path, ABX_DEFINITIONS="abx.toml")
    before = store.ruleset()
    store.refresh()
    assert store.ruleset() is before

    changed(path, FILE.replace("headline", "button"))
    assert store.ruleset() is before
    store.refresh()
    assert keys_of(store) == ["button"]
    assert store.ruleset().version != before.version


def test_a_broken_change_keeps_the_old_and_a_mended_one_is_taken(
    tmp_path: Path,
) -> None:
    path = tmp_path / "abx.toml"
    path.write_text(FILE, "utf-8")
    store = store_of(tmp_path, ABX_DEFINITIONS="abx.toml")
    changed(path, FILE + "trafic = 1\n")
    with pytest.raises(DefinitionError, match="did you mean 'traffic'"):
        store.refresh()
    assert keys_of(store) == ["headline"]
    store.refresh()

    changed(path, FILE + "traffic = 0.5\n")
    store.refresh()
    assert store.document().experiments["headline"].traffic == 0.5


def test_a_deleted_file_keeps_the_old_and_a_new_one_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "abx.toml"
    path.write_text(FILE, "utf-8")
    store = store_of(tmp_path, ABX_DEFINITIONS="abx.toml")
    path.unlink()
    with pytest.raises(DefinitionError, match="No such file"):
        store.refresh()
    assert keys_of(store) == ["headline"]
    changed(path, FILE.replace("headline", "button"))
    store.refresh()
    assert keys_of(store) == ["button"]


def served(app: Flask) -> str:
    """Ask the application for a page."""
    return app.test_client().get("/").text


def file_app(make_app: MakeApp, path: Path, *, debug: bool = True) -> Flask:
    """Make an application whose definitions stand in a file."""
    changed(path, FILE + 'status = "concluded"\nwinner = "bold"\n')
    return make_app({}, ABX_DEFINITIONS=str(path), DEBUG=debug)


@pytest.mark.parametrize(("debug", "after"), [(True, "control"), (False, "bold")])
def test_a_changed_file_is_taken_at_the_next_request_in_debug_alone(
    make_app: MakeApp,
    tmp_path: Path,
    debug: bool,  # noqa: FBT001 - pytest passes by name
    after: str,
) -> None:
    path = tmp_path / "abx.toml"
    app = file_app(make_app, path, debug=debug)
    assert served(app) == "bold"
    changed(path, FILE + 'status = "concluded"\n')
    assert served(app) == after


def test_a_broken_change_is_logged_once_and_breaks_no_page(
    make_app: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "abx.toml"
    app = file_app(make_app, path)
    changed(path, "[experiments\n")
    assert [served(app), served(app)] == ["bold", "bold"]
    told = "The changed definitions are not taken; those of before stay in force."
    assert [line.getMessage() for line in caplog.records].count(told) == 1
    assert "Expected ']'" in caplog.text


def test_a_request_keeps_the_version_that_it_began_with(
    make_app: MakeApp, tmp_path: Path
) -> None:
    path = tmp_path / "abx.toml"
    abx = ABX()
    changed(path, FILE)
    app = make_app({}, abx=abx, ABX_DEFINITIONS=str(path), DEBUG=True)

    @app.get("/twice")
    def twice() -> dict[str, Any]:
        before = abx.payload()["version"]
        changed(path, FILE.replace("bold", "loud"))
        app.test_client().get("/plain")
        return {"before": before, "after": abx.payload()["version"]}

    told = app.test_client().get("/twice").json
    assert told is not None
    assert told["before"] == told["after"] != state_of(app).store.ruleset().version
