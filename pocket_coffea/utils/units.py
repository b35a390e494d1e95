"""Sizes and durations as people and batch systems write them."""

from __future__ import annotations

import re

__all__ = ["DURATION", "SIZE", "is_clock", "to_megabytes", "to_seconds"]

#: What messages call a size and a duration.
SIZE = "a size such as 4GB, 500MB or 2.5GiB (a bare number counts GB)"
DURATION = "a duration such as 6:00:00, 1-12:00:00, 90min or 6h (a bare number counts seconds)"

_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[kKMGT]i?B?|B)?")
_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>d|h|min|m|s)?")
# Two-part clocks are refused: 20:00 is twenty hours for one batch system and twenty minutes for another.
_CLOCK = re.compile(r"((?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>[0-5]?\d):(?P<seconds>[0-5]?\d)")
_UNIT_SECONDS = {"d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1, None: 1}
_UNIT_MEGABYTES = {"K": 1e-3, "M": 1.0, "G": 1e3, "T": 1e6}


def to_megabytes(size: float | str) -> float:
    """Return a size in MB (10^6 bytes); a bare number counts GB. Raises ValueError saying what is allowed.

    >>> to_megabytes("2.5GB"), to_megabytes(4), to_megabytes("500MB")
    (2500.0, 4000.0, 500.0)
    """
    match = _SIZE.fullmatch(str(size).strip())
    if not match:
        raise ValueError(SIZE)
    number, unit = float(match["number"]), (match["unit"] or "GB")
    if unit == "B":
        return number / 1e6
    binary = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
    letter = unit[0].upper()
    return number * binary[letter] / 1e6 if "i" in unit else number * _UNIT_MEGABYTES[letter]


def to_seconds(duration: float | str) -> int:
    """Return a duration in seconds; a bare number counts seconds. Raises ValueError saying what is allowed.

    >>> to_seconds("6:00:00"), to_seconds("1-12:00:00"), to_seconds("90min")
    (21600, 129600, 5400)
    """
    text = str(duration).strip()
    if match := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = (
            int(match[part] or 0) for part in ("days", "hours", "minutes", "seconds")
        )
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if match := _DURATION.fullmatch(text):
        return round(float(match["number"]) * _UNIT_SECONDS[match["unit"]])
    raise ValueError(DURATION)


def is_clock(text: str) -> bool:
    """Return whether a duration is written as a clock, hours:minutes:seconds."""
    return _CLOCK.fullmatch(text.strip()) is not None
