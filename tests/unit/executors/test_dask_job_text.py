from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.batch_request import BatchRequest
from pocket_coffea.executors.dask_job_plan import JobPlan
from pocket_coffea.executors.dask_job_text import condor_arguments, slurm_script, submit_file

REQUEST = BatchRequest(cores=2, memory=2000, disk=300, queue="short", seconds=3600)


@pytest.fixture
def plan(make_site, tmp_path):
    """Return ``plan(batch=..., ...)``: the jobs of a run at a site with these properties."""

    def make(request=REQUEST, logs=tmp_path / "logs", directives=(), **site):
        setup = SimpleNamespace(
            site=make_site(**site),
            environment=SimpleNamespace(batch_image="/images/a b.sif", python="python"),
            files=(tmp_path / "worker.sh", tmp_path / "dask-worker.key"),
            logs=Path(logs),
            command=lambda argv, transferred: ["bash", "worker.sh" if transferred else "/x/worker.sh", *argv],
        )
        return JobPlan(setup, request, run="abc", directives=dict(directives))

    return make


def lines_of(text):
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


def test_a_submit_file(plan, tmp_path):
    directives = {"MY.SendCredential": "True"}
    made = plan(batch="htcondor", queue_directive="+JobFlavour", directives={"x": "1"})
    made.setup.site = replace(made.setup.site, directives=directives)
    text = submit_file(made, "tls://here:8786", "name-0")
    lines = lines_of(text)
    assert text.endswith("queue\n")
    assert lines["executable"] == "/usr/bin/env"
    assert lines["arguments"].startswith(
        '"bash worker.sh python -m pocket_coffea.executors.dask_worker tls://'
    )
    assert "--nworkers 2 --nanny --memory-limit 1000MiB" in lines["arguments"]
    assert "--lifetime 3300s" in lines["arguments"]
    assert lines["transfer_input_files"] == f"{tmp_path}/worker.sh,{tmp_path}/dask-worker.key"
    assert lines["MY.SingularityImage"] == '"/images/a b.sif"'
    assert (lines["request_cpus"], lines["request_memory"], lines["request_disk"]) == (
        "2",
        "2000 MB",
        "300 MB",
    )
    assert (lines["+JobFlavour"], lines["MY.SendCredential"], lines["x"]) == ('"short"', "True", "1")
    assert lines["MY.PocketCoffeaRun"] == '"abc"'


@pytest.mark.parametrize("directive", ["+MaxRuntime", "+RequestRuntime"])
def test_a_queue_by_its_seconds(plan, directive):
    lines = lines_of(submit_file(plan(batch="htcondor", queue_directive=directive), "tls://a", "b"))
    assert lines[directive] == "3600"


def test_a_site_without_queues_and_disk(plan):
    request = BatchRequest(cores=1, memory=2000, disk=None, queue="", seconds=None)
    text = submit_file(plan(request, batch="htcondor", queue_directive=""), "tls://a", "b")
    assert "request_disk" not in text
    assert "Runtime" not in text
    assert "--lifetime" not in text


@pytest.mark.parametrize("name", ["a,b", "a$b", 'a"b'])
def test_a_path_that_a_submit_file_cannot_say(plan, tmp_path, name):
    with pytest.raises(ConfigurationError, match="cannot say"):
        submit_file(plan(logs=tmp_path / name, batch="htcondor"), "tls://a", "b")


def test_a_script_for_sbatch(plan, tmp_path):
    text = slurm_script(
        plan(directives={"constraint": "zen4", "exclusive": True}), "tls://here:8786", "name-0"
    )
    options = [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")]
    for expected in ("--partition=short", "--time=1:00:00", "--cpus-per-task=2", "--mem=2000M", "--tmp=300M"):
        assert expected in options
    assert {"--constraint=zen4", "--exclusive", "--no-requeue", "--job-name=pocket-coffea-abc"} < set(options)
    assert f'--chdir="{tmp_path}/logs"' in options  # the current folder is not shared
    assert f'--error="{tmp_path}/logs/worker-%j.err"' in options
    assert "'{here}/dask-worker.key'" in text


def test_the_current_folder_is_kept_where_workers_see_it(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "--chdir" not in slurm_script(plan(), "tls://a", "b")


def test_arguments_come_through_a_shell_and_condor(plan):
    words = ["a b", "it's", 'say "x"', "", "plain"]
    assert condor_arguments(words) == "\"'a b' 'it''s' 'say \"\"x\"\"' '' plain\""
    script = slurm_script(plan(), "tls://a", "it's $HOME").splitlines()[-1].removeprefix("exec ")
    said = subprocess.run(
        ["bash", "-c", f"printf '%s|' {script}"], capture_output=True, text=True, check=True
    )
    assert "|it's $HOME|" in said.stdout
    with pytest.raises(ConfigurationError, match="cannot say"):
        condor_arguments(["a\nb"])
