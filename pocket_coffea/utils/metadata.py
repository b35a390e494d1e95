"""Values of dataset metadata: the one place where their many spellings become one.

Dataset files write every value as a string (``"True"``, ``"2018"``, ``"6077.22"``), people write booleans,
integers and floats. Readers of ``events.metadata`` see strings, as the dataset files document them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pocket_coffea.errors import ConfigurationError, InvalidType, InvalidValue

__all__ = ["normalise_metadata", "to_bool", "to_number"]

_TRUE = frozenset({"true", "1", "yes"})
_FALSE = frozenset({"false", "0", "no", ""})

#: Written as text whatever their type was.
TEXT_KEYS = ("sample", "year", "era", "primaryDataset", "part", "xsec", "nano_version")
#: Written as "True" or "False".
FLAG_KEYS = ("isMC", "isSkim")
#: Left as they are, but a number they must be.
NUMBER_KEYS = ("nevents", "sum_genweights", "sum_signOf_genweights", "nano_version")
#: coffea adds these to the metadata of each chunk.
RESERVED_KEYS = (
    *("dataset", "filename", "treename", "entrystart", "entrystop", "fileuuid", "metadata"),
    *("preload", "numentries", "uuid", "clusters"),
)


def to_bool(value: Any, default: bool = False) -> bool:
    """Return the truth value that ``value`` spells.

    None gives ``default``; booleans and integers are themselves; of strings, "true", "1", "yes" and "false",
    "0", "no" and the empty one are known, in any case and with any space around. Raises InvalidValue (a
    ValueError) for another string and InvalidType (a TypeError) for another type.

    >>> to_bool(" True "), to_bool("0"), to_bool(None, default=True)
    (True, False, True)
    """
    if value is None:
        return default
    if isinstance(value, bool | int):
        return bool(value)
    if not isinstance(value, str):
        msg = f"{value!r} of type {type(value).__name__} is not a truth value: write true or false."
        raise InvalidType(msg)
    text = value.strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    msg = f"{value!r} is not a truth value. Allowed: true, yes, 1, false, no, 0."
    raise InvalidValue(msg)


def to_number(value: Any) -> float:
    """Return the finite number that ``value`` (a number, or a string that spells one) stands for.

    >>> to_number("6077.22"), to_number(3)
    (6077.22, 3.0)
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        msg = f"{value!r} is not a number."
        raise InvalidValue(msg) from None
    if not math.isfinite(number):
        msg = f"{value!r} is not a finite number."
        raise InvalidValue(msg)
    return number


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def normalise_metadata(metadata: Mapping[str, Any], where: str = "metadata") -> dict[str, Any]:
    """Return a copy of the metadata of one dataset in its documented form.

    ``sample``, ``year``, ``isMC``, for simulation a numeric ``xsec`` and for data ``era`` are required.
    Names, years, periods and cross sections [pb] become strings, flags become "True" or "False"; every other
    key is kept as it is. ``where`` starts the messages. Raises ConfigurationError when a key is missing, has
    a reserved name or a value that cannot be read.

    >>> normalise_metadata({"sample": "DY", "year": 2018, "isMC": True, "xsec": 6077.22, "other": 1})
    {'sample': 'DY', 'year': '2018', 'isMC': 'True', 'xsec': '6077.22', 'other': 1}
    """
    clean = {str(key): value for key, value in metadata.items()}
    _check_keys(clean, where)
    for key in FLAG_KEYS:
        if key in clean:
            clean[key] = str(_checked(to_bool, clean[key], f"{where}, {key!r}"))
    needed = "xsec" if clean["isMC"] == "True" else "era"
    if clean.get(needed) is None:
        msg = (
            f"{where} has no {needed!r}: simulation needs 'xsec' (cross section in pb), data needs 'era'. "
            f"isMC is {clean['isMC']!r}."
        )
        raise ConfigurationError(msg)
    if clean["isMC"] == "True":
        _checked(to_number, clean["xsec"], f"{where}, 'xsec'")
    for key in NUMBER_KEYS:
        if clean.get(key) is not None:
            _checked(to_number, clean[key], f"{where}, {key!r}")
    return {
        key: _text(value) if key in TEXT_KEYS and value is not None else value for key, value in clean.items()
    }


def _check_keys(metadata: Mapping[str, Any], where: str) -> None:
    for key in ("sample", "year", "isMC"):
        if metadata.get(key) is None or metadata[key] == "":
            msg = (
                f"{where} has no {key!r}. Required: sample, year, isMC; xsec for simulation, era for data. "
                f"It has: {', '.join(metadata) or 'nothing'}."
            )
            raise ConfigurationError(msg)
    reserved = [key for key in RESERVED_KEYS if key in metadata]
    if reserved:
        msg = f"{where} uses the name {reserved[0]!r}, which is set for every chunk of events: rename it."
        raise ConfigurationError(msg)


def _checked(convert: Any, value: Any, where: str) -> Any:
    try:
        return convert(value)
    except ConfigurationError as error:
        msg = f"{where}: {error}"
        raise type(error)(msg) from None
