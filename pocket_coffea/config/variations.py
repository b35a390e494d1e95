"""Systematic variations: which weights and which calibrators vary, for which sample, subsample and
category.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain
from typing import Any

from pocket_coffea.config.names import Request, SampleTable, Table, as_mapping, read_table, warn_unknown_keys
from pocket_coffea.config.weights import WeightsConfig, check_weight
from pocket_coffea.errors import ConfigurationError
from pocket_coffea.lib.calibrators.shape_variations import ShapeVariation
from pocket_coffea.lib.weights.weights import WeightWrapper

__all__ = ["VariationsConfig", "read_variations", "shape_variations", "weight_variations"]

log = logging.getLogger(__name__)

#: {"weights": {category: [weight names]}, "shape": {category: [calibrator names]}}, and "by_subsample" for a
#: sample
VariationsConfig = dict[str, Any]

_NONE: dict[str, Any] = {"common": {"inclusive": []}}
#: Turns what was written for a shape variation into the name of a calibrator, or a choice among its
#: variations; raises if there is none.
ShapeCheck = Callable[[Any, str], "str | ShapeVariation"]


def read_variations(
    config: Any,
    weights: Mapping[str, type[WeightWrapper]],
    weights_config: Mapping[str, WeightsConfig],
    calibrator_name: ShapeCheck,
    *,
    samples: SampleTable,
    categories: Collection[str],
) -> dict[str, VariationsConfig]:
    """Return sample -> the variations of the sample and of its subsamples, for simulation.

    ``inclusive`` requests are spread over all categories. Requests by name for a sample of data are ignored
    with a warning.

    Raises UnknownName for an unknown weight or calibrator, UnknownCategory for an unknown category,
    ConfigurationError for the variation of a weight that is not applied there."""
    tree = as_mapping(config, "variations")
    # "norm" is written by people for tools that read the configuration afterwards
    warn_unknown_keys(tree, ("weights", "shape", "norm"), "variations")
    weights_where, shape_where = 'variations["weights"]', 'variations["shape"]'
    check = _check_varies(weights)
    by_weight = read_table(tree.get("weights") or _NONE, weights_where, categories, samples, check)
    by_shape = read_table(tree.get("shape") or _NONE, shape_where, categories, samples, calibrator_name)
    for table in (by_weight, by_shape):
        _warn_data(table, samples)
    result = {}
    for sample in (name for name, is_mc in samples.is_mc.items() if is_mc):
        own = weights_config[sample]
        subsamples = {
            full: {
                "weights": _weights(full, _own(by_weight, full), own["by_subsample"][full], categories),
                "shape": _shapes(_own(by_shape, full), calibrator_name, categories),
            }
            for full in samples.subsamples.get(sample, [])
        }
        result[sample] = {
            "weights": _weights(sample, by_weight.for_sample(sample), own, categories),
            "shape": _shapes(by_shape.for_sample(sample), calibrator_name, categories),
            "by_subsample": subsamples,
        }
    return result


def _check_varies(weights: Mapping[str, type[WeightWrapper]]) -> Callable[[Any, str], None]:
    exists = check_weight(weights)

    def check(name: Any, where: str) -> None:
        exists(name, where)
        if not weights[name].has_variations:
            log.warning("%s: the weight %r has no variations (has_variations is False).", where, name)

    return check


def _own(table: Table, name: str) -> list[Request]:
    return [table.bysample[name]] if name in table.bysample else []


def _warn_data(table: Table, samples: SampleTable) -> None:
    for name, request in table.bysample.items():
        parent = samples.parent(name)
        if parent is not None and not samples.is_mc[parent]:
            log.warning(
                "%s: %r is data, which has no variations; the request is ignored.", request.where, name
            )


def _weights(
    name: str, requests: Iterable[Request], config: WeightsConfig, categories: Collection[str]
) -> dict[str, list[str]]:
    """Return category -> weights that vary, after checking that they are applied there."""
    result: dict[str, list[str]] = {category: [] for category in categories}
    for request in requests:
        for weight in request.inclusive:
            if weight not in config["inclusive"]:
                raise ConfigurationError(_not_applied(name, weight, request, config))
            _append(result.values(), weight)
        for category, weight in _pairs(request):
            if weight not in config["inclusive"] and weight not in config["bycategory"][category]:
                raise ConfigurationError(_not_applied(name, weight, request, config, category))
            _append([result[category]], weight)
    return result


def _pairs(request: Request) -> list[tuple[str, Any]]:
    """Return (category, item) of what is requested by category."""
    return [(category, item) for category, items in request.bycategory.items() for item in items]


def _not_applied(
    name: str, weight: str, request: Request, config: WeightsConfig, category: str | None = None
) -> str:
    part = '["inclusive"]' if category is None else f'["bycategory"][{category!r}]'
    there = [other for other, weights in config["bycategory"].items() if weight in weights]
    if there:
        state = f"applied in the categories {', '.join(there)} only: request its variation there, by category"
    else:
        have = ", ".join(dict.fromkeys(chain(config["inclusive"], *config["bycategory"].values()))) or "none"
        state = (
            f"not applied. Weights of {name!r}: {have}. Request the variation by sample, or add the weight"
        )
    return (
        f"Wrong variation configuration: {request.where}{part} asks for the variation of {weight!r}, but "
        f"for {name!r} this "
        f"weight is {state}."
    )


def _shapes(
    requests: Iterable[Request], calibrator_name: ShapeCheck, categories: Collection[str]
) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {category: [] for category in categories}
    for request in requests:
        for item in request.inclusive:
            _append(result.values(), calibrator_name(item, request.where))
        for category, item in _pairs(request):
            _append([result[category]], calibrator_name(item, request.where))
    return result


def _append(lists: Iterable[list[Any]], item: Any) -> None:
    for names in lists:
        if item not in names:
            names.append(item)


def weight_variations(samples: Iterable[str], config: Mapping[str, VariationsConfig]) -> dict[str, list[str]]:
    """Return sample -> ["nominal", names of the weights that vary in any category]; only "nominal" for
    data.
    """
    return {sample: ["nominal", *_flat(config.get(sample), "weights")] for sample in samples}


def shape_variations(samples: Iterable[str], config: Mapping[str, VariationsConfig]) -> dict[str, list[Any]]:
    """Return sample -> names of the calibrators that vary, for the sample or one of its subsamples; none for
    data.
    """
    return {sample: _flat(config.get(sample), "shape") for sample in samples}


def _flat(config: VariationsConfig | None, kind: str) -> list[Any]:
    if config is None:
        return []
    levels = [config, *config["by_subsample"].values()]
    return list(dict.fromkeys(name for level in levels for names in level[kind].values() for name in names))
