"""Seeds for random numbers that a calibration draws: the same in every run over the same events."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pocket_coffea.errors import InvalidValue

__all__ = ["get_random_seed"]

_KEYS = ("fileuuid", "entrystart", "entrystop")


def get_random_seed(metadata: Mapping[str, Any], salt: str = "") -> int:
    """Return a 32-bit seed from the identity of a chunk and a ``salt`` that tells apart its uses.

    metadata: ``events.metadata``. Raises InvalidValue when it does not identify the chunk.

    >>> get_random_seed({"fileuuid": "58ca", "entrystart": 0, "entrystop": 6000}, "jer")
    2622261175
    """
    absent = [key for key in _KEYS if key not in metadata]
    if absent:
        msg = (
            f"a random seed needs {', '.join(_KEYS)} of the chunk, but the metadata has no "
            f"{', '.join(absent)}: pass events.metadata."
        )
        raise InvalidValue(msg)
    identity = "-".join(str(value) for value in (*(metadata[key] for key in _KEYS), salt))
    return int(hashlib.sha256(identity.encode()).hexdigest()[:8], 16)
