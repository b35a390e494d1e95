"""A campaign of real processes under watch: looking, recovering, recreating, and what disturbs that."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import pytest

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.states import Resources
from pocket_coffea.errors import (
    ConfigurationError,
    InputFileError,
    NothingToDo,
    OptionError,
    OutputError,
    ResultsRefused,
    UnknownName,
)
from pocket_coffea.executors.jobs.owner import open_campaign
from pocket_coffea.executors.jobs.payload import read_slice
from pocket_coffea.executors.jobs.watching import Watching, Wishes, find_jobs_folder, parse_jobs
from pocket_coffea.run.merge_jobs import Job, JobsFolder
from tests.unit.executors.jobs.campaigns import make_campaign, records, started

FILE = "/data/{job}.root"
QUICK = Wishes(resubmit=True, backoff=0.0)


def watch(folder: Path, wishes: Wishes = QUICK, seconds: float = 60.0):
    """Look until the campaign is over; return the last look."""
    deadline = time.monotonic() + seconds
    with Watching(folder, wishes, acting=True) as watching:
        while (seen := watching.look()).exit_code(acting=True) == 5:
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)
    return seen


def until(condition, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def files_of(folder: Path, job: int) -> list[str]:
    filesets = read_slice(folder / f"config_job_{job}.pkl")["filesets"]
    return [name for each in filesets.values() for name in each["files"]]


def test_a_campaign_with_failures_ends_well(tmp_path):
    url = "root://a.site:1094//store/mc/{job}.root"
    plans = [
        ["deliver"],
        [f"fail 73 'cannot read' '\"{url.format(job=1)}\"'", "deliver"],
        ["fail 75 'time is up'", "deliver"],
        ["fail 77 'out of memory'", "deliver"],
        ["fail 76 'ValueError: x'"],
    ]
    folder = tmp_path / "my job's, folder"
    make_campaign(folder, plans, files=[url])
    seen = watch(folder)
    assert seen.exit_code(acting=True) == 3
    assert set(seen.given_up) == {4}
    assert "ValueError: x" in seen.given_up[4]
    assert sorted(started(folder)) == [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 2)]
    assert files_of(folder, 1) == ["root://xrootd-cms.infn.it//store/mc/1.root"]
    assert files_of(folder, 0) == [url.format(job=0)]
    asked = {each["job"]: each["resources"] for each in records(folder, "decided")}
    assert (asked[2]["queue"], asked[3]["memory_mb"]) == ("longlunch", 2000)
    assert (folder / "xrootdfaillist.txt").read_text() == url.format(job=1) + "\n"
    assert len(records(folder, "submitting")) == len(records(folder, "submitted"))


def test_a_look_writes_nothing(tmp_path):
    folder = tmp_path / "job"
    make_campaign(folder, [["deliver"], ["fail 76 'ValueError: x'"]])
    watch(folder, Wishes(resubmit=True, max_resubmit=0))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with Watching(folder, acting=False) as watching:
        seen = watching.look()
        assert watching.look().counts == seen.counts
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert seen.exit_code(acting=False) == 3
    assert seen.counts == {"done": 1, "failed": 1}
    json.dumps(seen.as_mapping(acting=False))


def test_who_only_looks_is_told_that_nobody_sent_the_jobs(tmp_path):
    make_campaign(tmp_path / "job", [["deliver"], ["deliver"]])
    with Watching(tmp_path / "job", acting=False) as watching:
        assert [news.text for news in watching.look().news] == [
            "2 jobs were never submitted: --resubmit submits them"
        ]
        assert watching.look().news == ()


def test_failures_that_nobody_treats_are_an_end_unless_somebody_does(tmp_path):
    folder = tmp_path / "job"
    make_campaign(folder, [["deliver"], ["sleep 600"]])
    with Watching(folder, QUICK, acting=True) as watching:
        watching.look()
        until(lambda: (folder / "job_0.done").exists() and (1, 1) in started(folder))
        with Watching(folder, acting=False) as looking:
            assert looking.look().exit_code(acting=False) == 5
            assert "process" in looking.other_monitor()
        with pytest.raises(ResultsRefused, match="watched already"):
            Watching(folder, QUICK, acting=True).__enter__()
        opened = watching.opened
        opened.system.remove([opened.campaign.jobs[1].last.id], 0.0)
    with Watching(folder, acting=False) as looking:
        assert looking.other_monitor() == ""
        until(lambda: looking.look().exit_code(acting=False) == 3)


def test_a_moved_folder_is_looked_at_and_not_acted_on(tmp_path):
    folder = tmp_path / "job"
    make_campaign(folder, [["deliver"]])
    watch(folder)
    moved = folder.rename(tmp_path / "moved")
    with Watching(moved, acting=False) as watching:
        assert watching.look().exit_code(acting=False) == 0
    with pytest.raises(ResultsRefused, match="was prepared as"):
        Watching(moved, QUICK, acting=True).__enter__()
    assert not (moved / ".check_jobs.lock").exists()


def test_jobs_are_recreated_by_number_and_automatically(tmp_path):
    folder = tmp_path / "job"
    make_campaign(folder, [["deliver"], ["fail 76 'x'", "fail 76 'x'", "deliver"], ["sleep 600", "deliver"]])
    with Watching(folder, Wishes(resubmit=True, max_resubmit=0), acting=True) as watching:
        until(lambda: watching.look().given_up and (2, 1) in started(folder))
    with Watching(folder, Wishes(), acting=True) as watching:
        with pytest.raises(UnknownName, match="jobs 7"):
            watching.recreate([7])
        with pytest.raises(ResultsRefused, match="--remove-running"):
            watching.recreate([2])
        assert watching.recreate(None).sent == (1,)
        until(lambda: watching.look().counts["failed"] == 1)
    with Watching(folder, Wishes(recreate_queue="workday", remove_running=True), acting=True) as watching:
        assert watching.recreate(None).sent == (1, 2)
        until(lambda: watching.look().exit_code(acting=False) == 0)
        with pytest.raises(NothingToDo):
            watching.recreate(None)
    assert sorted(started(folder)) == [(0, 1), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    last = records(folder, "submitting")[-1]["resources"]
    assert {each["queue"] for each in last} == {"workday"}


def test_a_site_is_blocked_for_what_is_sent_again(tmp_path):
    folder = tmp_path / "job"
    make_campaign(folder, [["fail 74 'x'", "deliver"]], files=["root://a.site//store/x{job}.root"])
    watch(folder, Wishes(resubmit=True, backoff=0.0, blocklist_sites=("a.site",)))
    assert files_of(folder, 0) == ["root://xrootd-cms.infn.it//store/x0.root"]


def test_bad_files_are_skipped_by_what_is_sent_again(tmp_path):
    folder = tmp_path / "job"
    make_campaign(folder, [["fail 73 'x'", "deliver"]])
    (folder / "inner_run_options.yaml").write_text("tree-reduction: 7\n")
    with Watching(folder, Wishes(resubmit=True, max_resubmit=0), acting=True) as watching:
        until(lambda: watching.look().given_up)
    with Watching(folder, Wishes(skip_bad_files=True), acting=True) as watching:
        watching.recreate([0])
        until(lambda: watching.look().exit_code(acting=False) == 0)
    assert (folder / "inner_run_options.yaml").read_text() == "tree-reduction: 7\nskip-bad-files: true\n"


def test_a_slice_that_was_removed_stops_its_own_job_alone(tmp_path):
    folder = tmp_path / "job"
    make_campaign(folder, [["deliver"], ["deliver"]])
    (folder / "config_job_1.pkl").unlink()
    seen = watch(folder, Wishes(resubmit=True, backoff=0.0))
    assert seen.counts["done"] == 1
    assert "payload does not match" in seen.given_up[1]


def test_jobs_that_a_merge_marks_as_failed_are_sent_again(tmp_path):
    folder = tmp_path / "job"
    make_campaign(folder, [["deliver"], ["deliver"]])
    watch(folder)
    outputs = {f"job_{k}": Job(f"job_{k}", {}, folder / "out" / f"output_job_{k}.coffea") for k in (0, 1)}
    (folder / "out" / "output_job_1.coffea").unlink()
    JobsFolder(folder, folder / "out", folder / "x", split_by_category=False, jobs=outputs).mark_failed(
        ["job_1"]
    )
    with Watching(folder, acting=False) as watching:
        assert watching.look().counts == {"done": 1, "failed": 1}
        assert watching.look().exit_code(acting=False) == 3
    seen = watch(folder)
    assert seen.counts == {"done": 2}
    assert sorted(started(folder)) == [(0, 1), (1, 1), (1, 2)]
    assert records(folder, "reopened")[0]["job"] == 1
    assert watch(folder).counts == {"done": 2}
    assert len(started(folder)) == 3


def test_a_full_disk_is_survived(tmp_path, monkeypatch):
    """Nothing that was not written counts: the ledger is read again, and tells the same in the end."""
    folder = tmp_path / "job"
    make_campaign(folder, [["deliver"], ["fail 76 'x'", "deliver"]])
    write, full = Campaign.write, []

    def writes(self, entries):
        if full:
            msg = f"{self.path} cannot be written: No space left on device."
            raise OutputError(msg)
        write(self, entries)

    monkeypatch.setattr(Campaign, "write", writes)
    with Watching(folder, QUICK, acting=True) as watching:
        watching.look()
        until(lambda: (folder / "job_0.done").exists() and (folder / "job_1.failed").exists())
        full.append(True)
        for _ in range(3):
            seen = watching.look()
            assert "No space left" in seen.news[0].text
            assert seen.exit_code(acting=True) == 5
        full.clear()
        until(lambda: watching.look().exit_code(acting=True) == 0)
    assert sorted(started(folder)) == [(0, 1), (1, 1), (1, 2)]


def test_an_output_that_is_not_there_is_not_delivered(tmp_path):
    folder = tmp_path / "job"
    make_campaign(folder, [["deliver"]])
    watch(folder)
    slices = open_campaign(folder).slices
    assert slices.delivered(0)
    (folder / "out" / "output_job_0.coffea").write_text("too long")
    assert not slices.delivered(0)
    (folder / "out" / "output_job_0.coffea").unlink()
    assert not slices.delivered(0)


def test_a_job_is_sent_with_the_digest_of_its_slice(tmp_path):
    folder = tmp_path / "job"
    record = make_campaign(folder, [["deliver"]], exceptions={0: Resources("workday", 600, 2, 3000)})
    slices = open_campaign(record.folder).slices
    task = slices.task(0, 3, slices.resources(0))
    assert task.arguments[:2] == ("0", "config_job_0.pkl")
    assert len(task.arguments[2]) == 64
    assert task.arguments[3:] == ("150000", "3", "600", "2")


def test_a_folder_without_a_campaign(tmp_path):
    record = make_campaign(tmp_path / "job", [["deliver"]])
    (record.folder / "campaign.jsonl").unlink()
    with pytest.raises(InputFileError, match="has no campaign"):
        open_campaign(record.folder)
    (record.folder / "campaign.json").write_text("{}")
    with pytest.raises(InputFileError, match="damaged"):
        open_campaign(record.folder)


def test_a_ledger_of_other_jobs(tmp_path):
    record = make_campaign(tmp_path / "job", [["deliver"]])
    (record.folder / "campaign.jsonl").unlink()
    Campaign.create(record.folder, "local", 2).close()
    with pytest.raises(InputFileError, match="1 jobs and the ledger 2"):
        open_campaign(record.folder)


def test_the_jobs_folder_is_found(tmp_path):
    out = tmp_path / "out"
    make_campaign(out / "mine", [["deliver"]])
    assert find_jobs_folder(out / "mine") == out / "mine"
    assert find_jobs_folder(out) == out / "mine"
    make_campaign(out / "other", [["deliver"]])
    with pytest.raises(ConfigurationError, match="several jobs folders: mine, other"):
        find_jobs_folder(out)
    make_campaign(out / "job", [["deliver"]])
    assert find_jobs_folder(out) == out / "job"
    with pytest.raises(ConfigurationError, match="There is no folder"):
        find_jobs_folder(tmp_path / "nowhere")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "jobs_config.yaml").touch()
    with pytest.raises(ConfigurationError, match="by another version"):
        find_jobs_folder(tmp_path / "old")


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("auto", None),
        ("0,1,3", (0, 1, 3)),
        ("job_0, job_3", (0, 3)),
        ("4-6,5", (4, 5, 6)),
        (["job_1", 2], (1, 2)),
    ],
)
def test_names_of_jobs(text, jobs):
    assert parse_jobs(text) == jobs


@pytest.mark.parametrize("text", ["", "all", "-1", "1.5", "job_", "auto,1", "1-", "²"])
def test_wrong_names_of_jobs(text):
    with pytest.raises(OptionError, match="give auto, or numbers"):
        parse_jobs(text)


def test_wishes_that_contradict_each_other(caplog):
    with pytest.raises(OptionError, match="not addresses"):
        Wishes(blocklist_sites=("root://a.site//",))
    with caplog.at_level(logging.WARNING):
        wishes = Wishes(blocklist_sites=("a.site",), use_redirector=True)
    assert "--use-redirector wins" in caplog.text
    assert wishes.use_redirector


def test_an_unknown_queue_is_written_as_it_is(tmp_path, caplog):
    record = make_campaign(tmp_path / "job", [["deliver"]])
    with caplog.at_level(logging.WARNING):
        policy = Wishes(recreate_queue="special").policy(record)
    assert policy.queue == "special"
    assert "espresso, longlunch, workday" in caplog.text
    assert str(os.getuid()) in policy.owner.split(",")
