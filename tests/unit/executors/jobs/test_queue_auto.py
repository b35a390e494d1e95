"""Timings in a jobs folder: jobs of a given time, each in its own queue, as ``run`` prepares them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.errors import OptionError
from pocket_coffea.executors.jobs.record import CampaignRecord
from pocket_coffea.executors.jobs.timing import Timing, write_timing
from pocket_coffea.run.options import merge_run_options
from tests.unit.executors.proxies import make_proxy

OPTIONS = {"local-virtualenv": True, "submit-hosts": [], "shared-folders": ["/"], "dry-run": True}
DY, DATA = "DYJetsToLL_2018", "DATA_SingleMuon_2018_EraA"


@pytest.fixture
def run(analysis, tmp_path, monkeypatch) -> Any:
    """Return ``run("condor@lxplus", {option: value}, code=0)``, which gives the record, or what was said."""
    monkeypatch.setenv("X509_USER_PROXY", str(make_proxy(tmp_path / "x509up_u0", 864000)))
    monkeypatch.chdir(tmp_path)

    def run(executor: str, more: dict[str, Any], code: int = 0) -> Any:
        file = tmp_path / "options.yaml"
        file.write_text(yaml.safe_dump({**OPTIONS, **more}))
        result = CliRunner().invoke(
            main, ["run", "--cfg", str(analysis), "-o", "out", "-e", executor, "-ro", str(file)]
        )
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result.output if code else CampaignRecord.read(tmp_path / "out" / "job")

    return run


@pytest.fixture
def timings(analysis) -> Path:
    """DY takes 3000 s for each of its 3 files, data 5 s for each of its 2."""
    folder = analysis.parent / "timeit"
    for name, rate in ((DY, 0.1), (DATA, 10.0)):
        write_timing(folder, Timing(name, name, 100, 2, 100 / rate, 50, "another", "node", "2026-01-01"))
    return folder


@pytest.mark.usefixtures("timings")
def test_every_job_is_in_its_queue(run, tmp_path):
    record = run("condor@lxplus", {"queue": "auto", "max-events-per-job": {"default": 300}})
    assert [record.resources_of(job).queue for job in range(4)] == [*["longlunch"] * 3, "espresso"]
    assert record.resources.seconds == 7200
    content = json.loads((tmp_path / "out" / "job" / "campaign.json").read_text())
    assert list(content["exceptions"]) == ["3"]
    assert (content["exceptions"]["3"]["queue"], content["exceptions"]["3"]["seconds"]) == ("espresso", 1200)
    text = (tmp_path / "out" / "job" / "jobs_all.sub").read_text()
    assert '+JobFlavour = "$(queue)"' in text
    for job, queue in enumerate(["longlunch, 7200", "longlunch, 7200", "longlunch, 7200", "espresso, 1200"]):
        assert f"\n{job}, {queue}, " in text
    assert '+JobFlavour = "espresso"' in (tmp_path / "out" / "job" / "job_3.sub").read_text()
    log = (tmp_path / "out" / "logfile.log").read_text()
    assert "2 of 2 datasets were measured with another configuration" in log


@pytest.mark.usefixtures("timings")
def test_a_script_of_slurm_for_each_queue(run, tmp_path):
    run("slurm@T3_CH_PSI", {"queue": "auto", "max-events-per-job": {"default": 300}})
    folder = tmp_path / "out" / "job"
    scripts = {path.name: path.read_text() for path in folder.glob("jobs_all*.slurm")}
    assert sorted(scripts) == ["jobs_all_quick.slurm", "jobs_all_standard.slurm"]
    assert "#SBATCH --time=60" in scripts["jobs_all_quick.slurm"].splitlines()
    assert "#SBATCH --partition=standard" in scripts["jobs_all_standard.slurm"].splitlines()
    assert "#SBATCH --array=0-2" in scripts["jobs_all_standard.slurm"].splitlines()


@pytest.mark.usefixtures("timings")
@pytest.mark.parametrize(
    ("options", "jobs"),
    [
        ({"target-time": "1h"}, [(DY, 1), (DY, 1), (DY, 1), (DATA, 2)]),
        ({"target-time": "2h"}, [(DY, 1), (DY, 2), (DATA, 2)]),
        ({"scaleout": 1}, [(DY, 3), (DATA, 2)]),
    ],
    ids=str,
)
def test_jobs_by_time(run, options, jobs):
    record = run("condor@lxplus", {"queue": "workday", **options})
    assert sorted((part.dataset, part.files) for job in record.jobs for part in job.datasets) == sorted(jobs)
    assert all(len(job.datasets) == 1 for job in record.jobs)


@pytest.mark.usefixtures("timings")
def test_nothing_is_left_behind_by_jobs_that_are_too_long(run, tmp_path):
    said = run("condor@lxplus", {"scaleout": 1, "dry-run": False, "queue": "microcentury"}, code=1)
    assert "may not fit in the microcentury queue" in said
    assert "allow-long-jobs" in said
    assert not (tmp_path / "out" / "job").exists()


def test_auto_without_timings(run, analysis, tmp_path):
    said = run("condor@lxplus", {"queue": "auto", "scaleout": 2}, code=1)
    assert "--timeit" in said
    assert str(analysis.parent / "timeit") in said.replace("\n", "")
    assert not (tmp_path / "out" / "job").exists()


def test_auto_is_for_manual_jobs():
    assert merge_run_options("condor@lxplus", flags={"queue": "auto"})["queue"] == "auto"
    with pytest.raises(OptionError, match="'auto' is not in the ladder of lxplus"):
        merge_run_options("dask@lxplus", flags={"queue": "auto"})
