"""Running a page of the documentation as a reader would, from top to bottom: files, commands, Python."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from tests.docs.pages import Block, blocks

#: ``some command  # exit code 3``
_EXIT_CODE = re.compile(r"#\s*exit code (\d+)")
#: Languages that are shown, not run; "console" is a session in the lab.
SHOWN = {"console", "text", "mermaid"}


class Reader:
    """Works through the blocks of a page in ``folder``, which ``cd`` changes.

    - ``title="file"``: the text is written to the file; the next block with this title is appended.
      The blocks keep their line numbers, so that an error shows the line of the page.
    - ``diff title="file"``: the lines with ``-`` are replaced by those with ``+``.
    - ``bash``: each line is run; ``# exit code N`` says how it ends, 0 otherwise.
    - ``python``: executed; all blocks of a page share their names.
    - ``text`` right after one of these: its lines must be in what was printed; ``...`` stands for anything.
    - ``yaml``, ``json``: must be well formed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "page"}
        self.written: dict[Path, int] = {}
        self.printed: str | None = None

    def read(self, page: Path) -> None:
        for block in blocks(page):
            if block.not_run is None:
                self.run(block)
            else:
                self.printed = None

    def run(self, block: Block) -> None:
        if block.language == "text":
            self._compare(block)
            return
        self.printed = None
        if block.language == "diff":
            self._edit(block)
        elif block.title is not None:
            self._write(block)
        elif block.language in ("bash", "setup"):
            self._shell(block)
        elif block.language == "python":
            self._python(block)
        elif block.language in ("yaml", "json"):
            _parse(block)
        else:
            assert block.language in SHOWN, f"{block.where}: what is a {block.language!r} block?"

    # -- kinds of blocks

    def _write(self, block: Block) -> None:
        path = self.folder / str(block.title)
        path.parent.mkdir(parents=True, exist_ok=True)
        done = self.written.get(path, 0)
        padding = "\n" * (block.line - 1 - done) if block.language == "python" else ""
        with path.open("a" if done else "w", encoding="utf-8") as file:
            file.write(padding + block.text)
        self.written[path] = block.line - 1 + block.text.count("\n")
        if block.language != "python":
            _parse(block)

    def _edit(self, block: Block) -> None:
        path = self.folder / str(block.title)
        lines = block.text.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{block.where}: {block.title} has no such lines:\n{before}"
        path.write_text(text.replace(before, after), encoding="utf-8")

    def _shell(self, block: Block) -> None:
        self.printed = ""
        for line in block.text.replace("\\\n", " ").splitlines():
            code = _EXIT_CODE.search(line)
            words = shlex.split(line, comments=True)
            if words:
                self._command(block, words, int(code[1]) if code else 0)

    def _command(self, block: Block, words: list[str], expected: int) -> None:
        program, *arguments = words
        if program == "cd":
            self.folder = (self.folder / arguments[0]).resolve()
            assert self.folder.is_dir(), f"{block.where}: there is no folder {arguments[0]}"
            return
        if program == "mv":
            shutil.move(self.folder / arguments[0], self.folder / arguments[1])
            return
        if program == "pocket-coffea":
            code, output = self._pocket_coffea(arguments)
        else:
            assert program == "python", f"{block.where}: tests do not know the command {program!r}"
            done = subprocess.run(
                [sys.executable, *arguments], cwd=self.folder, capture_output=True, text=True, check=False
            )
            code, output = done.returncode, done.stdout + done.stderr
        assert code == expected, f"{block.where}: {shlex.join(words)} ended with {code}:\n{output}"
        self.printed = (self.printed or "") + output

    def _pocket_coffea(self, arguments: list[str]) -> tuple[int, str]:
        with contextlib.chdir(self.folder):
            result = CliRunner().invoke(main, arguments, prog_name="pocket-coffea")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    def _python(self, block: Block) -> None:
        code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
        output = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(output):
            exec(code, self.names)
        self.printed = output.getvalue()

    def _compare(self, block: Block) -> None:
        if self.printed is None:
            return
        printed = _squeezed(self.printed)
        for line in filter(None, map(_squeezed, block.text.splitlines())):
            for part in filter(None, map(str.strip, line.split("..."))):
                assert part in printed, f"{block.where}: not printed: {part!r}. Printed:\n{self.printed}"


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _parse(block: Block) -> None:
    assert block.language in ("yaml", "json"), f"{block.where}: a file of {block.language!r}?"
    (yaml.safe_load if block.language == "yaml" else json.loads)(block.text)
