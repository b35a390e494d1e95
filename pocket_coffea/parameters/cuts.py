"""Cuts without parameters of their own."""

from __future__ import annotations

from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.cut_functions import passthrough_f

__all__ = ["passthrough"]

#: Keeps every event: a category, skim or preselection that selects nothing.
passthrough = Cut(name="passthrough", params={}, function=passthrough_f)
