"""Objects far from the leptons: what selections of jets and photons share."""

from __future__ import annotations

from typing import Any

from pocket_coffea.lib.flat import Flat
from pocket_coffea.lib.kernels import Directions, directions
from pocket_coffea.lib.lookup import field_of
from pocket_coffea.lib.memo import memoised
from pocket_coffea.types import Array

__all__ = ["lepton_directions"]


def lepton_directions(events: Array, collection: str, user: str) -> Directions | None:
    """Return lists, eta and phi of ``events[collection]``, None for no collection (an empty name).

    They are kept while the collection stays the same; compare them by value where it is built anew in each
    pass. Raises MissingField naming ``user``.
    """
    if not collection:
        return None
    leptons = field_of(events, collection, user)

    def compute() -> tuple[Any, ...]:
        return tuple(directions(Flat(leptons, collection)))

    offsets, eta, phi = memoised(events, ("lepton_directions", collection), [collection], compute)
    return Directions(offsets, eta, phi)
