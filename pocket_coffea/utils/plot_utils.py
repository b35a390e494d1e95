"""Import path of the classes for plots; they are in pocket_coffea/plotting/."""

from __future__ import annotations

from pocket_coffea.plotting.manager import PlotManager
from pocket_coffea.plotting.shape import Shape, SystManager
from pocket_coffea.plotting.style import Style
from pocket_coffea.plotting.uncertainty import SystUnc
from pocket_coffea.utils.plot_functions import plot_shapes_comparison

__all__ = ["PlotManager", "Shape", "Style", "SystManager", "SystUnc", "plot_shapes_comparison"]
