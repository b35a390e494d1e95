import json

from pocket_coffea.datasets.cache import AnswerCache
from pocket_coffea.datasets.site_map import read_site_map

LFN = "/store/mc/a/b.root"


def volume(rse, *protocols, kind="DISK"):
    return {"site": rse, "volume": "v", "type": kind, "rse": rse, "protocols": list(protocols)}


def xrootd(access="global-ro", **how):
    return {"protocol": "XRootD", "access": access, **how}


def publish(folder, site, *volumes):
    (folder / site).mkdir(parents=True)
    (folder / site / "storage.json").write_text(json.dumps(volumes))


def read(folder, age=0, cache=None):
    return read_site_map(AnswerCache(age, cache), folder)


def test_prefixes_and_rules(tmp_path):
    rules = [
        {"lfn": "/+store/temp/(.*)", "pfn": "root://tmp.ch//t/$1"},
        {"lfn": "/+store/(.*)", "pfn": "root://a.ch//eos/$1"},
    ]
    publish(tmp_path, "T2_CH_A", volume("T2_CH_A", xrootd(rules=rules)))
    publish(
        tmp_path,
        "T1_DE_B",
        volume("T1_DE_B_Tape", xrootd(prefix="root://tape/"), kind="TAPE"),
        volume("T1_DE_B_Disk", {"protocol": "WebDAV", "access": "global-rw", "prefix": "davs://b"}),
        volume(
            "T1_DE_B_Disk",
            xrootd("site-ro", prefix="root://inside//b"),
            xrootd("global-rw", prefix="root://b.de//pnfs/"),
        ),
    )
    found = read(tmp_path)
    assert found.address("T2_CH_A", LFN) == "root://a.ch//eos/mc/a/b.root"
    assert found.address("T2_CH_A", "/store/temp/x.root") == "root://tmp.ch//t/x.root"
    assert found.address("T2_CH_A", "/other/x.root") is None
    assert found.address("T1_DE_B_Disk", LFN) == "root://b.de//pnfs/store/mc/a/b.root"
    assert found.address("T1_DE_B_Tape", LFN) is None


def test_rules_through_other_rules_are_not_guessed(tmp_path):
    rules = [{"lfn": "/+store/(.*)", "pfn": "$1", "chain": "pnfs"}]
    publish(tmp_path, "T2_XX", volume("T2_XX", xrootd(rules=rules)))
    assert read(tmp_path).address("T2_XX", LFN) is None


def test_a_damaged_file_is_left_out_and_said(tmp_path, caplog):
    publish(tmp_path, "T2_CH_A", volume("T2_CH_A", xrootd(prefix="root://a/")))
    (tmp_path / "T2_BAD").mkdir()
    (tmp_path / "T2_BAD" / "storage.json").write_text("[{")
    assert read(tmp_path).address("T2_CH_A", LFN) == "root://a" + LFN
    assert "T2_BAD" in caplog.text


def test_no_folder_gives_an_empty_map(tmp_path):
    assert read(tmp_path / "none").elements == {}


def test_the_map_is_kept_for_a_while(tmp_path):
    sites, cache = tmp_path / "sites", tmp_path / "cache"
    publish(sites, "T2_CH_A", volume("T2_CH_A", xrootd(prefix="root://a/")))
    first = read(sites, 60, cache)
    (sites / "T2_CH_A" / "storage.json").unlink()
    assert read(sites, 60, cache) == first
    assert read(sites, 0, cache).elements == {}


def test_an_old_map_is_better_than_none(tmp_path):
    sites, cache = tmp_path / "sites", tmp_path / "cache"
    publish(sites, "T2_CH_A", volume("T2_CH_A", xrootd(prefix="root://a/")))
    first = read(sites, 1e-9, cache)
    publish(sites, "T2_CH_B", volume("T2_CH_B", xrootd(prefix="root://b/")))
    assert list(read(sites, 1e-9, cache).elements) == ["T2_CH_A", "T2_CH_B"]
    for site in ("T2_CH_A", "T2_CH_B"):
        (sites / site / "storage.json").unlink()
    assert list(read(sites, 1e-9, cache).elements) == ["T2_CH_A", "T2_CH_B"] != list(first.elements)
