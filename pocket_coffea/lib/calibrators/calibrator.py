"""What a calibrator is: it corrects collections of objects, and varies the correction."""

from __future__ import annotations

import inspect
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib.class_registry import register
from pocket_coffea.types import Array, Params
from pocket_coffea.utils.metadata import to_bool

__all__ = ["Calibrator"]


class CalibratorMeta(ABCMeta):
    """Registers every calibrator class that has a ``name`` in its body."""

    calibrator_classes: ClassVar[dict[str, type]] = {}

    def __init__(
        cls, class_name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(class_name, bases, namespace, **kwargs)
        register(CalibratorMeta.calibrator_classes, cls, namespace, kind="calibrator", machinery=(__name__,))


class Calibrator(metaclass=CalibratorMeta):
    """Base class of all calibrators.

    Class attributes of a calibrator:

    name : what the configuration calls it; unique
    has_variations : whether it has systematic variations
    isMC_only : whether it is skipped for data
    _variations : full names of the variations, ``muon_scaleUp``; may be set by ``initialize``
    calibrated_collections : what ``calibrate`` returns, each ``"Collection"`` or ``"Collection.field"``;
        may be set by ``initialize``

    ``available`` is False for a calibrator whose physics is not in this version; ``missing`` names it.
    """

    name: ClassVar[str]
    has_variations: ClassVar[bool] = False
    isMC_only: ClassVar[bool] = False
    available: ClassVar[bool] = True
    missing: ClassVar[str] = ""
    _variations: Sequence[str] = ()
    calibrated_collections: Sequence[str] = ()

    def __init__(
        self,
        params: Params = None,
        metadata: Mapping[str, Any] | None = None,
        do_variations: bool = True,
        **kwargs: Any,
    ) -> None:
        """Keep what the calibration needs.

        params: analysis parameters. metadata: that of the chunk; isMC and year are needed. do_variations:
        whether somebody asks for the variations. Raises InvalidValue (a ValueError) without isMC or year.
        """
        metadata = metadata or {}
        absent = [key for key in ("isMC", "year") if key not in metadata]
        if absent:
            msg = (
                f"calibrator {self.name!r} needs isMC and year in the metadata of the dataset, "
                f"but there is no {' and no '.join(absent)}."
            )
            raise InvalidValue(msg)
        self.params = params
        self.metadata = metadata
        self.isMC = to_bool(metadata["isMC"])
        self.year = metadata["year"]
        self.do_variations = do_variations
        self._extra = kwargs
        # Copies, so that what one instance appends is not in the class and in the next chunk.
        self._variations = list(type(self)._variations)
        self.calibrated_collections = list(type(self).calibrated_collections)

    @abstractmethod
    def initialize(self, events: Array) -> None:
        """Prepare the calibration of a chunk, once, from events that nothing has calibrated yet.

        May set ``_variations`` and ``calibrated_collections``; must not modify the events.
        """

    @abstractmethod
    def calibrate(
        self,
        events: Array,
        events_original_collections: Mapping[str, Array],
        variation: str,
        already_applied_calibrators: list[str] | None = None,
    ) -> dict[str, Array]:
        """Return the calibrated arrays, by the names in ``calibrated_collections``.

        The arrays have the shape of what they replace: (n_events,) or (n_events, var), momenta in GeV.
        events: with the collections that earlier calibrators have replaced; must not be modified.
        events_original_collections: the originals of all that was replaced. For a variation that this
        calibrator does not have it must return its nominal calibration. The manager raises InvalidValue for a
        name that is not declared, and for modified events.
        """

    @property
    def variations(self) -> list[str]:
        """Full names of the variations, in their order."""
        return [str(variation) for variation in self._variations]

    @classmethod
    def serialize(cls) -> dict[str, Any]:
        """Describe the calibrator with plain values, for the saved configuration."""
        return {
            "name": cls.name,
            "class": {"name": cls.__qualname__, "module": cls.__module__, "src_file": _source_file(cls)},
            "has_variations": cls.has_variations,
            "variations": [str(variation) for variation in cls._variations],
            "isMC_only": cls.isMC_only,
            "calibrated_collections": [str(collection) for collection in cls.calibrated_collections],
        }


def _source_file(cls: type) -> str | None:
    try:
        return inspect.getsourcefile(cls)
    except (TypeError, OSError):
        return None
