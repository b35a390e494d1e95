"""Apptainer definition files: reading, filling in arguments, following ``Bootstrap: localimage``.

A file is a header of ``Key: value`` lines and sections that begin with ``%name``. ``{{ NAME }}`` stands for
an argument: the section ``%arguments`` has its default, ``--build-arg`` of Apptainer changes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pocket_coffea.errors import ConfigurationError, did_you_mean

__all__ = ["Definition", "read_chain", "read_definition", "site_names"]

SECTIONS = frozenset(
    {
        "arguments",
        "environment",
        "files",
        "help",
        "labels",
        "post",
        "runscript",
        "setup",
        "startscript",
        "test",
    }
)
#: What the builder executes in its own way; another bootstrap agent would give other bytes.
AGENTS = frozenset({"debootstrap", "localimage"})
_ARGUMENT = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_SECTION = re.compile(r"^%(\w+)\s*$")


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition file, its arguments filled in."""

    path: Path
    text: str
    header: Mapping[str, str]
    sections: Mapping[str, str] = field(repr=False)
    arguments: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return the name of the file without ``.def``: the site."""
        return self.path.stem

    @property
    def packages(self) -> list[str]:
        """Return the Debian packages that it asks for by name."""
        return re.split(r"[,\s]+", self.arguments["PACKAGES"].strip()) if self.arguments["PACKAGES"] else []

    def script(self, section: str) -> str:
        """Return a section as it is in the file, empty when there is none."""
        return self.sections.get(section, "")

    def labels(self) -> dict[str, str]:
        """Return the pairs of ``%labels``."""
        pairs = (line.split(None, 1) for line in _lines(self.script("labels")))
        return {pair[0]: pair[1] if len(pair) > 1 else "" for pair in pairs}

    def files(self) -> list[tuple[str, str]]:
        """Return source and destination of each line of ``%files``. Raises ConfigurationError."""
        pairs = []
        for line in _lines(self.script("files")):
            parts = line.split()
            if len(parts) != 2 or not parts[1].startswith("/"):
                msg = f"{self.path}, %files: {line!r} is not 'SOURCE /DESTINATION'."
                raise ConfigurationError(msg)
            pairs.append((parts[0], parts[1]))
        return pairs


def read_definition(path: Path, arguments: Mapping[str, str] | None = None) -> Definition:
    """Read a definition file. ``arguments`` win over its ``%arguments``.

    Raises ConfigurationError, naming file and line, for an unknown section or agent and a missing argument.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"The definition file {path} cannot be read: {error.strerror or error}."
        raise ConfigurationError(msg) from error
    defaults = dict(
        _pair(path, line, "=") for line in _lines(_split(path, text)[1].get("arguments", "").strip())
    )
    values = {"PACKAGES": "", **defaults, **(arguments or {})}
    header, sections = _split(path, _filled(path, text, values))
    agent = header.get("Bootstrap", "")
    if agent not in AGENTS:
        msg = f"{path}: Bootstrap: {agent!r} cannot be built reproducibly. {did_you_mean(agent, AGENTS)}"
        raise ConfigurationError(msg)
    return Definition(path, text, header, sections, values)


def _filled(path: Path, text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            msg = (
                f"{path}: the argument {match[0]} has no value. {did_you_mean(match[1], values)} "
                "Give it a default in %arguments, or --build-arg NAME=VALUE."
            )
            raise ConfigurationError(msg)
        return values[match[1]]

    return _ARGUMENT.sub(value, text)


def _split(path: Path, text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the header and the sections; text of a section keeps its indentation."""
    header: dict[str, str] = {}
    sections: dict[str, str] = {}
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        begins = _SECTION.match(line)
        if begins is None and current:
            sections[current] += line + "\n"
        elif begins is None and line.strip() and not line.startswith("#"):
            key, value = _pair(path, line, ":")
            header[key] = value
        elif begins is not None:
            current = begins[1]
            if current not in SECTIONS or current in sections:
                why = "is there twice" if current in sections else "is not known"
                msg = f"{path}, line {number}: section %{current} {why}. {did_you_mean(current, SECTIONS)}"
                raise ConfigurationError(msg)
            sections[current] = ""
    return header, sections


def _pair(path: Path, line: str, separator: str) -> tuple[str, str]:
    key, found, value = line.partition(separator)
    if not found:
        msg = f"{path}: {line.strip()!r} is not 'NAME{separator}VALUE'."
        raise ConfigurationError(msg)
    return key.strip(), value.strip()


def _lines(text: str) -> list[str]:
    """Return the lines of a section that say something."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def read_chain(path: Path, arguments: Mapping[str, str]) -> list[Definition]:
    """Return the definition and what it stands on, the lowest first.

    ``Bootstrap: localimage`` with ``From: base.sif`` stands on ``base.def`` of the same folder. Raises
    ConfigurationError, also for a chain that comes back to itself.
    """
    chain = [read_definition(path, arguments)]
    while chain[-1].header["Bootstrap"] == "localimage":
        below = path.with_name(Path(chain[-1].header.get("From", "")).stem + ".def")
        if below in [item.path for item in chain]:
            msg = f"{chain[-1].path}: From: leads back to {below}."
            raise ConfigurationError(msg)
        chain.append(read_definition(below, arguments))
    return chain[::-1]


def site_names(containers: Path) -> list[str]:
    """Return the sites that have a definition file."""
    return sorted((path.stem for path in containers.glob("*.def") if path.stem != "base"), key=str.lower)
