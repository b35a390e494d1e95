import copy

import pytest

from pocket_coffea.errors import InvalidValue, PhysicsNotAvailable, UnknownName
from pocket_coffea.utils.site_rewrite import (
    REDIRECTOR,
    find_other_file,
    rewrite_fileset_blocklist,
    rewrite_fileset_to_redirector,
)

SITES = {
    "T2_A": "root://a.edu:1094//cms",
    "T1_B_Disk": "root://b.org//",
    "T2_C": "root://c.net//eos/cms",
}
FILES = [
    "root://a.edu:1094//cms/store/mc/1.root",
    "root://b.org//store/mc/2.root",
    "/data/local.root",
    "root://elsewhere.ch//store/mc/3.root",
]
FILESET = {"DY_2018": {"metadata": {"sample": "DY"}, "files": FILES}}


def test_everything_through_the_redirector():
    original = copy.deepcopy(FILESET)
    result = rewrite_fileset_to_redirector(FILESET, REDIRECTOR)
    assert result["DY_2018"]["files"] == [
        "root://xrootd-cms.infn.it//store/mc/1.root",
        "root://xrootd-cms.infn.it//store/mc/2.root",
        "/data/local.root",
        "root://xrootd-cms.infn.it//store/mc/3.root",
    ]
    assert original == FILESET
    assert result["DY_2018"]["metadata"] is not FILESET["DY_2018"]["metadata"]


@pytest.mark.parametrize(
    ("redirector", "expected"),
    [
        ("root://x.org", "root://x.org//store/mc/1.root"),
        ("root://x.org/", "root://x.org//store/mc/1.root"),
        ("root://x.org//eos/cms/", "root://x.org//eos/cms/store/mc/1.root"),
        ("/eos/cms/", "/eos/cms/store/mc/1.root"),
    ],
)
def test_other_redirectors(redirector, expected):
    assert rewrite_fileset_to_redirector(FILESET, redirector)["DY_2018"]["files"][0] == expected


def test_files_with_their_trees():
    fileset = {"DY": {"files": {FILES[1]: "Events"}, "metadata": {}}}
    assert rewrite_fileset_to_redirector(fileset)["DY"]["files"] == {REDIRECTOR + "store/mc/2.root": "Events"}


def test_only_files_of_blocked_sites_move():
    result = rewrite_fileset_blocklist(FILESET, SITES, ["T2_A"])["DY_2018"]["files"]
    assert result == [REDIRECTOR + "store/mc/1.root", *FILES[1:]]
    assert rewrite_fileset_blocklist(FILESET, SITES, ["T1_B"])["DY_2018"]["files"][1].startswith(REDIRECTOR)
    assert rewrite_fileset_blocklist(FILESET, SITES, []) == FILESET


def test_a_replica_at_a_good_site_is_preferred():
    replicas = {
        "/store/mc/1.root": [
            ("T2_A", FILES[0]),
            ("T1_B_Disk", "root://b.org//store/mc/1.root"),
            ("T2_C", "root://c.net//eos/cms/store/mc/1.root"),
        ]
    }
    blocked = ["T2_A", "T1_B"]
    result = rewrite_fileset_blocklist(FILESET, SITES, blocked, replicas)["DY_2018"]["files"]
    assert result[0] == "root://c.net//eos/cms/store/mc/1.root"
    assert result[1] == REDIRECTOR + "store/mc/2.root"
    assert find_other_file(FILES[0], SITES, (), replicas.__getitem__) == "root://b.org//store/mc/1.root"
    assert find_other_file("/data/local.root", SITES, (), replicas) is None


def test_errors():
    with pytest.raises(PhysicsNotAvailable, match="replicas"):
        find_other_file(FILES[0], SITES)
    with pytest.raises(UnknownName, match="T2_AA"):
        rewrite_fileset_blocklist(FILESET, SITES, ["T2_AA"])
    with pytest.raises(InvalidValue, match="site names"):
        rewrite_fileset_blocklist(FILESET, SITES, ["root://a.edu"])
