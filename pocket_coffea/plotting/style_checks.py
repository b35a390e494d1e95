"""What a plotting style hands to matplotlib as it is: tried once, before a thousand plots fail of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib import cbook
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser

from pocket_coffea.errors import InvalidType, InvalidValue
from pocket_coffea.plotting.canvas import cms_style, steps
from pocket_coffea.plotting.draw_datamc import band_look, data_look, patch_options
from pocket_coffea.plotting.style import Style

__all__ = ["check_looks"]


def check_looks(style: Style) -> None:
    """Raise InvalidValue or InvalidType for a value that cannot be drawn; the message names its key."""
    _check_limits(style.options["opts_ylim"])
    with cms_style():
        for key, value, attempt in _attempts(style):
            try:
                attempt()
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                msg = f"plotting_style.{key}: {value!r} cannot be drawn: {reason}"
                raise InvalidValue(msg) from error


def _attempts(style: Style) -> Iterator[tuple[str, Any, Callable[[], Any]]]:
    """Give (key, value, what uses it as the plots do)."""
    for layout, options in style.options["opts_figure"].items():
        yield f"opts_figure.{layout}", options, partial(_figure, options)
    axes = Figure().subplots()
    options = style.options
    yield (
        "opts_data",
        options["opts_data"],
        lambda: axes.errorbar([0.5], [1], yerr=[[1], [1]], **data_look(style)),
    )
    edges, ones = [0.0, 1.0], np.ones(1)
    for key in ("opts_mc", "opts_sig"):
        yield key, options[key], partial(steps, axes, ones, edges, **patch_options(options[key]))
    yield (
        "opts_unc.total",
        options["opts_unc"].get("total"),
        lambda: steps(axes, ones, edges, baseline=0, **band_look(style)),
    )
    for name, text in _texts(options):
        if cbook.is_math_text(text):
            yield name, text, partial(MathTextParser("path").parse, text)


def _figure(options: Mapping[str, Any]) -> None:
    given = {key: value for key, value in options.items() if key not in ("gridspec_kw", "sharex")}
    Figure(**given).add_gridspec(2, 1, **(options.get("gridspec_kw") or {"height_ratios": [1, 1]}))


def _texts(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, text in (options.get("labels_mc") or {}).items():
        yield f"labels_mc.{name}", str(text)
    yield "cms_label", str(options.get("cms_label", ""))
    for year, text in (options["plot_upper_label"].get("by_year") or {}).items():
        yield f"plot_upper_label.by_year.{year}", str(text)


def _check_limits(limits: Mapping[str, Any]) -> None:
    named = (
        (f"opts_ylim.{kind}.{axis}.{end}", value)
        for kind, by_axis in limits.items()
        for axis, ends in (by_axis or {}).items()
        for end, value in (ends or {}).items()
    )
    for key, value in named:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            msg = f"plotting_style.{key}: {value!r} is not a number."
            raise InvalidType(msg)
