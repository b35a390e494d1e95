"""Figures in the style of CMS. A process makes one for each layout and uses it again for every plot.

Making axes, ticks and the label of the experiment takes longer than drawing a histogram.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import TICKDOWN, TICKLEFT, TICKRIGHT, TICKUP
from matplotlib.patches import StepPatch
from matplotlib.ticker import AutoMinorLocator, FixedLocator, LogLocator, NullLocator
from PIL import Image

from pocket_coffea.errors import InvalidValue
from pocket_coffea.plotting.content import Array, Binning
from pocket_coffea.plotting.style import Style
from pocket_coffea.utils.atomic import whole_file

__all__ = ["FORMATS", "Canvas", "canvas_for", "cms_style", "copy_index", "save_figure", "steps"]

FORMATS = ("png", "pdf", "svg")

#: Height of the label of the experiment, in units of the size of its font.
_LABEL_LINES = 2.7
#: Canvases that a process keeps.
_KEPT = 6


@cache
def _rc() -> dict[str, Any]:
    """The style of CMS as settings of matplotlib; numbers that are the same in every run and place."""
    settings = {key: value for key, value in mplhep.style.CMS.items() if value is not None}
    return {
        **settings,
        "svg.hashsalt": "pocket-coffea",
        "pdf.fonttype": 42,
        "axes.formatter.limits": (-2, 5),
        "axes.formatter.use_mathtext": True,
        "figure.dpi": 100,
    }


@contextmanager
def cms_style() -> Iterator[None]:
    """Use the style of CMS inside the block, whatever the settings of the user are."""
    with mpl.rc_context(_rc()):
        yield


class Canvas:
    """A figure with one panel (``upper``) or, with a ratio, two (``lower``)."""

    def __init__(self, style: Style, layout: str, *, data: bool, quick: bool = False) -> None:
        """Make the figure. quick: minor ticks are lines, see :meth:`finish`, for a figure that is only
        saved."""
        options = dict(style.options["opts_figure"].get(layout, {}))
        grid = {"hspace": 0.07, **dict(options.pop("gridspec_kw", {}))}
        share = options.pop("sharex", False)
        size = tuple(options.pop("figsize", (12, 9)))
        self.style = style
        self.figure = Figure(figsize=size, **options)
        FigureCanvasAgg(self.figure)
        two = len(grid.get("height_ratios", [1])) > 1
        if two:
            self.upper, self.lower = self.figure.subplots(2, 1, gridspec_kw=grid, sharex=share)
        else:
            self.upper, self.lower = self.figure.subplots(), None
        self.figure.subplots_adjust(left=0.13, right=0.965, top=0.935, bottom=0.115 if not two else 0.09)
        self._label(data)
        for axes in self.panels:
            # matplotlib looks for places by measuring all numbers of the axes, twice for each plot
            axes.set_title("", y=1.0)
            axes.yaxis.set_label_coords(-0.088, 1.0 if axes is self.upper else 0.5)
        self.panels[-1].xaxis.set_label_coords(1.0, -0.08 if not two else -0.22)
        self._own = {axes: set(axes.get_children()) for axes in self.panels}
        self._written = 0.0
        self._quick = quick

    @property
    def panels(self) -> list[Any]:
        """The axes, from top to bottom."""
        return [axes for axes in (self.upper, self.lower) if axes is not None]

    @property
    def _height(self) -> float:
        """Height of the upper panel in inches."""
        return float(self.figure.get_figheight() * self.upper.get_position().height)

    def _label(self, data: bool) -> None:
        size = float(self.style.options["fontsize"])
        location = int(self.style.options["experiment_label_loc"])
        texts = mplhep.cms.label(
            self.style.cms_label, loc=location, data=data, rlabel=" ", ax=self.upper, fontsize=size
        )
        self._right = texts[2]

    def clear(self) -> None:
        """Take away everything but the axes and the label of the experiment."""
        for axes, own in self._own.items():
            for child in axes.get_children():
                if child not in own:
                    child.remove()
            axes.containers.clear()

    def start(self, binning: Binning, label: str, *, log_x: bool = False, log_y: bool = False) -> None:
        """Prepare for a plot over ``binning``; ``label`` (luminosity, energy) stands above it."""
        self.clear()
        self._right.set_text(label)
        bottom = self.panels[-1]
        edges = np.asarray(binning.edges)
        if log_x:
            positive = edges[edges > 0]
            if len(positive) < 2:
                msg = f"{binning.label!r} has no positive bins: it cannot be drawn on a logarithmic axis."
                raise InvalidValue(msg)
            edges = positive
        for axes in self.panels:
            _set_scale(axes, "x", "log" if log_x else "linear")
            axes.set_xlim(edges[0], edges[-1])
        _set_scale(self.upper, "y", "log" if log_y else "linear")
        size = float(self.style.options["fontsize"])
        bottom.set_xlabel(binning.label, fontsize=size)
        self._name_bins(bottom, binning)
        for axes in self.panels:
            axes.tick_params(labelsize=0.85 * size)
            axes.yaxis.get_offset_text().set_fontsize(0.85 * size)
        letters = sum(map(len, binning.names))
        bottom.tick_params(axis="x", labelsize=0.85 * size * min(1.0, 50 / max(1, letters)))

    def _name_bins(self, bottom: Any, binning: Binning) -> None:
        if binning.names:
            bottom.set_xticks(np.asarray(binning.edges[:-1]) + 0.5, list(binning.names))
            for axes in self.panels:
                axes.xaxis.set_minor_locator(NullLocator())
            return
        for axes in self.panels:
            if isinstance(axes.xaxis.get_major_locator(), FixedLocator):
                axes.set_xscale(axes.get_xscale())  # numbers again, after names

    def finish(self) -> Canvas:
        """Draw what depends on the limits, and return the canvas.

        A tick of matplotlib is five objects; the minor ones take as long as everything else. In a figure
        that nobody changes any more they are one line for each side.
        """
        if self._quick:
            for axes in self.panels:
                axes.minorticks_off()
                _minor_ticks(axes, "x")
                _minor_ticks(axes, "y")
        return self

    def write(self, lines: Sequence[str]) -> None:
        """Write lines into the upper panel, below the label of the experiment."""
        size = float(self.style.options["fontsize"])
        below = _LABEL_LINES * size
        if lines:
            self.upper.annotate(
                "\n".join(lines),
                *((0.05, 0.95), (0, -below)),
                xycoords="axes fraction",
                textcoords="offset points",
                fontsize=0.85 * size,
                va="top",
            )
        self._written = 0.06 + (below + 1.2 * 0.85 * size * len(lines)) / 72 / self._height

    def legend(self, handles: Sequence[Any]) -> float:
        """Draw the legend and return the part of the panel's height that it takes."""
        size = float(self.style.options["fontsize_legend"])
        columns = 1 if len(handles) <= 3 else 2 if len(handles) <= 10 else 3
        self.upper.legend(
            handles=list(handles),
            loc="upper right",
            ncols=columns,
            fontsize=size,
            columnspacing=1.2,
            handletextpad=0.5,
            borderaxespad=0.6,
        )
        rows = -(-len(handles) // columns)
        return min(0.62, (rows * 1.28 * size + 0.9 * size) / 72 / self._height)

    def limits(self, highest: float, taken: float, limits: Mapping[str, Any], *, lowest: float = 0.0) -> None:
        """Set the limits of the upper panel, so that ``highest`` is below what the legend takes."""
        taken = min(0.7, max(taken, self._written))
        if self.upper.get_yscale() == "log":
            low = float(limits.get("ylim_log", {}).get("lo") or 0.01)
            if highest <= low:
                low = highest / 1e3 if highest > 0 else 0.1
            high = low * (max(highest, low * 10) / low) ** (1 / (1 - taken))
            self.upper.set_ylim(low, limits.get("ylim_log", {}).get("hi") or high)
            return
        bottom = min(0.0, 1.1 * lowest)
        top = bottom + (highest - bottom) / (1 - taken) if highest > bottom else bottom + 1.0
        given = limits.get("ylim", {})
        self.upper.set_ylim(
            bottom if given.get("lo") is None else given["lo"],
            top if given.get("hi") is None else given["hi"],
        )

    def y_label(self, axes: Any, text: str, *, center: bool = False) -> None:
        """Name a vertical axis; that of a ratio in its middle."""
        where = {"loc": "center"} if center else {}
        size = float(self.style.options["fontsize"]) * (0.8 if len(text) > 12 and center else 1)
        axes.set_ylabel(text, fontsize=size, **where)


def _set_scale(axes: Any, which: str, scale: str) -> None:
    """Change a scale only when it is another: it makes all ticks anew."""
    if getattr(axes, f"get_{which}scale")() != scale:
        getattr(axes, f"set_{which}scale")(scale)


def _minor_ticks(axes: Any, which: str) -> None:
    """Draw the minor ticks of an axis at both sides, as they look in the style of CMS."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if isinstance(axis.get_major_locator(), FixedLocator):
        return
    log = getattr(axes, f"get_{which}scale")() == "log"
    locator = LogLocator(subs=list(range(2, 10))) if log else AutoMinorLocator()
    locator.set_axis(axis)
    low, high = sorted(axis.get_view_interval())
    places = [place for place in np.asarray(locator()) if low <= place <= high]
    transform = axes.get_xaxis_transform() if which == "x" else axes.get_yaxis_transform()
    markers = (TICKUP, TICKDOWN) if which == "x" else (TICKRIGHT, TICKLEFT)
    for side, marker in enumerate(markers):
        ends = [side] * len(places)
        line = Line2D(
            *((places, ends) if which == "x" else (ends, places)),
            linestyle="none",
            marker=marker,
            color="black",
            markersize=mpl.rcParams[f"{which}tick.minor.size"],
            markeredgewidth=mpl.rcParams[f"{which}tick.minor.width"],
            transform=transform,
            clip_on=False,
            zorder=2.01,
        )
        axes.add_artist(line)


_canvases: dict[tuple[Any, ...], Canvas] = {}


def canvas_for(style: Style, layout: str, *, data: bool, key: tuple[Any, ...] | None) -> Canvas:
    """Return a canvas of this process for the layout; what was drawn on it before is lost.

    key: what else distinguishes it; None for a new one that nobody else gets.
    """
    if key is None:
        return Canvas(style, layout, data=data)
    full = (id(style), layout, data, *key)
    if full not in _canvases:
        while len(_canvases) >= _KEPT:
            _canvases.pop(next(iter(_canvases)))
        # the style is kept with its canvas: while it is, no other object has its id
        _canvases[full] = Canvas(style, layout, data=data, quick=True)
    return _canvases[full]


def steps(axes: Any, heights: Array, edges: Sequence[float] | Array, **options: Any) -> Any:
    """Add a histogram as a patch, without looking for new limits of the axes."""
    return axes.add_artist(StepPatch(heights, np.asarray(edges), **options))


def save_figure(figure: Any, path: Path, formats: Sequence[str]) -> list[Path]:
    """Write a figure in each format; files appear whole or not at all. Raises OutputError."""
    written = []
    for name in formats:
        target = path.parent / f"{path.name}.{name}"
        # nothing in the file depends on when it is written
        dates = {"metadata": {"CreationDate": None} if name == "pdf" else {"Date": None}}
        with whole_file(target) as part:
            if name == "png":
                _write_png(figure, part)
            else:
                figure.savefig(part, format=name, **dates)
        written.append(target)
    return written


def _write_png(figure: Any, path: Path) -> None:
    """Write a picture without transparency, which takes a tenth of the time of drawing and has no use."""
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        path, "png", compress_level=1, dpi=(figure.dpi, figure.dpi)
    )


def copy_index(index: Path, folder: Path) -> None:
    """Copy the index file for web servers into a folder of plots."""
    with whole_file(folder / index.name) as part:
        shutil.copyfile(index, part)
