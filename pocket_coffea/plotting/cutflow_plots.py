"""Cutflows as pictures: the events of each sample, step by step and category by category."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocket_coffea.errors import InvalidValue, NothingToDo, did_you_mean
from pocket_coffea.plotting.cutflow_tables import STEPS, Number, Table, cutflow_table, yield_table
from pocket_coffea.plotting.style import CMS_COLORS

__all__ = ["plot_cutflow_from_output", "plot_sample_cutflow"]

log = logging.getLogger(__name__)

#: Lower end of a logarithmic axis of events.
_LOG_LOW = 0.5


def plot_cutflow_from_output(
    output: Mapping[str, Any],
    output_dir: str | Path,
    exclude_categories: Iterable[str] | None = None,
    only_samples: Iterable[str] | None = None,
    figsize: tuple[float, float] = (10, 6),
    *,
    log_y: bool = False,
    output_format: str = "png",
    separate_years: bool = False,
) -> list[Path]:
    """Write a picture for each sample, ``cutflow_{sample}.png``, and one with all, ``cutflow_all.png``; of
    the sums of weights, where there are some, ``yields_all.png``. Return their paths.

    Raises UnknownName for an excluded category that is not there, NothingToDo without a sample.
    """
    excluded, samples = list(exclude_categories or ()), None if only_samples is None else list(only_samples)
    table = cutflow_table(output, excluded, samples, separate_years=separate_years)
    if not table.rows:
        msg = f"the output has no sample of {', '.join(samples or [])}: there is no cutflow to draw."
        raise NothingToDo(msg)
    folder = Path(output_dir)
    paths = []
    for sample, row in table.rows.items():
        paths += plot_sample_cutflow(
            sample, row, table.columns, folder, figsize, log_y=log_y, output_format=output_format
        )
    paths += _plot_all(table, folder / "cutflow_all", figsize, log_y=log_y, output_format=output_format)
    yields = yield_table(
        output, [name for name in excluded if name not in STEPS], samples, separate_years=separate_years
    )
    if yields.columns and output.get("sumw"):
        paths += _plot_all(yields, folder / "yields_all", figsize, log_y=log_y, output_format=output_format)
    return paths


def plot_sample_cutflow(
    sample: str,
    numbers: Mapping[str, float | Number],
    categories: Sequence[str] | None = None,
    output_dir: str | Path = ".",
    figsize: tuple[float, float] = (10, 6),
    *,
    log_y: bool = False,
    output_format: str = "png",
) -> list[Path]:
    """Write the bars of one sample, with the part of the first step that each has; return the paths.

    numbers: {category: number, or Number with its error}.
    """
    names = [name for name in (categories or list(numbers)) if name in numbers]
    found = [number if isinstance(number := numbers[name], Number) else Number(number, 0.0) for name in names]
    values, errors = [each.value for each in found], [each.error for each in found]

    def draw(axes: Any) -> None:
        places = np.arange(len(names))
        axes.bar(places, values, width=0.7, color=CMS_COLORS["CMS_blue"])
        axes.errorbar(places, values, yerr=errors, fmt="none", ecolor="black", elinewidth=1)
        for place, value, error in zip(places, values, errors, strict=True):
            part = f"\n{value / values[0]:.1%}" if values[0] > 0 and place > 0 else ""
            axes.annotate(
                f"{value:.4g}{part}",
                *((place, value + error), (0, 4)),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=1.1 * figsize[0],
            )
        axes.set_title(sample, loc="left", fontsize=1.6 * figsize[0])

    path = Path(output_dir) / f"cutflow_{sample.replace('/', '_')}"
    return _figure(draw, path, (names, _range(found)), figsize, log_y=log_y, output_format=output_format)


def _range(numbers: Iterable[Number]) -> tuple[float, float]:
    """Return the lowest and highest end of errors, of numbers that are finite, and at least 0."""
    ends = [(each.value - each.error, each.value + each.error) for each in numbers]
    finite = [end for pair in ends for end in pair if math.isfinite(end)]
    return min(finite, default=0.0), max([0.0, *finite])


def _limits(ends: tuple[float, float], *, log_y: bool) -> tuple[float, float]:
    """Return limits of the axis that leave room for numbers and the legend."""
    lowest, highest = ends
    if not log_y:
        bottom = min(0.0, 1.1 * lowest)
        return bottom, bottom + 1.35 * (highest - bottom) or 1.0
    low = _LOG_LOW if highest > _LOG_LOW or highest == 0 else highest / 1e3
    return low, max(30 * highest, low * (highest / low) ** 1.3) or 1.0


def _plot_all(
    table: Table, path: Path, figsize: tuple[float, float], *, log_y: bool, output_format: str
) -> list[Path]:
    names = list(table.columns)
    colors = ["black", *CMS_COLORS.values()]
    ends = _range(number for row in table.rows.values() for number in row.values())

    def draw(axes: Any) -> None:
        shift = np.linspace(-0.25, 0.25, max(2, len(table.rows)))
        for index, (sample, row) in enumerate(table.rows.items()):
            places = [i + shift[index] for i, name in enumerate(names) if name in row]
            found = [row[name] for name in names if name in row]
            axes.errorbar(
                *(places, [each.value for each in found]),
                yerr=[each.error for each in found],
                fmt="o",
                color=colors[index % len(colors)],
                label=sample,
                markersize=5,
            )
        axes.set_title(table.title, loc="left", fontsize=1.5 * figsize[0])
        if table.rows:
            axes.legend(fontsize=1.2 * figsize[0], ncols=3 if len(table.rows) > 4 else 2, loc="upper right")

    return _figure(draw, path, (names, ends), figsize, log_y=log_y, output_format=output_format)


def _figure(
    draw: Any,
    path: Path,
    content: tuple[list[str], tuple[float, float]],
    figsize: tuple[float, float],
    *,
    log_y: bool,
    output_format: str,
) -> list[Path]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    from pocket_coffea.plotting.canvas import FORMATS, cms_style, save_figure

    if output_format not in FORMATS:
        msg = f"format {output_format!r}: {did_you_mean(output_format, FORMATS)}"
        raise InvalidValue(msg)
    names, ends = content
    with cms_style():
        figure = Figure(figsize=figsize)
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        draw(axes)
        slanted = sum(map(len, names)) > 7 * figsize[0]
        size = 1.4 * figsize[0]
        axes.set_xticks(np.arange(len(names)), names)
        axes.tick_params(axis="x", labelrotation=30 if slanted else 0, labelsize=size)
        axes.tick_params(axis="y", labelsize=size)
        # a power of ten stands left of the title, not upon it
        axes.yaxis.get_offset_text().set(fontsize=size, horizontalalignment="right")
        axes.xaxis.set_minor_locator(NullLocator())
        for label in axes.get_xticklabels() if slanted else ():
            label.set_horizontalalignment("right")
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_yscale("log" if log_y else "linear")
        axes.set_ylim(*_limits(ends, log_y=log_y))
        axes.set_ylabel("Events", fontsize=1.6 * figsize[0])
        longest = max(map(len, names), default=1) if slanted else 0
        figure.subplots_adjust(left=0.12, right=0.97, top=0.92, bottom=min(0.45, 0.11 + 0.011 * longest))
        return save_figure(figure, path, [output_format])
