"""Older name of :mod:`pocket_coffea.utils.stat.systematics`."""

from __future__ import annotations

import warnings

from pocket_coffea.utils.stat.systematics import Systematics, SystematicUncertainty

__all__ = ["SystematicUncertainty", "Systematics"]

warnings.warn(
    "pocket_coffea.utils.systematics is the older name of pocket_coffea.utils.stat.systematics",
    DeprecationWarning,
    stacklevel=2,
)
