"""Import path of the comparison of shapes; it is in pocket_coffea/plotting/."""

from __future__ import annotations

from pocket_coffea.plotting.comparison import plot_shapes_comparison

__all__ = ["plot_shapes_comparison"]
