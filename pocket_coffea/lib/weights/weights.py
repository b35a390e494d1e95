"""What a weight is: an event-wise factor, with its systematic variations, computed for every chunk.

A weight is a class that derives from :class:`WeightWrapper`, or a function wrapped by
:meth:`WeightLambda.wrap_func`. The configuration names weights by their ``name``; the WeightsManager makes
one instance per chunk, calls ``compute`` and multiplies what it returns.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias, cast

import awkward as ak
import numpy as np

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib.class_registry import check_name, register
from pocket_coffea.types import Array, Params

__all__ = ["WeightData", "WeightDataMultiVariation", "WeightLambda", "WeightWrapper"]

#: What a wrapped function is called with: (params, metadata, events, size, shape_variation).
WeightFunction: TypeAlias = Callable[[Any, Any, Any, int, str], Any]


@dataclasses.dataclass
class WeightData:
    """A weight with at most one up and one down variation.

    nominal, up, down: (n_events,), numpy or awkward, dimensionless. ``up`` and ``down`` are absolute weights,
    not ratios to the nominal one. ``down=None`` with ``up`` given means the mirrored variation nominal^2/up.
    Missing values (None, masked) count as 1. The arrays are never modified.
    """

    name: str
    nominal: Array
    up: Array | None = None
    down: Array | None = None


@dataclasses.dataclass
class WeightDataMultiVariation:
    """A weight with several named variations: ``up[i]`` and ``down[i]`` belong to ``variations[i]``.

    Arrays as in :class:`WeightData`; ``down=None`` mirrors all of them, ``down[i]=None`` that one.
    """

    name: str
    nominal: Array
    variations: Sequence[str]
    up: Sequence[Array]
    down: Sequence[Array | None] | None = None


class WeightMeta(ABCMeta):
    """Registers every weight class that has a ``name`` in its body."""

    weight_classes: ClassVar[dict[str, type]] = {}

    def __init__(
        cls, class_name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(class_name, bases, namespace, **kwargs)
        if "name" in namespace:
            _check_weight_name(namespace["name"], class_name)
        register(WeightMeta.weight_classes, cls, namespace, kind="weight", machinery=(__name__,))


def _check_weight_name(name: object, owner: str) -> None:
    text = check_name(name, "weight", owner)
    if text.endswith(("Up", "Down")):
        msg = (
            f"the weight class {owner} has name = {text!r}: a weight name must not end in 'Up' or 'Down', "
            f"which mark its variations. Rename it, for example to {text + 'Weight'!r}."
        )
        raise InvalidValue(msg)


class WeightWrapper(metaclass=WeightMeta):
    """Base class of all weights.

    Class attributes of a weight:

    name : what the configuration calls it; unique
    has_variations : whether it has systematic variations
    isMC_only : whether it is skipped for data
    _variations : names of several variations; empty for a single one. ``__init__`` may set them, for
        instance from the parameters of a year

    The variations are called ``{name}Up``, ``{name}Down``, or ``{name}_{variation}Up``,
    ``{name}_{variation}Down``. ``available`` is False for a weight whose physics is not in this version;
    ``missing`` names what is missing.
    """

    name: ClassVar[str]
    has_variations: ClassVar[bool] = False
    isMC_only: ClassVar[bool] = True
    available: ClassVar[bool] = True
    missing: ClassVar[str] = ""
    _variations: Sequence[str] = ()

    def __init__(self, params: Params = None, metadata: Mapping[str, Any] | None = None) -> None:
        """Keep the analysis parameters and the metadata of the chunk.

        metadata: year, sample, dataset, part, xsec (None for data), isMC.
        """
        self._params = params
        self._metadata = metadata

    @abstractmethod
    def compute(
        self, events: Array, size: int, shape_variation: str
    ) -> WeightData | WeightDataMultiVariation:
        """Return the weight of ``events`` (``size`` of them): arrays (n_events,), finite, dimensionless.

        ``shape_variation``: name of the pass. Variations are used only when it is "nominal". An array of
        another length, or one with infinite or NaN entries, is a WeightError that names weight and sample.
        """

    @property
    def variations(self) -> list[str]:
        """Names of the variations without weight name and direction; empty for none and for a single one."""
        return [str(variation) for variation in self._variations] if self.has_variations else []

    @property
    def modifiers(self) -> list[str]:
        """Full names of the variations: ``pileupUp``, ``pileupDown``."""
        if not self.has_variations:
            return []
        stems = [f"{self.name}_{variation}" for variation in self.variations] or [self.name]
        return [f"{stem}{direction}" for stem in stems for direction in ("Up", "Down")]

    @classmethod
    def serialize(cls) -> dict[str, Any]:
        """Describe the weight with plain values, for the configuration that is saved next to the results."""
        return {
            "name": cls.name,
            "class": {"name": cls.__qualname__, "module": cls.__module__, "src_file": _source_file(cls)},
            "has_variations": cls.has_variations,
            "variations": [str(variation) for variation in cls._variations],
            "isMC_only": cls.isMC_only,
        }


class WeightLambda(WeightWrapper):
    """A weight made from a function by :meth:`wrap_func`."""

    _function: ClassVar[WeightFunction]

    @classmethod
    def wrap_func(
        cls,
        name: str,
        function: WeightFunction,
        has_variations: bool = False,
        variations: Sequence[str] | None = None,
        isMC_only: bool = True,
    ) -> type[WeightLambda]:
        """Return a weight class that calls ``function(params, metadata, events, size, shape_variation)``.

        The function returns WeightData, WeightDataMultiVariation, an array, or a list: ``[nominal]``,
        ``[nominal, up, down]`` or ``[nominal, [names], [ups], [downs]]``. Anything else is a ValueError in
        ``compute``. Raises InvalidValue (a ValueError) when ``variations`` are given but ``has_variations``
        is False, and when the name is taken.

        >>> def top_pt(params, metadata, events, size, shape_variation):
        ...     return np.ones(size), np.full(size, 1.1), np.full(size, 0.9)
        >>> weight = WeightLambda.wrap_func("doc_top_pt", top_pt, has_variations=True)()
        >>> weight.modifiers
        ['doc_top_ptUp', 'doc_top_ptDown']
        >>> weight.compute(events=None, size=2, shape_variation="nominal").up.tolist()
        [1.1, 1.1]
        """
        if variations and not has_variations:
            msg = (
                f"weight {name!r}: variations={list(variations)} are given, so has_variations=True is needed."
            )
            raise InvalidValue(msg)
        checked: Any = function
        if not callable(checked):
            msg = f"weight {name!r}: function={function!r} cannot be called."
            raise InvalidValue(msg)
        body = {
            "__module__": sys._getframe(1).f_globals.get("__name__", __name__),
            "__doc__": getattr(function, "__doc__", None),
            "name": name,
            "has_variations": has_variations,
            "isMC_only": isMC_only,
            "_variations": [str(variation) for variation in variations or ()],
            "_function": staticmethod(function),
        }
        return cast("type[WeightLambda]", WeightMeta(str(name), (WeightLambda,), body))

    def compute(
        self, events: Array, size: int, shape_variation: str
    ) -> WeightData | WeightDataMultiVariation:
        """Call the function and bring what it returns into the form of a weight."""
        result = type(self)._function(self._params, self._metadata, events, size, shape_variation)
        return _as_weight(self.name, result)

    @classmethod
    def serialize(cls) -> dict[str, Any]:
        """As for any weight, with the function."""
        function = cls._function
        described = {
            "name": getattr(function, "__qualname__", repr(function)),
            "module": getattr(function, "__module__", None),
            "src_file": _source_file(function),
        }
        return {**super().serialize(), "function": described}


def _as_weight(name: str, result: Any) -> WeightData | WeightDataMultiVariation:
    if isinstance(result, WeightData | WeightDataMultiVariation):
        return dataclasses.replace(result, name=name)
    if isinstance(result, np.ndarray | ak.Array):
        return WeightData(name, result)
    if isinstance(result, list | tuple):
        nominal, *varied = result or [None]
        if _is_array(nominal) and len(varied) in {0, 2} and all(_is_array(v) or v is None for v in varied):
            return WeightData(name, nominal, *varied)
        if _is_array(nominal) and len(varied) == 3 and all(isinstance(part, list) for part in varied):
            return WeightDataMultiVariation(name, nominal, *varied)
    msg = (
        f"weight {name!r}: its function returned {_short(result)}. Allowed: WeightData, "
        "WeightDataMultiVariation, an array, [nominal], [nominal, up, down] or "
        "[nominal, [names], [ups], [downs]]."
    )
    raise InvalidValue(msg)


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | ak.Array)


def _short(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"


def _source_file(thing: Any) -> str | None:
    try:
        return inspect.getsourcefile(thing)
    except (TypeError, OSError):
        return None
