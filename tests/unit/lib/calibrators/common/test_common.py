"""The built-in calibrators: names, attributes, and what they say when they are used."""

import pytest

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.lib.calibrators import common as package
from pocket_coffea.lib.calibrators.common import common
from pocket_coffea.lib.calibrators.legacy import legacy_calibrators as legacy

METADATA = {"isMC": True, "year": "2018"}
TABLE = [
    (common.JetsCalibrator, "jet_calibration", [], []),
    (common.JetsSoftdropMassCalibrator, "msoftdrop_calibration", ["FatJet"], None),
    (common.METCalibrator, "met_type1_calibration", [], ["unclust_EnUp", "unclust_EnDown"]),
    (
        common.ElectronsScaleCalibrator,
        "electron_scale_and_smearing",
        ["Electron.pt", "Electron.pt_original", "Electron.energyErr"],
        ["ele_scaleUp", "ele_scaleDown", "ele_smearUp", "ele_smearDown"],
    ),
    (
        common.MuonsCalibrator,
        "muons_scale_and_resolution",
        ["Muon.pt", "Muon.pt_original", "Muon.energyErr"],
        ["muon_scaleUp", "muon_scaleDown", "muon_smearUp", "muon_smearDown"],
    ),
    (legacy.JetsCalibrator, "jet_calibration_legacy", [], []),
    (legacy.JetsPtRegressionCalibrator, "jet_calibration_with_pt_regression_legacy", [], []),
    (legacy.MuonsRochesterCalibrator, "muons_rochester", None, ["muon_roccorUp", "muon_roccorDown"]),
]


@pytest.mark.parametrize(
    ("cls", "name", "collections", "variations"), TABLE, ids=lambda value: str(value)[:30]
)
def test_attributes(cls, name, collections, variations):
    made = cls({}, METADATA)
    assert made.name == name
    assert not made.available
    assert made.has_variations == (variations is not None)
    assert made.variations == (variations or [])
    assert collections is None or made.calibrated_collections == collections
    for use in (lambda: made.initialize(None), lambda: made.calibrate(None, {}, "nominal")):
        with pytest.raises(PhysicsNotAvailable, match=f"calibrator '{name}': .* in this version"):
            use()


def test_default_sequence():
    assert package.default_calibrators_sequence == [
        *(
            common.JetsCalibrator,
            common.ElectronsScaleCalibrator,
            common.MuonsCalibrator,
            common.METCalibrator,
        ),
    ]


def test_star_imports():
    namespace = {}
    exec("from pocket_coffea.lib.calibrators.common import *", namespace)
    assert namespace["default_calibrators_sequence"] is common.default_calibrators_sequence
    assert namespace["METCalibrator"] is common.METCalibrator


def test_moved_classes_are_found_at_their_old_place():
    with pytest.warns(DeprecationWarning, match="has moved to"):
        assert common.JetsPtRegressionCalibrator is legacy.JetsPtRegressionCalibrator
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = common.Nothing
