"""``parsl@SITE`` on real HTCondor and Slurm: the sites' own strings, equal to iterative to the bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from coffea.util import load

from ci.lab.process import run
from tests.lab.dask_runs import in_image
from tests.lab.parsl_runs import OPTIONS, SLURM, content, jobs, left_behind, provenance
from tests.lab.site_runs import golden_json

STRINGS = {"parsl@DESY": {}, "parsl@RWTH": {}, "parsl@CLAIX": SLURM}
pytestmark = pytest.mark.usefixtures("clean_queues")


@pytest.fixture
def options():
    return {**OPTIONS, "tree-reduction": 4}


@pytest.mark.parametrize("executor", ["parsl@DESY", "parsl@CLAIX"])  # test_sites.py has them all
def test_the_documented_string_gives_the_bits_of_iterative(
    analysis, expected, options, output, until, executor
):
    text = analysis.run(executor, output, options | STRINGS[executor])
    assert ">> Sending out jobs" in text
    assert ">> Waiting for the first job to start..." in text
    assert content(output) == expected()
    assert provenance(output)["executor"] == executor
    assert list((output / "logs_parsl" / "parsl_runinfo").iterdir())
    until(lambda: left_behind(output) == [], 15)


def test_files_that_the_workers_do_not_see_travel_by_htcondor(analysis, of_bare_worker, output, until):
    """The worker sees no folder of this machine: worker.sh, keys, task and files of the analysis travel."""
    binds = {"shared-folders": [], "apptainer-binds": ["/cvmfs"]}
    travelling = in_image(**binds, **{"extra-input-files": [golden_json(analysis)], "parsl-run-dir": None})
    del travelling["dask-worker-start-timeout"]
    analysis.run("parsl@RWTH", output, travelling)
    assert content(output) == of_bare_worker()
    assert load(output / "output_all.coffea")["cutflow"]["skim"]["DATA_SingleMuon_2018_EraA"] > 0
    (submit, *_) = output.glob("logs_parsl/parsl_runinfo/000/submit_scripts/*.submit")
    assert "/certificates" in submit.read_text()
    until(lambda: left_behind(output) == [], 15)


def test_slurm_needs_folders_that_the_workers_see(analysis, options, tmp_path):
    text = analysis.run("parsl@CLAIX", tmp_path / "out", options | SLURM, code=1)
    assert "Slurm transfers no files" in text
    assert str(tmp_path) in text
    assert jobs() == {}


def test_what_a_job_at_desy_asks_for(analysis, options, output, until):
    asked = options | {"disk-per-worker": "300MB", "scaleout": 1, "walltime": "1:30:00"}
    running = analysis.start("parsl@DESY", output, asked)
    until(lambda: jobs() or running.process.poll() is not None, 60)
    assert running.process.poll() is None, running.text
    (job,) = [name.partition(":")[2] for name in jobs()]
    words = ("RequestCpus", "RequestMemory", "RequestDisk", "RequestRuntime")
    found = run(["condor_q", job, "-af", *words], timeout=30).stdout
    assert found.split() == ["1", "954", "293888", "5400"]  # disk in KiB, time in seconds
    running.interrupt()
    assert running.end() == 130, running.text
    until(lambda: left_behind(output) == [], 15)


def test_what_a_slurm_job_asks_for(analysis, options, output, until):
    asked = options | {
        "slurm": {"partition": "c23ms", "account": "cms-top", "scheduler-options": "#SBATCH --comment=mine"},
        "srun-overrides": "--label",
        "cores-per-worker": 2,
        "max-workers-per-node": 1,
        "prefetch-capacity": 1,
        "nodes-per-block": 1,
        "scaleout": 1,
    }
    running = analysis.start("parsl@CLAIX", output, asked)
    until(lambda: running.says("the first worker is there"), 60)
    (job,) = [name.partition(":")[2] for name in jobs()]
    shown = run(["scontrol", "show", "job", job], timeout=30).stdout
    assert running.end() == 0, running.text
    for text in ("Account=cms-top", "Partition=c23ms", "TimeLimit=00:30:00", "Comment=mine", "CPUs/Task=2"):
        assert text in shown
    assert "MinMemoryNode=954M" in shown
    logs = list((output / "logs_parsl").glob("**/worker_*.log"))
    assert len(logs) == 1


def test_an_error_in_the_analysis_ends_the_run_with_its_traceback(analysis, options, output, until):
    folder = output.parent / "broken"
    shutil.copytree(analysis.config.parent, folder)
    workflow = (folder / "workflow.py").read_text()
    name = "apply_object_preselection(self, variation):"
    assert name in workflow
    broken = workflow.replace(name, f"{name}\n        raise ValueError('no muons today')")
    (folder / "workflow.py").write_text(broken)
    argv = analysis.argv("parsl@CLAIX", output, options | SLURM)
    argv[argv.index("--cfg") + 1] = str(folder / "config.py")
    done = run(argv, cwd=folder, timeout=240, check=False)
    assert done.returncode == 3
    assert "no muons today" in done.stdout
    assert "workflow.py" in done.stdout
    until(lambda: left_behind(output) == [], 15)


# -- nothing starts


def test_a_partition_that_does_not_exist_is_named_at_once(analysis, options, output):
    site = output.parent / "aachen.yaml"
    text = Path("/project/sites/CLAIX.yaml").read_text()
    site.write_text(text.replace("name: CLAIX", "name: aachen").replace("c23ms", "nowhere"))
    more = ("--site-file", str(site))
    said = analysis.run("parsl@aachen", output, options | SLURM, *more, code=3)
    assert "could not be submitted" in said
    assert "invalid partition specified: nowhere" in said
    assert left_behind(output) == []


def test_jobs_that_match_no_machine_end_with_the_reason(analysis, options, output):
    never = options | {"requirements": 'TARGET.Machine == "moon.site"', "parsl-worker-start-timeout": 20}
    said = analysis.run("parsl@RWTH", output, never, code=3)
    assert "No worker has started for" in said
    assert "job" in said
    assert left_behind(output) == []


def test_workers_that_end_at_once_end_the_run_with_their_last_words(analysis, options, output):
    failing = options | SLURM | {"custom-setup-commands": ["export FINE=1", "ls /nonexistent-folder"]}
    said = analysis.run("parsl@CLAIX", output, failing, code=3)
    assert "batch jobs could not start a worker" in said
    assert "nonexistent-folder" in said
    assert left_behind(output) == []


def test_several_groups_use_the_same_workers(analysis, options, output):
    said = analysis.run("parsl@CLAIX", output, options | SLURM, "--process-separately")
    assert said.count(">> Sending out jobs") == 1
    assert len(list(output.glob("output_*.coffea"))) == 3
    assert left_behind(output) == []
