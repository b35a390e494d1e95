import pytest

from pocket_coffea.config.selections import read_categories, read_cuts, read_subsamples
from pocket_coffea.errors import ConfigurationError, InvalidType
from pocket_coffea.lib.categorization import CartesianSelection, MultiCut, StandardSelection
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.parameters.cuts import passthrough


def _mask(events, params, **kwargs):
    return events.nMuon > params["n"]


def cut(n, collection="events"):
    return Cut(name=f"n{n}", params={"n": n}, function=_mask, collection=collection)


def test_no_cuts_pass_everything_and_the_list_of_the_user_stays_empty():
    mine = []
    assert read_cuts(mine, "skim") == [passthrough]
    assert mine == []
    assert read_cuts(None, "skim") == [passthrough]
    assert read_cuts((cut(1),), "skim") == [cut(1)]


def test_skim_and_preselections_are_cuts_on_events():
    with pytest.raises(InvalidType, match=r"skim\[1\] must be a Cut.*It is a function: wrap it"):
        read_cuts([cut(1), _mask], "skim")
    with pytest.raises(InvalidType, match="skim must be a list"):
        read_cuts({"a": cut(1)}, "skim")
    with pytest.raises(ConfigurationError, match=r"skim\[0\]: the cut 'n1' is on the collection 'Jet'"):
        read_cuts([cut(1, "Jet")], "skim")


def test_no_categories_are_the_baseline():
    mine = {}
    assert list(read_categories(mine).keys()) == ["baseline"]
    assert mine == {}


def test_categories_in_their_order():
    cuts = [cut(1)]
    selection = read_categories({"z": cuts, "a": [cut(2), cut(3)], "m": cut(4)})
    assert isinstance(selection, StandardSelection)
    assert list(selection.keys()) == ["z", "a", "m"]
    cuts.append(cut(9))
    assert len(selection.categories["z"]) == 1


def test_selections_are_used_as_they_are():
    selection = CartesianSelection(
        multicuts=[MultiCut("n", [cut(1), cut(2)], ["n1", "n2"])], common_cats={"inclusive": [passthrough]}
    )
    assert read_categories(selection) is selection
    assert list(selection.keys()) == ["inclusive", "n1", "n2"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([cut(1)], "categories must be a dictionary of lists of cuts"),
        ({"a": ["x"]}, r"categories\['a'\]\[0\] must be a Cut, not 'x'"),
        ({"a": "x"}, r"categories\['a'\] must be a list"),
        ({1: [cut(1)]}, "the name 1 must be a string"),
    ],
)
def test_wrong_categories(config, message):
    with pytest.raises(InvalidType, match=message):
        read_categories(config)


def test_a_category_named_like_a_stage_is_warned_about(caplog):
    read_categories({"presel": [cut(1)]})
    assert "category 'presel' takes the place" in caplog.text


def test_subsamples(caplog):
    definition = {"TT": {"b": [cut(1)], "a": [cut(2)]}, "Filtered": {"x": [cut(1)]}, "TTT": {"x": [cut(1)]}}
    read = read_subsamples(definition, ["DY", "TT"], ["DY", "TT", "Filtered"])
    assert list(read.selections) == ["DY", "TT"]
    assert list(read.selections["DY"].keys()) == ["DY"]
    assert read.full_names == {"TT": ["TT__b", "TT__a"]}
    assert read.defined == {"TT__b", "TT__a", "Filtered__x", "TTT__x"}
    assert "'TTT']: no dataset has the sample 'TTT'. Did you mean 'TT'?" in caplog.text
    assert "Filtered'" not in caplog.text.replace("TT, Filtered", "")


def test_subsamples_with_the_name_of_another():
    with pytest.raises(ConfigurationError, match=r"'TT__b' has the name of the sample 'TT__b'.*label 'b'"):
        read_subsamples({"TT": {"b": [cut(1)]}}, ["TT", "TT__b"], [])
    definition = {"TT": {"b__x": [cut(1)]}, "TT__b": {"x": [cut(1)]}}
    with pytest.raises(ConfigurationError, match=r"'TT__b__x' has the name of a subsample of 'TT'"):
        read_subsamples(definition, ["TT", "TT__b"], [])
    assert read_subsamples(definition, ["TT"], []).full_names == {"TT": ["TT__b__x"]}


def test_subsamples_may_be_selections():
    selection = CartesianSelection(multicuts=[MultiCut("n", [cut(1), cut(2)]), MultiCut("m", [cut(3)])])
    read = read_subsamples({"TT": selection}, ["TT"], [])
    assert read.selections["TT"] is selection
    assert read.full_names == {"TT": ["TT__n1_n3", "TT__n2_n3"]}
    with pytest.raises(InvalidType, match=r"datasets\[\"subsamples\"\]\['TT'\] must be a dictionary"):
        read_subsamples({"TT": [cut(1)]}, ["TT"], [])
