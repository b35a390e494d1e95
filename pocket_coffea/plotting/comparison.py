"""Shapes of chosen samples, categories, years and variations in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocket_coffea.errors import InvalidValue, UnknownName, did_you_mean
from pocket_coffea.plotting.content import Block, add_blocks, block_of, with_flow
from pocket_coffea.plotting.style import CMS_COLORS

__all__ = ["plot_shapes_comparison"]

#: (sample, category, year, variation, label)
ShapeKey = tuple[str, str, str, str, str]


def plot_shapes_comparison(
    df: Mapping[str, Any],
    var: str,
    shapes: Sequence[ShapeKey],
    title: str | None = None,
    ylog: bool = False,
    output_folder: str | Path | None = None,
    *,
    figsize: tuple[float, float] = (8, 9),
    dpi: int = 100,
    lumi_label: str = "$137/fb$ (13 TeV)",
    outputfile: str | None = None,
) -> Any:
    """Draw shapes with their statistical errors, and their ratios to the first one; return the figure.

    df: an output. shapes: (sample, category, year, variation, label); the variation of data is "nominal".
    Written to ``output_folder/outputfile`` (default: ``shapes_comparison_{var}.png``) if a folder is given.
    Raises UnknownName for a histogram, sample, year, category or variation that is not there.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from pocket_coffea.plotting.canvas import cms_style

    if not shapes:
        msg = f"{var}: no shapes are given. Needed: [(sample, category, year, variation, label), ...]."
        raise InvalidValue(msg)
    found = [(_shape(df, var, key), key[4]) for key in shapes]
    with cms_style():
        figure = Figure(figsize=figsize, dpi=dpi)
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1], "hspace": 0.07}
        )
        figure.subplots_adjust(left=0.15, right=0.96, top=0.93, bottom=0.1)
        _draw(upper, lower, found)
        upper.set_yscale("log" if ylog else "linear")
        highest = max(float(values.max()) for (_, values, _), _ in found)
        upper.set_ylim(*((None, highest * 50) if ylog else (0, highest * 1.4 or 1)))
        size = 2 * figsize[0]
        upper.set_ylabel("Events", fontsize=size)
        upper.set_title(title or "", loc="left", fontsize=size)
        upper.set_title(lumi_label, loc="right", fontsize=size)
        upper.legend(loc="upper right", fontsize=0.8 * size)
        lower.set_xlabel(found[0][0][0].binnings[0].label, fontsize=size)
        lower.set_ylabel("Ratio", loc="center", fontsize=size)
        for axes in (upper, lower):
            axes.tick_params(labelsize=0.8 * size)
        if output_folder is not None:
            _write(figure, Path(output_folder) / (outputfile or f"shapes_comparison_{var}.png"))
    return figure


def _write(figure: Any, path: Path) -> None:
    from pocket_coffea.plotting.canvas import FORMATS, save_figure

    name = path.suffix.lstrip(".") or "png"
    if name not in FORMATS:
        msg = f"outputfile {path.name!r}: {did_you_mean(name, FORMATS)}"
        raise InvalidValue(msg)
    save_figure(figure, path.with_suffix(""), [name])


def _shape(df: Mapping[str, Any], var: str, key: ShapeKey) -> tuple[Block, Any, Any]:
    sample, category, year, variation, _ = key
    variables = df.get("variables", {})
    by_sample = _get(variables, var, "there is no histogram")
    by_dataset = _get(by_sample, sample, f"{var} has no sample")
    known = df.get("datasets_metadata", {}).get("by_dataset", {})
    blocks = [
        block_of(histogram, f"{var}, {dataset}")
        for dataset, histogram in by_dataset.items()
        if str(known.get(dataset, {}).get("year")) == str(year)
    ]
    if not blocks:
        years = {str(known.get(dataset, {}).get("year")) for dataset in by_dataset}
        msg = f"{var}, {sample}: there is no year {year!r}. {did_you_mean(year, years)}"
        raise UnknownName(msg)
    block = with_flow(add_blocks(blocks, f"{var}, {sample}"), "sum")
    place = (
        _place(block.categories, category, f"{var}, {sample}: there is no category"),
        _place(block.variations, variation, f"{var}, {sample}: there is no variation"),
    )
    return block, block.values[place], np.sqrt(np.abs(block.variances[place]))


def _get(mapping: Mapping[str, Any], name: str, text: str) -> Any:
    if name not in mapping:
        msg = f"{text} {name!r}. {did_you_mean(name, mapping)}"
        raise UnknownName(msg)
    return mapping[name]


def _place(names: Sequence[str], name: str, text: str) -> int:
    if name not in names:
        msg = f"{text} {name!r}. {did_you_mean(name, names)}"
        raise UnknownName(msg)
    return list(names).index(name)


def _draw(upper: Any, lower: Any, found: Sequence[tuple[tuple[Block, Any, Any], str]]) -> None:
    colors = ["black", *CMS_COLORS.values()]
    block, reference, _ = found[0][0]
    edges = np.asarray(block.binnings[0].edges)
    centers = (edges[1:] + edges[:-1]) / 2
    some = reference != 0
    for index, ((_, values, errors), label) in enumerate(found):
        color = colors[index % len(colors)]
        upper.stairs(values, edges, color=color, linewidth=2, label=label)
        upper.errorbar(centers, values, yerr=errors, fmt="none", ecolor=color, elinewidth=1)
        ratio = np.divide(values, reference, out=np.full_like(values, np.nan), where=some)
        spread = np.divide(errors, np.abs(reference), out=np.zeros_like(values), where=some)
        lower.stairs(ratio, edges, color=color, linewidth=2)
        lower.errorbar(centers, ratio, yerr=spread, fmt="none", ecolor=color, elinewidth=1)
    lower.set_ylim(0.5, 1.5)
    lower.set_xlim(edges[0], edges[-1])
