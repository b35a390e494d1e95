"""How jobs use their site: where outputs go, and what the batch system is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket_coffea.batch.submit_file import condor_submit_text
from pocket_coffea.batch.tasks import Task, Template
from pocket_coffea.errors import ConfigurationError, OptionError
from pocket_coffea.executors.jobs.template import find_place, job_resources, job_template, with_binds
from pocket_coffea.executors.worker_environment import WorkerEnvironment
from pocket_coffea.sites.book import SiteBook
from pocket_coffea.sites.site import Container, Storage

EOS = (Storage("/eos/user", "root://eosuser.cern.ch/"), Storage("/eos/cms", "root://eoscms.cern.ch/"))


@pytest.mark.parametrize(
    ("output", "way", "target"),
    [
        ("/eos/user/m/me/out", "xrootd", "root://eosuser.cern.ch//eos/user/m/me/out"),
        ("/eos/cms/store/out", "xrootd", "root://eoscms.cern.ch//eos/cms/store/out"),
        ("root://server.org:1094//store/out/", "xrootd", "root://server.org:1094//store/out"),
        ("/shared/out", "copy", "/shared/out"),
        ("/home/me/out", "transfer", "/home/me/out"),
        ("/eos/users/out", "transfer", "/eos/users/out"),
    ],
)
def test_the_way_of_outputs(make_site, output, way, target):
    site = make_site(batch="htcondor", shared=("/shared",), storage=EOS)
    place = find_place(site, {}, Path("/shared/jobs/job"), output)
    assert (place.delivery.way, place.delivery.target) == (way, target)
    assert place.flags == (way != "transfer")


def test_the_prefix_of_the_user_wins(make_site):
    site = make_site(batch="htcondor", storage=EOS)
    place = find_place(site, {"eos-prefix": "root://mine.cern.ch/"}, Path("/x/job"), "/eos/cms/store")
    assert place.delivery.target == "root://mine.cern.ch//eos/cms/store"
    with pytest.raises(OptionError, match="eos-prefix = 'eosuser': give the address of a server"):
        find_place(site, {"eos-prefix": "eosuser"}, Path("/x/job"), "/eos/cms/store")


def test_jobs_that_do_not_reach_their_folder_set_no_flags(make_site):
    site = make_site(batch="htcondor", shared=("/shared",), storage=EOS)
    assert not find_place(site, {}, Path("/home/me/job"), "/eos/user/m").flags
    assert not find_place(site, {}, Path("/home/me/job"), "/shared/out").flags


@pytest.mark.parametrize(("folder", "output"), [("/home/job", "/shared/o"), ("/shared/job", "/home/o")])
def test_slurm_transfers_nothing(make_site, folder, output):
    site = make_site(shared=("/shared",))
    with pytest.raises(ConfigurationError, match=r"folder /home/\w+ is not seen by the workers of here"):
        find_place(site, {}, Path(folder), output)


def test_a_malformed_address_is_refused(make_site):
    with pytest.raises(ConfigurationError, match="an address of outputs is root://server//folder"):
        find_place(make_site(), {}, Path("/x/job"), "https://server/out")


def test_an_address_that_is_mounted_is_seen(make_site, tmp_path):
    site = make_site(batch="htcondor", storage=(Storage(str(tmp_path), "root://server/"),))
    place = find_place(site, {}, tmp_path / "job", f"root://server/{tmp_path}/out")
    assert place.outdir_local == f"{tmp_path}/out"
    assert find_place(site, {}, tmp_path / "job", f"root://other/{tmp_path}/out").outdir_local is None


def test_what_is_transferred(make_site):
    site = make_site(batch="htcondor", shared=(), storage=EOS)
    place = find_place(site, {}, Path("/home/job"), "/home/out")
    template = job_template(site, {}, place, WorkerEnvironment("given"), ["job.json"], "name")
    assert template.inputs[:2] == ("config_job_{job}.pkl", "job.json")
    assert template.inputs[2] == "checkpoints/job_{job}_checkpoints.tar"
    assert "job_{job}_outputs.tar" in template.outputs
    reached = find_place(make_site(batch="htcondor", shared=("/home",)), {}, Path("/home/job"), "/home/out")
    template = job_template(site, {}, reached, WorkerEnvironment("given"), ["job.json"], "name")
    assert template.outputs == ()


def test_folders_of_the_jobs_are_bound_into_the_image(make_site):
    site = make_site(shared=("/",), container=Container("apptainer", ("/cvmfs",)))
    place = find_place(site, {}, Path("/data/jobs/job"), "/data/out")
    assert with_binds(site, place).container.binds == ("/cvmfs", "/data/jobs", "/data/out")


def test_resources_of_a_site():
    book = SiteBook()
    rubin = job_resources(book.get("rubin"), book.get("rubin").executors["condor"])
    assert (rubin.queue, rubin.seconds, rubin.memory_mb) == ("", 21600, 3815)
    lpc = job_resources(book.get("lpc"), {**book.get("lpc").executors["condor"], "max-run-time": 600})
    assert (lpc.queue, lpc.seconds) == ("workday", 600)


def test_htcondor_starts_jobs_again_as_often_as_was_wanted(make_site):
    site = make_site(batch="htcondor", shared=("/",))
    place = find_place(site, {}, Path("/x/job"), "/x/out")
    lines = [
        job_template(site, options, place, WorkerEnvironment("given"), [], "name").directives
        for options in ({"max-retries": 3}, {"max-retries": 0}, {})
    ]
    assert lines[0]["max_retries"] == "3"
    assert "ExitCode =?= 76" in lines[0]["retry_until"]
    assert "74" not in lines[0]["retry_until"]
    assert all("max_retries" not in each for each in lines[1:])


def test_custom_lines_of_slurm_are_options(make_site):
    site = make_site(shared=("/",))
    place = find_place(site, {}, Path("/x/job"), "/x/out")
    options = {"custom-sbatch-options": ["--exclude=node3", "#SBATCH --constraint zen4"], "qos": "light"}
    template = job_template(site, options, place, WorkerEnvironment("given"), [], "name")
    assert template.directives == {"qos": "light", "exclude": "node3", "constraint": "zen4"}
    with pytest.raises(OptionError, match="custom-sbatch-options: 'rm -rf' is not --name=value"):
        job_template(site, {"custom-sbatch-options": ["rm -rf"]}, place, WorkerEnvironment("given"), [], "n")


def test_a_schedd_outside_of_the_container_gets_its_own_paths(make_site):
    site = make_site(batch="htcondor", shared=())

    def text(folder, **options):
        place = find_place(site, {}, Path(folder), "/srv/out")
        environment = WorkerEnvironment("given", batch_image="/srv/my.sif")
        template = job_template(site, options, place, environment, [], "n")
        return condor_submit_text(Template.from_mapping(template.as_mapping()), [Task(0, 1, ("0",))])

    translated = text("/srv/a b/job", **{"host-path-prefix": "/uscms_data/me/"}).splitlines()
    for line in (
        "initialdir = /srv/a b/job",
        'MY.Iwd = "/uscms_data/me/a b/job"',
        'MY.Cmd = "/uscms_data/me/a b/job/job.sh"',
        'MY.UserLog = "/uscms_data/me/a b/job/logs/job_$(ClusterId).log"',
        'MY.SingularityImage = "/uscms_data/me/my.sif"',
    ):
        assert line in translated
    here = make_site(batch="htcondor", shared=("/",))
    place = find_place(here, {"host-path-prefix": "/data"}, Path("/srv/job"), "/srv/out")
    assert (place.flags, place.delivery.way) == (False, "transfer")
    assert "MY.Iwd" not in text("/srvice/job", **{"host-path-prefix": "/uscms_data/me"})
    assert "MY.Iwd" not in text("/srv/job")
    with pytest.raises(OptionError, match="host-path-prefix = uscms: give the path"):
        text("/srv/job", **{"host-path-prefix": "uscms"})
