import json
from pathlib import Path

import pytest

from pocket_coffea.datasets.build import Chooser, build_datasets
from pocket_coffea.datasets.check import check_datasets
from pocket_coffea.datasets.definition import DatasetRequest
from pocket_coffea.datasets.files import DatasetFile, Replica, from_plain, plain
from pocket_coffea.datasets.select import SiteRules
from pocket_coffea.datasets.write import JsonFiles
from pocket_coffea.errors import CatalogueError, ConfigurationError, ResultsRefused

REDIRECTOR = "root://redirector.site//"


def make_file(name, *sites, nevents=10):
    replicas = tuple(Replica(site, f"root://{site}//data{name}") for site in sites)
    return DatasetFile(name, 100, "0000abcd", nevents, replicas)


class Source:
    """A catalogue of what it is given."""

    def __init__(self, **datasets):
        self.datasets = {f"/{name}/a-v1/NANOAODSIM": files for name, files in datasets.items()}

    def files(self, das_name, instance):
        if das_name not in self.datasets:
            raise CatalogueError(f"no dataset {das_name}")
        return self.datasets[das_name]


def request(name, *primaries, output="out/mc.json", year="2018", **options):
    metadata = {"sample": name, "year": year, "isMC": "True", "xsec": "1.0"}
    das_names = tuple(f"/{primary}/a-v1/NANOAODSIM" for primary in primaries or (name,))
    return DatasetRequest(f"{name}_{year}", das_names, metadata, output, **options)


SOURCE = Source(
    A=[make_file("/store/2.root", "T2_X", "T1_Y_Disk"), make_file("/store/1.root", "T1_Y_Disk")],
    B=[make_file("/store/3.root", "T2_X"), make_file("/store/4.root")],
    C=[make_file("/store/3.root", "T2_X"), make_file("/store/5.root", "T2_X")],
)


def build(*requests, fall_back=False, **rules):
    return build_datasets(requests, SOURCE, Chooser(SiteRules(**rules), REDIRECTOR, fall_back))


def test_files_are_sorted_and_read_from_their_first_replica():
    (built,) = build(request("A")).built
    assert built.addresses == ("root://T1_Y_Disk//data/store/1.root", "root://T2_X//data/store/2.root")
    assert built.sites == ("T1_Y_Disk", "T2_X")
    assert built.metadata() == {
        "sample": "A",
        "year": "2018",
        "isMC": "True",
        "xsec": "1.0",
        "das_names": "['/A/a-v1/NANOAODSIM']",
        "nevents": "20",
        "size": "200",
    }


def test_what_has_no_replica_fails_alone_and_says_where_the_others_are():
    report = build(request("A"), request("B"), request("N"), block=("T1_Y",))
    assert list(report.failed) == ["A_2018", "B_2018", "N_2018"]
    text = str(report.failed["A_2018"])
    assert "1 of 2 files (10 events)" in text
    assert "/store/1.root (at T1_Y_Disk)" in text
    assert "--include-redirector" in text
    assert "at no site on disk" in str(report.failed["B_2018"])
    assert "no dataset /N/" in str(report.failed["N_2018"])


def test_the_redirector_takes_them_when_asked():
    (built,) = build(request("A"), block=("T1_Y",), fall_back=True).built
    assert built.addresses == ("root://redirector.site//store/1.root", "root://T2_X//data/store/2.root")
    assert built.sites == ("redirector", "T2_X")


def test_a_file_of_two_names_counts_once(caplog):
    (built,) = build(request("BC", "B", "C"), fall_back=True).built
    assert [file.name for file in built.files] == ["/store/3.root", "/store/4.root", "/store/5.root"]
    assert "1 file is in several" in caplog.text


def test_another_error_ends_the_look_ups():
    class Broken:
        def files(self, das_name, instance):
            raise ConfigurationError("no proxy")

    with pytest.raises(ConfigurationError, match="no proxy"):
        build_datasets([request("A")] * 9, Broken(), Chooser(SiteRules(), REDIRECTOR))


def write(tmp_path, requests, **options):
    files = JsonFiles(**options)
    chooser = Chooser(SiteRules(), REDIRECTOR, True)
    files.refuse_existing(requests)
    paths = files.write(build_datasets(requests, SOURCE, chooser, workers=3).built, chooser)
    return {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def output(tmp_path):
    return str(tmp_path / "out" / "mc.json")


def test_the_three_files(tmp_path, output):
    written = write(tmp_path, [request("A", output=output, storage_prefix="/eos/me/")])
    assert list(written) == ["out/mc.json", "out/mc_redirector.json", "out/mc_local.json"]
    files = {name: json.loads(text)["A_2018"] for name, text in written.items()}
    assert files["out/mc_redirector.json"]["files"][0] == "root://redirector.site//store/1.root"
    assert files["out/mc_local.json"]["files"] == ["/eos/me/store/1.root", "/eos/me/store/2.root"]
    assert files["out/mc_local.json"]["file_info"]["/eos/me/store/1.root"] == {
        "nevents": 10,
        "size": 100,
        "adler32": "0000abcd",
    }


def test_the_same_gives_the_same_bytes_in_any_order(tmp_path, output):
    first = [request("A", output=output), request("C", output=output)]
    one = write(tmp_path, first)
    assert write(tmp_path, first[::-1], overwrite=True) == one


def test_years_have_files_of_their_own(tmp_path, output):
    both = [request("A", output=output), request("C", output=output, year="2017")]
    written = write(tmp_path, both, by_year=True)
    assert sorted(written) == [
        f"out/mc{kind}_{year}.json" for kind in ("", "_redirector") for year in (2017, 2018)
    ]


def test_what_is_there_stays_and_is_not_replaced_unasked(tmp_path, output):
    write(tmp_path, [request("A", output=output)])
    with pytest.raises(
        ResultsRefused, match=r"1 dataset is there already: A_2018 in .*mc\.json.*--overwrite"
    ):
        write(tmp_path, [request("A", output=output), request("C", output=output)])
    written = write(tmp_path, [request("C", output=output)])
    assert list(json.loads(written["out/mc.json"])) == ["A_2018", "C_2018"]


def test_a_damaged_json_is_not_overwritten(tmp_path, output):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mc.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"mc\.json cannot be read"):
        write(tmp_path, [request("A", output=output)])


def test_files_survive_the_cache():
    files = SOURCE.datasets["/A/a-v1/NANOAODSIM"]
    assert from_plain(json.loads(json.dumps(plain(files)))) == files


def test_the_check_opens_files_and_tells_what_is_elsewhere(sample_file, tmp_path):
    good = str(sample_file("v9", "dy", n_events=50).path)
    store = tmp_path / "store"
    store.mkdir()
    short = str(store / "short.root")
    (store / "short.root").write_bytes(Path(good).read_bytes()[:2000])
    entry = {
        "files": [good, short, f"{store}/none.root"],
        "file_info": {good: {"nevents": 51}, short: {"nevents": 7}},
    }
    asked = []

    def replicas(names):
        asked.extend(names)
        return {"/store/short.root": [Replica("T2_X", "root://x//store/short.root")]}

    found = check_datasets({"A": entry}, replicas)
    texts = [str(problem) for problem in found]
    assert len(texts) == 3
    assert "has 50 events, the catalogue says 51" in texts[0]
    assert "short.root cannot be read" in texts[1]
    assert texts[1].endswith("(7 events; also at: T2_X)")
    assert texts[2].endswith("(an unknown number of events; also at: nowhere else)")
    assert str(check_datasets({"A": {"files": ["none.root"]}}, replicas)[0]).endswith(
        "(an unknown number of events)"
    )
    assert asked == ["/store/none.root", "/store/short.root"]
    assert check_datasets({"A": {"files": [good], "file_info": {good: {"nevents": 50}}}}) == []
