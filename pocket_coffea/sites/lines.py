"""YAML whose every key knows its line, for messages that name file, line and key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from pocket_coffea.errors import SiteError, did_you_mean

__all__ = ["Entry", "load_entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a YAML file: its node, and where it stands. ``key`` is the whole path, ``queues.ladder``."""

    path: Path
    key: str
    node: yaml.Node
    line: int

    def refuse(self, wanted: str) -> NoReturn:
        """Raise SiteError about this value; ``wanted`` says what is allowed."""
        shown = ""
        if self.key:
            value = self.plain()
            text = "null" if value is None else repr(value)
            shown = f"{self.key} is {text if len(text) <= 80 else text[:77] + '...'}; "
        msg = f"{self.path}:{self.line}: {shown}{wanted} See sites/README.md."
        raise SiteError(msg)

    def plain(self) -> Any:
        """Return the value as Python has it."""
        try:
            return yaml.constructor.SafeConstructor().construct_document(self.node)
        except (yaml.YAMLError, ValueError, TypeError) as error:
            msg = f"{self.path}:{self.line}: {self.key} cannot be read: {_one_line(error)}."
            raise SiteError(msg) from error

    def entries(self, wanted: str = "it has to be a mapping of keys and values.") -> dict[str, Entry]:
        """Return the entries of a mapping by key. Raises SiteError when it is none, or has a key twice."""
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse(wanted)
        found: dict[str, Entry] = {}
        for entry in self._pairs(self.node):
            name = entry.key.removeprefix(f"{self.key}.") if self.key else entry.key
            if name in found:
                first = found[name].line
                msg = f"{self.path}:{entry.line}: {entry.key} is there twice (first in line {first})."
                raise SiteError(msg)
            found[name] = entry
        return found

    def _pairs(self, node: yaml.MappingNode) -> Iterator[Entry]:
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                msg = f"{self.path}:{line}: {self.key or 'the file'} has a key that is not text."
                raise SiteError(msg)
            yield Entry(self.path, f"{self.key}.{key.value}" if self.key else str(key.value), value, line)

    def items(self, wanted: str) -> list[Entry]:
        """Return the entries of a list. Raises SiteError when it is none."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.refuse(wanted)
        return [
            Entry(self.path, f"{self.key}[{number}]", node, node.start_mark.line + 1)
            for number, node in enumerate(self.node.value)
        ]

    def text(self, wanted: str = "it has to be text.") -> str:
        """Return text; numbers count as text. Raises SiteError for anything else, and for empty text."""
        value = self.plain()
        if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not str(value).strip():
            self.refuse(wanted)
        return str(value).strip()

    def texts(self, wanted: str = "it has to be a list of texts.") -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(item.text(wanted) for item in self.items(wanted))

    def choice(self, allowed: Iterable[str]) -> str:
        """Return one of the allowed texts."""
        value, names = self.plain(), list(allowed)
        if value not in names:
            self.refuse(did_you_mean(value, names))
        return str(value)


def load_entry(path: Path) -> Entry:
    """Return the content of a YAML file. Raises SiteError naming the file and the line that is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"The site file {path} cannot be read: {error.strerror or error}."
        raise SiteError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"The site file {path} is not text in UTF-8 (byte {error.start})."
        raise SiteError(msg) from error
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        msg = f"{where}: this is not YAML: {_one_line(error)}. See sites/README.md."
        raise SiteError(msg) from error
    if node is None:
        msg = f"The site file {path} is empty. See sites/README.md."
        raise SiteError(msg)
    return Entry(path, "", node, node.start_mark.line + 1)


def _one_line(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0].rstrip(".")
