"""Manual jobs with processes of this machine, from ``run`` to the merged output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from coffea.util import load

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.cli.main import main
from pocket_coffea.errors import CommandFailed
from pocket_coffea.executors.jobs.record import CampaignRecord
from pocket_coffea.executors.jobs.submit import submit
from tests.unit.cli.test_run import comparable
from tests.unit.run.campaign import write_analysis


def call(*words: str | Path) -> str:
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def small(tmp_path, sample_file, monkeypatch) -> Path:
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "no_proxy"))
    monkeypatch.chdir(tmp_path)
    return write_analysis(tmp_path / "analysis", sample_file)


def entries(output: Any) -> Any:
    return sorted(
        (key, value) for key, value in comparable(output) if key in ("variables", "cutflow", "sumw")
    )


def test_jobs_give_what_iterative_gives(small, tmp_path):
    out = tmp_path / "the output"
    said = call("run", "--cfg", small, "-o", out, "-e", "jobs@local", "--scaleout", "2")
    assert "Submitted 2 jobs with jobs@local" in said
    said = call("check-jobs", "-j", out, "--resubmit", "--interval", "1")
    assert "All jobs are completed" in said
    call("merge-outputs", "-jc", out)
    call("run", "--cfg", small, "-o", tmp_path / "iterative")
    merged, whole = (
        load(str(out / "output_merged.coffea")),
        load(str(tmp_path / "iterative/output_all.coffea")),
    )
    assert entries(merged) == entries(whole)
    assert entries(merged)


def test_a_batch_system_that_refuses_is_said(small, tmp_path, monkeypatch):
    call("run", "--cfg", small, "-o", "out", "-e", "jobs@local", "--scaleout", "2", "--dry-run")
    folder = tmp_path / "out" / "job"
    (folder / "local").touch()  # in the place of the folder that processes need
    with pytest.raises(CommandFailed, match=r"No job was submitted: .*check-jobs -j .* --resubmit"):
        submit(CampaignRecord.read(folder))
    assert all(job.last is None for job in Campaign(folder).jobs.values())
    (folder / "local").unlink()
    said = call("check-jobs", "-j", folder, "--resubmit", "--interval", "1")
    assert "All jobs are completed" in said
