"""How long each job is going to take, by what ``run --timeit`` measured, and whether its queue gives that."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from pocket_coffea.errors import NothingToDo, OptionError
from pocket_coffea.executors.batch_request import clock
from pocket_coffea.executors.jobs.queues import FirstAttempts, fits, threshold_of
from pocket_coffea.executors.jobs.split import JobPlan
from pocket_coffea.executors.jobs.table import aligned
from pocket_coffea.executors.jobs.timing import (
    Rate,
    Size,
    jobs_by_dataset,
    rates_of,
    read_timings,
    run_time,
    sizes_of,
    target_of,
)
from pocket_coffea.log import FILE_ONLY
from pocket_coffea.utils.units import to_seconds

__all__ = ["Forecast", "Line", "forecast_of", "require_fit", "show_lines", "timed_jobs"]

log = logging.getLogger(__name__)

Filesets = Mapping[str, Mapping[str, Any]]
_HEAD = ("dataset", "events/s", "jobs", "longest job", "all jobs", "queue", "of its time")


class Line(NamedTuple):
    """A line of the table; is_long: a job of it may not fit into its queue."""

    text: str
    is_long: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds that each job takes, of the cores that it has, and the speeds that this comes from."""

    plans: Sequence[JobPlan]
    seconds: tuple[float, ...]
    sizes: Mapping[str, Size]
    rates: Mapping[str, Rate]

    def too_long(self, attempts: FirstAttempts, threshold: float) -> list[int]:
        """Return the jobs that may not fit into the time they get."""
        return [
            job
            for job, seconds in enumerate(self.seconds)
            if not fits(seconds, attempts.of(job).seconds, threshold)
        ]

    def table(self, attempts: FirstAttempts, threshold: float) -> list[Line]:
        """Return a table by dataset, then what stands in it that is not plain."""
        long = set(self.too_long(attempts, threshold))
        jobs: dict[str, list[int]] = {}
        for job, plan in enumerate(self.plans):
            for part in plan.datasets:
                jobs.setdefault(part.dataset, []).append(job)
        rows = [self._row(name, mine, attempts) for name, mine in jobs.items()]
        marks = [False, *(not long.isdisjoint(mine) for mine in jobs.values())]
        lines = [Line(*each) for each in zip(aligned([_HEAD, *rows]), marks, strict=True)]
        return [*lines, *map(Line, self._notes(len(long), threshold))]

    def _row(self, dataset: str, jobs: Sequence[int], attempts: FirstAttempts) -> tuple[str, ...]:
        parts = [part for job in jobs for part in self.plans[job].datasets if part.dataset == dataset]
        queues = Counter(attempts.of(job).queue or "-" for job in jobs)
        share = max(
            (self.seconds[job] / limit for job in jobs if (limit := attempts.of(job).seconds)), default=None
        )
        rate = self.rates[dataset]
        return (
            dataset,
            f"{'~' if rate.is_guess else ''}{rate.value:,.0f}" if rate.value >= 10 else f"{rate.value:.2g}",
            f"{len(jobs):,}",
            clock(round(max(self.seconds[job] for job in jobs))),
            clock(round(run_time(parts, self.sizes, self.rates))),
            ", ".join(name if len(queues) == 1 else f"{count} {name}" for name, count in queues.items()),
            "?" if share is None else f"{share:.0%}",
        )

    def _notes(self, long: int, threshold: float) -> Iterator[str]:
        guesses = sum(rate.is_guess for rate in self.rates.values())
        if guesses:
            yield f"~ was not measured ({guesses} of {len(self.rates)}): the median of the others is taken"
        if long:
            yield f"{long} of {len(self.seconds)} jobs take {threshold:.0%} of their time or more"


def forecast_of(plans: Sequence[JobPlan], filesets: Filesets, options: Mapping[str, Any]) -> Forecast | None:
    """Return the forecast for jobs, None when nothing was measured, or the datasets tell no events.

    Raises InputFileError for a damaged timing.
    """
    rates = _rates(filesets, options)
    if not rates or not _tells_events(filesets):
        return None
    sizes, cores = sizes_of(filesets), int(options.get("cores-per-worker") or 1)
    seconds = tuple(
        run_time(plan.datasets, sizes, rates, cores=cores, chunksize=plan.chunksize) for plan in plans
    )
    return Forecast(plans, seconds, sizes, rates)


def timed_jobs(filesets: Filesets, options: Mapping[str, Any]) -> dict[str, int] | None:
    """Return into how many jobs each dataset goes by the speeds that were measured, so that all take about
    as long; None when the options do not ask for that, or (for scaleout) nothing was measured.

    Raises OptionError for target-time without timings, ConfigurationError for datasets without events.
    """
    target, scaleout = options.get("target-time"), options.get("scaleout")
    if options.get("max-events-per-job") is not None or (target is None and scaleout is None):
        return None
    rates = _rates(filesets, options)
    if not rates and target is not None:
        msg = (
            f"run option target-time = {target}: nothing is known of how long events take, there are no "
            f"timings in {options.get('timeit-dir')}. Measure it with `pocket-coffea run --cfg CONFIG "
            "-o OUTPUT --timeit`, or give scaleout or max-events-per-job instead."
        )
        raise OptionError(msg)
    if not rates or (target is None and not _tells_events(filesets)):
        return None
    sizes = sizes_of(filesets)
    seconds = target_of(sizes, rates, int(scaleout or 1))
    if target is not None:
        seconds = float(to_seconds(target)) * int(options.get("cores-per-worker") or 1)
    log.info(
        "Jobs are of about %s each, each of one dataset, by the speeds in %s",
        clock(round(seconds)),
        options["timeit-dir"],
    )
    return jobs_by_dataset(sizes, rates, seconds, split_files=bool(options.get("split-files")))


def _rates(filesets: Filesets, options: Mapping[str, Any]) -> dict[str, Rate]:
    folder = options.get("timeit-dir")
    return rates_of(filesets, read_timings(Path(folder), filesets)) if folder else {}


def _tells_events(filesets: Filesets) -> bool:
    return all("nevents" in entry["metadata"] for entry in filesets.values())


def show_lines(lines: Iterable[Line]) -> None:
    """Show a table; what is too long is red on a terminal, and a warning in the log."""
    for text, is_long in lines:
        if is_long and sys.stderr.isatty():
            click.secho(text, fg="red", err=True)
            log.warning("%s", text, extra=FILE_ONLY)
        else:
            log.log(logging.WARNING if is_long else logging.INFO, "%s", text)


def require_fit(forecast: Forecast, attempts: FirstAttempts, options: Mapping[str, Any]) -> None:
    """Ask whether jobs are submitted that may not fit into their queues.

    Raises NothingToDo for a no, OptionError when there is nobody to ask.
    """
    jobs = forecast.too_long(attempts, threshold_of(options))
    if not jobs or options.get("allow-long-jobs"):
        return
    queues = dict.fromkeys(attempts.of(job).queue for job in jobs)
    names = ", ".join(filter(None, queues))
    place = f"the {names} queue{'s' if len(queues) > 1 else ''}" if names else "the time that they get"
    question = f"Some jobs may not fit in {place}."
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        msg = (
            f"{question} {len(jobs)} of {len(forecast.seconds)} jobs are too long, job {jobs[0]} takes about "
            f"{clock(round(forecast.seconds[jobs[0]]))}. Give a longer queue or queue: auto, smaller jobs "
            "(a shorter target-time, a larger scaleout, split-files), or allow-long-jobs: true to submit "
            "them as they are."
        )
        raise OptionError(msg)
    if not click.confirm(f"{question} Proceed anyway?", default=False, err=True):
        msg = "Nothing was submitted. Give a longer queue, queue: auto, or smaller jobs (target-time)."
        raise NothingToDo(msg)
