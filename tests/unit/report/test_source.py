"""What a path stands for: an output, the folder of a run, a jobs folder."""

from __future__ import annotations

import pytest

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.errors import InputFileError
from pocket_coffea.report.source import Source, find_source


def touched(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_an_output_and_the_folder_of_a_run(tmp_path):
    output = touched(tmp_path / "output_all.coffea")
    assert find_source(output) == find_source(tmp_path) == Source(output, None)
    assert find_source(tmp_path).folder == tmp_path
    merged = touched(tmp_path / "output_merged.coffea.zip")
    assert find_source(tmp_path).output == merged


def test_one_output_of_another_name(tmp_path):
    output = touched(tmp_path / "output_2018.coffea")
    assert find_source(tmp_path).output == output
    touched(tmp_path / "output_2017.coffea")
    with pytest.raises(
        InputFileError, match=r"has 2 outputs that are parts: output_2017.coffea, .*merge-outputs"
    ):
        find_source(tmp_path)


def test_a_jobs_folder_and_what_was_merged(tmp_path):
    Campaign.create(tmp_path / "job", "local", 2).close()
    assert find_source(tmp_path / "job") == find_source(tmp_path) == Source(None, tmp_path / "job")
    assert find_source(tmp_path).folder == tmp_path / "job"
    touched(tmp_path / "output_job_0.coffea")
    touched(tmp_path / "output_job_1.coffea")
    assert find_source(tmp_path) == Source(None, tmp_path / "job")
    merged = touched(tmp_path / "output_merged.coffea")
    assert find_source(tmp_path / "job") == find_source(merged) == Source(merged, tmp_path / "job")


def test_of_several_campaigns_none_is_meant(tmp_path):
    for name in ("one", "two"):
        Campaign.create(tmp_path / name, "local", 1).close()
    output = touched(tmp_path / "output_all.coffea")
    assert find_source(tmp_path) == Source(output, None)


def test_jobs_that_merged_skims_do_not_hide_those_of_the_run(tmp_path):
    for name in ("hadd", "job"):
        Campaign.create(tmp_path / name, "local", 1).close()
    assert find_source(tmp_path) == Source(None, tmp_path / "job")


def test_nothing_to_report_on(tmp_path):
    with pytest.raises(InputFileError, match="does not exist"):
        find_source(tmp_path / "no.coffea")
    with pytest.raises(InputFileError, match=r"no output \(output_\*.coffea\) and no campaign"):
        find_source(tmp_path)
