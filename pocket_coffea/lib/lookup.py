"""Look-ups in parameters and events that fail with the nearest names instead of a bare key."""

from __future__ import annotations

import re
import traceback
from typing import Any

from pocket_coffea.errors import MissingBranch, UnknownName, did_you_mean, nearest
from pocket_coffea.types import Array, Params

__all__ = ["MissingField", "UnknownKey", "dropped", "field_of", "lookup", "missing_field", "similar_fields"]

#: How awkward says that a field is not there, by attribute and by item.
_NO_FIELD = re.compile(r"no field (?:named )?'([^']+)'")
#: Fields that newer NanoAOD versions do not have, and what to use there.
_DROPPED = {
    "MET": "NanoAOD 15 has PuppiMET and PFMET instead of MET.",
    "RawMET": "NanoAOD 15 has RawPuppiMET and RawPFMET instead of RawMET.",
    "jetId": "NanoAOD 15 has no jetId: lib.objects.jet_selection and compute_jetId compute it.",
    "puId": "Only jets of Run 2 up to NanoAOD 9 have a pile-up ID; PUPPI jets need none.",
}


class UnknownKey(UnknownName, KeyError):
    """A key (year, primary dataset, working point, category) that is not defined where it is looked up."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissingField(MissingBranch, AttributeError):
    """A branch, collection or field that the events do not have."""


def lookup(params: Params, *path: Any, origin: str = "parameters") -> Any:
    """Return ``params[path[0]][path[1]]...``.

    Raises UnknownKey (a KeyError and a ValueError) naming the full path, the nearest keys and all keys.

    >>> lookup({"lumi": {"2018": 59.8}}, "lumi", "2018")
    59.8
    """
    node = params
    where = origin
    for key in path:
        if node is None or key not in node:
            msg = f"{where} has no {key!r} (or its value is still ???). {did_you_mean(key, node or [])}"
            raise UnknownKey(msg)
        node = node[key]
        where = f"{where}.{key}"
    return node


def field_of(array: Array, name: str, user: str, owner: str = "events") -> Array:
    """Return ``array[name]``: a collection of the events, or a field of a collection.

    Raises MissingField (a MissingBranch and an AttributeError): it names ``user`` (who asked), ``owner``
    (what ``array`` is) and the nearest fields.
    """
    fields = array.fields
    if name not in fields:
        msg = f"{user} needs {owner}.{name}, which is not there. {did_you_mean(name, fields)}{dropped(name)}"
        raise MissingField(msg)
    return array[name]


def dropped(name: str) -> str:
    """Return what to use instead of a field that newer NanoAOD versions dropped, with a space before it.

    >>> dropped("puId")
    ' Only jets of Run 2 up to NanoAOD 9 have a pile-up ID; PUPPI jets need none.'
    >>> dropped("Jet")
    ''
    """
    return f" {_DROPPED[name]}" if name in _DROPPED else ""


def similar_fields(name: str, events: Array) -> str:
    """Say what looks like ``name``: collections and branches first, then fields of every collection."""
    fields = list(events.fields)
    inner = {f"{coll}.{field}" for coll in fields for field in events[coll].fields}
    same = sorted(full for full in inner if full.partition(".")[2].lower() == name.lower())
    close = [*same[:3], *nearest(name, fields), *nearest(f"x.{name}", inner)]
    close = list(dict.fromkeys(close))[:5]
    if close:
        return f"Did you mean {' or '.join(repr(item) for item in close)}?{dropped(name)}"
    shown = ", ".join(sorted(fields)[:20]) + (", ..." if len(fields) > 20 else "")
    return f"The events have: {shown}.{dropped(name)}"


def missing_field(exc: Exception, events: Array, user: str) -> MissingField | None:
    """Return the error that says which field was not found, if that is what awkward means by ``exc``.

    ``user``: who read it. For code of users, which reads ``events.Jet.ptt`` directly.
    """
    found = _NO_FIELD.search(str(exc)) if isinstance(exc, AttributeError | LookupError) else None
    if found is None or isinstance(exc, MissingField):
        return None
    name = found.group(1)
    owner = _owner(exc, name)
    inner = events[owner].fields if owner in events.fields else []
    if close := nearest(name, inner):
        hint = f"Did you mean {' or '.join(repr(f'{owner}.{field}') for field in close)}?{dropped(name)}"
    else:
        hint = similar_fields(name, events)
    return MissingField(f"{user} reads the field {name!r}, which is not there. {hint}")


def _owner(exc: BaseException, name: str) -> str:
    """Return of what the code that raised wanted the field, "" if its line does not tell: Jet of
    ``events.Jet.ptt``.
    """
    pattern = re.compile(rf"""(\w+)(?:"]|'])?(?:\.|\[["']){re.escape(name)}\b""")
    lines = [frame.line or "" for frame in traceback.extract_tb(exc.__traceback__)]
    owners = [found[1] for line in lines if (found := pattern.search(line))]
    return owners[-1] if owners else ""
