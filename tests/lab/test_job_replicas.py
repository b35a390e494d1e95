"""Other replicas for files of jobs, from the real Rucio; what it names can really be read."""

from __future__ import annotations

import pytest

from ci.lab.process import run
from ci.lab.services.data import catalogue
from ci.lab.services.xrootd import REDIRECTOR, SITES
from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.executors.jobs.payload import read_slice
from pocket_coffea.executors.jobs.reroute import Rerouter
from tests.unit.executors.jobs.campaigns import make_campaign

KIT, FNAL = SITES["kit"], SITES["fnal"]
BOTH = next(file["lfn"] for file in catalogue() if len(file["sites"]) == 2)
KIT_ALONE = next(file["lfn"] for file in catalogue() if file["sites"] == [KIT.rse])


def address(site, lfn):
    return f"root://{site.address}/{lfn}"


def of_rucio(site, lfn):
    return f"root://{site.address}/{site.prefix}{lfn}"


@pytest.fixture
def rerouter(tmp_path, monkeypatch):
    """Return the rerouter of a campaign whose one job reads a file at both sites, and one at kit alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = [address(KIT, BOTH), address(KIT, KIT_ALONE)]
    options = {"redirector": f"root://{REDIRECTOR}//"}
    record = make_campaign(tmp_path / "job", [["deliver"]], files=files, options=options)
    return Rerouter(record, Campaign(record.folder))


def test_another_replica_comes_from_rucio_and_is_readable(rerouter, tmp_path):
    changes = rerouter.reroute(0, [address(KIT, BOTH)], frozenset(), redirector=False)
    assert changes == {address(KIT, BOTH): of_rucio(FNAL, BOTH)}
    assert rerouter.site(address(KIT, BOTH)) == "T1_DE_KIT"
    target = tmp_path / "copy.root"
    run(["xrdcp", "--silent", changes[address(KIT, BOTH)], target], timeout=60)
    assert target.stat().st_size == next(file["bytes"] for file in catalogue() if file["lfn"] == BOTH)


@pytest.mark.parametrize("site", ["T1_DE_KIT", "T1_DE_KIT_Disk", "kit.site"])
def test_a_blocked_site_by_its_name_or_its_host(rerouter, site):
    changes = rerouter.reroute(0, [], frozenset({site}), redirector=False)
    through = f"root://{REDIRECTOR}/{KIT_ALONE}"
    assert changes == {address(KIT, BOTH): of_rucio(FNAL, BOTH), address(KIT, KIT_ALONE): through}
    (fileset,) = read_slice(rerouter.record.folder / "config_job_0.pkl")["filesets"].values()
    assert fileset["files"] == list(changes.values())
