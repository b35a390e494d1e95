"""Calibrations of object collections.

How to define one is in :mod:`calibrator`, how they are applied and undone in :mod:`calibrators_manager`; the
built-in ones are in :mod:`pocket_coffea.lib.calibrators.common`.
"""

from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.calibrators.calibrators_manager import CalibratorsManager
from pocket_coffea.lib.calibrators.random_seed import get_random_seed
from pocket_coffea.lib.calibrators.shape_variations import ShapeVariation, translate_shape_variation

__all__ = [
    "Calibrator",
    "CalibratorsManager",
    "ShapeVariation",
    "get_random_seed",
    "translate_shape_variation",
]
