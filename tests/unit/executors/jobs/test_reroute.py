"""Files of a job get another address: replicas first, then the catalogue, then the redirector."""

from __future__ import annotations

import logging

import pytest

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.datasets.files import Replica
from pocket_coffea.datasets.site_map import SiteMap
from pocket_coffea.errors import CatalogueError
from pocket_coffea.executors.jobs.payload import read_slice, rewrite_slice
from pocket_coffea.executors.jobs.replicas import Catalogue, Sites, same_address
from pocket_coffea.executors.jobs.reroute import Rerouter
from pocket_coffea.utils.site_rewrite import REDIRECTOR
from tests.unit.executors.jobs.campaigns import make_campaign

NAME = "/store/mc/a.root"
FNAL, KIT = f"root://fnal.site:1096//eos/uscms{NAME}", f"root://kit.site:1095//pnfs/cms{NAME}"
GLOBAL = f"{REDIRECTOR}{NAME.lstrip('/')}"
OTHER = "root://fnal.site:1096//eos/uscms/store/mc/b.root"


@pytest.fixture
def rerouter(tmp_path):
    """Return ``rerouter(files=..., catalogue={name: [(site, address)]})`` for job 0."""

    def make(files=(FNAL, OTHER), catalogue=None, options=None, blocked=(), published=None):
        record = make_campaign(tmp_path / "job", [["deliver"]], files=files, options=options)
        found = {name: [Replica(*each) for each in replicas] for name, replicas in (catalogue or {}).items()}
        asked: list[tuple[str, ...]] = []

        def ask(*names):
            asked.append(names)
            return {name: found[name] for name in names if name in found}

        campaign = Campaign(record.folder)
        given = (REDIRECTOR, (options or {}).get("redirector", ""))
        sites = Sites(given, published=lambda: SiteMap(published or {}))
        made = Rerouter(record, campaign, sites=sites, lookup=Catalogue(ask), blocked=blocked)
        made.asked = asked
        return made

    return make


def addresses(rerouter):
    (fileset,) = read_slice(rerouter.record.folder / "config_job_0.pkl")["filesets"].values()
    return list(fileset["files"])


def with_replicas(rerouter, replicas):
    path = rerouter.record.folder / "config_job_0.pkl"
    rewrite_slice(path, lambda found: {k: {**v, "replicas": replicas} for k, v in found.items()})


def test_a_replica_of_the_slice_comes_first_and_the_order_of_files_stays(rerouter):
    made = rerouter(catalogue={NAME: [("T2_ELSE", "root://else.site//store/mc/a.root")]})
    with_replicas(made, {FNAL: [KIT]})
    assert made.reroute(0, [FNAL], frozenset(), redirector=False) == {FNAL: KIT}
    assert addresses(made) == [KIT, OTHER]
    assert made.asked == []
    (fileset,) = read_slice(made.record.folder / "config_job_0.pkl")["filesets"].values()
    assert fileset["replicas"] == {KIT: [FNAL]}


def test_then_the_catalogue_is_asked(rerouter):
    made = rerouter(catalogue={NAME: [("T2_US_FNAL", FNAL), ("T1_DE_KIT_Disk", KIT)]})
    assert made.reroute(0, [FNAL], frozenset(), redirector=False) == {FNAL: KIT}
    assert made.site(KIT) == "T1_DE_KIT"


def test_then_the_redirector_and_at_last_the_same_file(rerouter, caplog):
    made = rerouter()
    assert made.reroute(0, [FNAL], frozenset(), redirector=False) == {FNAL: GLOBAL}
    made.campaign.bad_files[""] = {GLOBAL}
    with caplog.at_level(logging.WARNING):
        assert made.reroute(0, [GLOBAL], frozenset(), redirector=False) == {GLOBAL: FNAL}  # listed by now
        made.campaign.bad_files["fnal.site"] = {FNAL}
        assert made.reroute(0, [FNAL], frozenset(), redirector=False) == {}
    assert "No alternative site found" in caplog.text
    assert addresses(made) == [FNAL, OTHER]


def test_what_failed_once_in_the_campaign_is_not_chosen(rerouter):
    made = rerouter(catalogue={NAME: [("T1_DE_KIT_Disk", KIT)]})
    made.campaign.bad_files["kit.site"] = {KIT.replace("//pnfs", "///pnfs")}
    assert made.reroute(0, [FNAL], frozenset(), redirector=False) == {FNAL: GLOBAL}


def test_twice_changes_nothing_more(rerouter):
    made = rerouter(catalogue={NAME: [("T1_DE_KIT_Disk", KIT)]})
    made.reroute(0, [FNAL], frozenset(), redirector=False)
    content = (made.record.folder / "config_job_0.pkl").read_bytes()
    assert made.reroute(0, [FNAL], frozenset(), redirector=False) == {}
    assert (made.record.folder / "config_job_0.pkl").read_bytes() == content


@pytest.mark.parametrize("site", ["fnal.site", "T2_US_FNAL", "T2_US_FNAL_Disk"])
def test_all_files_at_a_blocked_site_move(rerouter, site):
    made = rerouter(catalogue={NAME: [("T2_US_FNAL", FNAL), ("T1_DE_KIT_Disk", KIT)]})
    changes = made.reroute(0, [], frozenset({site}), redirector=False)
    assert changes == {FNAL: KIT, OTHER: f"{REDIRECTOR}store/mc/b.root"}


def test_files_at_other_sites_stay(rerouter):
    made = rerouter(files=[KIT, OTHER], published={"T1_DE_KIT_Disk": {"prefix": "root://kit.site:1095/"}})
    assert made.reroute(0, [], frozenset({"T1_DE_KIT"}), redirector=False) == {KIT: GLOBAL}


def test_the_redirector_for_all(rerouter, caplog):
    made = rerouter(files=[FNAL, "root://opendata.cern.ch//eos/opendata/c.root", GLOBAL])
    with caplog.at_level(logging.WARNING):
        assert made.reroute(0, [], frozenset(), redirector=True) == {FNAL: GLOBAL}
    assert "has no /store/ path" in caplog.text
    assert made.asked == []


def test_another_redirector_by_option(rerouter):
    made = rerouter(options={"redirector": "root://redirector.site:1094//"})
    changes = made.reroute(0, [], frozenset(), redirector=True)
    assert changes[FNAL] == f"root://redirector.site:1094/{NAME}"
    assert made.site("root://redirector.site:1094//store/x") == ""


def test_entry_ranges_move_with_their_file(rerouter):
    made = rerouter(catalogue={NAME: [("T1_DE_KIT_Disk", KIT)]})
    steps = {"object_path": "Events", "steps": [[0, 100]]}
    path = made.record.folder / "config_job_0.pkl"
    rewrite_slice(path, lambda found: {k: {**v, "files": {FNAL: steps}} for k, v in found.items()})
    made.reroute(0, [FNAL], frozenset(), redirector=False)
    (fileset,) = read_slice(path)["filesets"].values()
    assert fileset["files"] == {KIT: steps}


def test_bad_files_are_written_down_once_for_people(rerouter):
    made = rerouter()
    made.reroute(0, [FNAL], frozenset(), redirector=False)
    made.reroute(0, [FNAL, OTHER], frozenset(), redirector=False)
    assert (made.record.folder / "xrootdfaillist.txt").read_text() == f"{FNAL}\n{OTHER}\n"


def test_a_catalogue_that_does_not_answer_is_left_in_peace(caplog):
    asked = []

    def ask(*names):
        asked.append(names)
        msg = "Rucio does not answer"
        raise CatalogueError(msg)

    catalogue = Catalogue(ask)
    with caplog.at_level(logging.WARNING):
        assert catalogue([NAME]) == {}
        assert catalogue([NAME]) == {}
    assert len(asked) == 1
    assert "Rucio does not answer" in caplog.text


def test_a_host_of_several_sites_is_told_apart_by_the_path():
    elements = {
        "T1_DE_KIT_Disk": {"prefix": "root://kit.site//pnfs"},
        "T2_AA_One": {"rules": [["/store/(.*)", "root://both.site//one/st$1"]]},
        "T2_AA_Two": {"prefix": "root://both.site//one/two/"},
        "T0_AA_Same": {"prefix": "root://both.site:1094//one/two"},
    }
    sites = Sites(published=lambda: SiteMap(elements))
    assert sites.name("root://kit.site:1095//elsewhere/store/a.root") == "T1_DE_KIT"
    assert sites.name("root://both.site//one/store/a.root") == "T2_AA_One"
    assert sites.name("root://both.site//one/twofold/a.root") == "T2_AA_One"
    at_both = "root://both.site//one/two/store/a.root"
    assert sites.name(at_both) == "both.site"
    assert [sites.is_at(at_both, [site]) for site in ("T2_AA_Two", "T0_AA_Same", "T2_AA_One")] == [
        *(True, True),
        False,
    ]
    assert sites.unknown(["T2_AA_Two", "T3_ZZ", "some.host"]) == ["T3_ZZ"]


def test_hosts_of_which_nobody_knows_the_site_are_said_once(rerouter, caplog):
    made = rerouter(files=[FNAL, OTHER, KIT, GLOBAL], published={"T1_DE_KIT": {"prefix": "root://kit.site/"}})
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert made.reroute(0, [], frozenset({"T2_US_FNAL"}), redirector=False) == {}
    assert caplog.text.count("tell of which site fnal.site is, so its files stay") == 1
    assert "block the host: --blocklist-sites fnal.site" in caplog.text
    assert "kit.site is" not in caplog.text
    caplog.clear()
    assert len(made.reroute(0, [], frozenset({"fnal.site"}), redirector=False)) == 2
    assert "tell of which site" not in caplog.text


def test_addresses_that_are_the_same():
    assert same_address("ROOT://A.site//x//y.root?a=1") == same_address("root://a.site/x/y.root")
    assert same_address("/data/x.root") == "/data/x.root"
