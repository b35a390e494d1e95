"""Open the files of datasets and tell which cannot be read, where else they are, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from pocket_coffea.datasets.events import count_events
from pocket_coffea.datasets.files import Replica
from pocket_coffea.errors import InputFileError
from pocket_coffea.utils.site_rewrite import logical_name
from pocket_coffea.utils.wording import count_of

__all__ = ["FileProblem", "check_datasets"]


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A file that cannot be read or has another number of events than it should. ``nevents``: events that it
    should have, None if that is not known; ``others``: its replicas elsewhere, None if nobody was asked."""

    dataset: str
    address: str
    reason: str
    nevents: int | None
    others: tuple[Replica, ...] | None = None

    def __str__(self) -> str:
        events = "an unknown number of events" if self.nevents is None else count_of(self.nevents, "event")
        if self.others is None:
            return f"{self.dataset}: {self.reason} ({events})"
        where = ", ".join(replica.site for replica in self.others) or "nowhere else"
        return f"{self.dataset}: {self.reason} ({events}; also at: {where})"


def check_datasets(
    datasets: Mapping[str, Mapping[str, Any]],
    replicas: Callable[[list[str]], Mapping[str, list[Replica]]] | None = None,
    workers: int = 4,
    progress: Callable[[str], Any] = lambda _address: None,
) -> list[FileProblem]:
    """Open every file of the datasets ({name: {files, file_info, ...}}) and return what is wrong.

    replicas: tells the replicas of logical names; None, or a name that it does not know: nothing is said of
    other places. ``progress`` is called with each file that was opened.
    """
    jobs = [
        (name, address, entry.get("file_info", {}).get(address, {}).get("nevents"))
        for name, entry in datasets.items()
        for address in entry["files"]
    ]

    def look(job: tuple[str, str, int | None]) -> FileProblem | None:
        problem = _problem(*job)
        progress(job[1])
        return problem

    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="check") as pool:
        problems = [problem for problem in pool.map(look, jobs) if problem]
    return _with_others(problems, replicas) if replicas and problems else problems


def _problem(dataset: str, address: str, expected: int | None) -> FileProblem | None:
    try:
        found = count_events(address)
    except InputFileError as error:
        return FileProblem(dataset, address, str(error), expected)
    if expected is not None and found != expected:
        reason = f"{address} has {found} events, the catalogue says {expected}"
        return FileProblem(dataset, address, reason, expected)
    return None


def _with_others(
    problems: list[FileProblem], replicas: Callable[[list[str]], Mapping[str, list[Replica]]]
) -> list[FileProblem]:
    names = {problem.address: logical_name(problem.address) for problem in problems}
    asked = sorted({name for name in names.values() if name})
    known = replicas(asked) if asked else {}

    def others(address: str) -> tuple[Replica, ...] | None:
        name = names[address]
        if name is None:
            return None
        return tuple(replica for replica in known.get(name, ()) if replica.address != address)

    return [replace(problem, others=others(problem.address)) for problem in problems]
