"""The merged options of a run: a mapping whose every value knows where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pocket_coffea.errors import OptionError
from pocket_coffea.run.option_schema import SCHEMA, UNSET, Option, find_option, normal_name
from pocket_coffea.run.option_types import START_TIME_FORMAT, to_megabytes, to_seconds

__all__ = ["RunOptions", "Setting", "per_sample"]

#: How origins begin that a person gave, rather than the shipped defaults.
USER_ORIGINS = ("run options file", "command line", "site file")


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of an option and the layer that gave it."""

    value: Any
    origin: str


class RunOptions(MutableMapping[str, Any]):
    """The merged options of a run: a mapping of name (dashes or underscores) to typed value.

    Holds what some layer gave; ``options[name]`` and ``options.get(name)`` fall back to the default of the
    schema. Setting an item checks and types it like any other layer. ``batch``: the batch system of the
    executor's site, None without a site. Instances can be pickled.
    """

    def __init__(
        self,
        settings: Mapping[str, Setting] | None = None,
        executor: str = "iterative",
        options: Iterable[Option] = (),
        batch: str | None = None,
    ) -> None:
        self.executor = executor
        self.batch = batch
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

    def describe(self, defaults: bool = False) -> str:
        """Return a table of name, value and origin, one option a line.

        defaults: also what no layer gives and the executor reads, with the default of the schema.
        """
        rows = [
            (option.name, json.dumps(self.get(option.name)), self.origin(option.name))
            for option in (*SCHEMA.values(), *self._extra.values())
            if option.name in self or (defaults and option.default is not UNSET and self.reads(option.name))
        ]
        if not rows:
            return "no run options"
        width = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return "\n".join(f"{key:<{width[0]}}  {value:<{width[1]}}  {origin}" for key, value, origin in rows)

    def reads(self, name: str) -> bool:
        """Return whether the executor of this run reads an option; one of its own it does."""
        return name in self._extra or SCHEMA[name].read_by(self.executor, self.batch)

    def unread(self) -> list[str]:
        """Return the options given by the user that the executor does not read. null asks for nothing."""
        return [
            key
            for key, setting in self._settings.items()
            if setting.origin.startswith(USER_ORIGINS) and setting.value is not None and not self.reads(key)
        ]

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
