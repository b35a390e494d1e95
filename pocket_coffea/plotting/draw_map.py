"""Histograms of two axes as maps of colours: data, simulation, and their ratio side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mplhep
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from pocket_coffea.plotting.content import Array
from pocket_coffea.plotting.draw_datamc import info_lines, upper_label
from pocket_coffea.plotting.options import DrawOptions
from pocket_coffea.plotting.stack import Stack, normalised
from pocket_coffea.plotting.style import Style

__all__ = ["draw_map"]

_RATIO = "Data / MC"


def draw_map(stack: Stack, style: Style, options: DrawOptions) -> Any:
    """Draw one category and return the figure. log_y: colours on a logarithmic scale.

    Data and simulation have one scale of colours. Grey in the map of their ratio: no simulation to compare
    with.
    """
    if options.density:
        stack = normalised(stack)
    maps = _maps(stack, options)
    width, height = style.options["opts_figure"].get("datamc", {}).get("figsize", (12, 9))
    figure = Figure(figsize=(width * len(maps), height))
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    edge = 0.12 / len(maps)
    figure.subplots_adjust(left=edge, right=1 - edge, top=0.92, bottom=0.12, wspace=0.32)
    norm = _norm([values for name, values in maps.items() if name != _RATIO], log=options.log_y)
    for axes, (name, values) in zip(panels, maps.items(), strict=True):
        mesh = _draw_one(axes, (name, values), (stack, style, options), norm)
        bar = figure.colorbar(
            mesh, ax=axes, pad=0.02, fraction=0.05, extend="both" if name == _RATIO else None
        )
        _label_bar(bar, name, style, options)
    size = float(style.options["fontsize"])
    mplhep.cms.label(
        style.cms_label,
        loc=0,
        data=stack.data is not None,
        rlabel=upper_label(stack, style, options) if len(maps) == 1 else " ",
        ax=panels[0],
        fontsize=size,
    )
    if len(maps) > 1:
        panels[-1].set_title(upper_label(stack, style, options), loc="right", fontsize=0.9 * size)
    return figure


def _maps(stack: Stack, options: DrawOptions) -> dict[str, Array]:
    maps: dict[str, Array] = {}
    if stack.data is not None and stack.shown.all():
        maps["Data"] = stack.data.values
    if stack.mc:
        maps["Simulation"] = stack.total.values
    if len(maps) == 2 and options.ratio:
        expected = stack.total.values
        maps[_RATIO] = np.divide(
            maps["Data"], expected, out=np.full_like(expected, np.nan), where=expected > 0
        )
    return maps or {"Simulation": np.zeros_like(stack.total.values)}


def _draw_one(
    axes: Any, named: tuple[str, Array], drawn: tuple[Stack, Style, DrawOptions], norm: Normalize
) -> Any:
    """Draw one map and return its coloured cells. Empty ones are left out, but a ratio of 0 is one."""
    (name, values), (stack, style, options) = named, drawn
    size = float(style.options["fontsize"])
    x, y = stack.binnings
    ratio = name == _RATIO
    if ratio:
        axes.set_facecolor("0.8")  # white is a ratio of 1
    mesh = axes.pcolormesh(
        np.asarray(x.edges),
        np.asarray(y.edges),
        np.ma.masked_invalid(values if ratio else np.where(values == 0, np.nan, values)).T,
        cmap="RdBu_r" if ratio else "viridis",
        norm=Normalize(0.5, 1.5) if ratio else norm,
        rasterized=True,
    )
    axes.set_xlabel(x.label, fontsize=size)
    axes.set_ylabel(y.label, fontsize=size)
    axes.tick_params(labelsize=0.85 * size)
    for which, binning in (("x", x), ("y", y)):
        if binning.names:
            getattr(axes, f"set_{which}ticks")(np.asarray(binning.edges[:-1]) + 0.5, list(binning.names))
    if options.log_x and x.edges[0] > 0:
        axes.set_xscale("log")
    text = "\n".join([name, *info_lines(stack, style)])
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "boxstyle": "round,pad=0.3"}
    axes.text(
        0.96, 0.96, text, transform=axes.transAxes, ha="right", va="top", fontsize=0.85 * size, bbox=box
    )
    return mesh


def _label_bar(bar: Any, name: str, style: Style, options: DrawOptions) -> None:
    size = float(style.options["fontsize"])
    label = name if name == _RATIO else "Density" if options.density else "Events"
    bar.set_label(label, fontsize=0.9 * size)
    bar.ax.tick_params(labelsize=0.75 * size)


def _norm(maps: Sequence[Array], *, log: bool) -> Normalize:
    """Return the scale of colours for all of the maps."""
    values = np.concatenate([each.ravel() for each in maps])
    positive = values[values > 0]
    if log and len(positive):
        return LogNorm(float(positive.min()), max(float(positive.max()), float(positive.min()) * 1.01))
    return Normalize(min(0.0, float(values.min())), float(values.max()) or 1.0)
