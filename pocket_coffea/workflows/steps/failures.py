"""Turn whatever goes wrong inside a hook into an error that says where it went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import awkward as ak

from pocket_coffea.errors import (
    InputFileError,
    MissingBranch,
    PocketCoffeaError,
    ProcessingError,
    nearest,
)

__all__ = ["describe_chunk", "guarded"]

#: The two sentences in which awkward says that a field is missing.
_MISSING_FIELD = re.compile(r"no field (?:named )?'(?P<name>[^']+)'")
_MARK = "Raised in "


def describe_chunk(metadata: Mapping[str, Any]) -> str:
    """Say which events are meant: ``dataset 'DY', file a.root, entries 0-1000``."""
    where = f"dataset {metadata.get('dataset', '?')!r}, file {metadata.get('filename', '?')}"
    if "entrystart" in metadata:
        where += f", entries {metadata['entrystart']}-{metadata.get('entrystop', '?')}"
    return where


@contextmanager
def guarded(processor: Any, step: str, variation: str | None = None) -> Iterator[None]:
    """Run a step; name the step, dataset, file and entry range in whatever it raises.

    Errors of the package keep their class. A missing field becomes :class:`MissingBranch`, a reading problem
    :class:`InputFileError`, and anything else :class:`ProcessingError`, each with the original as its cause.
    """
    try:
        yield
    except Exception as exc:
        if isinstance(exc, PocketCoffeaError) and _MARK in str(exc):
            raise
        raise _translated(exc, processor, step, variation) from exc


def _translated(exc: Exception, processor: Any, step: str, variation: str | None) -> Exception:
    notes = "".join(f"\n{note}" for note in getattr(exc, "__notes__", ()))
    metadata = getattr(processor.events, "metadata", None) or {}
    during = f"{step}()" + (f", variation {variation!r}" if variation else "")
    where = f"{_MARK}{during} of {type(processor).__name__}: {describe_chunk(metadata)}."
    if isinstance(exc, PocketCoffeaError):
        return type(exc)(f"{exc}{notes}\n{where}")
    missing = _missing_field(exc)
    if missing is not None:
        return MissingBranch(
            f"There is no field {missing!r}. {_suggestion(missing, processor.events)}{notes}\n{where}"
        )
    if isinstance(exc, OSError):
        return InputFileError(f"Reading failed: {type(exc).__name__}: {exc}{notes}\n{where}")
    return ProcessingError(f"{type(exc).__name__}: {exc}{notes}\n{where}")


def _missing_field(exc: Exception) -> str | None:
    if isinstance(exc, ak.errors.FieldNotFoundError | AttributeError):
        found = _MISSING_FIELD.search(str(exc))
        return found["name"] if found else None
    return None


def _suggestion(name: str, events: Any) -> str:
    """Name what looks like ``name``: collections and branches first, then fields of every collection."""
    fields = list(events.fields)
    close = nearest(name, fields)
    inner = {f"{coll}.{field}" for coll in fields for field in events[coll].fields}
    close += [full for full in nearest(f"x.{name}", inner) if full not in close]
    same = sorted(full for full in inner if full.partition(".")[2].lower() == name.lower())
    close = list(dict.fromkeys([*same[:3], *close]))[:5]
    if close:
        return f"Did you mean {' or '.join(repr(item) for item in close)}?"
    shown = ", ".join(sorted(fields)[:20]) + (", ..." if len(fields) > 20 else "")
    return f"The events have: {shown}."
