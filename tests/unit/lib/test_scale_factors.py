import json

import awkward as ak
import numpy as np
import pytest

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.lib import scale_factors
from tests.unit.lib.object_events import make_events


def test_pileup_weights(tmp_path):
    data = {
        "nodetype": "category",
        "input": "weights",
        "content": [
            {"key": key, "value": {"nodetype": "formula", "expression": f"{factor}*x", "parser": "TFormula"}}
            for key, factor in (("nominal", 1), ("up", 2), ("down", 3))
        ],
    }
    for entry in data["content"]:
        entry["value"]["variables"] = ["n"]
    inputs = [{"name": "n", "type": "real"}, {"name": "weights", "type": "string"}]
    correction = {"name": "pu", "version": 1, "inputs": inputs, "output": {"name": "w", "type": "real"}}
    path = tmp_path / "pu.json"
    path.write_text(json.dumps({"schema_version": 2, "corrections": [correction | {"data": data}]}))
    events = make_events(Pileup=ak.Array({"nTrueInt": np.array([10.0, 20.0], np.float32)}))
    parameters = {"pileupJSONfiles": {"2018": {"file": str(path), "name": "pu"}}}
    nominal, up, down = scale_factors.sf_pileup_reweight(parameters, events, "2018")
    assert [nominal.tolist(), up.tolist(), down.tolist()] == [[10, 20], [20, 40], [30, 60]]
    with pytest.raises(KeyError, match="'2017'"):
        scale_factors.sf_pileup_reweight(parameters, events, "2017")


def test_prefiring_weights():
    weights = ak.Array({"Nom": [0.9], "Up": [0.8], "Dn": [0.95]})
    result = scale_factors.sf_L1prefiring(make_events(L1PreFiringWeight=weights))
    assert [one.tolist() for one in result] == [[0.9], [0.8], [0.95]]


@pytest.mark.parametrize(
    "name", sorted(set(scale_factors.__all__) - {"sf_pileup_reweight", "sf_L1prefiring"})
)
def test_what_is_not_here_says_what_to_do(name):
    with pytest.raises(PhysicsNotAvailable, match=f"{name}: .*WeightLambda"):
        getattr(scale_factors, name)("params", "events", year="2018")
