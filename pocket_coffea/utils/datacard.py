"""Older name of :mod:`pocket_coffea.utils.stat.combine`."""

from __future__ import annotations

import warnings

from pocket_coffea.utils.stat.combine import Datacard, combine_datacards, create_scripts

__all__ = ["Datacard", "combine_datacards", "create_scripts"]

warnings.warn(
    "pocket_coffea.utils.datacard is the older name of pocket_coffea.utils.stat.combine: import from there",
    DeprecationWarning,
    stacklevel=2,
)
