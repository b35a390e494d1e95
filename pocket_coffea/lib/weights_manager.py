"""The path of releases before 0.9; weights live in :mod:`pocket_coffea.lib.weights`."""

from __future__ import annotations

import warnings
from typing import Any, NoReturn

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib.weights.weights import WeightLambda, WeightWrapper
from pocket_coffea.lib.weights.weights_manager import WeightsManager

__all__ = ["WeightCustom", "WeightLambda", "WeightWrapper", "WeightsManager"]

warnings.warn(
    "pocket_coffea.lib.weights_manager has moved to pocket_coffea.lib.weights",
    DeprecationWarning,
    stacklevel=2,
)


class WeightCustom:
    """The custom weight of releases before 0.9, whose functions have another signature: it cannot be
    adapted."""

    def __init__(self, name: str = "", *_args: Any, **_kwargs: Any) -> None:
        self._refuse(name)

    @staticmethod
    def _refuse(name: str) -> NoReturn:
        msg = (
            f"WeightCustom({name!r}) belongs to releases before 0.9. Write WeightLambda.wrap_func("
            f"name={name!r}, "
            "function=lambda params, metadata, events, size, shape_variation: ..., has_variations=...) from "
            "pocket_coffea.lib.weights, add it to weights_classes and name it in weights."
        )
        raise InvalidValue(msg)
