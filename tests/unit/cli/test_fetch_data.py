import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.utils.data_files import resolve_data_file

PUWEIGHTS = "LUM/Run2-2018-UL-NanoAODv9/2021-09-10/puWeights.json.gz"


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POCKET_COFFEA_DATA", str(tmp_path / "data"))
    path = tmp_path / "mirror" / PUWEIGHTS
    path.parent.mkdir(parents=True)
    path.write_bytes(b"payload")

    def call(*options, code=0):
        result = CliRunner().invoke(main, ["fetch-data", "-y", "2018", "--only", "puWeights", *options])
        assert result.exit_code == code, result.output
        return result.output

    return call


def test_pinned_once_and_the_same_for_ever(fetch, tmp_path):
    text = fetch(code=3)
    assert "unpinned" in text
    assert "1 payloads: 0 were there, 0 fetched, 1 missing" in text
    assert "1 payloads pinned in data.lock.yaml" in fetch("--pin", "--mirror", "mirror")
    assert "1 were there" in fetch()
    assert (
        resolve_data_file("/cvmfs/cms-griddata.cern.ch/cat/metadata/" + PUWEIGHTS)
        == f"{tmp_path}/data/{PUWEIGHTS}"
    )
    lock = Path("data.lock.yaml").read_bytes()
    Path("mirror", PUWEIGHTS).write_bytes(b"another")
    (tmp_path / "data" / PUWEIGHTS).unlink()
    assert "sha256" in fetch("--mirror", "mirror", code=3)
    assert fetch("--pin", "--mirror", "mirror", code=3)
    assert Path("data.lock.yaml").read_bytes() == lock
    assert not (tmp_path / "data" / PUWEIGHTS).exists()


def test_json_and_another_directory(fetch, tmp_path):
    fetch("--pin", "--mirror", "mirror", "--to", "elsewhere")
    (row,) = json.loads(fetch("--mirror", "mirror", "--json"))
    assert (row["place"], row["state"]) == (PUWEIGHTS, "fetched")
    assert (tmp_path / "elsewhere" / PUWEIGHTS).read_bytes() == b"payload"


def test_wrong_options(fetch, monkeypatch):
    assert "Did you mean" in fetch("-y", "2081", code=1)
    monkeypatch.delenv("POCKET_COFFEA_DATA")
    assert "export POCKET_COFFEA_DATA" in fetch(code=1)
