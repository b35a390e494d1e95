import awkward as ak
import numpy as np
import pytest

from pocket_coffea.errors import MissingBranch
from pocket_coffea.lib.met import get_rho, met_correction_after_jec, met_xy_correction
from tests.unit.lib.object_events import make_events, objects, params


def met_events():
    met = ak.Array({"pt": [30.0, 40.0], "phi": [0.0, np.pi / 2]})
    return make_events(
        MET=met,
        PuppiMET=ak.Array({"pt": [10.0, 10.0], "phi": [0.0, 0.0]}),
        PV=ak.Array({"npvs": [10, 20]}),
        fixedGridRhoFastjetAll=np.array([7.0, 8.0]),
        Rho=ak.Array({"fixedGridRhoFastjetAll": [1.0, 2.0]}),
    )


def test_xy_correction_of_simulation():
    pt, phi = met_xy_correction(params(), met_events(), "MET", "2018", "MC")
    x, y = np.array([30 - 2.0, 0 - 3.0]), np.array([0 - 0.0, 40 + 2.0])
    np.testing.assert_allclose(pt, np.hypot(x, y))
    np.testing.assert_allclose(phi, np.arctan2(y, x))


def test_xy_correction_of_data_and_another_collection():
    pt, phi = met_xy_correction(params(), met_events(), "PuppiMET", "2018", "A")
    np.testing.assert_allclose(pt, np.hypot(10, 5))
    np.testing.assert_allclose(phi, np.arctan2(-5, 10))


def test_the_older_signature_means_the_collection_met():
    new = met_xy_correction(params(), met_events(), "MET", "2018", "MC")
    for old in (
        met_xy_correction(params(), met_events(), "2018", "MC"),
        met_xy_correction(params(), met_events(), year="2018", era="MC"),
    ):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(TypeError, match="METcol, year, era"):
        met_xy_correction(params(), met_events(), "2018")
    with pytest.raises(KeyError, match="'Z'"):
        met_xy_correction(params(), met_events(), "MET", "2018", "Z")


def test_change_of_jets_moves_the_met_the_other_way():
    before = objects("Jet", [[{"pt": 100.0, "phi": 0.0}, {"pt": 50.0, "phi": np.pi / 2}], []])
    after = ak.with_field(before, before.pt * 1.1, "pt")
    result = met_correction_after_jec(met_events(), "MET", before, after)
    np.testing.assert_allclose(result["pt"], [np.hypot(30 - 10, -5), 40], rtol=1e-6)
    np.testing.assert_allclose(result["phi"], [np.arctan2(-5, 20), np.pi / 2], rtol=1e-6)


def test_rho_moved_with_nano12():
    events = met_events()
    assert get_rho(events, 9).tolist() == [7, 8]
    assert get_rho(events, "12").tolist() == [1, 2]
    with pytest.raises(MissingBranch, match="get_rho needs"):
        get_rho(make_events(Jet=[[{"pt": 1}]]), 9)
