"""The product of the weights of a sample, by category, subsample and systematic variation."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from pocket_coffea.errors import (
    InvalidType,
    InvalidValue,
    PocketCoffeaError,
    ProcessingError,
    UnknownName,
    WeightError,
    did_you_mean,
)
from pocket_coffea.lib.lookup import missing_field
from pocket_coffea.lib.weights.arrays import (
    Origin,
    as_float_array,
    check_finite,
    check_length,
    is_finite,
)
from pocket_coffea.lib.weights.weights import WeightData, WeightDataMultiVariation, WeightWrapper
from pocket_coffea.types import Array, FloatArray, Params
from pocket_coffea.utils.metadata import to_bool

__all__ = ["WeightsManager"]

log = logging.getLogger(__name__)

#: The weights of one sample or subsample: {"inclusive": [...], "bycategory": {category: [...]}, ...}.
LevelConf: TypeAlias = Mapping[str, Any]
#: Numbers of the weights that are multiplied, in ascending order; a weight may be in it twice.
Product: TypeAlias = tuple[int, ...]


@dataclasses.dataclass(eq=False)
class _Weight:
    """One weight of the current pass: its nominal values, and its variations as they were returned."""

    number: int
    origin: Origin
    nominal: FloatArray
    declared: tuple[str, ...]
    varied: dict[str, Array]

    def knows(self, modifier: str) -> bool:
        return modifier in self.varied or modifier in self.declared

    @functools.cached_property
    def _has_zeros(self) -> bool:
        return not self.nominal.all()

    def ratio(self, modifier: str, out: FloatArray) -> FloatArray:
        """Write varied/nominal into ``out``, 1 where the nominal weight is 0, and return it.

        It may be infinite or NaN: ``check`` says why.
        """
        up = modifier.removesuffix("Down") + "Up"
        mirrored = modifier in self.varied and self.varied[modifier] is None
        varied = self._varied(up if mirrored else modifier)
        if mirrored:
            np.divide(self.nominal, varied, out=out)
        else:
            np.divide(varied, self.nominal, out=out)
        if self._has_zeros:
            out[self.nominal == 0] = 1.0
        return out

    def _varied(self, modifier: str) -> FloatArray:
        origin = self.origin.of(modifier)
        if modifier not in self.varied:
            returned = ", ".join(self.varied) or "none"
            msg = (
                f"{origin}: the weight declares this variation, but compute() did not return it (returned: "
                f"{returned}). Return its up array, or correct has_variations and _variations."
            )
            raise WeightError(msg)
        return as_float_array(self.varied[modifier], len(self.nominal), origin)

    def check(self, modifier: str, out: FloatArray) -> None:
        """Raise WeightError if the variation, or its ratio to the nominal weight, is not finite."""
        origin = self.origin.of(modifier)
        if self.varied[modifier] is None:
            hint = "No down variation is given, so it is nominal^2/up, and up is 0 there."
        else:
            check_finite(self._varied(modifier), origin)
            hint = "The variation divided by the nominal weight overflows."
        check_finite(self.ratio(modifier, out), origin, hint)


class WeightsManager:
    """Computes the weights of one chunk and multiplies them.

    The total weight of a category is the product of the sample's inclusive weights and those of the category;
    with a subsample, also of the subsample's inclusive weights and those it has in the category. A variation
    replaces each occurrence of its weight by the varied one. Where a nominal weight is 0, the total is 0 in
    every variation.

    ``get_weight`` returns float64 arrays of length n_events which are kept until the next ``compute``: read
    them, do not modify them. Categories with the same weights get the same array object.
    """

    def __init__(
        self,
        params: Params,
        weightsConf: LevelConf,
        weightsWrappers: Mapping[str, type[WeightWrapper]] | Iterable[type[WeightWrapper]],
        metadata: Mapping[str, Any],
        storeIndividual: bool = False,
    ) -> None:
        """Make one instance of each weight that the sample uses, and of no other.

        weightsConf: the entry of the sample in ``Configurator.weights_config``. weightsWrappers: weight
        classes, by name or not. metadata: year, sample, dataset, part, xsec, isMC. storeIndividual: keep each
        factor for ``get_individual_weight``. Raises UnknownName for a weight without class and InvalidValue
        (both ValueErrors) for one that is configured twice.
        """
        self._params = params
        self._metadata = dict(metadata)
        self._isMC = to_bool(metadata.get("isMC", True))
        self._store_individual = storeIndividual
        self._conf = _Configuration(weightsConf)
        classes = _by_name(weightsWrappers)
        self._wrappers = {name: self._instantiate(name, classes) for name in self._conf.names()}
        self._added: dict[tuple[str, str | None], _Weight] = {}
        self._shape_variation = "nominal"
        self._size: int | None = None
        # For the ratios of all variations: new memory costs more than the division.
        self._buffer: FloatArray = np.empty(0)
        self._weights: list[_Weight] = []
        self._by_name: dict[str, _Weight] = {}
        self._products: dict[tuple[str | None, str | None, bool], Product] = {}
        self._totals: dict[tuple[Product, str | None], FloatArray] = {}

    # --- computing

    def compute(self, events: Array, size: int, shape_variation: str = "nominal") -> None:
        """Compute every weight of the sample for ``events``; forget those of the previous pass.

        Variations are kept only for the nominal shape variation. Raises WeightError when a weight is not one
        finite number per event (variations are looked at when they are asked for), MissingBranch when it
        reads a branch that is not there.
        """
        self._size = int(size)
        if len(self._buffer) != self._size:
            self._buffer = np.empty(self._size)
        self._shape_variation = shape_variation
        self._added.clear()
        self._weights = []
        self._by_name = {}
        self._products.clear()
        self._totals.clear()
        for name, wrapper in self._wrappers.items():
            data = self._evaluate(wrapper, events)
            self._by_name[name] = self._enter(name, data, tuple(wrapper.modifiers))

    def add_weight(
        self,
        name: str,
        nominal: Array,
        up: Array | None = None,
        down: Array | None = None,
        category: str | None = None,
    ) -> None:
        """Multiply another weight into the totals of this pass: those of one category, or all of them.

        To be called after ``compute``, in each pass: the next ``compute`` forgets it. Arrays as in
        WeightData; they are copied. Raises InvalidValue (a ValueError) when the name is in use or ends in Up
        or Down, UnknownName for an unknown category, WeightError as ``compute``.
        """
        self._require_computed()
        if name.endswith(("Up", "Down")):
            msg = f"weight {name!r}: a weight name must not end in 'Up' or 'Down', which mark its variations."
            raise InvalidValue(msg)
        taken = {added for added, where in self._added if where in {None, category} or category is None}
        if name in self._wrappers or name in taken:
            msg = f"Weight {name!r} already exists: give the weight that is added another name."
            raise InvalidValue(msg)
        self._conf.check_category(category)
        data = WeightData(name, _copied(nominal), _copied(up), _copied(down))
        declared = (f"{name}Up", f"{name}Down") if up is not None else ()
        self._added[name, category] = self._enter(name, data, declared)
        self._products.clear()

    def _instantiate(self, name: str, classes: Mapping[str, type[WeightWrapper]]) -> WeightWrapper:
        if name not in classes:
            msg = f"weight {name!r} is configured but no weight class has it. {did_you_mean(name, classes)}"
            raise UnknownName(msg)
        try:
            return classes[name](self._params, self._metadata)
        except PocketCoffeaError:
            raise
        except Exception as exc:
            exc.add_note(f"while making {self._origin(name)}")
            raise

    def _evaluate(self, wrapper: WeightWrapper, events: Array) -> WeightData | WeightDataMultiVariation:
        try:
            data: Any = wrapper.compute(events, self._size or 0, self._shape_variation)
        except PocketCoffeaError:
            raise
        except Exception as exc:
            missing = missing_field(exc, events, str(self._origin(wrapper.name)))
            if missing is not None:
                raise missing from exc
            exc.add_note(f"while computing {self._origin(wrapper.name)}")
            raise
        if not isinstance(data, WeightData | WeightDataMultiVariation):
            msg = (
                f"{self._origin(wrapper.name)}: compute() returned a {type(data).__name__}. "
                "Allowed: WeightData, WeightDataMultiVariation."
            )
            raise InvalidType(msg)
        return data

    def _enter(
        self, name: str, data: WeightData | WeightDataMultiVariation, declared: tuple[str, ...]
    ) -> _Weight:
        size, origin = self._size or 0, self._origin(name)
        nominal = as_float_array(data.nominal, size, origin)
        check_finite(nominal, origin)
        varied = dict(_variations_of(name, data, origin)) if self._shape_variation == "nominal" else {}
        for modifier, values in varied.items():
            if values is not None:
                check_length(values, size, origin.of(modifier))
        declared = declared if self._shape_variation == "nominal" else ()
        weight = _Weight(len(self._weights), origin, nominal, declared, varied)
        self._weights.append(weight)
        return weight

    def _origin(self, name: str) -> Origin:
        return Origin(name, str(self._metadata.get("sample", "?")), str(self._metadata.get("dataset", "?")))

    def _require_computed(self) -> int:
        if self._size is None:
            msg = "WeightsManager: no weights yet, call compute(events, size, shape_variation) first."
            raise ProcessingError(msg)
        return self._size

    # --- totals

    def get_weight(
        self, category: str | None = None, subsample: str | None = None, modifier: str | None = None
    ) -> FloatArray:
        """Return the total weight of a category (None: the inclusive weights only), float64 (n_events,).

        subsample: full name; its weights are multiplied in. modifier: full name of a variation
        (``pileupUp``), which is applied to the weights of the sample and of the subsample that have it.
        Raises UnknownName (a ValueError) when none has it, and in passes of shape variations, which carry
        nominal weights only.
        """
        return self._total(self._product(category, subsample), modifier, f"category {category!r}")

    def get_weight_only_subsample(
        self, subsample: str, category: str | None = None, modifier: str | None = None
    ) -> FloatArray:
        """Return the product of the weights that belong to the subsample alone, ones if it has none.

        A modifier that they do not have leaves them nominal.
        """
        product = self._product(category, subsample, of_sample=False)
        if modifier is not None and not any(self._weights[i].knows(modifier) for i in product):
            modifier = None
        return self._total(product, modifier, f"subsample {subsample!r}")

    def get_individual_weight(self, name: str, modifier: str | None = None) -> FloatArray:
        """Return one factor of the totals, float64 (n_events,). Needs ``storeIndividual=True``."""
        self._require_computed()
        if not self._store_individual:
            msg = "individual weights are kept only with WeightsManager(..., storeIndividual=True)."
            raise InvalidValue(msg)
        if name not in self._by_name:
            msg = f"weight {name!r} is not computed for this sample. {did_you_mean(name, self._by_name)}"
            raise UnknownName(msg)
        return self._total((self._by_name[name].number,), modifier, f"weight {name!r}")

    def _product(self, category: str | None, subsample: str | None, *, of_sample: bool = True) -> Product:
        self._require_computed()
        key = (category, subsample, of_sample)
        if key not in self._products:
            names = self._conf.select(category, subsample, of_sample=of_sample)
            numbers = [self._by_name[name].number for name in names]
            if of_sample:
                numbers += [w.number for (_, where), w in self._added.items() if where in {None, category}]
            # In one order for all, so that categories with the same weights share one array.
            self._products[key] = tuple(sorted(numbers))
        return self._products[key]

    def _total(self, product: Product, modifier: str | None, where: str) -> FloatArray:
        modifier = None if modifier == "nominal" else modifier
        key = (product, modifier)
        total = self._totals.get(key)
        if total is None:
            with np.errstate(all="ignore"):  # an overflow is found, and named, afterwards
                total = (
                    self._nominal(product) if modifier is None else self._modified(product, modifier, where)
                )
            self._totals[key] = total
        return total

    def _nominal(self, product: Product) -> FloatArray:
        """Multiply the nominal weights; the inclusive ones are shared by all categories."""
        inclusive = self._conf.n_inclusive
        if 0 < inclusive < len(product) and product[:inclusive] == tuple(range(inclusive)):
            total = self._total(product[:inclusive], None, "") * self._weights[product[inclusive]].nominal
            rest = product[inclusive + 1 :]
        elif product:
            total, rest = self._weights[product[0]].nominal.copy(), product[1:]
        else:
            return np.ones(self._require_computed())
        for number in rest:
            total *= self._weights[number].nominal
        check_finite(total, self._names(product), "Their product overflows.")
        return total

    def _modified(self, product: Product, modifier: str, where: str) -> FloatArray:
        affected = [self._weights[number] for number in product if self._weights[number].knows(modifier)]
        if not affected:
            raise UnknownName(self._unknown_modifier(product, modifier, where))
        nominal = self._total(product, None, where)
        ratio = self._buffer
        total = nominal * affected[0].ratio(modifier, ratio)
        for weight in affected[1:]:
            total *= weight.ratio(modifier, ratio)
        if not is_finite(total):
            for weight in affected:
                weight.check(modifier, ratio)
            check_finite(total, f"{self._names(product)}, variation {modifier!r}", "Their product overflows.")
        return total

    def _unknown_modifier(self, product: Product, modifier: str, where: str) -> str:
        if self._shape_variation != "nominal":
            return (
                f"weight variation {modifier!r} ({where}): in the pass of shape variation "
                f"{self._shape_variation!r} weights are nominal only."
            )
        known = self._modifiers_of(product)
        sample = self._metadata.get("sample", "?")
        return (
            f"weight variation {modifier!r} is unknown for sample {sample!r}, {where}. "
            f"{did_you_mean(modifier, known)}"
        )

    def _names(self, product: Product) -> str:
        names = ", ".join(self._weights[number].origin.weight for number in product)
        sample, dataset = (self._metadata.get(key, "?") for key in ("sample", "dataset"))
        return f"the product of weights {names} of sample {sample!r}, dataset {dataset!r}"

    def _modifiers_of(self, product: Product) -> list[str]:
        weights = [self._weights[number] for number in product]
        return list(dict.fromkeys(m for weight in weights for m in (*weight.declared, *weight.varied)))

    # --- what there is

    def get_available_weights(self) -> list[str]:
        """Return the names of the weights of the sample and its subsamples, added ones included."""
        return list(dict.fromkeys((*self._wrappers, *(name for name, _ in self._added))))

    def get_available_modifiers_byweight(self, weight: str) -> list[str]:
        """Return the full names of the variations that a weight declares: [] if it has none.

        Known before ``compute``. Raises UnknownName (a ValueError) for a weight that the sample does not use.
        """
        if weight in self._wrappers:
            return list(self._wrappers[weight].modifiers)
        added = [entry for (name, _), entry in self._added.items() if name == weight]
        if not added:
            msg = (
                f"weight {weight!r} is not used by sample {self._metadata.get('sample', '?')!r}. "
                f"{did_you_mean(weight, self.get_available_weights())}"
            )
            raise UnknownName(msg)
        return list(dict.fromkeys(modifier for entry in added for modifier in entry.varied))

    def get_available_modifiers_bycategory(
        self, category: str | None = None, subsample: str | None = None
    ) -> list[str]:
        """Return the variations that ``get_weight`` takes for a category (and subsample), as far as declared.

        Known before ``compute``; None as category stands for the inclusive weights.
        """
        names = list(self._conf.select(category, subsample))
        modifiers = [modifier for name in names for modifier in self._wrappers[name].modifiers]
        for (_, where), weight in self._added.items():
            if where in {None, category}:
                modifiers += weight.varied
        return list(dict.fromkeys(modifiers))


class _Configuration:
    """Which weights a sample, its categories and its subsamples use."""

    def __init__(self, conf: LevelConf) -> None:
        self._sample = _Level(conf, "the sample")
        subsamples = conf.get("by_subsample") or {}
        self._subsamples = {name: _Level(level, f"subsample {name!r}") for name, level in subsamples.items()}

    @property
    def n_inclusive(self) -> int:
        """How many weights every category of the sample has; they come first in ``names``."""
        return len(self._sample.select(None))

    def names(self) -> list[str]:
        """Every weight once, in the order of the configuration."""
        levels = (self._sample, *self._subsamples.values())
        return list(dict.fromkeys(name for level in levels for name in level.names()))

    def select(self, category: str | None, subsample: str | None, *, of_sample: bool = True) -> list[str]:
        """The weights that are multiplied, with repetition."""
        self._sample.check_category(category)
        names = self._sample.select(category) if of_sample else []
        extra = self._subsamples.get(subsample) if subsample is not None else None
        return names + (extra.select(category) if extra is not None else [])

    def check_category(self, category: str | None) -> None:
        self._sample.check_category(category)


class _Level:
    """The weights of one sample or subsample."""

    def __init__(self, conf: LevelConf, owner: str) -> None:
        self._inclusive = list(conf.get("inclusive") or [])
        self._categories = {cat: list(names) for cat, names in (conf.get("bycategory") or {}).items()}
        self._split = any(self._categories.values())
        for category in (None, *self._categories):
            repeated = _repeated(self.select(category))
            if repeated:
                msg = (
                    f"weight {repeated!r} is configured twice for {owner}"
                    f"{'' if category is None else f' in category {category!r}'}: it would be applied twice."
                )
                raise InvalidValue(msg)

    def names(self) -> Iterator[str]:
        yield from self._inclusive
        for names in self._categories.values():
            yield from names

    def select(self, category: str | None) -> list[str]:
        if category is None or not self._split:
            return self._inclusive.copy()
        return self._inclusive + self._categories.get(category, [])

    def check_category(self, category: str | None) -> None:
        if category is not None and self._split and category not in self._categories:
            msg = f"no weights for category {category!r}. {did_you_mean(category, self._categories)}"
            raise UnknownName(msg)


def _repeated(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _by_name(
    wrappers: Mapping[str, type[WeightWrapper]] | Iterable[type[WeightWrapper]],
) -> dict[str, type[WeightWrapper]]:
    classes = wrappers.values() if isinstance(wrappers, Mapping) else wrappers
    return {wrapper.name: wrapper for wrapper in classes}


def _copied(values: Array | None) -> Array | None:
    """A copy of a numpy array, which its owner may go on to modify; other arrays are immutable by use."""
    return values.copy() if isinstance(values, np.ndarray) else values


def _variations_of(
    name: str, data: WeightData | WeightDataMultiVariation, origin: Origin
) -> Iterator[tuple[str, Array | None]]:
    """Yield (modifier, values); None as values stands for the mirrored up variation."""
    if isinstance(data, WeightData):
        if data.up is not None:
            yield f"{name}Up", data.up
        if data.up is not None or data.down is not None:
            yield f"{name}Down", data.down
        return
    names, ups = list(data.variations), list(data.up)
    downs = [None] * len(ups) if data.down is None else list(data.down)
    if not len(names) == len(ups) == len(downs):
        msg = (
            f"{origin}: {len(names)} variations ({', '.join(map(str, names))}) with {len(ups)} up and "
            f"{len(downs)} down arrays. Give one of each for every variation."
        )
        raise WeightError(msg)
    for variation, up, down in zip(names, ups, downs, strict=True):
        yield from _variations_of(f"{name}_{variation}", WeightData(name, up, up, down), origin)
