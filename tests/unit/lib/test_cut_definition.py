"""The Cut: masks, keywords, identity, description."""

import copy
import subprocess
import sys

import awkward as ak
import cloudpickle
import numpy as np
import pytest

from pocket_coffea.errors import CutError, InvalidType, MissingBranch
from pocket_coffea.lib.cut_definition import Cut


def n_jets(events, params, **kwargs):
    return ak.num(events.Jet) >= params["N"]


def jet_pt(events, params, **kwargs):
    return events.Jet.pt > params["pt"]


@pytest.fixture
def events():
    return ak.Array(
        {
            "event": [1, 2, 3],
            "Jet": [[{"pt": 10.0}, {"pt": 50.0}], [], [{"pt": 30.0}]],
        }
    )


def test_event_cut(events):
    mask = Cut("njet", {"N": 1}, n_jets).get_mask(events, {}, year="2018", sample="a", isMC=True)
    assert type(mask) is np.ndarray
    assert mask.tolist() == [True, False, True]


def test_object_cut(events):
    mask = Cut("hard", {"pt": 20}, jet_pt, collection="Jet").get_mask(events, {})
    assert mask.to_list() == [[False, True], [], [True]]


def test_keywords_reach_functions_of_any_signature(events):
    seen = {}
    given = {"year": "2018", "sample": "TT", "isMC": True}

    def everything(events, params, processor_params, **kwargs):
        seen["all"] = (params, processor_params, kwargs)
        return np.ones(len(events), dtype=bool)

    def some(ev, params, year, isMC):
        seen["some"] = (params, year, isMC)
        return np.ones(len(ev), dtype=bool)

    def keyword_only(events, *, sample, processor_params):
        seen["keyword"] = (sample, processor_params)
        return np.ones(len(events), dtype=bool)

    for function in (everything, some, keyword_only):
        Cut(function.__name__, {"a": 1}, function).get_mask(events, {"b": 2}, **given)
    assert seen == {
        "all": ({"a": 1}, {"b": 2}, given),
        "some": ({"a": 1}, "2018", True),
        "keyword": ("TT", {"b": 2}),
    }


def test_wrong_masks_name_the_cut(events):
    cut = Cut("too_short", {}, lambda events, params, **kwargs: np.ones(2, dtype=bool))
    with pytest.raises(CutError, match=r"cut 'too_short' \(function <lambda>.*2 values for 3 events"):
        cut.get_mask(events, {})
    cut = Cut("hard", {"pt": 20}, jet_pt)
    with pytest.raises(CutError, match=r"cut 'hard' .*function jet_pt.*2 dimensions"):
        cut.get_mask(events, {})
    with pytest.raises(MissingBranch, match="Did you mean 'Jet'"):
        Cut("hard", {"pt": 20}, jet_pt, collection="Jets").get_mask(events, {})


def test_errors_in_functions_get_a_note(events):
    with pytest.raises(KeyError) as caught:
        Cut("njet", {}, n_jets).get_mask(events, {})
    assert any("cut 'njet'" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("read", "field", "near"),
    [
        (lambda ev: ak.num(ev.Jets), "Jets", "Jet"),
        (lambda ev: ak.num(ev["Jett"]), "Jett", "Jet"),
        (lambda ev: ak.any(ev.Jet.pT > 3, axis=1), "pT", "Jet.pt"),
    ],
)
def test_missing_branches_in_functions_are_told(events, read, field, near):
    cut = Cut("mine", {}, lambda events, params, **kwargs: read(events))
    with pytest.raises(MissingBranch, match=rf"cut 'mine'.*field '{field}'.*Did you mean '{near}'"):
        cut.get_mask(events, {})


def test_equality_and_hash():
    one, two = Cut("n", {"N": 1, "x": [1]}, n_jets), Cut("n", {"x": [1], "N": 1}, n_jets)
    assert one == two
    assert len({one, two}) == 1
    assert one.id.startswith("n__")
    assert len(one.id) == len("n__") + 64
    different = [
        Cut("m", {"N": 1, "x": [1]}, n_jets),
        Cut("n", {"N": 2, "x": [1]}, n_jets),
        Cut("n", {"N": 1, "x": [1]}, jet_pt),
        Cut("n", {"N": 1, "x": [1]}, n_jets, collection="Jet"),
    ]
    assert all(cut != one for cut in different)
    assert one != "n"


def test_lambdas_of_a_factory_are_equal():
    def factory(n):
        return Cut("pv", {}, lambda events, params, **kwargs: events.npv >= n)

    assert factory(1) == factory(1)
    assert factory(1) != factory(2)


def test_a_changed_copy_is_another_cut():
    one = Cut("n", {"N": 1}, n_jets)
    first = one.id
    two = copy.deepcopy(one)
    assert two.id == first
    two.params["N"] = 2
    assert two != one
    assert one.id == first


PROGRAM = """
from pocket_coffea.lib.cut_definition import Cut
import pickle, cloudpickle, sys
cut = Cut("c", {"a": {"z", "y", "x"}, "b": 3}, lambda events, params, **kw: events.x in {"u", "v", "w"})
print(cut.id, cloudpickle.loads(cloudpickle.dumps(cut)).id)
"""


def test_id_is_the_same_in_every_process():
    ids = set()
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        ids.update(run.stdout.split())
    assert len(ids) == 1


def test_pickled_cut_works_and_keeps_its_id(events):
    limit = 1
    cut = Cut("n", {"N": 1}, lambda events, params, **kwargs: ak.num(events.Jet) > limit)
    again = cloudpickle.loads(cloudpickle.dumps(cut))
    assert again == cut
    assert again.get_mask(events, {}).tolist() == [True, False, False]


def test_serialize():
    cut = Cut("njet", {"N": 1}, n_jets)
    plain = cut.serialize(src_code=True)
    assert set(plain) == {"name", "params", "collection", "function", "id"}
    assert set(plain["function"]) == {"name", "module", "src_file", "f_hash", "src_code"}
    assert plain["function"]["name"] == "n_jets"
    assert plain["function"]["src_file"] == __file__
    assert "ak.num(events.Jet)" in plain["function"]["src_code"]
    assert "src_code" not in cut.serialize()["function"]
    assert cut.serialize()["function"]["f_hash"] == plain["function"]["f_hash"]
    assert Cut("len", {}, len).serialize(src_code=True)["function"]["src_file"] is None


@pytest.mark.parametrize(
    "arguments", [(3, {}, n_jets), ("a", {}, "n_jets"), ("a", {}, n_jets, None), ("", {}, n_jets)]
)
def test_wrong_construction(arguments):
    with pytest.raises(InvalidType):
        Cut(*arguments)
