from __future__ import annotations

import logging
import pickle
from pathlib import Path

import pytest

from pocket_coffea.errors import DataFileNotFound, InvalidType, InvalidValue
from pocket_coffea.parameters.defaults import get_default_parameters
from pocket_coffea.utils import data_files
from pocket_coffea.utils.data_files import CVMFS_METADATA, data_directories, resolve_data_file

BELOW = "JME/Run2-2018-UL-NanoAODv9/2026-06-10/jet_jerc.json.gz"
REFERENCE = f"{CVMFS_METADATA}/{BELOW}"
GOLDEN_2018 = "Cert_314472-325175_13TeV_Legacy2018_Collisions18_JSON.txt"


def write(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return str(path)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Two data directories; the second is the better furnished one in some tests."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.setenv("POCKET_COFFEA_DATA", f"{first}:{second}")
    monkeypatch.setattr(data_files, "_warned", set())
    monkeypatch.chdir(tmp_path)
    return first, second


def test_directories_of_the_variable(monkeypatch):
    monkeypatch.setenv("POCKET_COFFEA_DATA", " /a: ::~/b")
    assert data_directories() == ["/a", str(Path.home() / "b")]
    monkeypatch.delenv("POCKET_COFFEA_DATA")
    assert data_directories() == []


@pytest.mark.parametrize(
    "place",
    [BELOW, f"cms-griddata.cern.ch/cat/metadata/{BELOW}", "JME/Run2-2018-UL-NanoAODv9/jet_jerc.json.gz"],
)
def test_cvmfs_reference_is_found_below_a_data_directory(folders, place, caplog):
    wanted = write(folders[1] / place)
    with caplog.at_level(logging.WARNING):
        assert resolve_data_file(REFERENCE) == wanted
    assert not caplog.records


def test_bare_name_is_found_with_one_warning(folders, caplog):
    wanted = write(folders[0] / "jet_jerc.json.gz")
    assert resolve_data_file(REFERENCE) == wanted
    assert resolve_data_file(Path(REFERENCE)) == wanted
    assert len(caplog.records) == 1
    assert "make sure that it is for this period" in caplog.text


def test_full_path_in_the_second_directory_beats_bare_name_in_the_first(folders):
    write(folders[0] / "jet_jerc.json.gz")
    wanted = write(folders[1] / BELOW)
    assert resolve_data_file(REFERENCE) == wanted


def test_first_directory_wins_for_the_same_path(folders):
    wanted = write(folders[0] / BELOW)
    write(folders[1] / BELOW)
    assert resolve_data_file(REFERENCE) == wanted


def test_cvmfs_itself_comes_last(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(data_files, "CVMFS_METADATA", str(tmp_path / "cvmfs"))
    reference = write(tmp_path / "cvmfs" / BELOW)
    assert resolve_data_file(reference) == reference
    better = write(folders[1] / BELOW)
    assert resolve_data_file(reference) == better


@pytest.mark.parametrize("place", [f"datacert/{GOLDEN_2018}", GOLDEN_2018])
def test_certified_luminosity_of_the_defaults(folders, place, caplog):
    reference = get_default_parameters().lumi.goldenJSON["2018"]
    wanted = write(folders[1] / place)
    assert resolve_data_file(reference) == wanted
    assert resolve_data_file(GOLDEN_2018) == wanted
    assert not caplog.records


def test_certified_luminosity_on_cvmfs(tmp_path, monkeypatch):
    monkeypatch.setattr(data_files, "CVMFS_METADATA", str(tmp_path / "cvmfs"))
    name = "Cert_Collisions2024_378981_386951_Golden.json"
    wanted = write(tmp_path / "cvmfs" / "DC" / "Collisions24" / "latest" / name)
    assert resolve_data_file(get_default_parameters().lumi.goldenJSON["2024"]) == wanted


def test_path_of_another_installation_keeps_its_place(folders):
    wanted = write(folders[0] / "custom_SFs/muon_promptMVA/2022/sf.json.gz")
    elsewhere = "/opt/env/site-packages/pocket_coffea/parameters/custom_SFs/muon_promptMVA/2022/sf.json.gz"
    assert resolve_data_file(elsewhere) == wanted


def test_plain_paths(folders, tmp_path, monkeypatch):
    plain = write(tmp_path / "mine" / "sf.json")
    assert resolve_data_file(plain) == plain
    assert resolve_data_file(Path(plain)) == plain
    assert Path(resolve_data_file("mine/sf.json")).resolve() == Path(plain)
    assert Path(resolve_data_file("./mine/sf.json")).resolve() == Path(plain)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_data_file("~/mine/sf.json") == plain
    other = write(folders[0] / "sub" / "other.json")
    assert resolve_data_file("sub/other.json") == other
    assert resolve_data_file("/gone/sub/other.json") == other
    bare = write(folders[1] / "bare.json")
    assert resolve_data_file("bare.json") == bare


def test_a_directory_is_not_a_file(folders):
    (folders[0] / "jet_jerc.json.gz").mkdir()
    with pytest.raises(DataFileNotFound):
        resolve_data_file(REFERENCE)


def test_error_names_file_places_and_remedy(folders):
    with pytest.raises(DataFileNotFound) as caught:
        resolve_data_file(REFERENCE)
    message = str(caught.value)
    for part in (
        "'jet_jerc.json.gz'",
        REFERENCE,
        f"{folders[0]}/{BELOW}",
        f"{folders[1]}/jet_jerc.json.gz",
        f"Put it at <directory>/{BELOW}",
        "$POCKET_COFFEA_DATA",
        "/cvmfs is mounted",
    ):
        assert part in message
    assert isinstance(caught.value, FileNotFoundError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_error_without_the_variable(monkeypatch):
    monkeypatch.delenv("POCKET_COFFEA_DATA")
    with pytest.raises(DataFileNotFound, match="now: not set"):
        resolve_data_file("nothing.json")


@pytest.mark.parametrize("reference", ["${cvmfs:a,b,c}", "???", "", "  "])
def test_unresolved_references(reference):
    with pytest.raises(InvalidValue, match="resolve the parameters first"):
        resolve_data_file(reference)


@pytest.mark.parametrize("reference", [None, 3, ["a.json"]])
def test_references_of_the_wrong_type(reference):
    with pytest.raises(InvalidType, match="named by its path"):
        resolve_data_file(reference)
