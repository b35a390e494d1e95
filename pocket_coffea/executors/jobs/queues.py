"""What each job asks for when it is sent first; with ``queue: auto`` the shortest queue that its time fits.

A job fits when it is forecast to take less than ``queue-time-threshold-percent`` of the time that it gets.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pocket_coffea.batch.states import Resources
from pocket_coffea.errors import OptionError
from pocket_coffea.executors.jobs.record import CampaignRecord, Rung
from pocket_coffea.executors.jobs.template import job_resources
from pocket_coffea.executors.jobs.timing import rates_of, read_timings, run_time

if TYPE_CHECKING:
    from pocket_coffea.sites.site import Queue, Site

__all__ = [
    "AUTO",
    "FirstAttempts",
    "first_attempts",
    "fits",
    "fitting_queues",
    "shortest_queue",
    "threshold_of",
]

_Rung = TypeVar("_Rung", "Queue", Rung)
#: Value of the run options queue and recreate-queue that leaves the choice to the forecast.
AUTO = "auto"
_PERCENT = 80


@dataclasses.dataclass(frozen=True, slots=True)
class FirstAttempts:
    """What most jobs ask for, and what the others do, by number."""

    resources: Resources
    exceptions: Mapping[int, Resources] = dataclasses.field(default_factory=dict)

    def of(self, job: int) -> Resources:
        """Return what a job asks for."""
        return self.exceptions.get(job, self.resources)

    @property
    def longest(self) -> int:
        """The longest time that a job gets [s]; 0 when nobody knows."""
        times = self._times()
        return 0 if 0 in times else max(times)

    @property
    def shortest(self) -> int:
        """The shortest time that a job gets [s]; 0 when nobody knows."""
        return min((seconds for seconds in self._times() if seconds), default=0)

    def _times(self) -> set[int]:
        return {each.seconds for each in (self.resources, *self.exceptions.values())}


def threshold_of(options: Mapping[str, Any]) -> float:
    """Return the part of its time that a job may be forecast to take. Raises OptionError above 100."""
    percent = int(options.get("queue-time-threshold-percent") or _PERCENT)
    if percent > 100:
        msg = f"run option queue-time-threshold-percent = {percent}: give a part of the time, from 1 to 100."
        raise OptionError(msg)
    return percent / 100


def fits(seconds: float, limit: int, threshold: float) -> bool:
    """Return whether a job that takes ``seconds`` fits into ``limit``; always when no limit is known.

    >>> fits(2800, 3600, 0.8), fits(2880, 3600, 0.8), fits(1e9, 0, 0.8)
    (True, False, True)
    """
    return not limit or seconds < threshold * limit


def shortest_queue(seconds: float, queues: Sequence[_Rung], threshold: float) -> _Rung:
    """Return the shortest queue that a job fits into, the longest one when it fits nowhere."""
    by_time = sorted(queues, key=lambda queue: queue.seconds)
    return next((queue for queue in by_time if fits(seconds, queue.seconds, threshold)), by_time[-1])


def first_attempts(
    site: Site, options: Mapping[str, Any], run_times: Sequence[float] | None
) -> FirstAttempts:
    """Return what the jobs ask for. run_times: forecasts [s], None without any.

    Raises OptionError for an unknown queue, and for ``queue: auto`` without forecasts or queues.
    """
    if options.get("queue") != AUTO:
        return FirstAttempts(job_resources(site, options))
    if not site.queues:
        msg = (
            f"run option queue = {AUTO}: {site.name} has no list of queues with their times "
            f"({site.shown_path}). Leave it out, or name a queue."
        )
        raise OptionError(msg)
    if not run_times:
        where = options.get("timeit-dir")
        msg = (
            f"run option queue = {AUTO}: nothing is known of how long jobs take"
            f"{f', there are no timings in {where}' if where else ''}. Measure it with `pocket-coffea run "
            f"--cfg CONFIG -o OUTPUT --timeit`, or name a queue: {', '.join(q.name for q in site.queues)}."
        )
        raise OptionError(msg)
    threshold = threshold_of(options)
    chosen = [shortest_queue(seconds, site.queues, threshold) for seconds in run_times]
    # the walltime that a site has as default belongs to its default queue
    asked = {
        queue.name: job_resources(site, {**options, "queue": queue.name, "walltime": None})
        for queue in dict.fromkeys(chosen)
    }
    usual = Counter(queue.name for queue in chosen).most_common(1)[0][0]
    others = {job: asked[queue.name] for job, queue in enumerate(chosen) if queue.name != usual}
    return FirstAttempts(asked[usual], others)


def fitting_queues(record: CampaignRecord) -> dict[int, str]:
    """Return the shortest queue that each job of a campaign fits into, by what was measured.

    Raises OptionError when the site has no queues, nothing was measured, or the events are not known;
    InputFileError for a damaged timing.
    """
    datasets = list(dict.fromkeys(part.dataset for job in record.jobs for part in job.datasets))
    folder = record.options.get("timeit-dir")
    rates = rates_of(datasets, read_timings(Path(folder), datasets)) if folder else {}
    is_told = all(part.events for job in record.jobs for part in job.datasets)
    if not (record.ladder and rates and is_told):
        names = ", ".join(rung.name for rung in record.ladder)
        why = "the datasets do not tell their events (nevents)" if rates else "nothing was measured of it"
        if not record.ladder:
            why = f"{record.site} has no list of queues with their times"
        msg = (
            f"recreate-queue {AUTO}: how long jobs take in which queue is not known, {why}. Name a queue"
            f"{f': {names}' if names else ', or leave it out'}."
        )
        raise OptionError(msg)
    cores, threshold = record.resources.cpus, threshold_of(record.options)
    times = (run_time(job.datasets, {}, rates, cores=cores, chunksize=job.chunksize) for job in record.jobs)
    return {job: shortest_queue(each, record.ladder, threshold).name for job, each in enumerate(times)}
