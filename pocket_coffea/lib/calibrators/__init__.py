"""Calibrations of object collections: how to define one (:mod:`calibrator`), how they are applied and undone
(:mod:`calibrators_manager`). The built-in ones are in :mod:`pocket_coffea.lib.calibrators.common`.
"""

from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.calibrators.calibrators_manager import CalibratorsManager
from pocket_coffea.lib.calibrators.random_seed import get_random_seed

__all__ = ["Calibrator", "CalibratorsManager", "get_random_seed"]
