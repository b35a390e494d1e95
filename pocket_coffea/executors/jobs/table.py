"""What was prepared, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pocket_coffea.executors.jobs.record import JobRecord
from pocket_coffea.utils.wording import count_of

__all__ = ["aligned", "jobs_table"]

_HEAD = ("dataset", "jobs", "events", "files")


def jobs_table(jobs: Sequence[JobRecord]) -> list[str]:
    """Return a table of jobs, events and files by dataset, then the largest and the smallest job.

    Of files that are cut each job counts its part. "?" where the metadata does not tell the events.
    """
    totals: dict[str, list[int]] = {}
    for job in jobs:
        for each in job.datasets:
            mine = totals.setdefault(each.dataset, [0, 0, 0])
            for place, number in enumerate((1, each.events, each.files)):
                mine[place] += number
    rows = [(name, *_shown(*numbers)) for name, numbers in totals.items()]
    events, files = sum(job.events for job in jobs), sum(job.files for job in jobs)
    rows.append((count_of(len(totals), "dataset"), *_shown(len(jobs), events, files)))
    return [*aligned([_HEAD, *rows]), *_extremes(jobs)]


def _shown(jobs: int, events: int, files: int) -> tuple[str, str, str]:
    return f"{jobs:,}", f"{events:,}" if events else "?", f"{files:,}"


def aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield a line for each row: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        numbers = (f"{text:>{width}}" for text, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join([f"{row[0]:<{widths[0]}}", *numbers])


def _extremes(jobs: Sequence[JobRecord]) -> Iterator[str]:
    sizes = [(job.events or job.files, number) for number, job in enumerate(jobs)]
    for word, (_, number) in (("largest", max(sizes)), ("smallest", min(sizes))):
        job = jobs[number]
        datasets = ", ".join(each.dataset for each in job.datasets[:3])
        more = f" and {len(job.datasets) - 3} more" if len(job.datasets) > 3 else ""
        events = f"{count_of(job.events, 'event')} in " if job.events else ""
        yield f"{word} job: {number} ({events}{count_of(job.files, 'file')} of {datasets}{more})"
