import json

import pytest

from pocket_coffea.datasets.definition import dataset_name, nano_version, read_definition
from pocket_coffea.errors import ConfigurationError, DataFileNotFound, UnknownName

MC = "/TT_TuneCP5/RunIISummer20UL16NanoAODAPVv9-106X_mcRun2-v1/NANOAODSIM"
DATA = "/SingleMuon/Run2018C-UL2018_MiniAODv2_NanoAODv9-v2/NANOAOD"


@pytest.fixture
def write(tmp_path):
    def make(content):
        path = tmp_path / "definition.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return make


def entry(names=(MC,), **metadata):
    metadata = {"year": "2018", "isMC": True, "xsec": 1.5, **metadata}
    return {
        "sample": "TT",
        "json_output": "out/tt.json",
        "files": [{"das_names": list(names), "metadata": metadata}],
    }


def test_metadata_are_normalised_and_the_version_comes_from_the_name(write):
    (request,) = read_definition(write({"TT": entry(year=2018, part="had")}))
    assert request.name == "TT_had_2018"
    assert request.metadata == {
        "sample": "TT",
        "year": "2018",
        "isMC": "True",
        "xsec": "1.5",
        "part": "had",
        "nano_version": "9",
    }
    assert (request.dbs_instance, request.storage_prefix) == ("prod/global", None)


def test_a_given_version_stays(write):
    (request,) = read_definition(write({"TT": entry(nano_version=12)}))
    assert request.metadata["nano_version"] == "12"


def test_data_have_their_era_in_the_name(write):
    content = entry([DATA], isMC=False, era="C", primaryDataset="SingleMuon")
    (request,) = read_definition(write({"DATA": content}))
    assert request.name == "DATA_2018_EraC"


def test_keys_choose_entries(write):
    path = write({"TT": entry(), "DY": entry()})
    assert [request.name for request in read_definition(path, ["DY"])] == ["DY_2018"]
    with pytest.raises(UnknownName, match=r"no dataset 'TTT'.*Did you mean 'TT'"):
        read_definition(path, ["TTT"])


def test_a_version_in_the_name():
    assert nano_version(MC) == "9"
    assert nano_version("/Muon/Run2022C-22Sep2023-v1/NANOAOD") is None
    assert dataset_name("k", {"year": "2018", "isMC": "True"}) == "k_2018"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1, column 2: this is not valid JSON"),
        ([], "a definition is"),
        ({"TT": []}, "'TT' must be a dictionary"),
        ({"TT": {"sample": "TT", "files": [1]}}, "'TT' has no 'json_output'"),
        ({"TT": {"sample": "TT", "json_output": "a", "files": {"a": 1}}}, "must be a list"),
        ({"TT": entry([])}, "has no 'das_names'|must be a list of names"),
        ({"TT": entry(["/TT/*/NANOAODSIM"])}, "dataset-discovery-cli"),
        ({"TT": entry([MC, MC])}, "twice"),
        ({"TT": entry(year="")}, "has no 'year'"),
        ({"TT": entry(isMC="perhaps")}, "not a truth value"),
        ({"TT": entry([MC, MC.replace("v9", "v12")])}, "NanoAOD versions 12, 9"),
        ({"TT": {**entry(), "files": [*entry()["files"], *entry()["files"]]}}, "'part'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(write, content, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_definition(write(content))
    assert "definition.json" in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(DataFileNotFound, match=r"none\.json does not exist"):
        read_definition(tmp_path / "none.json")
