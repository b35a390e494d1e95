"""A manual job with real XRootD servers: it delivers with a proxy; one that freezes does not hold it up."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from coffea.util import load

from ci.lab.services.data import catalogue
from ci.lab.services.xrootd import CLIENT_LIMITS, SITES
from pocket_coffea.errors import OptionError, ResultsRefused
from pocket_coffea.run.merge import MergeRequest, merge_outputs
from pocket_coffea.utils.output_file import load_output
from tests.unit.run.jobs import Jobs, write_analysis

DY, DATA = "DYJetsToLL_2018", "DATA_SingleMuon_2018_EraA"
EVENTS = 1000


class Sample(NamedTuple):
    """A file as the analysis wants it."""

    path: str
    n_events: int


@pytest.fixture
def addresses():
    """The addresses of a file with simulated events, at both sites."""
    file = next(each for each in catalogue() if len(each["sites"]) == len(SITES) and "DYJets" in each["lfn"])
    assert file["events"] == EVENTS
    return [f"root://{SITES[site].address}/{file['lfn']}" for site in ("kit", "fnal")]


@pytest.fixture
def jobs(shared_folder, addresses, monkeypatch):
    files = {DY: [Sample(addresses[0], EVENTS)], DATA: [Sample("/nothing.root", 1)]}
    config = write_analysis(shared_folder / "analysis", files)
    monkeypatch.setattr(Jobs, "variables", CLIENT_LIMITS)
    return Jobs(config, shared_folder / "jobs" / "job", read_seconds=20.0)


def only_dy(jobs, replicas):
    fileset = jobs.config.filesets[DY]
    return {DY: {**fileset, "replicas": {fileset["files"][0]: replicas}}}


def merges_from_the_server(jobs, address, place):
    """Merge the output that is there, of a campaign with a second job that has none."""
    jobs.config.save_config(jobs.output)
    wanted = {"job_0": {DY: {"files": [address]}}, "job_1": {DATA: {"files": ["/nothing.root"]}}}
    content = {
        "output_dir": place,
        "config_pkl_total": str(jobs.output / "configurator.pkl"),
        "jobs_list": {
            name: {"filesets": filesets, "output_file": f"{place}/output_{name}.coffea"}
            for name, filesets in wanted.items()
        },
    }
    (jobs.folder / "jobs_config.yaml").write_text(json.dumps(content))
    cache = jobs.output / "cache"
    with pytest.raises(ResultsRefused, match=rf"job_1: {place}/output_job_1\.coffea: no such file"):
        merge_outputs(MergeRequest(jobs_config=str(jobs.folder)))
    request = MergeRequest(jobs_config=str(jobs.folder), skip_check=True, cache_dir=str(cache))
    report = merge_outputs(request)
    assert report.outputs == [jobs.output / "output_merged.coffea"]
    assert load_output(report.outputs[0])["cutflow"]["initial"] == {DY: EVENTS}
    assert list(cache.iterdir()) == []
    files = [f"{place}/output_job_{job}.coffea" for job in (0, 1)]
    with pytest.raises(OptionError, match=r"output_job_1\.coffea is not there"):
        merge_outputs(MergeRequest(files=files, output=str(jobs.output / "two.coffea")))


def merges_to_the_server(command, server, folder, jobs):
    """Merge the output that is there into one beside it, twice."""
    first, target = (f"{server}/{folder}/{name}.coffea" for name in ("output_job_0", "merged"))
    request = MergeRequest(files=[first], output=target, cache_dir=str(jobs.output / "cache"))
    assert [str(path) for path in merge_outputs(request).outputs] == [target]
    with pytest.raises(ResultsRefused, match=rf"{target} already exists"):
        merge_outputs(request)
    merged = jobs.output / "merged.coffea"
    command("xrdcp", "--silent", target, merged)
    replaced = MergeRequest(files=[target, str(merged)], output=first, replace=True, force=True)
    assert merge_outputs(replaced).replaced == [DY]
    command("xrdcp", "--silent", "--force", first, merged)
    assert load_output(merged)["cutflow"]["initial"] == {DY: EVENTS}
    assert list((jobs.output / "cache").iterdir()) == []
    names = command("xrdfs", server, "ls", "-a", folder).split()
    assert sorted(names) == [f"{folder}/merged.coffea", f"{folder}/output_job_0.coffea"]
    command("xrdfs", server, "rm", f"{folder}/merged.coffea")


def test_an_output_goes_to_a_server_that_wants_a_proxy(jobs, command, addresses):
    server = f"root://{SITES['kit'].address}"
    folder = f"/store/user/physicist/{jobs.folder.parents[1].name}"
    jobs.write(way="xrootd", target=f"{server}/{folder}")
    jobs.add(0, only_dy(jobs, []))
    for attempt in (1, 2):  # the second replaces what the first has left
        ended = jobs.run(0, attempt=attempt)
        assert ended.code == 0, ended.text
    [about] = ended.report["outputs"]
    assert about["path"] == f"{server}/{folder}/output_job_0.coffea"
    assert command("xrdfs", server, "ls", "-a", folder).split() == [f"{folder}/output_job_0.coffea"]
    assert about["adler32"] in command("xrdfs", server, "query", "checksum", f"{folder}/output_job_0.coffea")
    copy = jobs.output / "copy.coffea"
    command("xrdcp", "--silent", about["path"], copy)
    assert load(str(copy))["cutflow"]["initial"] == {DY: EVENTS}
    merges_from_the_server(jobs, addresses[0], f"{server}/{folder}")
    merges_to_the_server(command, server, folder, jobs)
    command("xrdfs", server, "rm", f"{folder}/output_job_0.coffea")
    command("xrdfs", server, "rmdir", folder)


def test_a_server_that_freezes_does_not_hold_a_job_up(jobs, addresses, fault, until):
    jobs.add(0, only_dy(jobs, addresses[1:]))
    jobs.add(1, only_dy(jobs, []))
    logs = [jobs.output / f"chunks_{job}" for job in (0, 1)]
    started = [jobs.start(job, TEST_DO="1", TEST_LOG=str(logs[job])) for job in (0, 1)]
    until(lambda: all(log.exists() for log in logs), 60)
    fault("xrootd", "kit", "frozen", off=("xrootd", "kit", "up"))
    with_replica, without = (jobs.end(process, job) for job, process in enumerate(started))
    assert with_replica.code == 0, with_replica.text
    assert load(str(jobs.output / "output_job_0.coffea"))["cutflow"]["initial"] == {DY: EVENTS}
    assert without.code == 73, without.text
    for report in (with_replica.report, without.report):
        assert report["unreadable"] == addresses[:1], json.dumps(report)
