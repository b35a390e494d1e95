"""Calibrators of earlier methods. Their corrections are not in this version."""

from __future__ import annotations

from pocket_coffea.lib.calibrators.unavailable import UnavailableCalibrator

__all__ = ["JetsCalibrator", "JetsPtRegressionCalibrator", "MuonsRochesterCalibrator"]


class JetsCalibrator(UnavailableCalibrator):
    """Jet energy corrections from text files."""

    name = "jet_calibration_legacy"
    has_variations = True
    missing = "the calibration of jets from text files"


class JetsPtRegressionCalibrator(UnavailableCalibrator):
    """Jet energy corrections from text files after a regression of the transverse momentum."""

    name = "jet_calibration_with_pt_regression_legacy"
    has_variations = True
    missing = "the calibration of jets with pt regression"


class MuonsRochesterCalibrator(UnavailableCalibrator):
    """Rochester corrections of the muon momentum."""

    name = "muons_rochester"
    has_variations = True
    _variations = ("muon_roccorUp", "muon_roccorDown")
    calibrated_collections = ("Muon.pt", "Muon.pt_original")
    missing = "the Rochester correction of muons"
