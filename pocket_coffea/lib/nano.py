"""Which NanoAOD version the events come from."""

from __future__ import annotations

from pocket_coffea.lib.lookup import lookup
from pocket_coffea.types import Array, Params
from pocket_coffea.utils.metadata import to_bool

__all__ = ["get_nano_version"]


def get_nano_version(events: Array, params: Params, year: str) -> int:
    """Return the NanoAOD version: of the dataset metadata, else (MC) of the file name, else the default of
    the year.

    Raises UnknownKey (a KeyError) for a year without a default version.
    """
    metadata = getattr(events, "metadata", None) or {}
    if metadata.get("nano_version") not in (None, ""):
        return int(metadata["nano_version"])
    if to_bool(metadata.get("isMC"), default=False):
        filename = str(metadata.get("filename", ""))
        for version in (12, 15):
            if f"NanoAODv{version}" in filename:
                return version
    return int(lookup(params, "default_nano_version", str(year)))
