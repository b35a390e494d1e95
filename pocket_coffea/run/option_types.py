"""Kinds of run options: how a value from a file or the command line is read, and in which unit.

Readers raise ValueError with what is allowed; the schema adds the name and origin of the option.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import yaml

from pocket_coffea.utils import units
from pocket_coffea.utils.units import to_megabytes, to_seconds

__all__ = ["START_TIME_FORMAT", "Kind", "read_value", "to_megabytes", "to_seconds"]

#: Format of the option ``starting-time``, on the local clock.
START_TIME_FORMAT = "%d-%m-%Y %H:%M:%S"

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class Kind(Enum):
    """Kind of an option; its value is the description that messages and the reference use."""

    BOOLEAN = "true or false"
    INTEGER = "an integer"
    TEXT = "text"
    NAMES = "a list of names (on the command line separated by commas)"
    COMMANDS = "a list of lines (a single one may be given as text)"
    SIZE = units.SIZE
    WALLTIME = units.DURATION
    SECONDS = "a number of seconds, or a duration such as 1h"
    PER_SAMPLE = "an integer, or a mapping {sample: integer, default: integer}"
    GROUPS = "a mapping {group: [samples]}"
    MAPPING = "a mapping"
    START_TIME = "a local time such as 31-12-2026 23:59:00 (day-month-year)"


def read_value(kind: Kind, value: Any) -> Any:
    """Return ``value`` in the type of its kind. Raises ValueError saying why it cannot be read.

    Sizes stay as they were written (numbers as numbers), since batch systems want them so: see to_megabytes.

    >>> read_value(Kind.INTEGER, "2_000"), read_value(Kind.BOOLEAN, "false"), read_value(Kind.NAMES, "a,b")
    (2000, False, ['a', 'b'])
    >>> read_value(Kind.WALLTIME, 21600)
    '6:00:00'
    """
    return _READERS[kind](value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if isinstance(value, (str, int)) and text in _TRUE + _FALSE:
        return text in _TRUE
    raise ValueError(Kind.BOOLEAN.value)


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError(Kind.INTEGER.value)  # noqa: TRY004 - one exception type for all readers
    if isinstance(value, int):
        return value
    try:
        number = float(str(value).strip().replace("_", ""))
    except ValueError:
        raise ValueError(Kind.INTEGER.value) from None
    if not number.is_integer():
        raise ValueError(Kind.INTEGER.value)
    return int(number)


def _text(value: Any) -> str:
    if isinstance(value, (bool, Mapping, list, tuple)):
        raise ValueError(Kind.TEXT.value)  # noqa: TRY004
    return str(value).strip()


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return _lines(value, Kind.NAMES)


def _commands(value: Any) -> list[str]:
    if isinstance(value, str):
        return [line for line in value.splitlines() if line.strip()]
    return _lines(value, Kind.COMMANDS)


def _lines(value: Any, kind: Kind) -> list[str]:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    if not listed or any(isinstance(item, (Mapping, list)) for item in value):
        raise ValueError(kind.value)
    return [str(item) for item in value]


def _size(value: Any) -> float | str:
    if isinstance(value, bool):
        raise ValueError(Kind.SIZE.value)  # noqa: TRY004
    to_megabytes(value)
    if isinstance(value, (int, float)):
        return value
    text = str(value).strip()
    if re.fullmatch(r"\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"[\d.]+", text) else text


def _walltime(value: Any) -> str:
    if isinstance(value, bool):
        raise ValueError(Kind.WALLTIME.value)  # noqa: TRY004
    if isinstance(value, str) and units.is_clock(value):
        return value.strip()
    minutes, seconds = divmod(to_seconds(value), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _seconds(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError(Kind.SECONDS.value)  # noqa: TRY004
    try:
        return to_seconds(value)
    except ValueError:
        raise ValueError(Kind.SECONDS.value) from None


def _per_sample(value: Any) -> int | dict[str, int]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _mapping(value)
    try:
        if isinstance(value, Mapping) and value:
            return {str(sample): _integer(number) for sample, number in value.items()}
        return _integer(value)
    except ValueError:
        raise ValueError(Kind.PER_SAMPLE.value) from None


def _groups(value: Any) -> dict[str, list[str]]:
    try:
        groups = {str(name): _names(samples) for name, samples in _mapping(value).items()}
    except ValueError:
        raise ValueError(Kind.GROUPS.value) from None
    members = [sample for samples in groups.values() for sample in samples]
    twice = sorted({sample for sample in members if members.count(sample) > 1})
    if twice:
        msg = f"{Kind.GROUPS.value} with each sample in one group, but in several are: {', '.join(twice)}"
        raise ValueError(msg)
    return groups


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(Kind.MAPPING.value) from None
    if not isinstance(value, Mapping):
        raise ValueError(Kind.MAPPING.value)  # noqa: TRY004
    return {str(key): item for key, item in value.items()}


def _start_time(value: Any) -> str:
    text = str(value).strip()
    try:
        datetime.strptime(text, START_TIME_FORMAT)
    except ValueError:
        raise ValueError(Kind.START_TIME.value) from None
    return text


_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.TEXT: _text,
    Kind.NAMES: _names,
    Kind.COMMANDS: _commands,
    Kind.SIZE: _size,
    Kind.WALLTIME: _walltime,
    Kind.SECONDS: _seconds,
    Kind.PER_SAMPLE: _per_sample,
    Kind.GROUPS: _groups,
    Kind.MAPPING: _mapping,
    Kind.START_TIME: _start_time,
}
