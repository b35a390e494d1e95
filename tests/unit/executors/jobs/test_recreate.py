"""``run --recreate-jobs``: once, through the engine of check-jobs, without reading the configuration."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.errors import CommandFailed
from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC
from pocket_coffea.executors.jobs.payload import read_slice
from pocket_coffea.executors.jobs.recreate import recreate
from pocket_coffea.executors.jobs.timing import Timing, write_timing
from pocket_coffea.executors.jobs.watching import Watching, Wishes
from tests.unit.executors.jobs.campaigns import make_campaign, records, started


@pytest.fixture
def output(tmp_path):
    """Return an output folder whose job 0 is done and whose job 1 was given up."""
    folder = tmp_path / "out"
    plans = [["deliver"], ["fail 76 'ValueError: x'", "deliver"]]
    make_campaign(folder / "job", plans, files=["root://a.site:1094//store/x{job}.root"])
    wait_for(folder / "job", lambda seen: seen.given_up and seen.counts["done"], resubmit=True)
    return folder


def wait_for(folder: Path, condition, *, resubmit: bool = False):
    deadline = time.monotonic() + 30
    with Watching(folder, Wishes(resubmit=resubmit, max_resubmit=0), acting=resubmit) as watching:
        while not condition(watching.look()):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def run(output: Path, *words: str):
    arguments = ["run", "--cfg", "no_such_config.py", "-o", str(output), "-e", "condor@lxplus", *words]
    return CliRunner().invoke(main, arguments)


def test_failed_jobs_are_sent_again_from_the_command_line(output):
    result = run(output, "--recreate-jobs=auto", "--recreate-queue=workday")
    assert result.exit_code == 0, result.output
    assert "Resubmitted job_1" in result.output
    assert "check-jobs -j" in result.output
    wait_for(output / "job", lambda seen: seen.counts["done"] == 2)
    assert sorted(started(output / "job")) == [(0, 1), (1, 1), (1, 2)]
    assert records(output / "job", "submitting")[-1]["resources"][0]["queue"] == "workday"
    again = run(output, "--recreate-jobs=auto")
    assert again.exit_code == 4
    assert "All jobs probably succeeded!" in again.output


def test_all_files_through_the_redirector(output):
    assert run(output, "--recreate-jobs=job_1", "--use-redirector").exit_code == 0
    filesets = read_slice(output / "job" / "config_job_1.pkl")["filesets"]
    assert [file for each in filesets.values() for file in each["files"]] == [
        "root://xrootd-cms.infn.it//store/x1.root"
    ]
    wait_for(output / "job", lambda seen: seen.counts["done"] == 2)


def test_what_has_no_effect_on_jobs_of_an_earlier_submission_is_said(output):
    words = ("--queue", "workday", "--mem-per-worker=4GB", "--filter-datasets", "x", "-e", "condor@rubin")
    result = run(output, "--recreate-jobs=job_1", *words)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "No effect on jobs that are sent again: --filter-datasets, --mem-per-worker, --queue." in said
    assert "are of condor@lab: they are sent there, not with condor@rubin" in said
    assert "They keep the configuration that they were submitted with" in said
    wait_for(output / "job", lambda seen: seen.counts["done"] == 2)


@pytest.mark.parametrize(
    "words", [("--blocklist-sites", "A"), ("--use-redirector",), ("--recreate-queue", "workday")]
)
def test_options_of_sending_again_are_refused_for_a_first_submission(tmp_path, words):
    result = run(tmp_path / "out", "--scaleout", "2", *words)
    assert result.exit_code == 1, result.output
    assert f"{words[0][2:]} concerns jobs that are sent again; add --recreate-jobs=auto" in " ".join(
        result.output.split()
    )


def test_those_of_a_file_have_no_effect_on_a_first_submission(tmp_path):
    options = tmp_path / "options.yaml"
    options.write_text("use-redirector: true\n")
    result = run(tmp_path / "out", "--scaleout", "2", "-ro", str(options))
    said = " ".join(result.output.split())
    assert f"{options}" in said
    assert "use-redirector concerns jobs that are sent again; it has no effect" in said
    assert "condor@lxplus runs on a machine of lxplus" in said, "it went on"


def test_a_dry_run_sends_nothing(output):
    result = run(output, "--recreate-jobs=auto", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "would be sent again: 1" in result.output
    assert len(started(output / "job")) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--recreate-jobs=7"], 1, "jobs 7 are not in"),
        (["--recreate-jobs=all"], 1, "give auto, or numbers"),
        (["--recreate-jobs=auto", "--job-name=other", "--jobs-dir=/nowhere"], 1, "There is no folder"),
        (["--recreate-jobs=auto", "--blocklist-sites=root://a.site//"], 1, "not addresses"),
    ],
)
def test_what_cannot_be_sent_is_said(output, words, code, said):
    result = run(output, *words)
    assert result.exit_code == code, result.output
    assert said in result.output


def test_a_batch_system_that_takes_nothing(output, monkeypatch):
    from pocket_coffea.batch.local import LocalProcesses
    from pocket_coffea.batch.systems import Submission

    monkeypatch.setattr(
        LocalProcesses,
        "submit",
        lambda self, tag, tasks: Submission({}, {task.job: "closed" for task in tasks}),
    )
    with pytest.raises(CommandFailed, match="accepted none"):
        recreate(output, {"recreate-jobs": ["1"]})


def test_the_method_of_a_factory(output):
    class Factory(ExecutorFactoryManualABC):
        site = "lxplus"

    factory = Factory({"ignore-grid-certificate": True}, outputdir=str(output))
    factory.recreate_jobs("1")
    wait_for(output / "job", lambda seen: seen.counts["done"] == 2)


@pytest.fixture
def failed(tmp_path):
    """Return a folder of four failed jobs: of each sample one that failed, and one at its time limit."""
    failures = [["fail 76 'ValueError: x'", "deliver"]] * 2 + [["fail 75 'time is up'", "deliver"]] * 2
    options = {"timeit-dir": str(tmp_path / "timeit")}
    record = make_campaign(tmp_path / "out" / "job", failures, options=options)
    wait_for(record.folder, lambda seen: seen.is_over, resubmit=True)
    return record.folder


def test_a_queue_for_each_job_by_what_was_measured(failed, tmp_path):
    for sample, rate in (("DY", 1000.0), ("TTbar", 25.0)):  # 1000 events take 1 s and 40 s
        name = f"{sample}_2018"
        write_timing(tmp_path / "timeit", Timing(name, sample, 100, 1, 100 / rate, 100, "x", "node", "now"))
    result = run(failed.parent, "--recreate-jobs=auto", "--recreate-queue=auto")
    assert result.exit_code == 0, result.output
    sent = records(failed, "submitting")[-1]
    queues = {job: sent["resources"][index]["queue"] for job, _, index in sent["tasks"]}
    # the forecast was wrong for job 2, which has been stopped in espresso
    assert queues == {0: "espresso", 1: "longlunch", 2: "longlunch", 3: "longlunch"}


def test_without_a_measurement_no_queue_can_be_chosen(failed):
    result = run(failed.parent, "--recreate-jobs=auto", "--recreate-queue=auto")
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "recreate-queue auto" in said
    assert "nothing was measured of it. Name a queue: espresso, longlunch, workday." in said
