"""What is said of waiting jobs where no batch system answers, and how HTCondor's analysis is read.

The real ones are in tests/lab/test_worker_setup.py.
"""

from __future__ import annotations

import pytest

from pocket_coffea.batch.htcondor_waiting import analysis_in_words
from pocket_coffea.batch.waiting import remove_jobs, why_waiting

#: Printed by HTCondor 23.
ANALYSIS = """\
-- Schedd: lab.site : <127.0.0.1:9618?...
The Requirements expression for job 1.000 is

    RequirementsOfUser && TARGET.HasSharedFS

Job 1.000 defines the following attributes:

    FileSystemDomain = "lab.site"
    RequestDisk = 1024 (kb)
    RequestMemory = 2000 (mb)
    RequirementsOfUser = (TARGET.Memory > 99999999) && (TARGET.Disk >= RequestDisk)

slot1@lab.site has the following attributes:

    TARGET.Memory = 16384 (mb)

The Requirements expression for job 1.000 reduces to these conditions:

         Slots
Step    Matched  Condition
-----  --------  ---------
[0]           0  RequirementsOfUser
[1]           1  TARGET.HasSharedFS

No successful match recorded.
Last failed match: Sun Nov 22 05:37:18 2026

Reason for last match failure: no match found

001.000:  Run analysis summary ignoring user priority.  Of 1 machines,
      1 are rejected by your job's requirements
      0 reject your job because of their own requirements
      0 match and are already running your jobs
      0 match but are serving other users
      0 are able to run your job
"""


def test_a_job_that_no_machine_matches():
    said = analysis_in_words(ANALYSIS)
    assert said == (
        "no match: its requirements reject all 1 machines. Met by none: (TARGET.Memory > 99999999) && "
        "(TARGET.Disk >= RequestDisk) (RequestDisk = 1024 (kb), RequestMemory = 2000 (mb))"
    )


def test_a_job_that_waits_for_others():
    busy = ANALYSIS.replace("Of 1 machines", "Of 7 machines").replace(
        "0 match but are serving other users", "4 match but are serving other users"
    )
    assert analysis_in_words(busy) == "6 of 7 machines match, 4 of them serve other users"
    none = ANALYSIS.replace("Of 1 machines", "Of 0 machines").replace("1 are rejected", "0 are rejected")
    assert analysis_in_words(none) == "the pool has no machine"


@pytest.mark.parametrize("printed", ["", "Error: no such job", "\n\n"])
def test_an_analysis_that_says_nothing(printed):
    assert analysis_in_words(printed) == ""


@pytest.mark.parametrize(("system", "program"), [("htcondor", "condor_q"), ("slurm", "squeue")])
def test_a_batch_system_that_is_not_there_is_a_line_and_no_error(system, program, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (line,) = why_waiting(system, ["12.0", "13.0"])
    assert line.startswith(f"{system} does not answer: {program} ")
    assert "cannot be started: No such file" in line
    assert why_waiting(system, []) == []


@pytest.mark.parametrize(
    ("system", "words"), [("htcondor", "condor_rm 12.0"), ("slurm", "scancel --quiet 12.0")]
)
def test_jobs_that_cannot_be_removed_are_named_with_the_command(system, words, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    remove_jobs(system, ["12.0"])
    assert f"Remove them: {words}" in caplog.text
    caplog.clear()
    remove_jobs(system, [])
    assert caplog.text == ""
