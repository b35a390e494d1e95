"""What is done once on the merged output: metadata of the datasets, normalisation to generator weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import hist
import numpy as np

from pocket_coffea.errors import ProcessingError, ResultsRefused
from pocket_coffea.utils.metadata import to_bool
from pocket_coffea.utils.skim import apply_skim_sumgenweights_override

__all__ = ["postprocess"]

log = logging.getLogger(__name__)

#: Weight -> the output key with the sum that normalises it.
_NORMALISING = {"genWeight": "sum_genweights", "signOf_genWeight": "sum_signOf_genweights"}


def postprocess(processor: Any, accumulator: dict[str, Any]) -> dict[str, Any]:
    """Complete the merged output in place and return it.

    Datasets that are postprocessed already keep their numbers: ``datasets_metadata["by_dataset"]`` lists
    them.

    Raises ResultsRefused for datasets that the configuration does not know or that were postprocessed in
    several parts, ProcessingError when a sum of generator weights is zero or a histogram is not finite.
    """
    cfg = processor.cfg
    fresh = _fresh_datasets(accumulator, cfg)
    _describe(accumulator, cfg, fresh)
    apply_skim_sumgenweights_override(accumulator, {name: cfg.filesets[name] for name in fresh})
    if not to_bool(processor.workflow_options.get("donotscale_sumgenweights")):
        for dataset in fresh:
            if to_bool(cfg.filesets[dataset]["metadata"]["isMC"]):
                _normalise(accumulator, cfg, dataset)
    _check_finite(accumulator, fresh)
    return accumulator


def _fresh_datasets(accumulator: Mapping[str, Any], cfg: Any) -> list[str]:
    """Return the datasets that were not postprocessed before."""
    done = accumulator.get("datasets_metadata", {}).get("by_dataset", {})
    fresh = []
    for dataset in accumulator["cutflow"]["initial"]:
        if dataset not in cfg.filesets:
            msg = (
                f"Dataset {dataset!r} of the output is not in the configuration: it cannot be postprocessed."
            )
            raise ResultsRefused(msg)
        if dataset not in done:
            fresh.append(dataset)
        elif done[dataset].get("sample") != cfg.filesets[dataset]["metadata"]["sample"]:
            # Added metadata have doubled strings: each part was divided by its own sum of generator weights.
            msg = (
                f"Dataset {dataset!r} was postprocessed in several parts, which were added afterwards: its "
                "normalisation is lost. Merge outputs that are not postprocessed."
            )
            raise ResultsRefused(msg)
    if len(fresh) < len(accumulator["cutflow"]["initial"]):
        log.warning(
            "The output is already postprocessed (%d datasets): their numbers stay as they are.", len(done)
        )
    return fresh


def _describe(accumulator: dict[str, Any], cfg: Any, datasets: list[str]) -> None:
    """Fill ``datasets_metadata``: which datasets belong to a sample of a year, and their metadata."""
    described = accumulator.setdefault("datasets_metadata", {})
    periods = described.setdefault("by_datataking_period", {})
    by_dataset = described.setdefault("by_dataset", {})
    for dataset in datasets:
        metadata = dict(cfg.filesets[dataset]["metadata"])
        by_dataset[dataset] = metadata
        sample = metadata["sample"]
        names = cfg.subsamples_map[sample] if cfg.has_subsamples.get(sample) else [sample]
        by_sample = periods.setdefault(str(metadata["year"]), {})
        for name in names:
            by_sample.setdefault(name, set()).add(dataset)


def _normalise(accumulator: dict[str, Any], cfg: Any, dataset: str) -> None:
    """Divide the histograms and sums of weights of one MC dataset by its sum of generator weights.

    Only those categories and subsamples are divided that the generator weight was applied to.
    """
    factors = _Factors(accumulator, cfg, dataset)
    if not factors.any_used:
        log.warning(
            "Dataset %s: neither genWeight nor signOf_genWeight is a weight of sample %s: its histograms are "
            "not normalised.",
            *(dataset, factors.sample),
        )
        return
    for by_sample in accumulator.get("variables", {}).values():
        for name, by_dataset in by_sample.items():
            if dataset in by_dataset:
                by_dataset[dataset] = _scaled(by_dataset[dataset], factors, name)
    for key, power in (("sumw", 1), ("sumw2", 2)):
        for category, by_dataset in accumulator.get(key, {}).items():
            for name, by_variation in by_dataset.get(dataset, {}).items():
                factor = factors.of(category, name) ** power
                by_variation.update({variation: sum_ * factor for variation, sum_ in by_variation.items()})


class _Factors:
    """The factors that normalise one dataset, by category and (sub)sample."""

    def __init__(self, accumulator: Mapping[str, Any], cfg: Any, dataset: str) -> None:
        self.dataset = dataset
        self.sample = cfg.filesets[dataset]["metadata"]["sample"]
        self._weights = cfg.weights_config[self.sample]
        self._accumulator = accumulator

    @property
    def any_used(self) -> bool:
        """Whether a generator weight is applied anywhere."""
        levels = [self._weights, *self._weights.get("by_subsample", {}).values()]
        names = {name for level in levels for name in _all_names(level)}
        return not names.isdisjoint(_NORMALISING)

    def of(self, category: str, name: str) -> float:
        """Return 1/S for the category of the (sub)sample ``name``; 1.0 without a generator weight."""
        applied = {*self._weights["inclusive"], *self._weights["bycategory"].get(category, ())}
        extra = self._weights.get("by_subsample", {}).get(name)
        if extra is not None:
            applied |= {*extra["inclusive"], *extra["bycategory"].get(category, ())}
        for weight, key in _NORMALISING.items():
            if weight in applied:
                return 1.0 / self._total(key) if self._has_events else 1.0
        return 1.0

    @property
    def _has_events(self) -> bool:
        return bool(self._accumulator["cutflow"]["initial"][self.dataset] > 0)

    def _total(self, key: str) -> float:
        total = float(self._accumulator.get(key, {}).get(self.dataset, 0.0))
        if total == 0 or not np.isfinite(total):
            msg = (
                f"Dataset {self.dataset!r}: {key} is {total}, so that it cannot be normalised. Check the "
                'branch genWeight of its files, or set workflow_options["donotscale_sumgenweights"] = True.'
            )
            raise ProcessingError(msg)
        return total


def _all_names(level: Mapping[str, Any]) -> Iterator[str]:
    yield from level["inclusive"]
    for names in level["bycategory"].values():
        yield from names


def _scaled(histogram: hist.Hist, factors: _Factors, name: str) -> hist.Hist:
    """Return the histogram with each category scaled (in place where the storage can hold fractions).

    One that a hook made without categories is scaled as a whole.
    """
    if "cat" not in histogram.axes.name:
        return _multiplied(histogram, factors.of("", name))
    categories = list(histogram.axes["cat"])
    by_category = np.array([factors.of(category, name) for category in categories])
    if np.all(by_category == 1.0):
        return histogram
    axis = [axis.name for axis in histogram.axes].index("cat")
    n_bins = histogram.axes.extent[axis]
    scale = np.ones(n_bins)
    scale[: len(by_category)] = by_category
    shape = [1] * histogram.ndim
    shape[axis] = n_bins
    return _multiplied(histogram, scale.reshape(shape))


def _multiplied(histogram: hist.Hist, scale: Any) -> hist.Hist:
    storage = histogram.storage_type
    view = histogram.view(flow=True)
    if storage is hist.storage.Weight:
        view["value"] *= scale
        view["variance"] *= scale**2
    elif storage is hist.storage.WeightedMean:
        view["sum_of_weights"] *= scale
        view["sum_of_weights_squared"] *= scale**2
        view["_sum_of_weighted_deltas_squared"] *= scale
    elif storage is hist.storage.Double:
        view *= scale
    elif storage in (hist.storage.Int64, hist.storage.AtomicInt64, hist.storage.Unlimited):
        # Counts of integers cannot hold fractions: the same axes with another storage.
        as_double = hist.Hist(*histogram.axes, storage=hist.storage.Double(), name=histogram.name)
        as_double.view(flow=True)[...] = np.asarray(view, dtype=np.float64) * scale
        return as_double
    return histogram


def _check_finite(accumulator: Mapping[str, Any], datasets: list[str]) -> None:
    for name, by_sample in accumulator.get("variables", {}).items():
        for sample, by_dataset in by_sample.items():
            for dataset in sorted(set(datasets) & set(by_dataset)):
                _check_histogram(by_dataset[dataset], f"Histogram {name!r} of dataset {dataset!r} ({sample})")


def _check_histogram(histogram: hist.Hist, what: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(histogram.values(flow=True))))
    if bad:
        msg = f"{what} has {bad} bins that are not finite: a weight or a sum of generator weights is not."
        raise ProcessingError(msg)
