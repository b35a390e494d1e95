"""``run --recreate-jobs``: jobs of a campaign are sent again, once, because a person wants it.

The jobs folder says all: neither the configuration nor the datasets are read again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from pocket_coffea.batch.states import IN_QUEUE, State
from pocket_coffea.errors import CommandFailed, NothingToDo
from pocket_coffea.executors.jobs.overview import Overview
from pocket_coffea.executors.jobs.watching import Watching, Wishes, find_jobs_folder, parse_jobs

__all__ = ["recreate"]

log = logging.getLogger(__name__)


def recreate(parent: Path, options: Mapping[str, Any], executor: str = "") -> tuple[int, ...]:
    """Send the jobs of run option ``recreate-jobs`` again and return their numbers.

    parent: the folder that holds the jobs folder, or that itself. executor: what the user named; another one
    than that of the jobs is warned about. With ``dry-run`` jobs are only named.
    Raises ConfigurationError when there is no jobs folder, and as ``Watching.recreate``; CommandFailed when
    the batch system accepts none.
    """
    named = parent / str(options.get("job-name") or "job")
    folder = find_jobs_folder(named if named.is_dir() else parent)
    jobs = parse_jobs(options["recreate-jobs"])
    wishes = Wishes(
        recreate_queue=str(options.get("recreate-queue") or ""),
        use_redirector=bool(options.get("use-redirector")),
        blocklist_sites=tuple(options.get("blocklist-sites") or ()),
        remove_running=bool(options.get("remove-running")),
        skip_bad_files=bool(options.get("skip-bad-files")),
    )
    if options.get("dry-run"):
        return _name_only(folder, wishes, jobs)
    with Watching(folder, wishes, acting=True) as watching:
        theirs = watching.opened.record.executor
        seen = _recreated(watching, jobs)
    if "@" in executor and executor != theirs:
        log.warning("The jobs of %s are of %s: they are sent there, not with %s", folder, theirs, executor)
    for each in seen.news:
        log.warning("%s", each.text if each.job is None else f"job_{each.job}: {each.text}")
    if not seen.sent:
        msg = f"No job of {folder} was sent again; the batch system accepted none. Try again later."
        raise CommandFailed(msg)
    for job in seen.sent:
        log.info("Resubmitted job_%d", job)
    log.info(
        "They keep the configuration that they were submitted with; a changed one needs a new submission."
    )
    log.info("Watch them: pocket-coffea check-jobs -j %s", quote(str(folder)))
    return seen.sent


def _recreated(watching: Watching, jobs: Sequence[int] | None) -> Overview:
    try:
        return watching.recreate(jobs)
    except NothingToDo as error:
        if jobs is not None:
            raise
        msg = f"Could not automatically find jobs to send again. All jobs probably succeeded! ({error})"
        raise NothingToDo(msg) from error


def _name_only(folder: Path, wishes: Wishes, jobs: Sequence[int] | None) -> tuple[int, ...]:
    with Watching(folder, wishes, acting=False) as watching:
        rows = watching.look().jobs
    found = jobs
    if found is None:
        skipped = {State.DONE.value, *(() if wishes.remove_running else IN_QUEUE)}
        found = [row.number for row in rows if row.state not in skipped]
    names = ", ".join(map(str, found)) or "none"
    log.info("Dry run: these jobs of %s would be sent again: %s", folder, names)
    return tuple(found)
