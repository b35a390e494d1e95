"""The built-in calibrators and the sequence that is applied by default."""

from pocket_coffea.lib.calibrators.common.common import (
    ElectronsScaleCalibrator,
    JetsCalibrator,
    JetsSoftdropMassCalibrator,
    METCalibrator,
    MuonsCalibrator,
    default_calibrators_sequence,
)

__all__ = [
    "ElectronsScaleCalibrator",
    "JetsCalibrator",
    "JetsSoftdropMassCalibrator",
    "METCalibrator",
    "MuonsCalibrator",
    "default_calibrators_sequence",
]
