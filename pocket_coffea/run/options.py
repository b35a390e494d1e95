"""Run options: one schema, one merge, and every value knows where it came from.

>>> options = merge_run_options("futures", flags={"scaleout": 4}, extra={"limit-files": "2"})
>>> options["scaleout"], options["limit-files"], options.origin("scaleout")
(4, 2, 'command line (--scaleout)')

Layers, later ones win: section ``general`` < ``<site>`` < ``<executor>`` < ``<executor>@<site>`` of the
shipped defaults < files given with ``-ro`` < ``--test`` < named flags < any other ``--key=value``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pocket_coffea.errors import OptionError
from pocket_coffea.run.option_schema import SCHEMA, UNSET, Option, Unset, find_option, normal_name
from pocket_coffea.run.option_types import START_TIME_FORMAT, Kind, to_megabytes, to_seconds

__all__ = [
    "SCHEMA",
    "TEST_OPTIONS",
    "UNSET",
    "Kind",
    "Option",
    "RunOptions",
    "Setting",
    "Unset",
    "load_run_options_file",
    "merge_run_options",
    "options_reference",
    "parse_cli_extra",
    "parse_executor",
    "per_sample",
]

log = logging.getLogger(__name__)

#: What --test sets unless the command line says otherwise.
TEST_OPTIONS = {"limit-files": 2, "limit-chunks": 2}

#: Origins given by a person rather than by the shipped defaults.
_USER_ORIGINS = ("run options file", "command line")


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of an option and the layer that gave it."""

    value: Any
    origin: str


class RunOptions(MutableMapping[str, Any]):
    """The merged options of a run: a mapping of name (dashes or underscores) to typed value.

    Holds what some layer gave; ``options[name]`` and ``options.get(name)`` fall back to the default of the
    schema. Setting an item checks and types it like any other layer. Instances can be pickled.
    """

    def __init__(
        self,
        settings: Mapping[str, Setting] | None = None,
        executor: str = "iterative",
        options: Iterable[Option] = (),
    ) -> None:
        self.executor = executor
        self._extra = {option.name: option for option in options}
        self._settings = dict(settings or {})

    def __getitem__(self, name: str) -> Any:
        """Return the value. Raises KeyError for an unknown name and for one without value and default."""
        key = normal_name(name)
        if key in self._settings:
            return self._settings[key].value
        try:
            default = find_option(key, "run options", self._extra).default
        except OptionError as exc:
            raise KeyError(str(exc)) from None
        if default is UNSET:
            msg = f"run option {key!r} has neither value nor default"
            raise KeyError(msg)
        return default

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value, "program")

    def __delitem__(self, name: str) -> None:
        del self._settings[normal_name(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def __contains__(self, name: object) -> bool:
        return normal_name(str(name)) in self._settings

    def __repr__(self) -> str:
        return f"RunOptions({self.executor!r}, {self.as_dict()!r})"

    def get(self, name: str, default: Any = UNSET) -> Any:
        """Return the value that a layer gave; else ``default``; else the default of the schema; else None."""
        key = normal_name(name)
        if key in self._settings:
            return self._settings[key].value
        if default is not UNSET:
            return default
        try:
            return self[key]
        except KeyError:
            return None

    def set(self, name: str, value: Any, origin: str) -> None:
        """Check, type and store a value. Raises OptionError when the schema does not allow it."""
        option = find_option(name, origin, self._extra)
        self._settings[option.name] = Setting(option.read(value, origin), origin)

    def origin(self, name: str) -> str:
        """Return the layer that gave the value, ``schema default`` if none did; OptionError if unknown."""
        key = normal_name(name)
        if key in self._settings:
            return self._settings[key].origin
        find_option(key, "run options", self._extra)
        return "schema default"

    def setting(self, name: str) -> Setting:
        """Return value and origin together."""
        return Setting(self.get(name), self.origin(name))

    def as_dict(self) -> dict[str, Any]:
        """Return the plain values, names with dashes, in the order of the schema."""
        order = {name: position for position, name in enumerate([*SCHEMA, *self._extra])}
        return {key: self._settings[key].value for key in sorted(self._settings, key=order.__getitem__)}

    def with_origins(self) -> dict[str, dict[str, Any]]:
        """Return ``{name: {"value": ..., "origin": ...}}``, for the provenance of outputs."""
        return {key: {"value": value, "origin": self.origin(key)} for key, value in self.as_dict().items()}

    def describe(self) -> str:
        """Return a table of name, value and origin, one option a line."""
        rows = [(key, repr(value), self.origin(key)) for key, value in self.as_dict().items()]
        if not rows:
            return "no run options"
        width = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return "\n".join(f"{key:<{width[0]}}  {value:<{width[1]}}  {origin}" for key, value, origin in rows)

    def unread(self) -> list[str]:
        """Return the options given by the user that the executor of this run does not read."""
        given = [key for key, setting in self._settings.items() if setting.origin.startswith(_USER_ORIGINS)]
        return [key for key in given if key in SCHEMA and not SCHEMA[key].read_by(self.executor)]

    def megabytes(self, name: str) -> float | None:
        """Return a size in MB (10^6 bytes), None when it is not set."""
        value = self.get(name)
        return None if value is None else to_megabytes(value)

    def seconds(self, name: str) -> int | None:
        """Return a duration in seconds, None when it is not set."""
        value = self.get(name)
        return None if value is None else to_seconds(value)

    def starting_time(self) -> datetime | None:
        """Return the time to wait for (local clock), None for now."""
        value = self.get("starting-time")
        return None if value is None else datetime.strptime(value, START_TIME_FORMAT)

    def for_sample(self, name: str, sample: str) -> int | None:
        """Return the value of a per-sample option for one sample, see per_sample."""
        return per_sample(self.get(name), sample, name, self.origin(name))


def per_sample(value: int | Mapping[str, int] | None, sample: str, name: str, origin: str = "") -> int | None:
    """Return the number that holds for a sample: the scalar, or its entry, or the entry ``default``.

    Raises OptionError when the mapping has neither.

    >>> per_sample({"default": 100, "TTbar": 5}, "TTbar", "chunksize"), per_sample(7, "TTbar", "chunksize")
    (5, 7)
    """
    if not isinstance(value, Mapping):
        return value
    if sample in value:
        return value[sample]
    if "default" in value:
        return value["default"]
    where = f"{origin}: " if origin else ""
    msg = f"{where}{name} has neither {sample!r} nor 'default', only: {', '.join(sorted(value))}."
    raise OptionError(msg)


def parse_executor(executor: str) -> tuple[str, str | None]:
    """Return (name, site or None) of an executor string. Raises OptionError when it is malformed.

    >>> parse_executor("dask@lxplus"), parse_executor("iterative")
    (('dask', 'lxplus'), ('iterative', None))
    """
    name, at, site = str(executor).strip().partition("@")
    if not name or (at and not site) or "@" in site:
        msg = f"executor {executor!r} has to be NAME or NAME@SITE, for example iterative or dask@lxplus"
        raise OptionError(msg)
    return name, site or None


def parse_cli_extra(args: Sequence[str]) -> dict[str, str | bool]:
    """Return the options given on the command line: ``--key=value``, ``--key value``, bare ``--key`` (true).

    The value may contain ``=``. Raises OptionError for an argument that is neither option nor value.

    >>> parse_cli_extra(["--x=a=b", "--mem-per-worker", "4GB", "--adaptive"])
    {'x': 'a=b', 'mem-per-worker': '4GB', 'adaptive': True}
    """
    parsed: dict[str, str | bool] = {}
    pending: str | None = None
    for argument in args:
        if argument.startswith("--") and len(argument) > 2:
            key, equals, value = argument[2:].partition("=")
            pending = None if equals else normal_name(key)
            parsed[normal_name(key)] = value if equals else True
        elif pending is not None and (not argument.startswith("-") or _is_number(argument)):
            parsed[pending], pending = argument, None
        else:
            msg = f"command line: {argument!r} is not an option; write --key=value"
            raise OptionError(msg)
    return parsed


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def load_run_options_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the options of a YAML file. Raises OptionError when it is missing or is not keys and values."""
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


def merge_run_options(
    executor: str = "iterative",
    *,
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    test: bool = False,
    flags: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    options: Iterable[Option] = (),
) -> RunOptions:
    """Return the options of a run with an executor (``name`` or ``name@site``).

    files: YAML files of the user. flags: named command-line options; UNSET ones were not given, null is a
    value. extra: further ``--key=value``, see parse_cli_extra. defaults: sections of options, those of the
    package unless given. options: further options of a custom executor. Raises OptionError for an unknown
    option or a wrong value.
    """
    if defaults is None:
        from pocket_coffea.parameters.defaults import get_default_run_options

        defaults = get_default_run_options()
    merged = RunOptions(executor=executor, options=options)
    for origin, layer in _layers(executor, defaults, files, test):
        _apply(merged, layer, lambda _, origin=origin: origin)
    for given in (flags, extra):
        _apply(merged, given or {}, lambda name: f"command line (--{normal_name(name)})")
    if unread := merged.unread():
        log.info("executor %s does not read: %s", executor, ", ".join(unread))
    return merged


def _layers(
    executor: str,
    defaults: Mapping[str, Any],
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    test: bool,
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    name, site = parse_executor(executor)
    for section in ("general", site, name, f"{name}@{site}"):
        if section is not None and section in defaults:
            yield f"defaults ({section})", _as_mapping(defaults[section], section)
    for file in [files] if isinstance(files, (str, os.PathLike)) else files:
        yield f"run options file {os.fspath(file)}", load_run_options_file(file)
    if test:
        yield "--test", TEST_OPTIONS


def _as_mapping(section: Any, name: str) -> Mapping[str, Any]:
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(section, resolve=True) if OmegaConf.is_config(section) else section
    if not isinstance(plain, Mapping):
        msg = f"default run options: section {name!r} has to hold keys and values, got {plain!r}"
        raise OptionError(msg)
    return plain


def _apply(merged: RunOptions, layer: Mapping[str, Any], origin: Any) -> None:
    seen: dict[str, str] = {}
    for name, value in layer.items():
        if value is UNSET:
            continue
        key = normal_name(name)
        if key in seen:
            msg = f"{origin(name)}: {seen[key]} and {name} are the same run option: keep one"
            raise OptionError(msg)
        seen[key] = str(name)
        merged.set(key, value, origin(name))


def options_reference() -> str:
    """Return the table of all run options in Markdown, as it stands in the documentation."""
    lines = ["| option | value | default | read by | meaning |", "|---|---|---|---|---|"]
    for option in SCHEMA.values():
        default = "" if option.default is UNSET else _shown(option.default)
        kind = f"{option.kind.value}{', at least ' + str(option.minimum) if option.minimum else ''}"
        readers = ", ".join(option.executors)
        lines.append(f"| `{option.name}` | {kind} | {default} | {readers} | {option.help} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    return "null" if value is None else f"{str(value).lower() if isinstance(value, bool) else value}"
