"""Does what a page tells its reader to do, and compares what the page shows."""

from __future__ import annotations

import doctest
import os
import shlex
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment

import flask_abx
from flask_abx.experiments.definition import parse
from tests.docs.blocks import Block, blocks_of
from tests.docs.masking import Luck, fits, is_part_of, records_in, says
from tests.docs.server import Server, free_port
from tests.docs.terminal import typed

if TYPE_CHECKING:
    from types import TracebackType

_OURS = ("FLASK_", "ABX_", "PYTEST", "PYTHONWARNINGS")
_DOCTEST = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Page:
    """One page, followed from top to bottom in a folder of its own.

    Args:
        path: The page.
        folder: Where its reader sits.
        commands: A folder with commands that come before those of the environment.
    """

    def __init__(self, path: Path, folder: Path, commands: Path | None = None) -> None:
        self.path = path
        self.blocks = tuple(blocks_of(path))
        self._folder = folder
        self._names: dict[str, object] = {"__name__": "page"}
        self._luck = Luck([each.argument for each in self._noted("either")])
        self._server: Server | None = None
        self._port = free_port()
        (folder / ".curlrc").write_text("silent\nshow-error\n")
        self._env = {
            **{key: os.environ[key] for key in os.environ if not key.startswith(_OURS)},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "CURL_HOME": str(folder),
            "LOGNAME": "ada",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "FLASK_RUN_PORT": str(self._port),
            "PYTHONPATH": str(Path(flask_abx.__file__).parents[1]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            # What a page installs is here already, and nobody is asked for it.
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        first = "" if commands is None else f"{commands}{os.pathsep}"
        self._env_of_commands = {**self._env, "PATH": f"{first}{self._env['PATH']}"}

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        if self._server is not None:
            self._server.stop()

    @property
    def address(self) -> str:
        """Where the server of the page listens."""
        return f"http://127.0.0.1:{self._port}/"

    def new_records(self) -> str:
        """Give what the server logged since the page looked last."""
        assert self._server is not None
        return self._server.new_records()

    def _noted(self, note: str) -> list[Block]:
        return [block for block in self.blocks if block.note == note]

    def follow(self) -> None:
        """Run every block.

        Raises:
            AssertionError: Where the page shows something else than what happened.
        """
        for block in self.blocks:
            if block.note not in {"skip", "either", "fmt", "golden"}:
                self._do(block)

    def _do(self, block: Block) -> None:
        match block.note, block.language:
            case ("setup", _) | ("", "python"):
                self._execute(block)
            case "file" | "line" | "add", _:
                self._write(block)
            case "log", "json":
                self._compare_log(block)
            case "" | "certain" | "words", "console":
                self._type(block)
            case "", "pycon":
                self._converse(block)
            case "", "toml":
                parse(tomllib.loads(block.text))
            case "", "html+jinja":
                Environment(autoescape=True).parse(block.text)
            case _:
                raise AssertionError(f"{self._at(block)}: nobody checks this block.")

    def _at(self, block: Block) -> str:
        return f"{self.path.name}:{block.line}"

    def _execute(self, block: Block) -> None:
        # The empty lines make the line numbers of a traceback those of the page.
        source = "\n" * block.line + block.text
        code = compile(source, self.path.name, "exec", dont_inherit=True)
        exec(code, self._names)  # noqa: S102 - a page of our own

    def _write(self, block: Block) -> None:
        path = self._folder / block.argument
        path.parent.mkdir(parents=True, exist_ok=True)
        text = f"{block.text}\n"
        if block.note == "add":
            text = f"{path.read_text()}\n\n{text}"
        elif block.note == "line":
            start = block.text.partition(" = ")[0]
            lines = path.read_text().splitlines(keepends=True)
            (number,) = (n for n, line in enumerate(lines) if line.startswith(start))
            lines[number] = text
            text = "".join(lines)
        path.write_text(text)
        if self._server is not None and path.suffix == ".py":
            self._server.stop()
            self._server.start()

    def _compare_log(self, block: Block) -> None:
        assert self._server is not None, f"{self._at(block)}: no server runs."
        found = self._server.new_records()

        def holds(shown: str) -> bool:
            pairs = list(records_in(shown)), list(records_in(found))
            if block.argument == "whole":
                return pairs[0] == pairs[1]
            is_as_long = len(pairs[0]) == len(pairs[1])
            return is_as_long and all(map(is_part_of, *pairs))

        assert self._luck.agrees(block.text, holds), (
            f"{self._at(block)}: the log holds\n{found}"
        )

    def _type(self, block: Block) -> None:
        for part in f"\n{block.text}".split("\n$ ")[1:]:
            lines = part.split("\n")
            end = next(n for n, line in enumerate(lines) if not line.endswith("\\"))
            command = "\n".join(lines[: end + 1])
            self._command(block, command, "\n".join(lines[end + 1 :]))

    def _command(self, block: Block, command: str, shown: str) -> None:
        if _starts_server(command):
            assert not shown, f"{self._at(block)}: show the log in a block of its own."
            self._server = Server(command, self._folder, self._env)
            return
        here, there = "127.0.0.1:5000", f"127.0.0.1:{self._port}"
        given = command.replace(here, there)
        if block.note == "words" and not shown:
            # A command that shows nothing has to work, whatever it says.
            given = f"{{ {given}; }} > said.txt 2>&1 || cat said.txt"
        found = typed(given, self._folder, self._env_of_commands).replace(there, here)
        # Who asks for a variant by name leaves nothing to luck.
        is_certain = block.note in {"certain", "words"} or "?abx=" in command
        luck = Luck() if is_certain else self._luck
        compare = says if block.note == "words" else fits
        assert luck.agrees(shown, lambda text: compare(text, found)), (
            f"{self._at(block)}: $ {command}\n{found}"
        )

    def _converse(self, block: Block) -> None:
        name = self._at(block)
        parser = doctest.DocTestParser()
        talk = parser.get_doctest(block.text, self._names, name, name, block.line)
        told: list[str] = []
        doctest.DocTestRunner(optionflags=_DOCTEST).run(
            talk, out=told.append, clear_globs=False
        )
        assert not told, "".join(told)
        self._names.update(talk.globs)


def _starts_server(command: str) -> bool:
    words = shlex.split(command)
    return words[0] == "flask" and "run" in words
