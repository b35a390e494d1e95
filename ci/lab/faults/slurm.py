"""Fault `slurm drain|resume`: the worker node takes no new jobs, as before an intervention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.lab.errors import LabError
from ci.lab.process import run
from ci.lab.services.slurm import HOST

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervisor

NAME = "slurm"
USAGE = "slurm drain | slurm resume"
REASON = "intervention"
RESUME_SECONDS = 30.0


def switch(supervisor: Supervisor, words: list[str]) -> str:
    """Drain or resume the node; raises LabError on other words than those of the usage."""
    supervised = supervisor["slurm"]
    match words:
        case ["drain"]:
            _update("State=DRAIN", f"Reason={REASON}")
            supervisor.faults[NAME] = f"slurm node {HOST} drained"
            said = f"node {HOST} takes no new jobs; running ones go on; `slurm resume` ends that"
        case ["resume"]:
            if _drained():  # Slurm refuses to resume a node that is not drained
                _update("State=RESUME")
                supervised.wait_healthy(RESUME_SECONDS)  # it is usable when it has answered a ping
            supervisor.faults.pop(NAME, None)
            said = f"node {HOST} takes jobs"
        case _:
            msg = f"unknown words {' '.join(words)!r}; there are: {USAGE}"
            raise LabError(msg)
    supervised.check_now()
    return said


def _update(*settings: str) -> None:
    run(["scontrol", "update", f"NodeName={HOST}", *settings], timeout=20)


def _drained() -> bool:
    said = run(["sinfo", "--noheader", "--Node", f"--nodes={HOST}", "--format=%T"], timeout=20).stdout
    return "drain" in said
