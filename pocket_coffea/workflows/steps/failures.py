"""Turn whatever goes wrong inside a hook into an error that says where it went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pocket_coffea.errors import InputFileError, PocketCoffeaError, ProcessingError
from pocket_coffea.lib.lookup import MissingField, missing_field
from pocket_coffea.utils.modules import user_place

__all__ = ["describe_chunk", "guarded"]

_MARK = "Raised in "


def describe_chunk(metadata: Mapping[str, Any]) -> str:
    """Say which events are meant: ``dataset 'DY', file a.root, entries 0-1000``."""
    where = f"dataset {metadata.get('dataset', '?')!r}, file {metadata.get('filename', '?')}"
    if "entrystart" in metadata:
        where += f", entries {metadata['entrystart']}-{metadata.get('entrystop', '?')}"
    return where


@contextmanager
def guarded(processor: Any, step: str, variation: str | None = None) -> Iterator[None]:
    """Run a step; name the line of the user's file, the step, dataset, file and entry range in whatever it
    raises.

    Errors of the package keep their class. A missing field becomes :class:`MissingField`, a reading problem
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
    place = user_place(exc)
    notes += f"\n{place}" if place else ""
    during = f"{step}()" + (f", variation {variation!r}" if variation else "")
    where = f"{_MARK}{during} of {type(processor).__name__}: {describe_chunk(metadata)}."
    if isinstance(exc, PocketCoffeaError):
        return type(exc)(f"{exc}{notes}\n{where}")
    missing = missing_field(exc, processor.events, f"{step}()")
    if missing is not None:
        return MissingField(f"{missing}{notes}\n{where}")
    if isinstance(exc, OSError):
        return InputFileError(f"Reading failed: {type(exc).__name__}: {exc}{notes}\n{where}")
    return ProcessingError(f"{type(exc).__name__}: {exc}{notes}\n{where}")
