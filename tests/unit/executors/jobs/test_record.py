"""``campaign.json``: what is kept of a campaign of jobs."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest

from pocket_coffea.batch.states import Resources
from pocket_coffea.batch.tasks import Template
from pocket_coffea.errors import InputFileError
from pocket_coffea.executors.jobs.record import (
    RECORD_NAME,
    CampaignRecord,
    Delivery,
    JobRecord,
    JobSlice,
    Rung,
)


def record(folder: Path, jobs: int = 3) -> CampaignRecord:
    return CampaignRecord(
        name="job",
        executor="condor@lxplus",
        site="lxplus",
        system="htcondor",
        folder=folder,
        output="root://eosuser.cern.ch//eos/user/x y",
        outdir_local=None,
        template=Template(folder, folder / "job.sh", inputs=("config_job_{job}.pkl",)),
        resources=Resources("workday", 28800, 2, 4000, 100),
        payload="configurator.pkl",
        payload_sha256="ab" * 32,
        delivery=Delivery("xrootd", "root://eosuser.cern.ch//eos/user/x y"),
        flags=False,
        jobs=tuple(
            JobRecord((JobSlice("TTTo2L2Nu_2018", "TTTo2L2Nu", 1000 + job, 7),), 150000)
            for job in range(jobs)
        ),
        exceptions={1: Resources("nextweek", 604800)},
        ladder=(Rung("espresso", 1200), Rung("workday", 28800)),
        options={"max-retries": 3},
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.write(tmp_path)
    again = CampaignRecord.read(tmp_path)
    assert again == first
    assert again.resources_of(1).queue == "nextweek"
    assert again.resources_of(0).queue == "workday"
    assert again.jobs[2].events == 1002


def test_names_of_datasets_are_written_once(tmp_path: Path) -> None:
    record(tmp_path, 10).write(tmp_path)
    text = (tmp_path / RECORD_NAME).read_text()
    assert text.count("TTTo2L2Nu_2018") == 1
    assert "[150000,[[0,1009,7]]]" in text


def test_a_record_that_repeats_the_names_is_read(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.write(tmp_path)
    path = tmp_path / RECORD_NAME
    old = {key: value for key, value in json.loads(path.read_text()).items() if key != "datasets"}
    jobs = [[job.chunksize, job.datasets] for job in first.jobs]
    path.write_text(json.dumps(old | {"version": 1, "jobs": jobs}))
    assert CampaignRecord.read(tmp_path).jobs == first.jobs


def test_ten_thousand_jobs_take_no_time(tmp_path: Path) -> None:
    record(tmp_path, 10_000).write(tmp_path)
    began = time.process_time()
    assert len(CampaignRecord.read(tmp_path).jobs) == 10_000
    assert time.process_time() - began < 2


def test_a_folder_without_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=rf"{tmp_path}.*holds no jobs.*Give the jobs folder"):
        CampaignRecord.read(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": [[1]]},
        {"jobs": [[1, [[7, 1, 1]]]]},
        {"version": 99},
        {"delivery": {"way": "pigeon", "target": "x"}},
        {"template": None},
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    record(tmp_path).write(tmp_path)
    path = tmp_path / RECORD_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputFileError, match=r"campaign\.json is damaged, or of another version"):
        CampaignRecord.read(tmp_path)


def test_text_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD_NAME).write_text("{")
    with pytest.raises(InputFileError, match="cannot be read"):
        CampaignRecord.read(tmp_path)


def test_records_are_not_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        record(Path("/x")).name = "other"  # type: ignore[misc]
