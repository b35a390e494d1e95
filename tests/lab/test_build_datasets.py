"""``build-datasets`` against the real Rucio and the real sites, as a physicist runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ci.lab.layout import VENV
from ci.lab.process import run
from ci.lab.services.data import catalogue, dataset_of
from ci.lab.services.rucio import CLIENT
from ci.lab.services.xrootd import REDIRECTOR, SITES

KIT, FNAL = SITES["kit"], SITES["fnal"]
DY, TT = (
    next(dataset_of(file["lfn"]) for file in catalogue() if file["lfn"].split("/")[4].startswith(name))
    for name in ("DYJetsToLL", "TTto2L2Nu")
)


def files_of(dataset: str) -> list[dict]:
    return sorted((file for file in catalogue() if file["dataset"] == dataset), key=lambda file: file["lfn"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a definition of two datasets."""
    definition = {}
    for name, dataset, year in (("DY", DY, "2018"), ("TT", TT, "2022_preEE")):
        entry = {"das_names": [dataset], "metadata": {"year": year, "isMC": True, "xsec": 1.0}}
        definition[name] = {"sample": name, "json_output": "datasets/mc.json", "files": [entry]}
    (tmp_path / "definition.json").write_text(json.dumps(definition))
    return tmp_path


@pytest.fixture
def build(folder: Path):
    """Return ``build("--overwrite", ...)``: run the command, return what it printed; its cache is new."""

    def call(*options: str, code: int = 0, **environment: str) -> str:
        env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), **environment}
        command = [VENV / "bin" / "pocket-coffea", "build-datasets", "--cfg", "definition.json", *options]
        done = run([*command, "--redirector", f"root://{REDIRECTOR}//"], env=env, cwd=folder, check=False)
        assert done.returncode == code, done.stdout + (done.stderr or "")
        return done.stdout + (done.stderr or "")

    return call


def datasets(folder: Path, name: str = "mc") -> dict:
    return json.loads((folder / "datasets" / f"{name}.json").read_text())


def test_two_names_become_jsons_and_the_same_again(build, folder):
    build("--check")
    found = datasets(folder)
    assert set(found) == {"DY_2018", "TT_2022_preEE"}
    for name, dataset, version in (("DY_2018", DY, "9"), ("TT_2022_preEE", TT, "12")):
        files = files_of(dataset)
        metadata = found[name]["metadata"]
        assert metadata["nevents"] == str(sum(file["events"] for file in files))
        assert metadata["size"] == str(sum(file["bytes"] for file in files))
        assert (metadata["nano_version"], metadata["isMC"]) == (version, "True")
        for file, address in zip(files, found[name]["files"], strict=True):
            sites = [site for site in SITES.values() if site.rse in file["sites"]]
            assert address in {f"root://{site.address}/{site.prefix}{file['lfn']}" for site in sites}
            assert found[name]["file_info"][address] == {
                "nevents": file["events"],
                "size": file["bytes"],
                "adler32": file["adler32"],
            }
    redirected = datasets(folder, "mc_redirector")["TT_2022_preEE"]["files"]
    assert redirected == [f"root://{REDIRECTOR}/{file['lfn']}" for file in files_of(TT)]
    first = {path.name: path.read_bytes() for path in (folder / "datasets").iterdir()}
    build("--overwrite", "--cache-age", "0", "--parallelize", "1")
    assert {path.name: path.read_bytes() for path in (folder / "datasets").iterdir()} == first


def test_a_blocked_site_is_not_read(build, folder):
    text = build("--blocklist-sites", FNAL.rse, code=3)
    assert "TT_2022_preEE: no replica at a site that may be used for 1 of 2 files (400 events)" in text
    assert f"(at {FNAL.rse})" in text
    assert set(datasets(folder)) == {"DY_2018"}
    build("-k", "TT", "-bs", FNAL.rse, "--include-redirector", "--check")
    found = datasets(folder)
    assert set(found) == {"DY_2018", "TT_2022_preEE"}
    addresses = [address for entry in found.values() for address in entry["files"]]
    assert not [address for address in addresses if FNAL.address in address]
    assert [address for address in addresses if REDIRECTOR in address] == [
        f"root://{REDIRECTOR}/{files_of(TT)[1]['lfn']}"
    ]


def test_a_replica_that_is_gone_is_found_by_the_check(build, folder, fault):
    build("--sort-replicas", "priority", "--prioritylist-sites", KIT.rse)
    fault("xrootd", "kit", "down", off=("xrootd", "kit", "up"))
    limits = {"XRD_CONNECTIONRETRY": "1", "XRD_CONNECTIONWINDOW": "2", "XRD_STREAMERRORWINDOW": "2"}
    text = build("--check", code=3, **limits)
    assert f"(1,000 events; also at: {FNAL.rse})" in text
    assert "(600 events; also at: nowhere else)" in text
    assert "Checked: 4 files of 2 datasets, 3 bad (2,000 events)" in text


def test_files_are_copied_with_their_checksums(build, folder):
    build("-k", "TT", "--download", "--local-prefix", str(folder / "store"))
    (entry,) = datasets(folder, "mc_local").values()
    for address, file in zip(entry["files"], files_of(TT), strict=True):
        assert address == f"{folder}/store{file['lfn']}"
        assert Path(address).stat().st_size == file["bytes"]


def test_without_a_proxy_it_says_what_to_do(build, folder):
    config = folder / "rucio.cfg"
    config.write_text(CLIENT.read_text() + f"auth_token_file_path = {folder}/token\n")
    text = build(code=1, RUCIO_CONFIG=str(config), X509_USER_PROXY=str(folder / "absent"))
    assert f"no readable VOMS proxy at {folder}/absent" in text
    assert "voms-proxy-init" in text
    assert "Traceback" not in text
    assert not (folder / "datasets").exists()


def test_a_name_that_is_wrong_shows_similar_ones(build, folder):
    path = folder / "definition.json"
    path.write_text(
        path.read_text().replace("130X_mcRun3_2022_realistic_v5-v2", "130X_mcRun3_2022_realistic_v5-v3")
    )
    text = build(code=3)
    assert f"Similar ones: {TT}" in text
    assert set(datasets(folder)) == {"DY_2018"}


def test_the_names_that_users_import():
    from pocket_coffea.utils.rucio import get_dataset_files_replicas, get_rucio_client, query_dataset

    client = get_rucio_client()
    assert query_dataset("/TTto2L2Nu*/*/NANOAODSIM", client=client) == [TT]
    _, primary, processed, tier = TT.split("/")
    assert query_dataset(TT, client=client, tree=True) == {primary: {processed: [tier]}}
    files, sites, counts = get_dataset_files_replicas(TT, client=client, mode="full")
    assert [set(each) for each in sites] == [set(file["sites"]) for file in files_of(TT)]
    assert counts == {KIT.rse: 1, FNAL.rse: 2}
    assert all(address.startswith("root://") for each in files for address in each)
    first, _, counts = get_dataset_files_replicas(
        TT, client=client, mode="first", blocklist_sites=["T2_US_FNAL"], partial_allowed=True
    )
    assert (len(first), counts) == (1, {KIT.rse: 1})


def test_names_are_found_and_become_a_definition(build, folder):
    command = [
        VENV / "bin" / "pocket-coffea",
        "dataset-discovery-cli",
        "-q",
        "/TTto2L2Nu*/*Summer22*/NANOAODSIM",
    ]
    options = ["--output", "definition.json", "--key", "Found", "--metadata", "xsec=98", "--cache-age", "0"]
    done = run([*command, *options, "--json-output", "datasets/mc.json"], cwd=folder)
    assert f"{TT}\n  2 files, 800 events" in done.stdout
    assert f"{FNAL.rse} 2/2, {KIT.rse} 1/2" in done.stdout
    build("-k", "Found")
    assert list(datasets(folder)) == ["Found_2022_preEE"]
