"""Histograms of a chunk: which ones a sample has, their axes, and how they are filled."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import hist
import numpy as np

from pocket_coffea.errors import FillError, UnknownName, did_you_mean
from pocket_coffea.lib.hist_axes import Axis, HistConf, get_hist_axis_from_config, get_storage
from pocket_coffea.lib.hist_binning import AxisBinning, make_binnings
from pocket_coffea.lib.hist_columns import EventColumns, MissingInput, flatten_column
from pocket_coffea.lib.hist_fill import FillPass
from pocket_coffea.lib.hist_masks import CategoryMasks, collapse_mask, read_masks
from pocket_coffea.lib.hist_requests import FillRequest
from pocket_coffea.lib.hist_variations import NOMINAL, VariationTable
from pocket_coffea.types import Array, FloatArray, Params

__all__ = [
    "Axis",
    "HistConf",
    "HistManager",
    "MissingInput",
    "collapse_mask",
    "get_hist_axis_from_config",
]


class HistManager:
    """The histograms of one chunk of one sample: built at construction, filled pass by pass.

    ``hist_config`` {name: HistConf}; ``subsamples`` the full subsample names ([sample] if it has
    none); ``categories_config`` the categories (an iterable of names); ``variations_config`` the
    variations of the sample, None for data. ``custom_axes`` come before the axes of every
    histogram; those about the processing, which no event fills, get the ones with coll="metadata".

    ``histograms[subsample][name]`` is a copy of the HistConf whose ``hist_obj`` is the histogram;
    all have the axes ``cat``, ``variation`` (simulation only), the custom axes, the axes of the
    HistConf, and the name "Counts". Raises InvalidValue or UnknownName, naming histogram and axis,
    for a histogram that cannot be built.
    """

    def __init__(  # noqa: PLR0917  the signature is public
        self,
        hist_config: Mapping[str, HistConf],
        year: str,
        sample: str,
        subsamples: Sequence[str],
        categories_config: Iterable[str],
        variations_config: Mapping[str, Any] | None,
        processor_params: Params,
        weights_manager: Any,
        calibrators_manager: Any = None,
        custom_axes: Sequence[Axis] | None = None,
        isMC: bool = True,
    ) -> None:
        self.processor_params = processor_params
        self.year = year
        self.sample = sample
        self.subsamples = list(subsamples)
        self.isMC = isMC
        self.weights_manager = weights_manager
        self.calibrators_manager = calibrators_manager
        self.custom_axes = list(custom_axes or ())
        self.categories_config = categories_config
        self.available_categories = list(categories_config)
        self._variations = VariationTable(
            variations_config if isMC else None,
            self.available_categories,
            self.subsamples,
            weights_manager,
            calibrators_manager,
        )
        self.available_weights_variations = [NOMINAL, *_all(self._variations.all_weights, self.subsamples)]
        self.available_shape_variations = _all(self._variations.all_shapes, self.subsamples)
        self._names = set(hist_config)  # those of other samples too
        self._built: dict[str, tuple[Any, ...]] = {}
        self._made: dict[tuple[str, str], Any] = {}
        self._known_binnings: dict[str, list[AxisBinning] | None] = {}
        self._label_axes: dict[tuple[str, ...], Any] = {}
        self.histograms: dict[str, dict[str, HistConf]] = {subsample: {} for subsample in self.subsamples}
        for name, conf in hist_config.items():
            if self._has_sample(conf):
                self.add_histogram(name, conf)

    def _has_sample(self, conf: HistConf) -> bool:
        if conf.only_samples is not None:
            return self.sample in conf.only_samples
        return self.sample not in (conf.exclude_samples or ())

    def add_histogram(self, name: str, conf: HistConf) -> None:
        """Build a histogram for every subsample. Raises InvalidValue or UnknownName naming
        histogram and axis.
        """
        self._names.add(name)
        built = tuple(conf.build_axes(name, self._custom_axes(conf)))
        self._built[name] = built
        categories = _kept_categories(name, conf, self.available_categories)
        for subsample in self.subsamples:
            own = copy.copy(conf)
            own.axes = list(conf.axes)
            own.only_categories = sorted(categories)
            own.only_variations = (
                self._variations.for_histogram(name, conf, subsample) if self.isMC else [NOMINAL]
            )
            labels = [self._label_axis("cat", own.only_categories)]
            if self.isMC:
                labels.append(self._label_axis("variation", own.only_variations))
            own.hist_obj = hist.Hist(*labels, *built, storage=get_storage(conf.storage), name="Counts")
            self.histograms[subsample][name] = own
            self._made[subsample, name] = own.hist_obj

    def _custom_axes(self, conf: HistConf) -> list[Axis]:
        return [axis for axis in self.custom_axes if not conf.metadata_hist or axis.coll == "metadata"]

    def _label_axis(self, name: str, labels: Sequence[str]) -> Any:
        """Return an axis of fixed labels; many histograms share one."""
        key = (name, *labels)
        if key not in self._label_axes:
            label = "Category" if name == "cat" else "Variation"
            self._label_axes[key] = hist.axis.StrCategory(labels, name=name, label=label, growth=False)
        return self._label_axes[key]

    def get_histograms(self, subsample: str) -> dict[str, Any]:
        """Return {name: hist.Hist} of a subsample, without the histograms about the processing."""
        return {
            name: conf.hist_obj for name, conf in self.histograms[subsample].items() if not conf.metadata_hist
        }

    def get_metadata_histograms(self, subsample: str) -> dict[str, Any]:
        """Return {name: hist.Hist} of a subsample, only the histograms about the processing."""
        return {
            name: conf.hist_obj for name, conf in self.histograms[subsample].items() if conf.metadata_hist
        }

    def get_histogram(self, subsample: str, name: str) -> HistConf | None:
        """Return the HistConf of a histogram (``.hist_obj`` is the histogram), None if this sample
        does not have it.
        """
        return self.histograms.get(subsample, {}).get(name)

    def fill_histograms(
        self,
        events: Array,
        categories: Any,
        shape_variation: str = NOMINAL,
        subsamples: Any = None,
        custom_fields: Mapping[str, Any] | None = None,
        custom_weight: Mapping[str, Any] | None = None,
    ) -> None:
        """Fill all histograms with ``autofill`` for one pass over the events.

        events: (n_events,) after preselection; ``categories`` and ``subsamples`` prepared
        selections (``subsamples`` None if there are none); ``custom_fields`` {field: per-event
        array} for axes with coll="custom"; ``custom_weight`` {histogram: (n_events,)} multiplies
        the weight of that histogram.

        The nominal pass fills all weight variations (the nominal weight where one does not apply to
        a category); the pass of a shape variation fills its bin, with nominal weights, in the
        categories that asked for it. Raises FillError or MissingInput (both ValueErrors) naming
        histogram and axis.
        """
        if not self.isMC and shape_variation != NOMINAL:
            msg = f"Sample {self.sample!r} is data: it has no shape variation {shape_variation!r}."
            raise FillError(msg)
        columns = EventColumns(events, custom_fields)
        masks = CategoryMasks(
            self._read_categories(categories, columns),
            self._read_subsamples(subsamples, columns),
            columns.n_events,
        )
        factors = self._read_factors(custom_weight or {}, columns.n_events)
        requests = [
            self._request(name, conf, subsample, shape_variation, factors.get(name))
            for subsample, histograms in self.histograms.items()
            for name, conf in histograms.items()
            if conf.autofill
        ]
        FillPass(columns, masks, self._weight_of).fill(requests)

    def _request(
        self, name: str, conf: HistConf, subsample: str, shape_variation: str, factor: FloatArray | None
    ) -> FillRequest:
        """Return what to fill a histogram with in this pass."""
        categories = tuple(conf.only_categories or ())
        if shape_variation != NOMINAL:
            categories = tuple(
                c for c in categories if self._variations.has_shape(shape_variation, c, subsample)
            )
        return FillRequest(
            name,
            subsample,
            conf,
            axes=(*self._custom_axes(conf), *conf.axes),
            binnings=self._binnings(name, conf, subsample),
            labels=tuple(self._labels(conf, shape_variation)),
            categories=categories,
            weighted=not conf.no_weights,
            has_variation=self.isMC,
            factor=factor,
        )

    def _binnings(self, name: str, conf: HistConf, subsample: str) -> list[AxisBinning] | None:
        """Return how a histogram maps to memory, None for ``Hist.fill``: also if it is not the one
        built here.
        """
        if conf.hist_obj is not self._made.get((subsample, name)):
            return None
        if name not in self._known_binnings:
            axes = (*self._custom_axes(conf), *conf.axes)
            self._known_binnings[name] = make_binnings(conf.hist_obj, axes, self._built[name])
        return self._known_binnings[name]

    def _labels(self, conf: HistConf, shape_variation: str) -> list[str]:
        """Return the variation bins to fill in this pass; unweighted histograms have one entry per
        pass.
        """
        if not self.isMC:
            return [NOMINAL]
        on_axis = conf.only_variations or ()
        if shape_variation != NOMINAL:
            return [shape_variation] if shape_variation in on_axis else []
        if conf.no_weights:
            return [NOMINAL]
        weights = set(self.available_weights_variations)
        return [label for label in on_axis if label in weights]

    def _weight_of(self, category: str, subsample: str, label: str) -> FloatArray | None:
        """Return the weights (n_events,) of a category and variation; None without a weights
        manager.
        """
        if self.weights_manager is None:
            return None
        modifier = label if self._variations.has_weight(label, category, subsample) else None
        full_name = None if subsample == self.sample else subsample
        return self.weights_manager.get_weight(category=category, subsample=full_name, modifier=modifier)

    def _read_categories(self, categories: Any, columns: EventColumns) -> dict[str, Any]:
        """Return the masks of the categories. Raises FillError if they are not the ones the
        histograms were made for.
        """
        masks = read_masks(categories.get_masks(), columns.n_events, columns.shared)
        unknown = [name for name in masks if name not in self.available_categories]
        if unknown:
            known = did_you_mean(unknown[0], self.available_categories)
            msg = f"Category {unknown[0]!r} is not one the histograms have. {known}"
            raise FillError(msg)
        missing = [name for name in self.available_categories if name not in masks]
        if missing:
            msg = f"There is no mask for the category {missing[0]!r}. {did_you_mean(missing[0], masks)}"
            raise FillError(msg)
        return masks

    def _read_subsamples(self, subsamples: Any, columns: EventColumns) -> dict[str, Any]:
        """Return the masks of the subsamples by full name; None for a sample that has none."""
        if subsamples is None:
            if self.subsamples != [self.sample]:
                msg = (
                    f"Sample {self.sample!r} has subsamples ({', '.join(self.subsamples)}), but no "
                    "masks came for them."
                )
                raise FillError(msg)
            return {self.sample: None}
        masks = read_masks(subsamples.get_masks(), columns.n_events, columns.shared)
        full = {
            name if name in self.subsamples else f"{self.sample}__{name}": mask
            for name, mask in masks.items()
        }
        missing = [name for name in self.subsamples if name not in full]
        if missing:
            msg = f"There is no mask for the subsample {missing[0]!r}. {did_you_mean(missing[0], full)}"
            raise FillError(msg)
        return full

    def _read_factors(self, custom_weight: Mapping[str, Any], n_events: int) -> dict[str, FloatArray]:
        """Return the custom weights as arrays (n_events,). Raises FillError."""
        out = {}
        for name, weight in custom_weight.items():
            if name not in self._names:
                msg = f"There is no histogram {name!r} to weight. {did_you_mean(name, self._names)}"
                raise FillError(msg)
            column = flatten_column(
                np.asarray(weight) if isinstance(weight, list) else weight, f"The custom weight of {name!r}"
            )
            if column.offsets is not None or column.valid is not None or column.n_events != n_events:
                msg = (
                    f"The custom weight of histogram {name!r} must be one number for each of the "
                    f"{n_events} events."
                )
                raise FillError(msg)
            out[name] = column.values.astype(np.float64)
        return out


def _kept_categories(name: str, conf: HistConf, available: Sequence[str]) -> list[str]:
    """Return the categories of a histogram. Raises UnknownName if only_categories names none of
    them.
    """
    if conf.only_categories is None:
        return [category for category in available if category not in (conf.exclude_categories or ())]
    kept = [category for category in available if category in conf.only_categories]
    if conf.only_categories and not kept:
        wanted = conf.only_categories[0]
        msg = (
            f"Histogram {name!r}: only_categories has no category: {wanted!r}. "
            f"{did_you_mean(wanted, available)}"
        )
        raise UnknownName(msg)
    return kept


def _all(per_subsample: Callable[[str], list[str]], subsamples: Sequence[str]) -> list[str]:
    """Return the variations of all subsamples, in order of appearance and once each."""
    return list(dict.fromkeys(v for subsample in subsamples for v in per_subsample(subsample)))
