"""Names of shape variations, new and old."""

import dataclasses

import pytest

from pocket_coffea.lib.calibrators import ShapeVariation, translate_shape_variation
from pocket_coffea.lib.calibrators.common import JetsCalibrator, JetsSoftdropMassCalibrator, METCalibrator
from pocket_coffea.lib.calibrators.legacy.legacy_calibrators import JetsCalibrator as LegacyJets

ALL = [
    *("AK4PFchs_JES_TotalUp", "AK4PFchs_JES_TotalDown", "AK4PFchs_JERUp", "AK4PFchs_JERDown"),
    *("AK8PFPuppi_JES_TotalUp", "AK8PFPuppi_JES_TotalDown", "AK4PFchs_JES_Total_2018Up"),
]


@pytest.mark.parametrize(
    ("name", "source", "jet_type", "selected"),
    [
        ("JES_Total", "JES_Total", None, [0, 1, 4, 5]),
        ("JER", "JER", None, [2, 3]),
        ("JES_Total_AK4PFchs", "JES_Total", "AK4PFchs", [0, 1]),
        ("JER_AK4PFchs", "JER", "AK4PFchs", [2, 3]),
        ("JES_Total_AK8PFPuppi", "JES_Total", "AK8PFPuppi", [4, 5]),
        ("JES_Total_2018", "JES_Total_2018", None, [6]),
        ("jet_calibration", None, None, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_names_of_jet_uncertainties(name, source, jet_type, selected):
    request = translate_shape_variation(name, [JetsCalibrator, METCalibrator])
    assert request == ShapeVariation(name, "jet_calibration", source, jet_type)
    assert request == translate_shape_variation(name)
    assert request.is_restricted == (source is not None)
    assert [ALL.index(variation) for variation in ALL if request.selects(variation)] == selected
    assert dataclasses.is_dataclass(request)


def test_the_calibrator_that_is_there_is_taken():
    assert translate_shape_variation("JER", [LegacyJets]).calibrator == "jet_calibration_legacy"
    assert (
        translate_shape_variation("met_type1_calibration", [METCalibrator]).calibrator
        == "met_type1_calibration"
    )


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("jet_calibraton", "'jet_calibraton': no such calibrator.*Did you mean 'jet_calibration'"),
        ("msoftdrop_calibration", "no such calibrator with variations"),
        ("JERUp", "no such calibrator"),
        ("JES", "no such calibrator"),
    ],
)
def test_unknown_names(name, match):
    with pytest.raises(ValueError, match=match):
        translate_shape_variation(name, [JetsCalibrator, JetsSoftdropMassCalibrator])


def test_jet_uncertainties_without_jet_calibrator():
    with pytest.raises(
        ValueError, match="'JES_Total' is a jet uncertainty and needs the calibrator 'jet_calibration'"
    ):
        translate_shape_variation("JES_Total", [METCalibrator])
