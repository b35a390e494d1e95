"""Add many fields to the events at once."""

from __future__ import annotations

from collections.abc import Mapping

import awkward as ak

from pocket_coffea.errors import InvalidValue
from pocket_coffea.types import Array

__all__ = ["set_fields"]


def set_fields(events: Array, fields: Mapping[str, Array]) -> None:
    """Do ``events[name] = values`` for several fields, in place, as one operation.

    Each value has one entry per event. Assigning one by one looks at every field of the events each time,
    which costs more than most of what workflows compute. Raises InvalidValue for a wrong length.
    """
    record = events.layout
    if not record.is_record:  # lazily masked events: an index over records
        for name, values in fields.items():
            events[name] = values
        return
    contents = dict(zip(record.fields, record.contents, strict=True))
    for name, values in fields.items():
        layout = ak.to_layout(values)
        if layout.length != len(events):
            msg = f"Field {name!r} has {layout.length} entries, but there are {len(events)} events."
            raise InvalidValue(msg)
        contents[name] = layout
    merged = ak.contents.RecordArray(
        list(contents.values()), list(contents), length=len(events), parameters=record.parameters
    )
    ak.Array.__init__(events, merged, behavior=events.behavior, attrs=events.attrs)
