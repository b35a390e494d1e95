"""Names for the array types that the package passes around."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "BoolArray", "FloatArray", "IntArray", "Params"]

#: An awkward array: events, a collection (n_events, var) or a field of one.
Array: TypeAlias = Any
#: (n,) of bool
BoolArray: TypeAlias = npt.NDArray[np.bool_]
#: (n,) of float64
FloatArray: TypeAlias = npt.NDArray[np.float64]
#: (n,) of integers
IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
#: An OmegaConf ``DictConfig`` with the analysis parameters.
Params: TypeAlias = Any
