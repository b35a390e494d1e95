"""The section ``plotting_style`` of the parameters, read and checked."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pocket_coffea.errors import InvalidType, InvalidValue, did_you_mean

__all__ = ["CMS_COLORS", "DEFAULT_KEYS", "USER_KEYS", "Style"]

log = logging.getLogger(__name__)

#: Colours that CMS recommends (M. Petroff, arXiv:2107.02270).
CMS_COLORS = {
    "CMS_blue": "#3f90da",
    "CMS_orange": "#ffa90e",
    "CMS_red": "#bd1f01",
    "CMS_gray": "#94a4a2",
    "CMS_purple": "#832db6",
    "CMS_brown": "#a96b59",
    "CMS_dark_orange": "#e76300",
    "CMS_beige": "#b9ac70",
    "CMS_dark_gray": "#717581",
    "CMS_light_blue": "#92dadd",
}
#: Centre-of-mass energy of data taking from a year on [TeV].
_ENERGIES = ((2022, 13.6), (2015, 13.0), (2012, 8.0), (0, 7.0))

#: Keys with a default in parameters/plotting_style.yaml.
DEFAULT_KEYS = (
    *("collapse_datasets", "fontsize", "fontsize_legend", "experiment_label_loc", "opts_figure"),
    *("opts_data", "opts_mc", "opts_sig", "opts_syst", "opts_unc", "opts_ylim", "print_info"),
    *("plot_upper_label", "categorical_axes_data", "categorical_axes_mc"),
)
#: key -> type that it must have
USER_KEYS: dict[str, type] = {
    "labels_mc": dict,
    "colors_mc": dict,
    "samples_groups": dict,
    "only_samples": list,
    "exclude_samples": list,
    "rescale_samples": dict,
    "signal_samples": dict,
    "order_mc": list,
    "blind_hists": dict,
    "compare": dict,
    "cms_label": str,
    "rebin": dict,
    "years_groups": dict,
    "systematics": dict,
}
#: Keys of plotting_style.systematics.
_SYSTEMATICS_KEYS = ("year_correlation",)
#: Keys of plotting_style.blind_hists.
_BLIND_KEYS = ("categories", "histograms")


@cache
def _defaults() -> dict[str, Any]:
    from pocket_coffea.parameters.defaults import get_default_parameters

    return _plain(get_default_parameters().plotting_style)


def _plain(config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    if not isinstance(config, (Mapping, DictConfig)):
        msg = f"plotting_style: keys and values are needed, not {type(config).__name__}."
        raise InvalidType(msg)
    try:
        config = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
        content: dict[str, Any] = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        msg = f"plotting_style: {error}"
        raise InvalidValue(msg) from error
    inner = content.get("plotting_style")
    return inner if isinstance(inner, dict) else content


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result


class Style:
    """What a plotting style asks for. ``options`` is the whole section, defaults included.

    Raises InvalidType or InvalidValue for a value that cannot be; a key that is not known is warned about.
    """

    def __init__(self, config: Any = None) -> None:
        given = _plain(config)
        complete = all(key in given for key in DEFAULT_KEYS)
        self.options: dict[str, Any] = given if complete else _merged(_defaults(), given)
        for key in given:
            if key not in DEFAULT_KEYS and key not in USER_KEYS:
                known = (*DEFAULT_KEYS, *USER_KEYS)
                log.warning("plotting_style.%s is not known. %s", key, did_you_mean(key, known, limit=40))
        for key, kind in USER_KEYS.items():
            self._check(key, kind)
        self.groups = {
            name: [str(each) for each in _list(f"samples_groups.{name}", members)]
            for name, members in self._dict("samples_groups").items()
        }
        self._check_groups()
        self.rescale = self._numbers("rescale_samples")
        self.signals = self._numbers("signal_samples")
        self.rebin = {name: _rebin(name, how) for name, how in self._dict("rebin").items()}
        self.years_groups = {
            str(name): [str(year) for year in _list(f"years_groups.{name}", years)]
            for name, years in self._dict("years_groups").items()
        }
        self.year_correlation = self._year_correlation()
        self.blind_categories, self.blind_ranges = self._blinding()
        self._colors = {name: _color(name, value) for name, value in self._dict("colors_mc").items()}

    def _check(self, key: str, kind: type) -> None:
        value = self.options.get(key)
        if value is not None and not isinstance(value, kind):
            names: dict[type, str] = {dict: "keys and values", list: "a list", str: "a text"}
            msg = f"plotting_style.{key}: {names[kind]} needed, not {value!r}."
            raise InvalidType(msg)

    def _dict(self, key: str) -> dict[str, Any]:
        return {str(name): value for name, value in (self.options.get(key) or {}).items()}

    def _numbers(self, key: str) -> dict[str, float]:
        result = {}
        for name, value in self._dict(key).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                msg = f"plotting_style.{key}.{name}: {value!r} is not a number."
                raise InvalidType(msg)
            result[name] = float(value)
        return result

    def _check_groups(self) -> None:
        seen: dict[str, str] = {}
        for group, members in self.groups.items():
            for sample in members:
                if sample in seen:
                    msg = (
                        f"plotting_style.samples_groups: {sample!r} is in {seen[sample]!r} and in {group!r}, "
                        "and would count twice."
                    )
                    raise InvalidValue(msg)
                seen[sample] = group

    def _year_correlation(self) -> dict[str, float]:
        section = self._dict("systematics")
        for key in section:
            if key not in _SYSTEMATICS_KEYS:
                msg = f"plotting_style.systematics.{key} is not known. {did_you_mean(key, _SYSTEMATICS_KEYS)}"
                raise InvalidValue(msg)
        found = section.get("year_correlation")
        found = {} if found is None else found
        if not isinstance(found, Mapping):  # one number, which may be 0, for all
            found = {"default": found}
        for name, value in found.items():
            place = f"plotting_style.systematics.year_correlation.{name}"
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                msg = f"{place}: {value!r} is not a correlation. Allowed: numbers from 0 to 1."
                raise InvalidValue(msg)
            _regular_expression(name, place)
        return {str(name): float(value) for name, value in found.items()}

    def _blinding(self) -> tuple[list[str] | None, dict[str, tuple[float, float]]]:
        """The categories in which data are hidden, None for all, and {histogram: range}."""
        section = self._dict("blind_hists")
        for key in section:  # a word that is misspelt would show what is to be hidden
            if key not in _BLIND_KEYS:
                msg = f"plotting_style.blind_hists.{key} is not known. {did_you_mean(key, _BLIND_KEYS)}"
                raise InvalidValue(msg)
        categories, ranges = section.get("categories"), section.get("histograms") or {}
        if not isinstance(ranges, Mapping):
            msg = f"plotting_style.blind_hists.histograms: {{name: [low, high]}} is needed, not {ranges!r}."
            raise InvalidType(msg)
        chosen = None if categories is None else _list("blind_hists.categories", categories)
        return (
            None if chosen is None else [str(name) for name in chosen],
            {str(name): _range(f"blind_hists.histograms.{name}", found) for name, found in ranges.items()},
        )

    # ---- samples

    def wants(self, sample: str) -> bool:
        """Tell whether a sample is drawn: by its name, that of its parent sample or of its group."""
        names = {sample, sample.partition("__")[0], self.group_of(sample)}
        only, exclude = self.options.get("only_samples"), self.options.get("exclude_samples") or []
        return (not only or bool(names & set(only))) and not names & set(exclude)

    def group_of(self, sample: str) -> str:
        """Return the name under which a sample is drawn: of its group, or its own."""
        for group, members in self.groups.items():
            if sample in members:
                return group
        return sample

    def rescale_of(self, sample: str) -> float:
        """Return the factor for a sample: its own, times that of its group."""
        group = self.group_of(sample)
        factor = self.rescale.get(sample, 1.0)
        return factor if group == sample else factor * self.rescale.get(group, 1.0)

    def label_of(self, sample: str) -> str:
        """Return the text for a sample in the legend."""
        return str(self._dict("labels_mc").get(sample, sample))

    def colors_of(self, samples: Sequence[str]) -> dict[str, Any]:
        """Return {sample: colour}: those of ``colors_mc``, then the recommended ones, none of them twice."""
        used = {str(self._colors[name]) for name in samples if name in self._colors}
        free = [color for color in CMS_COLORS.values() if color not in used] or list(CMS_COLORS.values())
        result, taken = {}, 0
        for name in samples:
            if name in self._colors:
                result[name] = self._colors[name]
            else:
                result[name] = free[taken % len(free)]
                taken += 1
        return result

    def ordered(self, yields: Mapping[str, float]) -> list[str]:
        """Return samples from the bottom of the stack to its top: as in ``order_mc``, then by yield."""
        order = [name for name in self.options.get("order_mc") or [] if name in yields]
        others = sorted((name for name in yields if name not in order), key=lambda name: (yields[name], name))
        return [*order, *others]

    # ---- single values

    @property
    def compare_ref(self) -> str | None:
        """The sample that others are compared with."""
        ref = self._dict("compare").get("ref")
        return None if ref is None else str(ref)

    @property
    def cms_label(self) -> str:
        """What stands beside "CMS"."""
        return str(self.options.get("cms_label", "Preliminary"))

    @property
    def flow(self) -> str:
        """``sum`` to add under- and overflow to the first and last bin, anything else to drop them."""
        return str(self.options["opts_mc"].get("flow", "sum"))

    def blinded(self, variable: str, category: str) -> tuple[float, float] | None:
        """Return the range in which data are not shown, or None."""
        if self.blind_categories is not None and category not in self.blind_categories:
            return None
        return self.blind_ranges.get(variable)

    def upper_label(self, years: Sequence[str]) -> str:
        """Return luminosity, year and energy for above the figure."""
        by_year = {str(k): v for k, v in self.options["plot_upper_label"].get("by_year", {}).items()}
        found = [by_year.get(year) for year in years]
        name = ", ".join(years) if len(years) < 3 else f"{years[0]}–{years[-1]}"
        if any(isinstance(value, str) for value in found):
            return ", ".join(str(value) for value in found if value is not None)
        energy = ", ".join(f"{value:g}" for value in sorted({_energy(year) for year in years} - {0.0}))
        parts = [name.replace("_", " "), f"({energy} TeV)" if energy else ""]
        if all(value is not None for value in found) and found:
            parts.insert(0, f"{_lumi(sum(map(float, found)))} fb$^{{-1}}$,")  # type: ignore[arg-type]
        return " ".join(part for part in parts if part)


def _lumi(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _energy(year: str) -> float:
    match = re.match(r"(\d{4})", year)
    return next((e for first, e in _ENERGIES if int(match[1]) >= first), 0.0) if match else 0.0


def _list(place: str, value: Any) -> list[Any]:
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        msg = f"plotting_style.{place}: a list is needed, not {value!r}."
        raise InvalidType(msg)
    return list(value)


def _range(place: str, value: Any) -> tuple[float, float]:
    low_high = _list(place, value)
    numbers = [each for each in low_high if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(low_high) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
        msg = f"plotting_style.{place}: {low_high} is not a range [low, high]."
        raise InvalidValue(msg)
    return float(numbers[0]), float(numbers[1])


def _rebin(name: str, how: Any) -> int | list[float]:
    if isinstance(how, int) and not isinstance(how, bool):
        return how
    edges = _list(f"rebin.{name}", how)
    if not all(isinstance(edge, int | float) for edge in edges):
        msg = (
            f"plotting_style.rebin.{name}: {edges} are not edges. "
            "Allowed: how many bins become one, or a list of edges."
        )
        raise InvalidType(msg)
    return [float(edge) for edge in edges]


def _color(name: str, value: Any) -> Any:
    from matplotlib.colors import is_color_like

    color = CMS_COLORS.get(value, value) if isinstance(value, str) else value
    if isinstance(color, list):
        color = tuple(color)
    if not is_color_like(color):
        msg = (
            f"plotting_style.colors_mc.{name}: {value!r} is no colour. Allowed: a colour of matplotlib "
            f"(red, '#3f90da', [0.2, 0.4, 0.6]), or {', '.join(CMS_COLORS)}."
        )
        raise InvalidValue(msg)
    return color


def _regular_expression(text: Any, place: str) -> None:
    try:
        re.compile(str(text))
    except re.error as error:
        msg = f"{place}: {text!r} is not a regular expression: {error}."
        raise InvalidValue(msg) from error
