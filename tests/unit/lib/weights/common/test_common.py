"""The catalogue of ready-made weights."""

import json

import awkward as ak
import numpy as np
import pytest
from omegaconf import OmegaConf

from pocket_coffea.errors import ConfigurationError, MissingBranch, PhysicsNotAvailable, WeightError
from pocket_coffea.lib.weights import WeightsManager
from pocket_coffea.lib.weights import common as package
from pocket_coffea.lib.weights.common import common, weights_run2_UL, weights_run3

METADATA = {"sample": "TT", "dataset": "TT_2018", "year": "2018", "isMC": True, "xsec": "88.5", "part": None}
NAMES = {
    *("genWeight", "signOf_genWeight", "lumi", "XS", "pileup"),
    *("sf_ele_reco", "sf_ele_id", "sf_ele_promptMVA", "sf_ele_trigger"),
    *("sf_mu_id", "sf_mu_iso", "sf_mu_trigger", "sf_mu_promptMVA", "sf_pho_id", "sf_pho_pxseed"),
    *("sf_btag", "sf_btag_calib", "sf_ctag", "sf_ctag_calib", "sf_jet_puId"),
    *("sf_partonshower_isr", "sf_partonshower_fsr"),
}
UNVARIED = {"genWeight", "signOf_genWeight", "lumi", "XS", "sf_btag_calib"}


@pytest.fixture
def events():
    return ak.Array(
        {
            "genWeight": np.array([2.5, -2.5, 0.5], dtype=np.float32),
            "PSWeight": ak.Array([[0.5, 0.6, 2.0, 1.7]] * 3),
            "LHEScaleWeight": ak.Array([[1, 2, 3, 4, 5, 6, 7, 8, 9.0]] * 3),
            "L1PreFiringWeight": ak.Array([{"Nom": 0.9, "Up": 0.95, "Dn": 0.85}] * 3),
            "Pileup": ak.Array([{"nTrueInt": value} for value in (5.0, 15.0, 99.0)]),
        }
    )


def computed(weight, events, params=None, metadata=METADATA, shape_variation="nominal"):
    conf = {"inclusive": [weight.name], "bycategory": {}, "is_split_bycat": False, "by_subsample": {}}
    made = WeightsManager(OmegaConf.create(params or {}), conf, [weight], metadata)
    made.compute(events, 3, shape_variation=shape_variation)
    return made


def totals(weight, events, **options):
    made = computed(weight, events, **options)
    modifiers = (None, *made.get_available_modifiers_bycategory())
    return [list(made.get_weight(modifier=modifier)) for modifier in modifiers]


def test_the_lists_hold_what_they_should():
    assert package.__all__ == ["common_weights"]
    assert {weight.name for weight in package.common_weights} == NAMES
    assert len(package.common_weights) == len(NAMES)
    assert {weight.name for weight in package.common_weights if not weight.has_variations} == UNVARIED
    assert all(weight.isMC_only for weight in package.common_weights)
    assert common.SF_L1prefiring not in package.common_weights
    assert weights_run3.SF_ele_trigger is common.SF_ele_trigger
    assert weights_run2_UL.SF_ele_trigger.name == "sf_ele_trigger_run2"


def test_star_import_gives_every_class():
    namespace = {}
    exec("from pocket_coffea.lib.weights.common.common import *", namespace)
    assert namespace["signOfGenWeight"].name == "signOf_genWeight"
    assert {weight.name for weight in namespace["common_weights"]} == NAMES


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (common.genWeight, [[2.5, -2.5, 0.5]]),
        (common.signOfGenWeight, [[1, -1, 1]]),
        (common.XS, [[88.5] * 3]),
        (common.SF_PSWeight_isr, [[1] * 3, [2] * 3, [0.5] * 3]),
        (common.SF_PSWeight_fsr, [[1] * 3, [1.7] * 3, [0.6] * 3]),
        (weights_run2_UL.SF_QCD_renorm_scale, [[1] * 3, [8 / 5] * 3, [2 / 5] * 3]),
        (weights_run2_UL.SF_QCD_factor_scale, [[1] * 3, [6 / 5] * 3, [4 / 5] * 3]),
    ],
)
def test_values(weight, expected, events):
    assert totals(weight, events) == expected


def test_prefiring(events):
    nominal, up, down = totals(common.SF_L1prefiring, events)
    assert (nominal, up, down) == ([0.9] * 3, pytest.approx([0.95] * 3), pytest.approx([0.85] * 3))


def test_luminosity(events):
    params = {"lumi": {"picobarns": {"2018": {"tot": 59832.47534}}}}
    assert totals(common.lumi, events, params=params) == [[59832.47534] * 3]
    with pytest.raises(ValueError, match=r"'lumi'.*params\['lumi'\]\['picobarns'\] has no '2018'.*2017"):
        totals(common.lumi, events, params={"lumi": {"picobarns": {"2017": {"tot": 1}}}})


def write_pileup(path):
    def binned(values):
        edges = [0.0, 10.0, 20.0]
        return {"nodetype": "binning", "input": "NumTrueInteractions", "edges": edges, "content": values, "flow": "clamp"}  # fmt: skip # noqa: E501

    correction = {
        "name": "Collisions18",
        "version": 1,
        "inputs": [{"name": "NumTrueInteractions", "type": "real"}, {"name": "weights", "type": "string"}],
        "output": {"name": "weight", "type": "real"},
        "data": {
            "nodetype": "category",
            "input": "weights",
            "content": [
                {"key": "nominal", "value": binned([1.0, 2.0])},
                {"key": "up", "value": binned([1.5, 2.5])},
                {"key": "down", "value": binned([0.5, 1.5])},
            ],
        },
    }
    path.write_text(json.dumps({"schema_version": 2, "corrections": [correction]}))


def test_pileup_from_a_payload(events, tmp_path, monkeypatch):
    write_pileup(tmp_path / "puWeights.json")
    monkeypatch.setenv("POCKET_COFFEA_DATA", str(tmp_path))
    entry = {"file": "puWeights.json", "name": "Collisions18"}
    params = {"pileupJSONfiles": {"2018": entry}}
    assert totals(common.pileup, events, params=params) == [[1, 2, 2], [1.5, 2.5, 2.5], [0.5, 1.5, 1.5]]
    shifted = computed(common.pileup, events, params=params, shape_variation="JERUp")
    assert list(shifted.get_weight()) == [1, 2, 2]
    entry["name"] = "Collisions17"
    with pytest.raises(ConfigurationError, match=r"has no correction 'Collisions17'.*Collisions18"):
        totals(common.pileup, events, params={"pileupJSONfiles": {"2018": entry}})


def test_pileup_without_its_payload(events, monkeypatch):
    monkeypatch.delenv("POCKET_COFFEA_DATA", raising=False)
    entry = {"file": "/cvmfs/none/puWeights.json.gz", "name": "Collisions18"}
    with pytest.raises(FileNotFoundError, match=r"puWeights.json.gz"):
        totals(common.pileup, events, params={"pileupJSONfiles": {"2018": entry}})


@pytest.mark.parametrize(
    ("weight", "branch"),
    [
        (common.genWeight, "genWeight"),
        (common.signOfGenWeight, "genWeight"),
        (common.SF_PSWeight_isr, "PSWeight"),
        (common.SF_L1prefiring, "L1PreFiringWeight"),
        (weights_run2_UL.SF_QCD_renorm_scale, "LHEScaleWeight"),
    ],
)
def test_a_missing_branch_names_weight_and_branch(weight, branch, events):
    with pytest.raises(MissingBranch, match=f"'{weight.name}' of sample 'TT'.*'{branch}'"):
        totals(weight, events[[field for field in events.fields if field != branch]])


def test_vectors_of_another_length(events):
    events["PSWeight"] = ak.Array([[1, 1, 1, 1], [1.0], [1, 1, 1, 1]])
    with pytest.raises(WeightError, match=r"needs 4 entries in PSWeight, but 1 of 3.*event number 1 with 1"):
        totals(common.SF_PSWeight_isr, events)
    assert list(computed(common.SF_PSWeight_isr, events, shape_variation="JERUp").get_weight()) == [1, 1, 1]
    events["LHEScaleWeight"] = ak.Array([[1.0] * 8] * 3)
    with pytest.raises(WeightError, match="needs 9 entries in LHEScaleWeight, but 3 of 3"):
        totals(weights_run2_UL.SF_QCD_factor_scale, events)
    events["LHEScaleWeight"] = ak.Array([[1.0] * 4 + [0.0] + [1.0] * 4] * 3)
    with pytest.raises(WeightError, match=r"LHEScaleWeight\[4\] is 0 in 3 of 3"):
        totals(weights_run2_UL.SF_QCD_factor_scale, events)


def test_a_cross_section_is_needed(events):
    with pytest.raises(ConfigurationError, match=r"'XS' of sample 'TT'.*needs 'xsec'"):
        totals(common.XS, events, metadata=METADATA | {"xsec": None})


@pytest.mark.parametrize(
    "weight",
    [cls for cls in (*common.common_weights, weights_run2_UL.SF_ele_trigger) if not cls.available],
    ids=lambda cls: cls.name,
)
def test_scale_factors_that_come_later_say_so(weight, events):
    with pytest.raises(
        PhysicsNotAvailable, match=f"'{weight.name}': {weight.missing} is not in this version"
    ):
        computed(weight, events)


def test_variations_from_the_parameters():
    named = {"2018": ["hf", "lf"]}
    params = OmegaConf.create({"systematic_variations": {"weight_variations": {"sf_btag": named}}})
    weight = common.SF_btag(params, METADATA)
    assert weight.modifiers == ["sf_btag_hfUp", "sf_btag_hfDown", "sf_btag_lfUp", "sf_btag_lfDown"]
    assert common.SF_ctag(params, METADATA).variations == []
    assert common.SF_btag(params, METADATA | {"year": "2024"}).variations == []
