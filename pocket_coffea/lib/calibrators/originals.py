"""Replaces collections and fields of the events, and puts back what was there."""

from __future__ import annotations

from typing import Any

from pocket_coffea.errors import MissingBranch, ProcessingError, did_you_mean
from pocket_coffea.types import Array

__all__ = ["Originals", "split_key"]


def split_key(key: str) -> tuple[str, str | None]:
    """Return (collection, field), field None for a whole collection.

    >>> split_key("Electron.pt"), split_key("Jet")
    (('Electron', 'pt'), ('Jet', None))
    """
    collection, _, field = key.partition(".")
    return collection, field or None


class Originals:
    """Remembers what the events held before calibrators replaced it.

    Only references are kept and put back: arrays that nobody has read from the file stay unread.

    ``arrays`` holds the originals by key ("Jet", "Electron.pt"); keys that did not exist are not in it.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self._collections: dict[str, Array | None] = {}
        self._whole: set[str] = set()
        self._fields: dict[str, set[str]] = {}

    def replace(self, events: Array, key: str, values: Array, owner: str) -> None:
        """Set ``events[collection]`` or one field of it, in place. Raises MissingBranch, ProcessingError."""
        collection, field = split_key(key)
        self._check(events, key, values, owner)
        self._remember(events, collection, field, key)
        where = collection if field is None else (collection, field)
        try:
            events[where] = values
        except (ValueError, TypeError) as exc:
            msg = (
                f"calibrator {owner!r} returned {key!r}, which does not fit the events: "
                f"{str(exc).splitlines()[0]}. Return one value for each object of {collection!r} in the "
                "events that calibrate() got, in their order; when objects were dropped or sorted, declare "
                f"and return the whole collection {collection!r}."
            )
            raise ProcessingError(msg) from exc

    def _check(self, events: Array, key: str, values: Any, owner: str) -> None:
        collection, field = split_key(key)
        if field is not None and collection not in events.fields:
            msg = (
                f"calibrator {owner!r} returned {key!r}, but the events have no collection {collection!r}. "
                f"{did_you_mean(collection, events.fields)}"
            )
            raise MissingBranch(msg)
        if not hasattr(values, "__len__") or len(values) != len(events):
            length = len(values) if hasattr(values, "__len__") else f"no ({type(values).__name__})"
            msg = f"calibrator {owner!r} returned {key!r} with {length} entries for {len(events)} events."
            raise ProcessingError(msg)

    def _remember(self, events: Array, collection: str, field: str | None, key: str) -> None:
        if collection not in self._collections:
            self._collections[collection] = events[collection] if collection in events.fields else None
        original = self._collections[collection]
        if field is None:
            self._whole.add(collection)
        else:
            self._fields.setdefault(collection, set()).add(field)
        if key not in self.arrays and original is not None:
            if field is None:
                self.arrays[key] = original
            elif field in original.fields:
                self.arrays[key] = original[field]

    def restore(self, events: Array) -> None:
        """Put back every collection that was replaced; remove those that did not exist.

        Where only fields were replaced, the fields that others have added to the collection stay.
        """
        for collection, original in self._collections.items():
            if original is None:
                if collection in events.fields:
                    del events[collection]
            else:
                events[collection] = self._with_added_fields(events, collection, original)

    def _with_added_fields(self, events: Array, collection: str, original: Array) -> Array:
        if collection in self._whole or collection not in events.fields:
            return original
        current = events[collection]
        added = set(current.fields) - set(original.fields) - self._fields[collection]
        if not added:
            return original
        restored = original[:]  # another array object: adding a field must not reach the original
        for field in (name for name in current.fields if name in added):
            restored[field] = current[field]
        return restored
