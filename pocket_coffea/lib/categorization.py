"""Categories: named ANDs of cuts, and products of binnings.

A selection is prepared once per pass over the events and then gives the mask of each category. When none of
its cuts looks at the objects of a collection, masks are numpy bool ``(n_events,)``. When one does, the
selection is *multidimensional*: all its masks are awkward bool ``(n_events, var)`` over that one collection,
and a decision on an event counts for each of its objects.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from pocket_coffea.errors import ConfigurationError, CutError, InvalidType, InvalidValue, did_you_mean
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.lookup import UnknownKey
from pocket_coffea.lib.masks import event_mask, jagged_mask, object_counts, object_mask, repeat_mask
from pocket_coffea.types import Array, BoolArray, IntArray, Params

__all__ = [
    "CartesianSelection",
    "Cut",
    "MaskStorage",
    "MultiCut",
    "StandardSelection",
    "TooManyCuts",
    "ak",
    "np",
]

#: Distinct cuts that one StandardSelection, or one MultiCut, can hold.
MAX_CUTS = 64


class TooManyCuts(ConfigurationError, RuntimeError):
    """More distinct cuts than a selection can hold."""


def _check_number(n_cuts: int, owner: str) -> None:
    if n_cuts > MAX_CUTS:
        msg = (
            f"{owner} has {n_cuts} distinct cuts, the limit is {MAX_CUTS}. Join cuts that always go "
            "together, or build products of bins with a CartesianSelection, where the limit holds for each "
            "MultiCut."
        )
        raise TooManyCuts(msg)


def _check_type(value: object, wanted: type, what: str) -> None:
    if not isinstance(value, wanted):
        msg = f"{what}, but got {value!r} of type {type(value).__name__}."
        raise InvalidType(msg)


def _check_cuts(cuts: Any, owner: str) -> list[Cut]:
    if isinstance(cuts, Cut) or not isinstance(cuts, Iterable):
        msg = f"{owner} must be a list of cuts, not {cuts!r}. Write [cut]."
        raise InvalidType(msg)
    cuts = list(cuts)
    for cut in cuts:
        _check_type(cut, Cut, f"{owner} must be a list of cuts")
    return cuts


def _object_collection(collections: Iterable[str | None], owner: str) -> str | None:
    """The one collection whose objects are cut on, or None."""
    names = sorted({name for name in collections if name not in (None, "events")}, key=str)
    if len(names) > 1:
        msg = (
            f"{owner} mixes cuts on the objects of {' and '.join(map(str, names))}. Masks can be over one "
            "collection only; turn the others into cuts on events."
        )
        raise InvalidValue(msg)
    return names[0] if names else None


class MaskStorage:
    """Masks by name, and ANDs of them.

    ``dim=1``: masks over events. ``dim=2``: masks over the objects of a collection that has ``counts``
    objects in each event; masks over events may be added too and count for all objects of their event.
    """

    def __init__(self, dim: int = 1, counts: Any = None) -> None:
        if dim not in (1, 2):
            msg = f"Masks have 1 dimension (events) or 2 (objects), not {dim}."
            raise NotImplementedError(msg)
        if dim == 2 and counts is None:
            msg = "MaskStorage(dim=2) needs counts, the number of objects in each event."
            raise InvalidValue(msg)
        self.dim = dim
        self.counts: IntArray | None = None if dim == 1 else np.asarray(counts, dtype=np.int64)
        #: flat masks, over events (dim=1) or objects (dim=2)
        self.masks: dict[str, BoolArray] = {}

    @property
    def names(self) -> list[str]:
        """The names of the masks, in the order they were added."""
        return list(self.masks)

    def add(self, id: str, mask: Any) -> None:
        """Store a mask, ``(n_events,)`` or for ``dim=2`` also ``(n_events, var)``.

        Raises TooManyCuts for the 65th, CutError for one that is not a mask of this dimension and length.
        """
        if id not in self.masks:
            _check_number(len(self.masks) + 1, "MaskStorage")
        self.masks[id] = self._flat(mask, f"mask {id!r}")

    def _flat(self, mask: Any, who: str) -> BoolArray:
        n_dims = getattr(mask, "ndim", 1)
        if self.counts is None:
            if n_dims > 1:
                msg = f"{who} has {n_dims} dimensions, but this storage holds masks over events (dim=1)."
                raise CutError(msg)
            first = next(iter(self.masks.values()), None)
            return event_mask(mask, len(mask) if first is None else len(first), who)
        if n_dims == 1:
            return repeat_mask(event_mask(mask, len(self.counts), who), self.counts)
        return object_mask(mask, self.counts, who)

    def all(self, ids: Iterable[str], unflatten: bool = True) -> Array:
        """AND of the named masks. ``unflatten=False`` returns masks over objects flat, as numpy.

        Without names the mask is all true. Raises UnknownKey.
        """
        chosen = [self._get(name) for name in ids]
        if not chosen:
            flat = np.ones(self._size(), dtype=bool)
        else:
            flat = chosen[0]
            for mask in chosen[1:]:
                flat = flat & mask
        return flat if self.counts is None or not unflatten else jagged_mask(flat, self.counts)

    def _get(self, name: str) -> BoolArray:
        if name not in self.masks:
            msg = f"There is no mask {name!r}. {did_you_mean(name, self.masks)}"
            raise UnknownKey(msg)
        return self.masks[name]

    def _size(self) -> int:
        if self.counts is not None:
            return int(self.counts.sum())
        return len(next(iter(self.masks.values()), ()))


class _Pass:
    """One pass over the events: evaluates each distinct cut once."""

    def __init__(
        self, events: Array, processor_params: Params, kwargs: dict[str, Any], counts: IntArray | None
    ) -> None:
        self.events = events
        self.counts = counts
        self._processor_params = processor_params
        self._kwargs = kwargs
        self._known: dict[str, Array] = {}

    def flat_mask(self, id_: str, cut: Cut, *, over_objects: bool) -> BoolArray:
        """Mask of a cut, over events, or flat over the objects of the collection."""
        mask = self._known.get(id_)
        if mask is None:
            mask = cut.get_mask(self.events, self._processor_params, **self._kwargs)
            self._known[id_] = mask
        if cut.collection != "events":
            return ak.to_numpy(mask.layout.content)
        return repeat_mask(mask, self.counts) if over_objects and self.counts is not None else mask


class _Prepared:
    """What the selections have in common: they are ready after ``prepare``, and only then."""

    #: the collection whose objects are selected, None for masks over events
    multidim_collection: str | None = None

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._ready = False
        self._n_events = 0
        self._counts: IntArray | None = None

    @property
    def ready(self) -> bool:
        """Whether ``prepare`` was called."""
        return self._ready

    @property
    def is_multidim(self) -> bool:
        """Whether masks are over the objects of ``multidim_collection`` instead of events."""
        return self.multidim_collection is not None

    def _require_ready(self) -> None:
        if not self._ready:
            msg = f"{type(self).__name__}: no masks yet, call prepare(events, processor_params, ...) first."
            raise CutError(msg)

    def _open(self, n_events: int, counts: IntArray | None) -> None:
        """Start a pass with so many events, and objects in each of them."""
        self._forget()
        self._n_events = n_events
        self._counts = counts if self.is_multidim else None

    def _pass_over(self, events: Array, processor_params: Params, kwargs: dict[str, Any]) -> _Pass:
        counts = None
        if self.multidim_collection is not None:
            who = f"a selection on {self.multidim_collection}"
            counts = object_counts(events, self.multidim_collection, who)
        return _Pass(events, processor_params, kwargs, counts)

    def _shaped(self, flat: BoolArray) -> Array:
        return flat if self._counts is None else jagged_mask(flat, self._counts)

    @property
    def template_mask(self) -> Array:
        """The mask that keeps everything, with the dimensions of the masks of this selection."""
        self._require_ready()
        size = self._n_events if self._counts is None else int(self._counts.sum())
        return self._shaped(np.ones(size, dtype=bool))

    def __getstate__(self) -> dict[str, Any]:
        # A selection travels with the configuration; masks belong to one chunk.
        state = self.__dict__.copy()
        copied = type(self).__new__(type(self))
        copied.__dict__.update(state)
        copied._forget()
        return copied.__dict__


class StandardSelection(_Prepared):
    """Named categories, each the AND of a list of cuts.

    Equal cuts are evaluated once per ``prepare``. Categories made of the same cuts share one mask array: read
    masks, do not modify them. A category without cuts keeps everything.
    """

    def __init__(self, categories: Mapping[str, Sequence[Cut]]) -> None:
        """``categories``: {name: [cuts]}.

        Raises InvalidType for entries that are not cuts, InvalidValue for cuts on several collections,
        TooManyCuts (a RuntimeError) beyond 64 distinct cuts.
        """
        _check_type(categories, Mapping, "StandardSelection needs a dictionary {category: [cuts]}")
        self.cuts: dict[str, Cut] = {}
        self._cuts_of: dict[str, list[str]] = {}
        for name, listed in categories.items():
            cuts = _check_cuts(listed, f"category {name!r}")
            # Only here are ids computed: a digest of each cut, once per configuration.
            self._cuts_of[name] = list(dict.fromkeys(cut.id for cut in cuts))
            for cut in cuts:
                self.cuts.setdefault(cut.id, cut)
        _check_number(len(self.cuts), "StandardSelection")
        #: category -> ids of its cuts
        self.categories = {name: set(ids) for name, ids in self._cuts_of.items()}
        collections = [cut.collection for cut in self.cuts.values()]
        self.multidim_collection = _object_collection(collections, "StandardSelection")
        super().__init__()

    def _forget(self) -> None:
        super()._forget()
        self._storage: MaskStorage | None = None
        self._flat_by_ids: dict[frozenset[str], BoolArray] = {}
        self._shaped_by_ids: dict[frozenset[str], Array] = {}

    def prepare(self, events: Array, processor_params: Params, **kwargs: Any) -> None:
        """Evaluate every distinct cut on ``events``, forgetting what was known of others.

        ``kwargs``: year, sample, isMC, passed on to the cuts.
        """
        self._prepare(self._pass_over(events, processor_params, kwargs))

    def _prepare(self, current: _Pass) -> None:
        self._open(len(current.events), current.counts)
        storage = MaskStorage(dim=1 if self._counts is None else 2, counts=self._counts)
        for id_, cut in self.cuts.items():
            storage.masks[id_] = current.flat_mask(id_, cut, over_objects=self.is_multidim)
        self._storage = storage
        self._ready = True

    def _flat(self, category: str) -> BoolArray:
        """Mask of a category, over events or flat over objects."""
        self._require_ready()
        assert self._storage is not None
        ids = self._ids(category)
        key = frozenset(ids)
        flat = self._flat_by_ids.get(key)
        if flat is None:
            if ids:
                flat = self._storage.all(ids, unflatten=False)
            else:
                flat = np.ones(self._n_events if self._counts is None else self._counts.sum(), dtype=bool)
            self._flat_by_ids[key] = flat
        return flat

    def _ids(self, category: str) -> list[str]:
        if category not in self._cuts_of:
            msg = f"There is no category {category!r}. {did_you_mean(category, self._cuts_of)}"
            raise UnknownKey(msg)
        return self._cuts_of[category]

    def get_mask(self, category: str) -> Array:
        """Mask of one category. Raises UnknownKey (a KeyError and a ValueError)."""
        flat = self._flat(category)
        if self._counts is None:
            return flat
        key = frozenset(self._cuts_of[category])
        if key not in self._shaped_by_ids:
            self._shaped_by_ids[key] = self._shaped(flat)
        return self._shaped_by_ids[key]

    def get_masks(self) -> Iterator[tuple[str, Array]]:
        """Yield (category, mask) in the order of the categories."""
        self._require_ready()
        return ((category, self.get_mask(category)) for category in self._cuts_of)

    def mask_matrix(self) -> npt.NDArray[np.bool_]:
        """All masks at once, ``(n_categories, n_events)`` or ``(n_categories, n_objects)``, a new array."""
        size = len(self._cuts_of)
        self._require_ready()
        if size == 0:
            return np.zeros((0, self._n_events), dtype=bool)
        return np.stack([self._flat(category) for category in self._cuts_of])

    def keys(self) -> list[str]:
        """Names of the categories."""
        return list(self._cuts_of)

    def items(self) -> Iterator[tuple[str, set[str]]]:
        """Yield (category, ids of its cuts)."""
        return iter(self.categories.items())

    def __iter__(self) -> Iterator[str]:
        return iter(self._cuts_of)

    def __len__(self) -> int:
        return len(self._cuts_of)

    def __contains__(self, category: object) -> bool:
        return category in self._cuts_of

    def serialize(self) -> dict[str, Any]:
        """Return the selection as plain data for ``config.json``."""
        return {
            "type": type(self).__name__,
            "categories": {
                name: [self.cuts[id_].serialize() for id_ in ids] for name, ids in self._cuts_of.items()
            },
        }

    def __repr__(self) -> str:
        lines = [
            f"{name}: {', '.join(self.cuts[id_].name for id_ in ids)}" for name, ids in self._cuts_of.items()
        ]
        return f"{type(self).__name__}({'; '.join(lines)})"


class MultiCut(_Prepared):
    """One binning: an ordered list of cuts, one per bin. Bins may overlap and leave events out."""

    def __init__(self, name: str, cuts: Sequence[Cut], cuts_names: Sequence[str] | None = None) -> None:
        """``cuts_names``: names of the bins, by default those of the cuts.

        Raises InvalidType for entries that are not cuts, InvalidValue (a ValueError) when the names do not
        match the cuts or the cuts are on different collections, TooManyCuts beyond 64 bins.
        """
        self.name = name
        self.cuts = _check_cuts(cuts, f"MultiCut {name!r}")
        names = [cut.name for cut in self.cuts] if cuts_names is None else list(cuts_names)
        if len(names) != len(self.cuts):
            msg = f"MultiCut {name!r} has {len(self.cuts)} cuts, but {len(names)} names: {names}."
            raise InvalidValue(msg)
        self.cuts_names = names
        self._ids = [cut.id for cut in self.cuts]
        _check_number(len(set(self._ids)), f"MultiCut {name!r}")
        collections = {cut.collection for cut in self.cuts}
        if len(collections) > 1:
            msg = f"MultiCut {name!r} mixes cuts on {', '.join(sorted(collections))}; use one collection."
            raise InvalidValue(msg)
        self.multidim_collection = _object_collection(collections, f"MultiCut {name!r}")
        super().__init__()

    @property
    def ncuts(self) -> int:
        """Number of bins."""
        return len(self.cuts)

    def _forget(self) -> None:
        super()._forget()
        self._matrix = np.zeros((0, 0), dtype=bool)

    def prepare(self, events: Array, processor_params: Params, **kwargs: Any) -> None:
        """Evaluate the cuts on ``events``; ``kwargs`` (year, sample, isMC) are passed on to them."""
        self._prepare(self._pass_over(events, processor_params, kwargs))

    def _prepare(self, current: _Pass) -> None:
        self._open(len(current.events), current.counts)
        masks = [
            current.flat_mask(id_, cut, over_objects=self.is_multidim)
            for id_, cut in zip(self._ids, self.cuts, strict=True)
        ]
        self._matrix = np.stack(masks) if masks else np.zeros((0, self._n_events), dtype=bool)
        self._ready = True

    def get_mask(self, cut_index: int) -> Array:
        """Mask of one bin. Raises InvalidValue for a bin that does not exist."""
        self._require_ready()
        if not -self.ncuts <= cut_index < self.ncuts:
            msg = f"MultiCut {self.name!r} has {self.ncuts} bins, there is no bin {cut_index}."
            raise InvalidValue(msg)
        return self._shaped(self._matrix[cut_index])

    def _flat_matrix(self, counts: IntArray | None) -> npt.NDArray[np.bool_]:
        """(n_bins, n), over events, or over objects if ``counts`` is given."""
        if counts is None or self._counts is not None:
            return self._matrix
        return np.repeat(self._matrix, counts, axis=1)

    def serialize(self) -> dict[str, Any]:
        """Return the binning as plain data for ``config.json``."""
        return {
            "name": self.name,
            "cuts": [cut.serialize() for cut in self.cuts],
            "cuts_names": self.cuts_names,
        }

    def __repr__(self) -> str:
        return f"MultiCut({self.name}: {', '.join(self.cuts_names)})"


class CartesianSelection(_Prepared):
    """The product of binnings, preceded by common categories that do not enter the product.

    ``categories`` lists first the common ones, then the products in the order of ``itertools.product`` (the
    bins of the first MultiCut vary slowest), named ``"_".join(names of the bins)``. Each distinct cut is
    evaluated once, and all products come out of one vectorised AND per MultiCut.
    """

    def __init__(
        self,
        multicuts: Sequence[MultiCut],
        common_cats: StandardSelection | Mapping[str, Sequence[Cut]] | None = None,
    ) -> None:
        """Raises InvalidType, InvalidValue for names that occur twice and for cuts on several collections."""
        self.multicuts = list(multicuts)
        for multicut in self.multicuts:
            _check_type(multicut, MultiCut, "CartesianSelection needs a list of MultiCuts")
        if not isinstance(common_cats, StandardSelection):
            common_cats = StandardSelection(common_cats or {})
        self.common_cats = common_cats
        collections = [self.common_cats.multidim_collection]
        collections += [multicut.multidim_collection for multicut in self.multicuts]
        self.multidim_collection = _object_collection(collections, "CartesianSelection")
        bins = [range(multicut.ncuts) for multicut in self.multicuts]
        self._products: dict[str, tuple[int, ...]] = {}
        self.categories: list[str] = self.common_cats.keys()
        for indices in itertools.product(*bins) if bins else ():
            self._add_product(indices)
        self._rows = {name: row for row, name in enumerate(self._products)}
        super().__init__()

    def _add_product(self, indices: tuple[int, ...]) -> None:
        name = "_".join(m.cuts_names[i] for m, i in zip(self.multicuts, indices, strict=True))
        if name in self._products or name in self.common_cats:
            msg = f"CartesianSelection: two categories are called {name!r}; rename the bins (cuts_names)."
            raise InvalidValue(msg)
        self._products[name] = indices
        self.categories.append(name)

    def _forget(self) -> None:
        super()._forget()
        self._matrix: npt.NDArray[np.bool_] | None = None
        self._shaped_products: dict[str, Array] = {}

    def prepare(self, events: Array, processor_params: Params, **kwargs: Any) -> None:
        """Evaluate all cuts on ``events``; ``kwargs`` (year, sample, isMC) are passed on to them."""
        current = self._pass_over(events, processor_params, kwargs)
        self._open(len(events), current.counts)
        parts: list[StandardSelection | MultiCut] = [self.common_cats, *self.multicuts]
        for part in parts:
            part._prepare(current)
        self._ready = True

    def _product_matrix(self) -> npt.NDArray[np.bool_]:
        """(n_products, n): masks of the products, over events or flat over objects."""
        self._require_ready()
        if self._matrix is None:
            size = self._n_events if self._counts is None else int(self._counts.sum())
            product = np.ones((1, size), dtype=bool)
            for multicut in self.multicuts:
                bins = multicut._flat_matrix(self._counts)
                product = (product[:, None] & bins[None]).reshape(len(product) * len(bins), size)
            self._matrix = product if self.multicuts else product[:0]
        return self._matrix

    def get_mask(self, category: str) -> Array:
        """Mask of one category. Raises UnknownKey (a KeyError and a ValueError)."""
        self._require_ready()
        if category in self._products:
            return self._product_mask(category)
        if category not in self.common_cats:
            msg = f"There is no category {category!r}. {did_you_mean(category, self.categories)}"
            raise UnknownKey(msg)
        mask = self.common_cats.get_mask(category)
        if self._counts is None or self.common_cats.is_multidim:
            return mask
        return jagged_mask(repeat_mask(mask, self._counts), self._counts)

    def _product_mask(self, category: str) -> Array:
        flat = self._product_matrix()[self._rows[category]]
        if self._counts is None:
            return flat
        if category not in self._shaped_products:
            self._shaped_products[category] = self._shaped(flat)
        return self._shaped_products[category]

    def get_masks(self) -> Iterator[tuple[str, Array]]:
        """Yield (category, mask) in the order of the categories."""
        self._require_ready()
        return ((category, self.get_mask(category)) for category in self.categories)

    def mask_matrix(self) -> npt.NDArray[np.bool_]:
        """All masks at once, ``(n_categories, n_events)`` or ``(n_categories, n_objects)``, a new array."""
        products = self._product_matrix()
        common = self.common_cats.mask_matrix()
        if self._counts is not None and not self.common_cats.is_multidim:
            common = np.repeat(common, self._counts, axis=1)
        return np.concatenate([common.reshape(len(common), products.shape[1]), products])

    def keys(self) -> list[str]:
        """Names of the categories."""
        return list(self.categories)

    def items(self) -> Iterator[tuple[str, str | tuple[int, ...]]]:
        """Yield (category, its bin in each MultiCut), or (category, its name) for the common ones."""
        yield from ((name, name) for name in self.common_cats)
        yield from self._products.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self.categories)

    def __len__(self) -> int:
        return len(self.categories)

    def __contains__(self, category: object) -> bool:
        return category in self._products or category in self.common_cats

    def serialize(self) -> dict[str, Any]:
        """Return the selection as plain data for ``config.json``."""
        return {
            "type": type(self).__name__,
            "categories": self.keys(),
            "multicuts": [multicut.serialize() for multicut in self.multicuts],
            "common_cats": self.common_cats.serialize(),
        }

    def __repr__(self) -> str:
        return f"CartesianSelection({' x '.join(map(repr, self.multicuts))}; common: {self.common_cats!r})"
