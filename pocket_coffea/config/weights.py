"""Weights: which ones multiply the events of which sample, subsample and category."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Iterable
from typing import Any

from pocket_coffea.config.names import Request, SampleTable, Table, as_list, check_class, read_table
from pocket_coffea.errors import (
    ConfigurationError,
    InvalidType,
    PhysicsNotAvailable,
    UnknownName,
    did_you_mean,
)
from pocket_coffea.lib.weights.weights import WeightWrapper

__all__ = ["WeightsConfig", "available_weights", "check_available", "read_weights", "requested_weights"]

log = logging.getLogger(__name__)

#: {"inclusive": [...], "bycategory": {category: [...]}, "is_split_bycat": bool}, and "by_subsample" for a
#: sample
WeightsConfig = dict[str, Any]


def available_weights(classes: Any) -> dict[str, type[WeightWrapper]]:
    """Return weight name -> class for the ``weights_classes`` of a configuration (None: the common weights,
    deprecated).

    Raises InvalidType for anything but a weight class, ConfigurationError if two different classes have one
    name."""
    if classes is None:
        from pocket_coffea.lib.weights.common import common_weights

        msg = (
            "weights_classes is not given: pass weights_classes=common_weights "
            "(pocket_coffea.lib.weights.common)."
        )
        warnings.warn(msg, DeprecationWarning, stacklevel=3)
        classes = common_weights
    available: dict[str, type[WeightWrapper]] = {}
    for position, cls in enumerate(as_list(classes, "weights_classes")):
        check_class(cls, WeightWrapper, f"weights_classes[{position}]")
        other = available.setdefault(cls.name, cls)
        if other is not cls and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            msg = (
                f"weights_classes: {other.__module__}.{other.__qualname__} and "
                f"{cls.__module__}.{cls.__qualname__} are both "
                f"named {cls.name!r}: rename one, or leave one out."
            )
            raise ConfigurationError(msg)
        available[cls.name] = cls
    return available


def check_weight(available: Collection[str]) -> Callable[[Any, str], None]:
    """Return the check of one requested weight name."""

    def check(name: Any, where: str) -> None:
        if not isinstance(name, str):
            msg = f"{where} must list names of weights, not {name!r} of type {type(name).__name__}."
            raise InvalidType(msg)
        if name not in available:
            msg = (
                f"Wrong weight configuration: {where} asks for {name!r}, which none of weights_classes is "
                "named. "
                f"{did_you_mean(name, available)}"
            )
            raise UnknownName(msg)

    return check


def read_weights(
    config: Any, available: dict[str, type[WeightWrapper]], samples: SampleTable, categories: Collection[str]
) -> dict[str, WeightsConfig]:
    """Return sample -> the weights of the sample and of its subsamples.

    Weights that exist for simulation only are left out for data, silently. ``bysample`` adds to ``common``. A
    weight on a subsample multiplies those of its sample.

    Raises UnknownName for an unknown weight, UnknownCategory for an unknown category, ConfigurationError if
    one weight would be applied twice to a sample, or ``genWeight`` together with its sign."""
    table = read_table(config, "weights", categories, samples, check_weight(available))

    def level(name: str, is_mc: bool, requests: list[Request]) -> WeightsConfig:
        def applies(weight: str) -> bool:
            return is_mc or not available[weight].isMC_only

        return _level(name, requests, categories, applies)

    result = {}
    for sample, is_mc in samples.is_mc.items():
        config_of_sample = level(sample, is_mc, table.for_sample(sample))
        subsamples = {
            full: level(full, is_mc, _own_requests(table, full))
            for full in samples.subsamples.get(sample, [])
        }
        for full, own in subsamples.items():
            _warn_applied_twice(config_of_sample, full, own)
        result[sample] = {**config_of_sample, "by_subsample": subsamples}
    return result


def _own_requests(table: Table, full_name: str) -> list[Request]:
    return [table.bysample[full_name]] if full_name in table.bysample else []


def _level(
    name: str, requests: Iterable[Request], categories: Collection[str], applies: Callable[[str], bool]
) -> WeightsConfig:
    """Unite the requests for one sample or subsample; each weight may come once per category."""
    origin: dict[str, str] = {}
    inclusive: list[str] = []
    bycategory: dict[str, list[str]] = {category: [] for category in categories}
    requests = list(requests)
    for request in requests:
        where = f'{request.where}["inclusive"]'
        for weight in filter(applies, request.inclusive):
            _check_once(name, weight, origin.get(weight), where)
            origin[weight] = where
            inclusive.append(weight)
    for request in requests:
        for category, weights in request.bycategory.items():
            where = f'{request.where}["bycategory"][{category!r}]'
            for weight in filter(applies, weights):
                first = origin.get(weight) or (
                    f"another list of {category!r}" if weight in bycategory[category] else None
                )
                _check_once(name, weight, first, where)
                bycategory[category].append(weight)
    if {"genWeight", "signOf_genWeight"} <= set(inclusive):
        msg = (
            f"Sample {name!r} has both genWeight and signOf_genWeight: the second is the sign of the first. "
            "Keep one of them."
        )
        raise ConfigurationError(msg)
    return {"inclusive": inclusive, "bycategory": bycategory, "is_split_bycat": any(bycategory.values())}


def _check_once(name: str, weight: str, first: str | None, second: str) -> None:
    if first is not None:
        msg = (
            f"The weight {weight!r} is requested twice for {name!r}: in {first} and in {second}. "
            "It would be applied twice: remove one of them."
        )
        raise ConfigurationError(msg)


def _warn_applied_twice(sample: WeightsConfig, full_name: str, own: WeightsConfig) -> None:
    for category, weights in own["bycategory"].items():
        outer = {*sample["inclusive"], *sample["bycategory"][category]}
        twice = [weight for weight in (*own["inclusive"], *weights) if weight in outer]
        if twice:
            log.warning(
                "The weight %r is requested for the sample and again for its subsample %r: in category %r "
                "it is applied twice.",
                twice[0],
                full_name,
                category,
            )
            return


def requested_weights(config: dict[str, WeightsConfig]) -> list[str]:
    """Return the names of all weights in use, each once, in the order of their first request."""
    levels = [level for sample in config.values() for level in (sample, *sample["by_subsample"].values())]
    names = (
        weight
        for level in levels
        for weights in (level["inclusive"], *level["bycategory"].values())
        for weight in weights
    )
    return list(dict.fromkeys(names))


def check_available(classes: Iterable[type[WeightWrapper]]) -> None:
    """Raise PhysicsNotAvailable, naming all of them, if the physics of requested weights is not in this
    version.
    """
    missing = [f"{cls.name!r} ({cls.missing})" for cls in classes if not cls.available]
    if missing:
        msg = (
            "These weights are requested, but are not in this version of PocketCoffea: "
            f"{', '.join(missing)}. Remove them "
            "from weights and variations, or compute them in a weight of your own (WeightLambda.wrap_func)."
        )
        raise PhysicsNotAvailable(msg)
