"""``jobs_config.yaml``: read quickly it says what it says as YAML, and nothing else is understood."""

from __future__ import annotations

import time

import pytest
import yaml

from pocket_coffea.executors.jobs.jobs_config import jobs_config_text
from pocket_coffea.executors.jobs.jobs_config_reading import read_quickly
from pocket_coffea.executors.jobs.split import JobPlan
from pocket_coffea.run.merge_jobs import read_jobs
from tests.unit.executors.jobs.campaigns import make_campaign

ODD = "a 'b' \"c\" #d: {e}, [f] & *g \\ \x85 \u2028 ü 日 \U0001f600 \t"


def plan(**files):
    """Return a job with these files by dataset."""
    filesets = {
        name: {"files": each, "metadata": {"sample": "DY", "note": ODD}} for name, each in files.items()
    }
    return JobPlan(filesets, (), 1000)


@pytest.fixture
def record(tmp_path):
    return make_campaign(tmp_path / "job", [["deliver"]])


def without_metadata(content):
    for job in content["jobs_list"].values():
        job["filesets"] = {name: {"files": each["files"]} for name, each in job["filesets"].items()}
    return {key: value for key, value in content.items() if key != "metadata"}


def test_it_is_read_as_yaml_reads_it(record):
    plans = [
        plan(**{"DY": ["root://host//store/a.root", ODD], ODD: {"/b.root": [[0, 10], [20, 30]]}}),
        plan(**{ODD: {ODD: {"object_path": "Events", "steps": [[0, 5]]}}}),
        plan(),
    ]
    text = jobs_config_text(record, plans, f"/{ODD}/configurator.pkl")
    found = read_quickly(text)
    assert found == without_metadata(yaml.safe_load(text))
    assert list(found["jobs_list"]) == ["job_0", "job_1", "job_2"]


CHANGES = [
    ("jobs_list:", "jobs_list: # of me"),
    ("job_name: ", "job_name:  "),
    ("  job_0: {", "  'job_0': {"),
    ('"metadata": *d0', '"metadata": {}'),
    ("output_file: ", "output_file: # here\n    "),
    ('_0.coffea"}', '_0.coffea", more: 1}'),
    ("metadata:", "split_by_category: true\nmetadata:\n  # none\n"),
    ("  job_1: ", "  job_0: "),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_what_a_person_wrote_is_left_to_yaml(record, old, new):
    text = jobs_config_text(record, [plan(DY=["a"]), plan(DY=["b"])], "c.pkl")
    assert read_quickly(text)
    assert old in text
    assert read_quickly(text.replace(old, new)) is None


@pytest.mark.parametrize("text", ["", "{}", "a: b\n", "jobs_list:\n", '"a', "metadata:\njobs_list:\nx"])
def test_other_text_is_left_to_yaml(text):
    found = read_quickly(text)
    assert found is None or found == {"jobs_list": {}}


def test_ten_thousand_jobs_are_read_in_a_moment(record):
    many = [plan(**{f"DS{job % 100}": [f"{job}_{k}.root" for k in range(10)]}) for job in range(10_000)]
    (record.folder / "jobs_config.yaml").write_text(jobs_config_text(record, many, "c.pkl"))
    start = time.process_time()
    jobs = read_jobs(record.folder)
    assert time.process_time() - start < 2.0
    assert sum(len(files) for files in jobs.planned.values()) == 100_000
