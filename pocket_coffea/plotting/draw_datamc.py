"""Data against the stack of simulation, with the band of its uncertainty, signals on top, and their ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from pocket_coffea.plotting.canvas import Canvas, canvas_for, steps
from pocket_coffea.plotting.content import Array
from pocket_coffea.plotting.options import DrawOptions, matches
from pocket_coffea.plotting.stack import Stack, normalised
from pocket_coffea.plotting.style import Style
from pocket_coffea.plotting.uncertainty import SystUnc, poisson_errors

__all__ = [
    "band_look",
    "data_look",
    "draw_datamc",
    "draw_ratio_points",
    "info_lines",
    "patch_options",
    "upper_label",
    "y_name",
]

_RATIO_LIMITS = (0.5, 1.5)
_PARTIAL_LIMITS = (0.5, 1.5)


def draw_datamc(stack: Stack, style: Style, options: DrawOptions, *, reuse: bool = True) -> Canvas:
    """Draw one category and return the canvas. Without data or simulation there is no ratio.

    reuse: on the canvas of the last such plot, which is lost.
    """
    stack = normalised(stack) if options.density else _with_scaled_signals(stack, style)
    ratio = options.ratio and stack.data is not None and bool(stack.mc)
    split = options.split_systematics and bool(stack.mc) and options.systematics
    layout = "partial" if split else "datamc_ratio" if ratio else "datamc"
    key = (options.log_x, options.log_y) if reuse else None
    canvas = canvas_for(style, layout, data=stack.data is not None, key=key)
    binning = stack.binnings[0]
    canvas.start(binning, upper_label(stack, style, options), log_x=options.log_x, log_y=options.log_y)
    band = _band(stack, options)
    handles = [
        *_draw_data(canvas, stack),
        *_draw_stack(canvas, stack),
        *_draw_signals(canvas, stack, density=options.density),
        *_draw_band(canvas, stack, band),
    ]
    taken = canvas.legend(handles)
    canvas.write(info_lines(stack, style))
    canvas.limits(
        _highest(stack, band), taken, style.options["opts_ylim"].get("datamc", {}), lowest=_lowest(stack)
    )
    canvas.y_label(canvas.upper, y_name(options, stack))
    if split:
        _draw_partial(canvas, stack, options, band)
    elif ratio:
        _draw_ratio(canvas, stack, band)
    return canvas.finish()


def _with_scaled_signals(stack: Stack, style: Style) -> Stack:
    return replace(
        stack, signals={name: each.scaled(style.signals[name]) for name, each in stack.signals.items()}
    )


def y_name(options: DrawOptions, stack: Stack) -> str:
    """Return the name of the vertical axis."""
    if options.density:
        return "Density"
    widths = np.diff(stack.binnings[0].edges)
    if stack.binnings[0].names or not np.allclose(widths, widths[0]):
        return "Events"
    unit = stack.binnings[0].label.rpartition("[")[2].rstrip("] ") if "[" in stack.binnings[0].label else ""
    if not unit and widths[0] == 1:
        return "Events"
    return f"Events / {widths[0]:.3g} {unit}".rstrip()


def upper_label(stack: Stack, style: Style, options: DrawOptions) -> str:
    """Return what stands above the figure: of the options, or luminosity and energy of the years."""
    return options.upper_label if options.upper_label is not None else style.upper_label(stack.years)


def info_lines(stack: Stack, style: Style) -> list[str]:
    """Return the lines that ``print_info`` asks for."""
    wanted = style.options.get("print_info", {})
    return [
        *([stack.category] if wanted.get("category") else []),
        *([", ".join(stack.years)] if wanted.get("year") else []),
    ]


def _band(stack: Stack, options: DrawOptions) -> SystUnc:
    if not options.systematics:
        return stack.band([], mcstat=options.mcstat)
    if options.partial_band and options.only_syst:
        chosen = [name for name in stack.systematics if matches(name, options.only_syst)]
        return stack.band(chosen, mcstat=False)
    return stack.band(mcstat=options.mcstat)


def _highest(stack: Stack, band: SystUnc) -> float:
    parts = [band.up] if stack.mc else []
    parts += [content.values for content in stack.signals.values()]
    if stack.data is not None:
        seen = np.where(stack.shown, stack.data.values + np.sqrt(np.abs(stack.data.variances)), 0)
        parts.append(seen)
    highest = max((float(np.nanmax(part)) for part in parts if part.size), default=0.0)
    return highest if np.isfinite(highest) else 0.0


def _lowest(stack: Stack) -> float:
    return min((float(content.values.min()) for content in stack.mc.values()), default=0.0)


def _draw_stack(canvas: Canvas, stack: Stack) -> list[Any]:
    """The samples of simulation upon each other; handles from the top to the bottom."""
    style, edges = canvas.style, stack.binnings[0].edges
    opts = patch_options(style.options["opts_mc"])
    filled = style.options["opts_mc"].get("histtype", "fill") == "fill"
    colors = style.colors_of(sorted([*stack.mc, *stack.signals]))
    stacked = style.options["opts_mc"].get("stack", True)
    base, handles = np.zeros(len(edges) - 1), []
    for name, content in stack.mc.items():
        top = base + content.values if stacked else content.values
        look: dict[str, Any] = {"fill": filled, "label": style.label_of(name), "zorder": 1, **opts}
        look |= (
            {"facecolor": colors[name], "edgecolor": colors[name]}
            if filled
            else {"edgecolor": colors[name], "linewidth": 2}
        )
        if filled:
            look.setdefault("linewidth", 0)
        handles.append(steps(canvas.upper, top, edges, baseline=base if stacked and filled else 0, **look))
        base = top if stacked else base
    return handles[::-1]


def _draw_signals(canvas: Canvas, stack: Stack, *, density: bool) -> list[Any]:
    style = canvas.style
    opts = patch_options(style.options["opts_sig"])
    colors = style.colors_of(sorted([*stack.mc, *stack.signals]))
    handles = []
    for name, content in stack.signals.items():
        scale = style.signals[name]
        label = style.label_of(name) + (f" × {scale:g}" if scale != 1 and not density else "")
        look = {"linewidth": 2, "zorder": 3, **opts, "edgecolor": colors[name], "label": label, "fill": False}
        look["linewidth"] = max(2, look["linewidth"])
        handles.append(steps(canvas.upper, content.values, stack.binnings[0].edges, baseline=None, **look))
    return handles


def _draw_band(canvas: Canvas, stack: Stack, band: SystUnc) -> list[Any]:
    if not stack.mc or not np.any(band.err2_up + band.err2_down):
        return []
    name = "Stat. + syst. unc." if stack.systematics and band.name == "total" else "Stat. unc."
    look = band_look(canvas.style)
    return [steps(canvas.upper, band.up, stack.binnings[0].edges, baseline=band.down, label=name, **look)]


def patch_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of ``opts_mc`` or ``opts_sig`` goes to matplotlib."""
    return {key: value for key, value in options.items() if key not in ("histtype", "stack", "flow", "edges")}


def band_look(style: Style) -> dict[str, Any]:
    """Return how the band of uncertainties looks."""
    opts: Mapping[str, Any] = style.options["opts_unc"].get("total", {})
    look = {key: value for key, value in opts.items() if key not in ("step", "color")}
    color = opts.get("color", (0, 0, 0, 0.4))
    look["edgecolor"] = tuple(color) if isinstance(color, list) else color
    if isinstance(look.get("facecolor"), list):
        look["facecolor"] = tuple(look["facecolor"])
    return {"fill": True, **look}


def data_look(style: Style) -> dict[str, Any]:
    """Return how points of data look."""
    look = dict(style.options["opts_data"])
    # linewidth 0 is that of the line between points
    look.setdefault("elinewidth", 1)
    if look.pop("linewidth", 0) == 0:
        look["linestyle"] = "none"
    size = float(look.get("markersize", 5.0))
    # the point "." is drawn half as large as its size says
    look["markersize"] = 2.4 * size if look.get("marker") == "." else size
    return look


def _draw_data(canvas: Canvas, stack: Stack) -> list[Any]:
    if stack.data is None:
        return []
    look = data_look(canvas.style)
    points = stack.shown & (stack.data.values != 0)
    errors = _data_errors(stack)
    drawn = canvas.upper.errorbar(
        _centers(stack)[points],
        stack.data.values[points],
        yerr=[error[points] for error in errors],
        **{"zorder": 5, **look},
    )
    del drawn
    look.pop("elinewidth", None)
    return [Line2D([], [], **look)]


def _centers(stack: Stack) -> Array:
    edges = np.asarray(stack.binnings[0].edges)
    return (edges[1:] + edges[:-1]) / 2


def _data_errors(stack: Stack) -> tuple[Array, Array]:
    assert stack.data is not None
    return poisson_errors(stack.data.values, stack.data.variances)


def draw_ratio_points(canvas: Canvas, stack: Stack, expected: Array) -> None:
    """Draw data relative to ``expected`` into the lower panel, with the errors of data alone."""
    if stack.data is None:
        return
    points = stack.shown & (stack.data.values != 0) & (expected > 0)
    look = {key: value for key, value in data_look(canvas.style).items() if key != "label"}
    canvas.lower.errorbar(
        _centers(stack)[points],
        stack.data.values[points] / expected[points],
        yerr=[error[points] / expected[points] for error in _data_errors(stack)],
        **{"zorder": 5, **look},
    )


def _draw_ratio(canvas: Canvas, stack: Stack, band: SystUnc) -> None:
    edges, lower = stack.binnings[0].edges, canvas.lower
    steps(lower, band.ratio_up, edges, baseline=band.ratio_down, **band_look(canvas.style))
    draw_ratio_points(canvas, stack, band.nominal)
    lower.axhline(1, color="black", linewidth=1, linestyle="--", zorder=1)
    limits = canvas.style.options["opts_ylim"].get("datamc", {}).get("ylim_ratio", {})
    low, high = _RATIO_LIMITS
    lower.set_ylim(limits.get("lo", low), limits.get("hi", high))
    canvas.y_label(lower, "Data / MC", center=True)


def _draw_partial(canvas: Canvas, stack: Stack, options: DrawOptions, band: SystUnc) -> None:
    """The lower panel of ``split_systematics``: each source relative to the expectation."""
    edges, lower = stack.binnings[0].edges, canvas.lower
    steps(lower, band.ratio_up, edges, baseline=band.ratio_down, **band_look(canvas.style))
    names = [name for name in stack.systematics if not options.only_syst or matches(name, options.only_syst)]
    colors = canvas.style.colors_of(names)
    nominal = stack.total.values
    empty = np.full_like(nominal, np.nan)
    opts = canvas.style.options["opts_unc"]
    handles = []
    for name in names:
        for side in stack.varied[name]:
            heights = np.divide(stack.varied[name][side], nominal, out=empty.copy(), where=nominal > 0)
            line = opts.get(side, {}).get("linestyle", "-")
            steps(
                lower,
                heights,
                edges,
                baseline=None,
                fill=False,
                edgecolor=colors[name],
                linestyle=line,
                linewidth=2,
            )
        handles.append(Line2D([], [], color=colors[name], linewidth=2, label=name))
    draw_ratio_points(canvas, stack, nominal)
    lower.axhline(1, color="black", linewidth=1, zorder=1)
    size = 0.8 * float(canvas.style.options["fontsize_legend"])
    lower.legend(handles=handles, ncols=min(4, max(1, len(handles))), fontsize=size, loc="upper center")
    limits = canvas.style.options["opts_ylim"].get("datamc", {}).get("ylim_ratio", {})
    low, high = _PARTIAL_LIMITS
    lower.set_ylim(limits.get("lo", low), limits.get("hi", high))
    canvas.y_label(lower, "Data / MC" if stack.data is not None else "Shift / MC", center=True)
