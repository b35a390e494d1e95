"""``parsl@SITE`` when workers, jobs, the schedd, the run itself or the user's patience are lost."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from ci.lab.process import run
from tests.lab.parsl_runs import OPTIONS, SLURM, content, jobs, left_behind

STRINGS = {"parsl@RWTH": {}, "parsl@CLAIX": SLURM}
#: Small chunks, so that there is something to interrupt.
SMALL = ("-c", "100")
pytestmark = pytest.mark.usefixtures("clean_queues")


@pytest.fixture
def start(analysis, output):
    """Start a run with small chunks."""

    def call(executor, **changes):
        options = {**OPTIONS, "tree-reduction": 4, **STRINGS[executor], **changes}
        return analysis.start(executor, output, options, *SMALL)

    return call


def pool_processes() -> dict[str, list[int]]:
    """Return the processes of the worker pools that have begun, by job; the first one serves the others."""
    module = "python.* -m pocket_coffea.executors.parsl_pool"
    managers = run(["pgrep", "-u", "physicist", "-f", module], timeout=30, check=False).stdout.split()
    found: dict[str, list[int]] = {}
    for manager in managers:
        words = ["pgrep", "-f", "spawn_main", "-P", manager]
        pids = list(map(int, run(words, timeout=30, check=False).stdout.split()))
        if len(pids) > 1:
            found[condor_job(manager)] = pids
    return found


def condor_job(pid: str) -> str:
    """Return the job that a process belongs to, as HTCondor tells it in its scratch folder."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    (ad,) = [each.partition(b"=")[2].decode() for each in variables if each.startswith(b"_CONDOR_JOB_AD=")]
    numbers = dict(re.findall(r"^(ClusterId|ProcId) = (\d+)$", Path(ad).read_text(), re.MULTILINE))
    return f"condor:{numbers['ClusterId']}.{numbers['ProcId']}"


def test_a_killed_batch_job_and_a_killed_process_cost_their_chunks(start, expected, output, until, fault):
    running = start("parsl@RWTH")
    until(lambda: running.says("planned in") and len(pool_processes()) > 1, 90)
    (_, (*_, process)), (job, _) = sorted(pool_processes().items())[:2]
    os.kill(process, signal.SIGKILL)  # its job ends by itself
    fault("node", "kill-job", job)
    assert running.end() == 0, running.text
    said = "".join(path.read_text() for path in output.glob("logs_parsl/**/*.stderr"))
    assert "parsl_pool: its process" in said
    assert content(output) == expected(*SMALL)
    until(lambda: left_behind(output) == [], 15)


def test_a_schedd_that_starts_again_costs_nothing(start, expected, output, until, fault):
    running = start("parsl@RWTH")
    until(lambda: running.says("the first worker is there"), 90)
    fault("condor", "schedd-kill")
    assert running.end() == 0, running.text
    assert content(output) == expected(*SMALL)
    until(lambda: left_behind(output) == [], 30)


@pytest.mark.parametrize(
    ("executor", "moment", "number"),
    [
        ("parsl@RWTH", "Waiting for the first job", signal.SIGINT),
        ("parsl@RWTH", "planned in", signal.SIGHUP),
        ("parsl@CLAIX", "planned in", signal.SIGINT),
    ],
)
def test_ctrl_c_and_a_closed_terminal_leave_nothing(start, output, until, executor, moment, number):
    running = start(executor)
    until(lambda: running.says(moment), 90)
    running.interrupt(number)
    assert running.end(60) == 130, running.text
    until(lambda: left_behind(output) == [], 15)


def test_the_workers_of_a_killed_run_end_by_themselves(start, until):
    running = start("parsl@CLAIX")
    until(lambda: running.says("the first worker is there"), 90)
    os.kill(running.process.pid, signal.SIGKILL)
    running.end()
    until(lambda: jobs() == {}, 90)  # they hear nothing any more
