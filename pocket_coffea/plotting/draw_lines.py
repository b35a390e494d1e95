"""Histograms as lines: samples compared with one of them, and the shifts of one systematic uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pocket_coffea.errors import NothingToDo, UnknownName, did_you_mean
from pocket_coffea.plotting.canvas import Canvas, canvas_for, steps
from pocket_coffea.plotting.content import Array
from pocket_coffea.plotting.draw_datamc import info_lines, upper_label, y_name
from pocket_coffea.plotting.options import DrawOptions
from pocket_coffea.plotting.stack import Content, Stack, normalised, unit_factor
from pocket_coffea.plotting.style import Style

__all__ = ["draw_comparison", "draw_systematic"]


#: Longest name of the axis of a ratio.
_LONGEST = 24


@dataclass(frozen=True)
class _Line:
    content: Content
    label: str
    color: Any
    linestyle: str = "-"
    linewidth: float = 2
    points: bool = False


def draw_comparison(stack: Stack, style: Style, options: DrawOptions, *, reuse: bool = True) -> Canvas:
    """Draw the samples of a category as lines, data as points, and their ratios to ``compare.ref``.

    The reference is the first sample of the stack unless the style names one. Raises UnknownName when the
    category has no such sample, NothingToDo when it has none at all.
    """
    if options.density:
        stack = _each_normalised(stack)
    contents = {**dict(reversed(stack.mc.items())), **stack.signals, **stack.data_samples}
    if not contents:
        msg = f"{stack.variable}, {stack.category}: there is no sample to compare."
        raise NothingToDo(msg)
    reference = style.compare_ref or next(iter(contents))
    if reference not in contents:
        msg = f"plotting_style.compare.ref: {reference!r} is not drawn. {did_you_mean(reference, contents)}"
        raise UnknownName(msg)
    colors = style.colors_of(sorted([*stack.mc, *stack.signals]))
    ordered = {reference: contents[reference], **contents}
    lines = {
        name: _Line(
            content,
            style.label_of(name),
            colors.get(name, "black"),
            points=name in stack.data_samples,
        )
        for name, content in ordered.items()
    }
    layout = "datamc_ratio" if options.ratio else "datamc"
    key = ("lines", options.log_x, options.log_y) if reuse else None
    canvas = canvas_for(style, layout, data=bool(stack.data_samples), key=key)
    label = f"Ratio to {style.label_of(reference)}"
    label = label if len(label) < _LONGEST else "Ratio to reference"
    _draw(canvas, stack, lines, options, (lines[reference].content.values, label))
    return canvas.finish()


def draw_systematic(
    stack: Stack, name: str, style: Style, options: DrawOptions, *, reuse: bool = True
) -> Canvas:
    """Draw the sum of simulation with the up and down variation of one systematic uncertainty.

    Raises UnknownName.
    """
    if name not in stack.systematics:
        hint = did_you_mean(name, stack.systematics)
        msg = f"{stack.variable} has no systematic uncertainty {name!r}. {hint}"
        raise UnknownName(msg)
    if options.density:
        stack = normalised(stack)
    looks = style.options["opts_syst"]
    total = stack.total
    # the variations have the events of the nominal sum: statistical errors say nothing of a shift
    no_errors = np.zeros_like(total.values)
    nominal = Content(total.values, no_errors)
    lines = {"nominal": _systematic_line(nominal, "nominal", looks.get("nominal", {}))}
    for side in stack.varied[name]:
        content = Content(stack.varied[name][side], no_errors)
        lines[side] = _systematic_line(content, f"{name} {side.lower()}", looks.get(side.lower(), {}))
    layout = "systematics_ratio" if options.systematics_ratio else "systematics"
    key = (options.log_x, options.log_y) if reuse else None
    canvas = canvas_for(style, layout, data=False, key=key)
    _draw(canvas, stack, lines, options, (total.values, "Ratio to nominal"))
    return canvas.finish()


def _systematic_line(content: Content, label: str, look: Mapping[str, Any]) -> _Line:
    return _Line(
        content,
        label,
        look.get("color", "black"),
        str(look.get("linestyle", "-")),
        max(2.0, float(look.get("linewidth", 2))),
    )


def _each_normalised(stack: Stack) -> Stack:
    """Every sample with the integral 1."""
    widths = np.diff(stack.binnings[0].edges)

    def own(contents: Mapping[str, Content]) -> dict[str, Content]:
        sums = {name: float(content.values.sum()) for name, content in contents.items()}
        return {
            name: content.scaled(unit_factor(stack, sums[name]) / widths)
            for name, content in contents.items()
        }

    return replace(stack, mc=own(stack.mc), signals=own(stack.signals), data_samples=own(stack.data_samples))


def _draw(
    canvas: Canvas,
    stack: Stack,
    lines: Mapping[str, _Line],
    options: DrawOptions,
    reference: tuple[Array, str],
) -> None:
    style = canvas.style
    canvas.start(
        stack.binnings[0], upper_label(stack, style, options), log_x=options.log_x, log_y=options.log_y
    )
    handles = [_draw_line(canvas.upper, stack, line) for line in lines.values()]
    taken = canvas.legend(handles)
    canvas.write(info_lines(stack, style))
    highest = max(
        float(np.max(np.where(stack.shown, line.content.values + np.sqrt(line.content.variances), 0)))
        if line.points
        else float(np.max(line.content.values))
        for line in lines.values()
    )
    lowest = min(float(np.min(np.where(stack.shown, line.content.values, 0))) for line in lines.values())
    canvas.limits(highest, taken, style.options["opts_ylim"].get("systematics", {}), lowest=lowest)
    canvas.y_label(canvas.upper, y_name(options, stack))
    if canvas.lower is None:
        return
    nominal, name = reference
    ratios = []
    for line in lines.values():
        _draw_line(canvas.lower, stack, line, nominal)
        filled = (nominal > 0) & stack.shown
        ratios.append(np.abs(line.content.values[filled] / nominal[filled] - 1))
    canvas.lower.set_ylim(*_ratio_limits(np.concatenate(ratios)))
    canvas.y_label(canvas.lower, name, center=True)


def _ratio_limits(distances: Array) -> tuple[float, float]:
    """Symmetric around 1, wide enough for nearly all, between 5 % and 100 %."""
    distances = distances[np.isfinite(distances)]
    wide = float(np.quantile(distances, 0.9)) * 1.4 if len(distances) else 0.5
    half = min(1.0, max(0.05, wide))
    return 1 - half, 1 + half


def _draw_line(axes: Any, stack: Stack, line: _Line, nominal: Array | None = None) -> Any:
    """Draw a line with its statistical errors, relative to ``nominal`` if there is one."""
    edges = np.asarray(stack.binnings[0].edges)
    scale = np.ones(len(edges) - 1)
    if nominal is not None:
        scale = np.divide(1, nominal, out=np.zeros_like(nominal), where=nominal > 0)
    values, errors = line.content.values * scale, np.sqrt(np.abs(line.content.variances)) * scale
    centers = (edges[1:] + edges[:-1]) / 2
    filled = (line.content.values != 0) & (scale > 0)
    if line.points:
        filled = filled & stack.shown
        return axes.errorbar(
            centers[filled],
            values[filled],
            yerr=errors[filled],
            fmt="o",
            color=line.color,
            markersize=5,
            label=line.label,
        )
    if np.any(errors):
        axes.errorbar(
            centers[filled], values[filled], yerr=errors[filled], fmt="none", ecolor=line.color, elinewidth=1
        )
    return steps(
        axes,
        values if nominal is None else np.where(nominal > 0, values, np.nan),
        edges,
        baseline=None,
        fill=False,
        edgecolor=line.color,
        linestyle=line.linestyle,
        linewidth=line.linewidth,
        label=line.label,
    )
