"""The schema of run options: finding one of them by name. What they are stands in option_list.py."""

from __future__ import annotations

from typing import Final

from pocket_coffea.errors import OptionError, nearest
from pocket_coffea.run.option import UNSET, Option, Unset
from pocket_coffea.run.option_list import EVERY, all_options

__all__ = ["EVERY", "SCHEMA", "UNSET", "Option", "Unset", "find_option", "normal_name"]

#: Every option by its name.
SCHEMA: Final[dict[str, Option]] = {option.name: option for option in all_options()}
_ALIASES: Final = {alias: option.name for option in SCHEMA.values() for alias in option.aliases}


def normal_name(name: str) -> str:
    """Return the name of an option as the schema spells it.

    >>> normal_name("--limit_files"), normal_name("parsl-runinfo")
    ('limit-files', 'parsl-run-dir')
    """
    key = str(name).strip().lstrip("-").replace("_", "-").lower()
    return _ALIASES.get(key, key)


def find_option(name: str, origin: str, extra: dict[str, Option] | None = None) -> Option:
    """Return the option of that name (dashes or underscores). Raises OptionError with the nearest names."""
    known = {**SCHEMA, **(extra or {})}
    key = normal_name(name)
    if key not in known:
        near = " or ".join(repr(close) for close in nearest(key, known))
        guess = f"Did you mean {near}? " if near else ""
        msg = f"{origin}: there is no run option {key!r}. {guess}All of them are in docs/run-options.md."
        raise OptionError(msg)
    return known[key]
