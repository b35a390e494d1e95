"""How a job reads its slice: entry ranges, and the replicas of a file when its first address does not do."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coffea.processor.executor import FileMeta, WorkItem

from pocket_coffea.errors import InputFileError
from pocket_coffea.executors.local import FuturesExecutor, IterativeExecutor
from pocket_coffea.run.event_source import close_all
from pocket_coffea.run.plan import Plan
from pocket_coffea.run.runner import PocketRunner
from pocket_coffea.utils.transfer import STAGE

__all__ = [
    "JobFutures",
    "JobIterative",
    "Ranges",
    "Replicas",
    "SliceRunner",
    "WithReplicas",
    "entry_ranges",
    "replicas_of",
]

log = logging.getLogger(__name__)

Ranges = dict[tuple[str, str], list[list[int]]]


def replicas_of(filesets: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return {address: its other replicas} of a slice."""
    found: dict[str, list[str]] = {}
    for fileset in filesets.values():
        for name, others in (fileset.get("replicas") or {}).items():
            found[str(name)] = [str(each) for each in others if each != name]
    return found


def entry_ranges(filesets: Mapping[str, Any]) -> Ranges:
    """Return {(dataset, file): [[start, stop], ...]} of the files that a slice has a part of."""
    return {
        (dataset, name): [[int(start), int(stop)] for start, stop in sorted(what["steps"])]
        for dataset, fileset in filesets.items()
        if isinstance(fileset["files"], Mapping)
        for name, what in fileset["files"].items()
        if isinstance(what, Mapping) and what.get("steps")
    }


# -- replicas


@dataclass(frozen=True)
class Replicas:
    """The other addresses of files, and a file that all processes of a job share: addresses that could not
    be read, one a line."""

    others: Mapping[str, Sequence[str]]
    bad: Path

    def unreadable(self) -> list[str]:
        """Return what could not be read so far."""
        try:
            lines = self.bad.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return list(dict.fromkeys(lines))

    def note(self, address: str) -> None:
        """Add an address that could not be read."""
        with contextlib.suppress(OSError), self.bad.open("a", encoding="utf-8") as file:
            file.write(f"{address}\n")

    def order(self, address: str) -> list[str]:
        """Return the addresses to try: those that failed already come last."""
        bad = set(self.unreadable())
        names = [address, *self.others.get(address, ())]
        return [*(name for name in names if name not in bad), *(name for name in names if name in bad)]


class WithReplicas:
    """Looks at or processes a file by ``function``, from another replica when the first cannot be read.

    Its answer speaks of the file by its first address, whichever was read. ``stage``: where files that
    ``function`` writes wait for the end of the job.
    """

    def __init__(self, function: Callable[[Any], Any], replicas: Replicas, stage: str = "") -> None:
        self.function = function
        self.replicas = replicas
        self.stage = stage

    def __call__(self, item: Any) -> Any:
        os.environ[STAGE] = self.stage
        name = item.filename if isinstance(item, WorkItem) else item[0]
        order = self.replicas.order(name)
        for left, address in zip(range(len(order) - 1, -1, -1), order, strict=True):
            try:
                result = self.function(_renamed(item, address))
            except InputFileError as error:
                self.replicas.note(address)
                if not left:
                    raise
                log.warning("%s; the next replica is tried", error)
            else:
                reason = _problem(result)
                if not reason:
                    return _as_planned(result, address, name)
                self.replicas.note(address)
                if not left:
                    return _as_planned(result, address, name)
                log.warning("%s; the next replica is tried", reason)
            close_all()
        raise AssertionError


def _renamed(item: Any, address: str) -> Any:
    if isinstance(item, WorkItem):
        return item if item.filename == address else dataclasses.replace(item, filename=address)
    return (address, *item[1:])


def _problem(result: Mapping[Any, Any]) -> str:
    """Return why a file was skipped, empty when it was not."""
    if result.get("skipped"):
        return str(result["skipped"][0].reason)
    problems = [getattr(info, "problem", None) for info in result.values()]
    return next((str(problem) for problem in problems if problem), "")


def _as_planned(result: Mapping[Any, Any], address: str, name: str) -> Mapping[Any, Any]:
    if address == name:
        return result
    if "processed" not in result:
        return {(name, *key[1:]): info for key, info in result.items()}
    changed = {
        **result,
        "processed": {dataclasses.replace(chunk, filename=name) for chunk in result["processed"]},
    }
    if "sizes" in result:
        changed["sizes"] = {(name, *rest) for _, *rest in result["sizes"]}
    if "skipped" in result:
        changed["skipped"] = [dataclasses.replace(each, filename=name) for each in result["skipped"]]
    return changed


class _Reads:
    """Adds the replicas to an executor."""

    replicas: Replicas | None
    store: Any

    def __call__(self, items: Any, function: Callable[[Any], Any], accumulator: Any) -> Any:
        task = function
        if self.replicas is not None:
            task = WithReplicas(function, self.replicas, "" if self.store is None else str(self.store.stage))
        return super().__call__(items, task, accumulator)  # type: ignore[misc]


@dataclass
class JobIterative(_Reads, IterativeExecutor):
    """One chunk after the other."""

    replicas: Replicas | None = None
    retries: int = 3


@dataclass
class JobFutures(_Reads, FuturesExecutor):
    """Chunks in parallel, where a job has several cores."""

    replicas: Replicas | None = None


# -- entry ranges


@dataclass
class SliceRunner(PocketRunner):
    """A Runner of the entry ranges of a slice; files without one are read as a whole."""

    ranges: Ranges = field(default_factory=dict)

    def make_plan(self, fileset: Mapping[str, Any], treename: str | None = "Events") -> Plan:
        """Plan as the base does, for the ranges alone. Raises InputFileError for a file that ends earlier."""
        plan = super().make_plan(fileset, treename)
        if self.ranges:
            chunks = [chunk for file in _files(plan.chunks) for chunk in self._cut(file, plan)]
            self.plan = dataclasses.replace(plan, chunks=chunks)
        return self.plan

    def _cut(self, of_file: list[WorkItem], plan: Plan) -> Iterator[WorkItem]:
        first = of_file[0]
        ranges = self.ranges.get((first.dataset, first.filename))
        if ranges is None:
            yield from of_file
            return
        entries = plan.files[first.filename, first.treename].entries
        size = self.chunksize
        per_chunk = size(first.usermeta or {}) if callable(size) else size
        for start, stop in ranges:
            if stop > entries:
                msg = (
                    f"{first.filename} (dataset {first.dataset}) has {entries} entries; this job was given "
                    f"{start}-{stop}. The file was replaced after the submission."
                )
                raise InputFileError(msg)
            meta = {"numentries": stop - start, "uuid": first.fileuuid}
            piece = FileMeta(first.dataset, first.filename, first.treename, meta)
            for chunk in piece.chunks(per_chunk, align_clusters=False):
                yield dataclasses.replace(
                    first, entrystart=start + chunk.entrystart, entrystop=start + chunk.entrystop
                )


def _files(chunks: Iterable[WorkItem]) -> list[list[WorkItem]]:
    """Group chunks by dataset and file, in order."""
    groups: dict[tuple[str, str], list[WorkItem]] = {}
    for chunk in chunks:
        groups.setdefault((chunk.dataset, chunk.filename), []).append(chunk)
    return list(groups.values())
