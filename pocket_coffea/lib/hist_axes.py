"""What a histogram is: ``Axis`` and ``HistConf``, and how an ``Axis`` becomes an axis of the
``hist`` library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import hist
import numpy as np

from pocket_coffea.errors import InvalidType, InvalidValue, did_you_mean

__all__ = ["AXIS_TYPES", "Axis", "HistConf", "get_hist_axis_from_config"]

#: the types an ``Axis`` may have
AXIS_TYPES = ("regular", "variable", "int", "intcat", "strcat")
#: axis types whose bins are labels
CATEGORICAL = ("intcat", "strcat")
#: what ``HistConf.storage`` may be
STORAGES = {
    "weight": hist.storage.Weight,
    "double": hist.storage.Double,
    "int64": hist.storage.Int64,
    "unlimited": hist.storage.Unlimited,
    "atomic_int64": hist.storage.AtomicInt64,
    "atomicint64": hist.storage.AtomicInt64,
}
#: how ``HistConf.collapse_2D_masks`` may reduce a mask over objects to one over events
COLLAPSE_MODES = ("OR", "AND")
#: names that the histogram manager gives to its own axes
RESERVED_NAMES = ("cat", "variation", "weight", "sample", "threads")


def _plain(value: Any) -> Any:
    """Return ``value`` as something JSON can hold."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return repr(value)


def _is_list(value: Any) -> bool:
    """Tell whether ``value`` is a list of bins: list, tuple, numpy array, OmegaConf list."""
    return isinstance(value, np.ndarray) or (
        isinstance(value, Sequence) and not isinstance(value, str | bytes)
    )


@dataclasses.dataclass
class Axis:
    """One axis of a histogram, and where its values come from.

    ``coll`` is a collection of the events, ``"events"`` (a field of the events), ``"custom"`` (a
    field of ``processor.custom_histogram_fields``) or ``"metadata"`` (a value of
    ``events.metadata``). ``pos=None`` takes every object; ``pos=k`` the k-th object of each event
    (events with fewer are not filled). ``type`` is one of ``AXIS_TYPES``; ``regular`` with a list
    of ``bins`` is ``variable``. ``lim`` is for plots only.

    >>> Axis(coll="JetGood", field="pt", label="$p_T$ [GeV]", bins=30, start=0, stop=300).name
    'JetGood.pt'
    """

    field: str
    label: str
    bins: Any = None
    start: float | None = None
    stop: float | None = None
    coll: str = "events"
    name: str | None = None
    pos: int | None = None
    type: str = "regular"
    transform: Any = None
    lim: Any = (0, 0)
    underflow: bool = True
    overflow: bool = True
    growth: bool = False

    def __post_init__(self) -> None:
        if self.name is None:
            self.name = f"{self.coll}.{self.field}"

    @property
    def is_categorical(self) -> bool:
        """Whether the bins are labels (``intcat``, ``strcat``)."""
        return self.type in CATEGORICAL

    def serialize(self) -> dict[str, Any]:
        """Return every setting in a form that JSON can hold."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}


@dataclasses.dataclass
class HistConf:
    """One histogram: its axes, its storage, and for which samples, categories and variations it is
    filled.

    ``only_samples`` wins over ``exclude_samples`` and ``only_categories`` over
    ``exclude_categories``; samples are parent samples, not subsamples. ``variations=False`` keeps
    ``nominal`` alone; ``only_variations`` takes exact variation names (``pileupUp``) or calibrator
    names, and ``nominal`` always stays. ``no_weights`` fills one per entry. ``metadata_hist`` marks
    a histogram about the processing, not the events. ``collapse_2D_masks`` lets a histogram with
    one entry per event be filled in categories that select objects: the event enters if any of its
    objects is selected (``"OR"``), or all of them and at least one (``"AND"``). ``hist_obj`` is set
    by the histogram manager.

    >>> mll = HistConf([Axis(coll="ll", field="mass", label="mll [GeV]", bins=30, start=60, stop=120)])
    >>> [axis.name for axis in mll.build_axes("mll")]
    ['ll.mass']
    """

    axes: list[Axis]
    storage: str = "weight"
    autofill: bool = True
    variations: bool = True
    only_variations: list[str] | None = None
    exclude_samples: list[str] | None = None
    only_samples: list[str] | None = None
    exclude_categories: list[str] | None = None
    only_categories: list[str] | None = None
    no_weights: bool = False
    metadata_hist: bool = False
    collapse_2D_masks: bool = False
    collapse_2D_masks_mode: str = "OR"
    hist_obj: Any = dataclasses.field(default=None, repr=False, compare=False)

    def serialize(self) -> dict[str, Any]:
        """Return every setting, the axes included, in a form that JSON can hold (not the filled
        histogram).
        """
        out = {
            f.name: _plain(getattr(self, f.name))
            for f in dataclasses.fields(self)
            if f.name not in {"axes", "hist_obj"}
        }
        return {"axes": [axis.serialize() for axis in self.axes], **out}

    def build_axes(self, name: str, custom_axes: Sequence[Axis] = ()) -> list[Any]:
        """Return the ``hist`` axes, the custom ones first, after checking all that can be checked
        before an event is read.

        Raises InvalidType if the axes are not ``Axis`` objects, InvalidValue (a ValueError) for a
        wrong setting; both name the histogram ``name`` and the axis.
        """
        where = f"Histogram {name!r}"
        if not _is_list(self.axes) or not all(isinstance(axis, Axis) for axis in self.axes):
            msg = f"{where}: axes must be a list of Axis, got {self.axes!r}."
            raise InvalidType(msg)
        get_storage(self.storage, where)
        if self.collapse_2D_masks_mode not in COLLAPSE_MODES:
            msg = (
                f"{where}: collapse_2D_masks_mode must be 'OR' or 'AND', not {self.collapse_2D_masks_mode!r}."
            )
            raise InvalidValue(msg)
        axes = [*custom_axes, *self.axes]
        for axis in axes:
            _check_name(axis, where)
        names = [axis.name for axis in axes]
        twice = sorted({str(n) for n in names if names.count(n) > 1})
        if twice:
            msg = (
                f"{where} has more than one axis named {twice[0]!r}. Give each Axis its own name=..., for "
                "example name='jet1_pt'."
            )
            raise InvalidValue(msg)
        return [_built(axis, where) for axis in axes]


def _check_name(axis: Axis, where: str) -> None:
    """Raise InvalidValue if the histogram needs the name of the axis for itself."""
    if axis.name in RESERVED_NAMES:
        msg = (
            f"{where}, axis {axis.name!r}: the name is taken by the histogram itself. Choose another "
            "name=... ."
        )
        raise InvalidValue(msg)


def get_storage(storage: Any, where: str = "HistConf") -> Any:
    """Return the ``hist`` storage called ``storage``. Raises InvalidValue naming ``where``."""
    kind = STORAGES.get(str(storage).lower())
    if kind is None:
        msg = f"{where}: unknown storage {storage!r}. {did_you_mean(storage, STORAGES)}"
        raise InvalidValue(msg)
    return kind()


def check_axis(axis: Axis, where: str = "Axis") -> None:
    """Check the settings of one axis. Raises InvalidValue naming ``where`` and the axis."""
    here = f"{where}, axis {axis.name!r}"
    if axis.type not in AXIS_TYPES:
        msg = f"{here}: unknown type {axis.type!r}. {did_you_mean(axis.type, AXIS_TYPES)}"
        raise InvalidValue(msg)
    if axis.pos is not None and axis.pos < 0:
        msg = f"{here}: pos is {axis.pos}; positions count from 0 (pos=None takes every object)."
        raise InvalidValue(msg)
    if axis.is_categorical and axis.coll not in {"metadata", "custom"}:
        msg = (
            f"{here}: type {axis.type!r} takes its values from coll='metadata' or coll='custom', not from "
            f"{axis.coll!r}. Use type='int', or put the values in self.custom_histogram_fields and "
            "set coll='custom'."
        )
        raise InvalidValue(msg)
    _check_binning(axis, here)


def _check_binning(axis: Axis, here: str) -> None:
    """Check that the binning of ``axis`` is complete for its type. Raises InvalidValue."""
    listed = _is_list(axis.bins)
    if axis.type == "variable" and not listed:
        msg = f"{here}: type 'variable' needs bins=[edge, edge, ...], got {axis.bins!r}."
        raise InvalidValue(msg)
    if axis.is_categorical and not listed:
        msg = f"{here}: type {axis.type!r} needs bins=[label, label, ...], got {axis.bins!r}."
        raise InvalidValue(msg)
    needed = {"regular": () if listed else ("bins", "start", "stop"), "int": ("start", "stop")}.get(
        axis.type, ()
    )
    missing = [key for key in needed if getattr(axis, key) is None]
    if missing:
        msg = f"{here}: type {axis.type!r} needs {', '.join(missing)}."
        raise InvalidValue(msg)


def get_hist_axis_from_config(ax: Axis) -> Any:
    """Return the ``hist`` axis that ``ax`` describes.

    Raises InvalidValue (a ValueError) for an unknown type, an incomplete or impossible binning.
    """
    return _built(ax, "Axis")


def _built(ax: Axis, where: str) -> Any:
    """Check and build one axis. Raises InvalidValue naming ``where`` and the axis."""
    check_axis(ax, where)
    try:
        return _build_axis(ax)
    except (ValueError, TypeError, KeyError, RuntimeError, IndexError, OverflowError) as exc:
        msg = f"{where}, axis {ax.name!r}: the {ax.type} binning is not possible: {exc}"
        raise InvalidValue(msg) from exc


def _build_axis(ax: Axis) -> Any:
    """Build the ``hist`` axis; the settings were checked."""
    common: dict[str, Any] = {"name": ax.name, "label": ax.label}
    flow = {"underflow": ax.underflow, "overflow": ax.overflow, "growth": ax.growth}
    if ax.type == "int":
        return hist.axis.Integer(_whole(ax.start), _whole(ax.stop), **flow, **common)
    if ax.type == "intcat":
        bins = [_whole(label) for label in ax.bins]
        return hist.axis.IntCategory(bins, growth=ax.growth, overflow=ax.overflow, **common)
    if ax.type == "strcat":
        return hist.axis.StrCategory(
            [str(label) for label in ax.bins], growth=ax.growth, overflow=ax.overflow, **common
        )
    if ax.type == "variable" or _is_list(ax.bins):
        return hist.axis.Variable([float(edge) for edge in ax.bins], **flow, **common)
    # a transform is only possible on an axis with both flow bins and no growth
    extra = flow if ax.transform is None else {"transform": ax.transform}
    if ax.transform is not None and not (ax.underflow and ax.overflow and not ax.growth):
        msg = "a transform needs underflow=True, overflow=True and growth=False"
        raise ValueError(msg)
    return hist.axis.Regular(_whole(ax.bins), ax.start, ax.stop, **extra, **common)


def _whole(value: Any) -> int:
    """Return ``value`` as an int; raises ValueError if it is not a whole number."""
    if int(value) != value:
        msg = f"{value!r} is not a whole number"
        raise ValueError(msg)
    return int(value)
