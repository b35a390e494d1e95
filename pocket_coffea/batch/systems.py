"""The one interface to batch systems. HTCondor, Slurm and processes of this machine implement it.

A submission has a ``tag``, unique in its campaign, by which it is found again when nobody knows whether
the batch system has accepted it.
"""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pocket_coffea.batch.states import IN_QUEUE, Event
from pocket_coffea.batch.tasks import Task, Template
from pocket_coffea.errors import CommandFailed, UnknownName, did_you_mean

__all__ = ["SYSTEMS", "BatchSystem", "Submission", "batch_system", "in_flight"]

#: Seconds between two looks at whether removed jobs are gone.
_STEP = 0.5
_ASK_AGAIN = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Submission:
    """What became of tasks that were sent: ids by job number, and reasons by job number of those refused."""

    ids: dict[int, str]
    refused: dict[int, str]


class BatchSystem(abc.ABC):
    """Where jobs are sent. Methods raise CommandFailed when the batch system does not answer."""

    name = ""
    #: Whether ``observe`` needs no daemon, so that it may be called at every poll.
    is_cheap = True

    def __init__(self, template: Template, campaign: str) -> None:
        """``campaign`` is the campaign's unique id, by which its submissions are told from others."""
        self.template = template
        self.campaign = campaign

    @property
    def folder(self) -> Path:
        """The jobs folder."""
        return self.template.folder

    @abc.abstractmethod
    def submit(self, tag: str, tasks: Sequence[Task]) -> Submission:
        """Send all tasks as one batch. Raises InvalidValue, with nothing sent, if one cannot be written."""

    @abc.abstractmethod
    def find(self, tag: str) -> dict[int, str]:
        """Return ids by job number of a submission whose fate is unknown; empty when it was not accepted."""

    @abc.abstractmethod
    def observe(self, ids: Sequence[str], since: float) -> list[Event]:
        """Return what happened since the last call to ``ids``, sent after ``since`` (in s since the epoch).

        The first call returns everything. Events may come twice, and older ones again.
        """

    @abc.abstractmethod
    def query(self, ids: Sequence[str], since: float) -> dict[str, Event]:
        """Ask the batch system itself for the states of ``ids``; those that it does not know are left out."""

    @abc.abstractmethod
    def cancel(self, ids: Sequence[str]) -> None:
        """Ask for the removal of ``ids``; those that are gone already do not matter."""

    @abc.abstractmethod
    def why(self, ids: Sequence[str], since: float) -> dict[str, str]:
        """Return the batch system's own words on why each of ``ids`` is in its state, where it has any."""

    def remove(self, ids: Sequence[str], since: float, timeout: float = 60.0) -> None:
        """Remove ``ids`` and wait until the batch system runs none of them any more.

        timeout in seconds. Raises CommandFailed naming those that are still there.
        """
        left = list(ids)
        if not left:
            return
        deadline, again = time.monotonic() + timeout, 0.0
        while True:
            if time.monotonic() >= again:  # Slurm loses requests for jobs that are just starting
                self.cancel(left)
                again = time.monotonic() + _ASK_AGAIN
            known = self.query(left, since)
            left = [each for each in left if each in known and known[each].state in IN_QUEUE]
            if not left:
                return
            if time.monotonic() > deadline:
                msg = (
                    f"{self.name} still has {', '.join(left[:10])}{' ...' if len(left) > 10 else ''}, "
                    f"{timeout:g} s after their removal was asked for. Nothing was sent in their place."
                )
                raise CommandFailed(msg)
            time.sleep(_STEP)


def in_flight(marker: str) -> bool:
    """Return whether a process of this machine has ``marker`` among its arguments.

    A monitor that is killed leaves its condor_submit or sbatch running, which may still be accepted.
    """
    wanted = marker.encode("utf-8", "surrogateescape")
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "cmdline").read_bytes().split(b"\0"):
                return True
        except OSError:  # it has ended
            continue
    return False


def wait_until_settled(marker: str, timeout: float = 120.0) -> None:
    """Wait for a submission that outlived its monitor. Raises CommandFailed after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while in_flight(marker):
        if time.monotonic() > deadline:
            msg = f"a process with {marker} still runs after {timeout:g} s; end it, then start again."
            raise CommandFailed(msg)
        time.sleep(_STEP)


def _htcondor() -> type[BatchSystem]:
    from pocket_coffea.batch.htcondor import HTCondor

    return HTCondor


def _slurm() -> type[BatchSystem]:
    from pocket_coffea.batch.slurm import Slurm

    return Slurm


def _local() -> type[BatchSystem]:
    from pocket_coffea.batch.local import LocalProcesses

    return LocalProcesses


SYSTEMS: dict[str, Callable[[], type[BatchSystem]]] = {
    "htcondor": _htcondor,
    "slurm": _slurm,
    "local": _local,
}


def batch_system(name: str, template: Template, campaign: str) -> BatchSystem:
    """Return the batch system of that name. Raises UnknownName."""
    if name not in SYSTEMS:
        msg = f"there is no batch system {name!r}. {did_you_mean(name, SYSTEMS)}"
        raise UnknownName(msg)
    return SYSTEMS[name]()(template, campaign)


def known_only(events: Iterable[Event], ids: Iterable[str]) -> dict[str, Event]:
    """Return the last event of each of ``ids``."""
    wanted = set(ids)
    return {event.id: event for event in events if event.id in wanted}
