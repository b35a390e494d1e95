"""A jobs folder from end to end, as ``pocket-coffea run`` makes it without submitting."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.cli.main import main
from pocket_coffea.executors.jobs.facts import JobFacts
from pocket_coffea.executors.jobs.payload import load_slice, sha256_of
from pocket_coffea.executors.jobs.record import CampaignRecord
from pocket_coffea.run.merge_jobs import read_jobs
from tests.unit.executors.proxies import make_proxy

OPTIONS = {
    "local-virtualenv": True,
    "submit-hosts": [],
    "shared-folders": ["/"],
    "dry-run": True,
    "max-events-per-job": {"default": 300},
}


@pytest.fixture
def prepare(analysis, tmp_path, monkeypatch) -> Any:
    """Return ``prepare("condor@lxplus", output, {option: value}, code=0)``, which gives what was printed."""
    monkeypatch.setenv("X509_USER_PROXY", str(make_proxy(tmp_path / "x509up_u0", 864000)))
    monkeypatch.chdir(tmp_path)

    def run(
        executor: str, output: str | Path = "out", more: dict[str, Any] | None = None, code: int = 0
    ) -> str:
        file = tmp_path / "options.yaml"
        file.write_text(yaml.safe_dump({**OPTIONS, **(more or {})}))
        words = ["run", "--cfg", str(analysis), "-o", str(output), "-e", executor, "-ro", str(file)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result.output

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_folder_has_the_documented_files(prepare, tmp_path):
    said = prepare("condor@lxplus")
    folder = tmp_path / "out" / "job"
    assert "Dry run, not submitting jobs. You can find all files: " in said
    jobs = range(4)  # three files of DY with 300 events each, then data with 100
    documented = {
        f"{name}_{job}.{end}" for job in jobs for name, end in (("config_job", "pkl"), ("job", "sub"))
    }
    documented |= {f"job_{job}.idle" for job in jobs}
    documented |= {"jobs_config.yaml", "jobs_all.sub", "job.sh", "inner_run_options.yaml", "logs"}
    assert documented <= names(folder)
    assert sorted(path.name for path in folder.parent.iterdir() if path.is_dir()) == ["job"]
    for secret in ("x509up",):
        assert stat.S_IMODE((folder / secret).stat().st_mode) == 0o600
    assert yaml.safe_load((folder / "inner_run_options.yaml").read_text())["tree-reduction"] == 20


def test_what_is_kept_of_the_campaign(prepare, tmp_path):
    prepare(
        "condor@lxplus", more={"job-name": "v 3", "jobs-dir": str(tmp_path / "my jobs"), "queue": "workday"}
    )
    folder = tmp_path / "my jobs" / "v 3"
    record = CampaignRecord.read(folder)
    assert (record.executor, record.system, record.name) == ("condor@lxplus", "htcondor", "v 3")
    assert (record.resources.queue, record.resources.seconds) == ("workday", 28800)
    assert record.resources.disk_mb > 1800
    assert record.delivery.way == "copy"
    assert record.delivery.target == str(tmp_path / "out")
    assert [job.files for job in record.jobs] == [1, 1, 1, 2]
    campaign = Campaign(folder)
    assert len(campaign.jobs) == 4
    facts = JobFacts.read(folder / "job.json")
    assert facts.campaign == campaign.id
    assert facts.payload_sha256 == record.payload_sha256
    assert facts.folder == str(folder)
    assert load_slice(folder / "config_job_3.pkl").datasets == ["DATA_SingleMuon_2018_EraA"]


def test_the_submit_file_of_lxplus(prepare, tmp_path):
    prepare(
        "condor@lxplus", more={"notify-user": "me@cern.ch", "requirements": 'OpSysAndVer == "AlmaLinux9"'}
    )
    text = (tmp_path / "out" / "job" / "jobs_all.sub").read_text()
    for line in (
        "MY.SendCredential = True",
        '+JobFlavour = "microcentury"',
        "request_cpus = 1",
        "should_transfer_files = YES",
        "when_to_transfer_output = ON_EXIT",
        'transfer_output_files = ""',
        "notify_user = me@cern.ch",
        'requirements = OpSysAndVer == "AlmaLinux9"',
        "want_graceful_removal = True",
    ):
        assert line in text.splitlines(), text
    inputs = next(line for line in text.splitlines() if line.startswith("transfer_input_files"))
    for name in ("config_job_$(job).pkl", "configurator.pkl", "job.json", "inner_run_options.yaml", "x509up"):
        assert name in inputs
    digest = sha256_of(tmp_path / "out" / "job" / "config_job_2.pkl")
    assert 'arguments = "$(job) config_job_$(job).pkl $(args) 150000 1 3600 1"' in text
    assert f"\n2, {digest}\n" in text
    one = (tmp_path / "out" / "job" / "job_2.sub").read_text()
    assert f'arguments = "2 config_job_2.pkl {digest} 150000 1 3600 1"' in one
    assert one.endswith("queue job from (\n2\n)\n")


def test_rubin_has_a_run_time_instead_of_a_queue(prepare, tmp_path):
    prepare("condor@rubin")
    text = (tmp_path / "out" / "job" / "jobs_all.sub").read_text()
    assert "+MaxRuntime = 21600" in text


def test_slurm_has_arrays(prepare, tmp_path):
    more = {
        "account": "cms",
        "max-concurrent-jobs": 2,
        "custom-sbatch-options": ["#SBATCH --constraint=zen4"],
    }
    prepare("slurm@T3_CH_PSI", more=more)
    text = (tmp_path / "out" / "job" / "jobs_all.slurm").read_text()
    for line in ("#SBATCH --array=0-3%2", "#SBATCH --account=cms", "#SBATCH --constraint=zen4"):
        assert line in text.splitlines(), text
    assert "#SBATCH --partition=standard" in text
    assert "#SBATCH --time=360" in text
    assert "job_0.slurm" in names(tmp_path / "out" / "job")


def test_merging_reads_the_folder(prepare, tmp_path):
    prepare("condor@lxplus")
    jobs = read_jobs(tmp_path / "out" / "job")
    assert list(jobs.jobs) == ["job_0", "job_1", "job_2", "job_3"]
    assert jobs.jobs["job_1"].output == tmp_path / "out" / "output_job_1.coffea"
    assert jobs.configuration == tmp_path / "out" / "configurator.pkl"
    assert {name: list(files) for name, files in jobs.jobs["job_3"].planned.items()} == {
        "DATA_SingleMuon_2018_EraA": [
            f"root://server//store/DATA_SingleMuon_2018_EraA/{k}.root" for k in (0, 1)
        ]
    }
    raw = yaml.safe_load((tmp_path / "out" / "job" / "jobs_config.yaml").read_text())
    entry = raw["jobs_list"]["job_0"]["filesets"]["DYJetsToLL_2018"]
    assert entry["metadata"]["sample"] == "DYJetsToLL"
    assert entry["files"] == ["root://server//store/DYJetsToLL_2018/0.root"]


def test_an_old_jobs_folder_is_not_touched(prepare, tmp_path):
    prepare("condor@lxplus")
    before = names(tmp_path / "out" / "job")
    said = prepare("condor@lxplus", code=1)
    assert "already exists. Please clean it up before running the jobs" in said
    assert names(tmp_path / "out" / "job") == before


def test_nothing_given_is_a_question(prepare, tmp_path):
    said = prepare("condor@lxplus", more={"max-events-per-job": None}, code=1)
    assert "Into how many jobs? 2 datasets with 1,000 events in 5 files" in " ".join(said.split())
    assert not (tmp_path / "out" / "job").exists()


@pytest.mark.parametrize("output", ["out put", "o'u\"t", "aüs,gabe", "a;b $(c)", "back\\"])
def test_odd_names_of_folders_work(prepare, tmp_path, output):
    prepare("condor@lxplus", tmp_path / output)
    folder = tmp_path / output / "job"
    assert CampaignRecord.read(folder).delivery.target == str(tmp_path / output)
    assert read_jobs(folder).jobs["job_0"].output == tmp_path / output / "output_job_0.coffea"


@pytest.mark.parametrize("name", ["a\nb", "a$$b"])
def test_names_that_cannot_be_written_are_refused_by_name(prepare, tmp_path, name):
    said = prepare("condor@lxplus", tmp_path / name, code=1)
    assert repr(name)[1:-1] in said.replace("\n", "")
    assert not list((tmp_path / name).glob("*job*"))


@pytest.mark.parametrize("name", ["a/b", "..", ""])
def test_the_job_name_is_the_name_of_a_folder(prepare, name):
    said = prepare("condor@lxplus", more={"job-name": name}, code=1 if name else 0)
    assert not name or "job-name" in said


def test_an_address_for_outputs(prepare, tmp_path):
    target = "root://eosuser.cern.ch//eos/user/x/xyz/a b"
    said = prepare("condor@lxplus", target, code=1)
    assert "Give the run option jobs-dir, too" in said
    prepare("condor@lxplus", target, {"jobs-dir": str(tmp_path / "here")})
    record = CampaignRecord.read(tmp_path / "here" / "job")
    assert (record.delivery.way, record.delivery.target) == ("xrootd", target)
    assert (tmp_path / "here" / "configurator.pkl").is_file()
    assert not (tmp_path / "root:").exists()


def test_the_server_of_an_output_path_is_that_of_the_site(prepare, tmp_path):
    prepare("condor@lxplus", more={"eos-prefix": "root://eosother.cern.ch/"})
    facts = json.loads((tmp_path / "out" / "job" / "job.json").read_text())
    assert ["/eos/cms", "root://eosother.cern.ch/"] in facts["storage"]


def test_a_proxy_is_needed_for_remote_files(prepare, monkeypatch, tmp_path):
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "none"))
    said = prepare("condor@lxplus", code=1)
    assert "voms-proxy-init" in said
    assert not (tmp_path / "out" / "job").exists()


def test_process_separately_is_not_for_jobs(analysis, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["run", "--cfg", str(analysis), "-o", "out", "-e", "jobs@local", "-ps"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert "--process-separately is not for jobs@local" in " ".join(result.output.split())
