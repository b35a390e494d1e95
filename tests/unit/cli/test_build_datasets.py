import json

import pytest
from click.testing import CliRunner

from pocket_coffea.cli.main import main

DEFINITION = {
    "TT": {
        "sample": "TT",
        "json_output": "out/mc.json",
        "files": [
            {"das_names": ["/TT/a-v1/NANOAODSIM"], "metadata": {"year": "2018", "isMC": True, "xsec": 1}}
        ],
    }
}


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("RUCIO_CONFIG", "RUCIO_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "definition.json").write_text(json.dumps(DEFINITION))

    def call(*options, code=1):
        result = CliRunner().invoke(main, ["build-datasets", "--cfg", "definition.json", *options])
        assert result.exit_code == code, result.output
        return result.output

    return call


def test_without_a_configuration_of_rucio(build, tmp_path, monkeypatch):
    monkeypatch.setattr("pocket_coffea.datasets.rucio_client._RUCIO_HOME", str(tmp_path / "cvmfs"))
    output = build()
    assert "Rucio is not configured" in output
    assert "export RUCIO_CONFIG" in output
    assert not (tmp_path / "out").exists()


def test_without_the_package(build, monkeypatch):
    monkeypatch.setenv("RUCIO_CONFIG", "rucio.cfg")
    monkeypatch.setitem(__import__("sys").modules, "rucio.client", None)
    assert "pip install rucio-clients" in build()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-k", "T"], "has no dataset 'T'"),
        (["-sort", "near"], "no order of replicas"),
        (["-ws", "T1_A, T2_B", "-bs", "T2_B"], "T2_B is both"),
        (["-rs", "["], "no regular expression"),
    ],
)
def test_wrong_options_end_before_anything_is_asked(build, options, message):
    assert message in build(*options)


def test_a_dataset_that_is_there_is_not_replaced(build, tmp_path):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "mc.json"
    path.write_text(json.dumps({"TT_2018": {"metadata": {}, "files": []}}))
    assert "TT_2018 in out/mc.json" in build(code=6)
    path.write_text("[]")
    assert "is no dataset file" in build()


def test_check_of_what_is_there_needs_no_catalogue_unless_files_are_missing(build, tmp_path, sample_file):
    good = str(sample_file("v9", "dy", n_events=50).path)
    entry = {"metadata": {}, "files": [good], "file_info": {good: {"nevents": 50}}}
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "mc.json"
    path.write_text(json.dumps({"TT_2018": entry}))
    assert "Checked: 1 file of 1 dataset, 0 bad (0 events)" in build("--check", code=0)
    entry["file_info"][good]["nevents"] = 60
    path.write_text(json.dumps({"TT_2018": entry}))
    output = build("--check", code=3)
    assert "has 50 events, the catalogue says 60 (60 events)\n" in output
