"""All plots of an output: what is to be drawn, in parallel processes, one variable at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocket_coffea.errors import PocketCoffeaError
from pocket_coffea.plotting.options import DrawOptions
from pocket_coffea.plotting.shape import Shape
from pocket_coffea.plotting.source import Source, read_histograms
from pocket_coffea.plotting.style import Style

__all__ = ["Job", "Result", "Task", "jobs_of", "produce", "sum_up"]

log = logging.getLogger(__name__)

#: What the server of worker processes imports beforehand.
PRELOAD = ("pocket_coffea.plotting.preload",)
#: So many jobs for each worker, so that all end at about the same time.
_JOBS_PER_WORKER = 3


@dataclass(frozen=True)
class Job:
    """The plots of one variable in some categories, each in every year (or group of years)."""

    variable: str
    years: dict[str, list[str]]
    categories: tuple[str, ...]
    histograms: Any = None


@dataclass
class Result:
    """What came of jobs: number of plots, what failed ({place: reason}), what was left out.

    uncertainties: names of those that there are, where some of them were asked for.
    """

    variable: str = ""
    n_plots: int = 0
    folders: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    uncertainties: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Task:
    """How each job is drawn; it goes to the worker processes once."""

    style: Style
    options: DrawOptions
    plot_dir: Path
    datasets_metadata: dict[str, Any]
    paths: tuple[Path, ...] | None = None
    kinds: tuple[str, ...] = ("datamc",)
    formats: tuple[str, ...] = ("png",)
    cache: bool = True

    def __call__(self, job: Job) -> Result:
        """Draw; an error of one plot is told and does not keep the others from being drawn."""
        from pocket_coffea.plotting.canvas import cms_style

        result = Result(job.variable)
        histograms = job.histograms
        if histograms is None:
            histograms = read_histograms(self.paths or (), job.variable)
        with cms_style():
            for name, years in job.years.items():
                with _caught(result, f"{job.variable}, {name}"):
                    self._draw_year(job, histograms, (name, years), result)
        return result

    def _draw_year(self, job: Job, histograms: Any, year: tuple[str, list[str]], result: Result) -> None:
        name, years = year
        shape = Shape(
            histograms,
            self.datasets_metadata,
            f"{job.variable}_{name}",
            self.plot_dir,
            self.style,
            years=years,
            variable=job.variable,
            formats=self.formats,
            cache=self.cache,
        )
        shape.options = self.options
        if not 1 <= shape.dense_dim <= 2:
            reason = f"{shape.dense_dim} axes" if shape.dense_dim else "no sample is left"
            result.left_out[f"{job.variable}, {name}"] = reason
            return
        for category in shape.categories:
            if category in job.categories:
                with _caught(result, f"{job.variable}, {name}, {category}"):
                    result.n_plots += self._draw_category(shape, category)
                    result.folders.add(category)
        if self.options.only_syst:
            result.uncertainties.update(shape.samples.uncertainties)

    def _draw_category(self, shape: Shape, category: str) -> int:
        drawn = 0
        options = self.options
        one_axis = shape.dense_dim == 1
        if "datamc" in self.kinds or not one_axis:
            shape.plot_datamc(category, options.ratio, options.systematics)
            drawn += 1
        if "comparison" in self.kinds and one_axis:
            shape.plot_comparison(category, options.ratio)
            drawn += 1
        if "systematics" in self.kinds and one_axis:
            drawn += self._draw_systematics(shape, category)
        return drawn

    def _draw_systematics(self, shape: Shape, category: str) -> int:
        from pocket_coffea.plotting.options import matches

        names = [
            name
            for name in shape.stack(category).systematics
            if not self.options.only_syst or matches(name, self.options.only_syst)
        ]
        for name in names:
            shape.plot_systematic(category, name, self.options.systematics_ratio)
        return len(names)


class _caught:
    """Write an error down in the result, under the name of what was drawn."""

    def __init__(self, result: Result, place: str) -> None:
        self.result, self.place = result, place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        told = isinstance(error, PocketCoffeaError)
        self.result.failed[self.place] = str(error) if told else f"{type(error).__name__}: {error}"
        log.debug("%s", self.place, exc_info=error)
        return True


def jobs_of(
    variables: Sequence[str],
    categories: Sequence[str],
    years: Callable[[str], dict[str, list[str]]],
    workers: int,
) -> list[Job]:
    """Return the jobs: one for each variable, more when there are fewer of them than would keep all busy."""
    blocks = max(1, -(-_JOBS_PER_WORKER * workers // max(1, len(variables)))) if workers > 1 else 1
    size = max(1, -(-len(categories) // blocks))
    parts = [tuple(categories[start : start + size]) for start in range(0, len(categories), size)]
    return [Job(name, chosen, part) for name in variables if (chosen := years(name)) for part in parts]


class _Loaded(Sequence[Job]):
    """The jobs with their histograms, taken from the source when they are handed out."""

    def __init__(self, jobs: Sequence[Job], source: Source) -> None:
        self.jobs, self.source = jobs, source

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, index: Any) -> Any:
        from dataclasses import replace

        job = self.jobs[index]
        return replace(job, histograms=self.source.histograms(job.variable))


def produce(task: Task, jobs: Sequence[Job], source: Source, workers: int) -> Iterator[Result]:
    """Yield the result of each job as it ends. With one worker, or one job, it is done in this process."""
    loaded = _Loaded(jobs, source)
    if workers <= 1 or len(jobs) <= 1:
        for index in range(len(jobs)):
            yield task(loaded[index])
        return
    from pocket_coffea.executors.worker_pool import WorkerPool

    pool = WorkerPool(min(workers, len(jobs)), preload=PRELOAD)
    try:
        for _, result in pool.run(
            task, loaded, range(len(jobs)), lambda: len(jobs), lambda job: f"the plots of {job.variable}"
        ):
            yield result
    finally:
        pool.close()


def sum_up(results: Sequence[Result]) -> Result:
    """Return all results as one."""
    whole = Result("all")
    for each in results:
        whole.n_plots += each.n_plots
        whole.folders |= each.folders
        whole.failed |= each.failed
        whole.left_out |= each.left_out
        whole.uncertainties |= each.uncertainties
    return whole
