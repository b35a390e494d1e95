"""Run options in files: what stands there, in which line, for which executors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocket_coffea.errors import OptionError
from pocket_coffea.run.option_schema import find_option

__all__ = ["Layer", "is_section", "key_lines", "layers_of_file", "load_run_options_file"]


@dataclass(frozen=True)
class Layer:
    """Options that come from one place. ``origin`` gives that of an option by its name as it is written."""

    values: Mapping[str, Any]
    origin: Callable[[str], str]


def load_run_options_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the content of a YAML file. Raises OptionError when it is missing or is not keys and values."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    file = Path(path).expanduser()
    if not file.is_file():
        msg = f"run options file {str(file)!r} does not exist (current directory: {Path.cwd()})"
        raise OptionError(msg)
    try:
        content = OmegaConf.to_container(OmegaConf.load(file), resolve=True)
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as exc:
        msg = f"run options file {file} cannot be read: {exc}"
        raise OptionError(msg) from exc
    if not isinstance(content, dict):
        msg = f"run options file {file} has to hold keys and values, got a {type(content).__name__}"
        raise OptionError(msg)
    return content


def key_lines(path: Path) -> dict[tuple[str, ...], int]:
    """Return the line of every key of a YAML file, and of those one level below it."""
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}  # who reads the values says what is wrong
    found: dict[tuple[str, ...], int] = {}
    for key, value in _pairs(root):
        found[(key.value,)] = key.start_mark.line + 1
        for below, _ in _pairs(value):
            found[key.value, below.value] = below.start_mark.line + 1
    return found


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    pairs = node.value if getattr(node, "id", "") == "mapping" else []
    return [(key, value) for key, value in pairs if key.id == "scalar"]


def is_section(key: str) -> bool:
    """Return whether a key of a run options file is a section: ``general`` or ``NAME@SITE``."""
    return key == "general" or "@" in key


def layers_of_file(
    path: str | os.PathLike[str], canonical: Callable[[str], str], executor: str
) -> Iterator[Layer]:
    """Give the options of a file for an executor: those without section, ``general``, then its own section.

    canonical: the executor string without aliases, raising for one that does not exist. Sections of other
    executors are checked for names that do not exist, and left out.
    """
    content = load_run_options_file(path)
    file = os.fspath(path)
    lines = key_lines(Path(path).expanduser())
    yield Layer(
        {key: value for key, value in content.items() if not is_section(str(key))},
        lambda name: _origin(file, lines.get((name,))),
    )
    sections = [str(key) for key in content if is_section(str(key))]
    for section in sorted(sections, key=lambda name: name != "general"):
        where = _origin(file, lines.get((section,)))
        values = _section(content[section], f"{where}: section {section!r}")
        layer = Layer(values, _origins_of(section, file, lines))
        try:
            concerned = section == "general" or canonical(section) == executor
        except OptionError as error:
            msg = f"{where}: section {section!r}: {error}"
            raise OptionError(msg) from error
        if concerned:
            yield layer
        else:
            for name in values:
                find_option(name, layer.origin(name))


def _section(values: Any, where: str) -> Mapping[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        msg = f"{where} has to hold keys and values, got {values!r}"
        raise OptionError(msg)
    return {str(name): value for name, value in values.items()}


def _origins_of(section: str, file: str, lines: Mapping[tuple[str, ...], int]) -> Callable[[str], str]:
    return lambda name: f"{_origin(file, lines.get((section, name)))} ({section})"


def _origin(file: str, line: int | None) -> str:
    return f"run options file {file}" if line is None else f"run options file {file}:{line}"
