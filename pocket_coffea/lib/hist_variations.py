"""Which variations a sample has, in which category and subsample each applies, and which bins a
histogram gets.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pocket_coffea.errors import UnknownName, did_you_mean
from pocket_coffea.lib.calibrators.shape_variations import ShapeVariation, translate_shape_variation
from pocket_coffea.lib.hist_axes import HistConf

__all__ = ["NOMINAL", "VariationTable"]

log = logging.getLogger(__name__)

NOMINAL = "nominal"
#: weight names already warned about: (histogram, name)
_warned: set[tuple[str, str]] = set()


class VariationTable:
    """The variations of one sample.

    ``config`` is {"weights": {category: [weight names]}, "shape": {category: [calibrator names]},
    "by_subsample": {full name: the same two keys}}, or None for data. Weight names are expanded by
    the weights manager, calibrator names by the calibrators manager. Raises UnknownName for a shape
    variation that no calibrator has.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None,
        categories: Sequence[str],
        subsamples: Sequence[str],
        weights_manager: Any,
        calibrators_manager: Any,
    ) -> None:
        self._weights_manager = weights_manager
        self._by_calibrator: dict[str, list[str]] = {}
        self._all_shapes: list[str] = []
        if calibrators_manager is not None:
            found = calibrators_manager.available_variations_bycalibrator
            self._by_calibrator = {name: list(variations) for name, variations in found.items()}
            self._all_shapes = [name for name in calibrators_manager.available_variations if name != NOMINAL]
        self._expanded: dict[str, list[str]] = {}
        own = {} if config is None else config
        by_subsample = own.get("by_subsample") or {}
        self.weights = self._per_category(own.get("weights"), categories, self._expand_weight)
        self.shapes = self._per_category(own.get("shape"), categories, self._expand_shape)
        subs = {name: by_subsample.get(name) or {} for name in subsamples}
        self.weights_by_subsample = {
            name: self._per_category(sub.get("weights"), categories, self._expand_weight)
            for name, sub in subs.items()
        }
        self.shapes_by_subsample = {
            name: self._per_category(sub.get("shape"), categories, self._expand_shape)
            for name, sub in subs.items()
        }

    @staticmethod
    def _per_category(
        config: Mapping[str, Any] | None, categories: Sequence[str], expand: Any
    ) -> dict[str, list[str]]:
        """Return the individual variations of each category, in order and once each."""
        wanted = config or {}
        return {
            category: list(dict.fromkeys(v for name in wanted.get(category) or () for v in expand(name)))
            for category in categories
        }

    def _expand_weight(self, weight: str) -> list[str]:
        if weight not in self._expanded:
            self._expanded[weight] = list(self._weights_manager.get_available_modifiers_byweight(weight))
        return self._expanded[weight]

    def _expand_shape(self, request: str | ShapeVariation) -> list[str]:
        """Return the variations of a calibrator, of one of its sources, or those called ``request``
        + Up, Down.
        """
        if isinstance(request, str):
            exact = [v for v in (request, f"{request}Up", f"{request}Down") if v in self._all_shapes]
            if request in self._by_calibrator or exact:
                return self._by_calibrator.get(request, exact)
            request = translate_shape_variation(request)
        if request.calibrator not in self._by_calibrator:
            known = did_you_mean(request.calibrator, self._by_calibrator)
            msg = (
                f"Shape variation {request.requested!r}: calibrator {request.calibrator!r} does not "
                f"run. {known}"
            )
            raise UnknownName(msg)
        return [v for v in self._by_calibrator[request.calibrator] if request.selects(v)]

    def all_weights(self, subsample: str | None = None) -> list[str]:
        """Return the weight variations of any category, of the sample and, if given, of the
        subsample.
        """
        return _union(self.weights, self.weights_by_subsample.get(subsample or "", {}))

    def all_shapes(self, subsample: str | None = None) -> list[str]:
        """Return the shape variations of any category, of the sample and, if given, of the
        subsample.
        """
        return _union(self.shapes, self.shapes_by_subsample.get(subsample or "", {}))

    def has_weight(self, variation: str, category: str, subsample: str) -> bool:
        """Tell whether a weight variation applies to a category of a subsample; if not, the nominal
        weight is used.
        """
        own = self.weights.get(category, ())
        return variation in own or variation in self.weights_by_subsample.get(subsample, {}).get(category, ())

    def has_shape(self, variation: str, category: str, subsample: str) -> bool:
        """Tell whether a shape variation was requested for a category of a subsample."""
        own = self.shapes.get(category, ())
        return variation in own or variation in self.shapes_by_subsample.get(subsample, {}).get(category, ())

    def for_histogram(self, name: str, conf: HistConf, subsample: str) -> list[str]:
        """Return the sorted bins of the variation axis of a histogram."""
        if not conf.variations:
            return [NOMINAL]
        weights, shapes = self.all_weights(subsample), self.all_shapes(subsample)
        found = {NOMINAL, *weights, *shapes}
        if conf.only_variations is not None:
            self._warn_weight_names(name, conf.only_variations, found)
            kept = {v for wanted in conf.only_variations for v in self._meant(wanted)}
            found &= {NOMINAL, *kept}
        return sorted(found)

    def _meant(self, wanted: str) -> list[str]:
        """Return the variations that a name in only_variations stands for: those of a calibrator, of an older
        name of a jet uncertainty (``JES_Total``, ``JES_Total_AK4PFchsUp``), or that one.
        """
        if wanted in self._by_calibrator:
            return self._by_calibrator[wanted]
        direction = next((end for end in ("Up", "Down") if wanted.endswith(end)), "")
        older = translate_shape_variation(wanted.removesuffix(direction))
        if not older.is_restricted:
            return [wanted]
        return [v for v in self._all_shapes if older.selects(v) and v.endswith(direction)]

    def _warn_weight_names(self, name: str, wanted: Iterable[str], found: set[str]) -> None:
        """Say once if only_variations holds the name of a weight where the name of its variation is
        meant.
        """
        for weight in wanted:
            if weight in self._expanded and weight not in found and (name, weight) not in _warned:
                _warned.add((name, weight))
                names = ", ".join(map(repr, self._expanded[weight])) or "the names of its variations"
                log.warning(
                    "Histogram %r: only_variations has %r, a weight, which matches no variation; write %s.",
                    name,
                    weight,
                    names,
                )


def _union(*by_category: Mapping[str, Sequence[str]]) -> list[str]:
    """Return all variations in order of appearance."""
    return list(dict.fromkeys(v for one in by_category for variations in one.values() for v in variations))
