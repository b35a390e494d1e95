"""What worker processes that draw have imported when they start."""

from __future__ import annotations

import hist.intervals
import matplotlib.backends.backend_agg
import mplhep

import pocket_coffea.plotting.draw_datamc
import pocket_coffea.plotting.draw_lines
import pocket_coffea.plotting.draw_map
import pocket_coffea.plotting.produce

__all__ = ["MODULES"]

MODULES = (
    *(hist.intervals, matplotlib.backends.backend_agg, mplhep),
    *(pocket_coffea.plotting.draw_datamc, pocket_coffea.plotting.draw_lines),
    *(pocket_coffea.plotting.draw_map, pocket_coffea.plotting.produce),
)
