"""The built-in calibrators. Their corrections are not in this version: see ``UnavailableCalibrator``."""

from __future__ import annotations

import warnings
from typing import Any

from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.calibrators.unavailable import UnavailableCalibrator

__all__ = [
    "ElectronsScaleCalibrator",
    "JetsCalibrator",
    "JetsSoftdropMassCalibrator",
    "METCalibrator",
    "MuonsCalibrator",
    "default_calibrators_sequence",
]


class JetsCalibrator(UnavailableCalibrator):
    """Jet energy corrections and resolution, of ``params.jets_calibration.collection[year]``.

    Variations ``{jet_type}_{source}Up/Down``, such as ``AK4PFchs_JES_TotalUp``; both depend on the year.
    """

    name = "jet_calibration"
    has_variations = True
    missing = "the calibration of jets (JEC, JER)"


class JetsSoftdropMassCalibrator(UnavailableCalibrator):
    """Jet energy corrections of the soft-drop mass of fat jets."""

    name = "msoftdrop_calibration"
    calibrated_collections = ("FatJet",)
    missing = "the calibration of the soft-drop mass"


class METCalibrator(UnavailableCalibrator):
    """Type-1 correction of missing transverse momentum: ``pt`` and ``phi`` of the MET of the year."""

    name = "met_type1_calibration"
    has_variations = True
    _variations = ("unclust_EnUp", "unclust_EnDown")
    missing = "the type-1 correction of MET"


class ElectronsScaleCalibrator(UnavailableCalibrator):
    """Energy scale (data) and smearing (MC) of electrons; variations for MC."""

    name = "electron_scale_and_smearing"
    has_variations = True
    _variations = ("ele_scaleUp", "ele_scaleDown", "ele_smearUp", "ele_smearDown")
    calibrated_collections = ("Electron.pt", "Electron.pt_original", "Electron.energyErr")
    missing = "the energy scale and smearing of electrons"


class MuonsCalibrator(UnavailableCalibrator):
    """Momentum scale (data) and resolution (MC) of muons; variations for MC."""

    name = "muons_scale_and_resolution"
    has_variations = True
    _variations = ("muon_scaleUp", "muon_scaleDown", "muon_smearUp", "muon_smearDown")
    calibrated_collections = ("Muon.pt", "Muon.pt_original", "Muon.energyErr")
    missing = "the momentum scale and resolution of muons"


#: What ``calibrators=None`` stands for.
default_calibrators_sequence: list[type[Calibrator]] = [
    JetsCalibrator,
    ElectronsScaleCalibrator,
    MuonsCalibrator,
    METCalibrator,
]

_MOVED = ("JetsPtRegressionCalibrator", "MuonsRochesterCalibrator")


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        from pocket_coffea.lib.calibrators.legacy import legacy_calibrators

        warnings.warn(f"{name} has moved to {legacy_calibrators.__name__}", DeprecationWarning, stacklevel=2)
        return getattr(legacy_calibrators, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
