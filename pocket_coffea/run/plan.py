"""What a run will process: files, their entries, and the chunks in a fixed order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coffea.processor.executor import FileMeta, WorkItem

from pocket_coffea.errors import ConfigurationError, InputFileError
from pocket_coffea.run.event_source import close_all, entry_count, file_summary
from pocket_coffea.run.retry import with_retries

__all__ = [
    "FileInfo",
    "Inspector",
    "Plan",
    "Skipped",
    "describe_plan",
    "make_chunks",
    "plan_digest",
    "work_files",
]


@dataclass(frozen=True)
class Skipped:
    """Entries that are missing in the output because they could not be read; the whole file if ``start``
    is None."""

    dataset: str
    filename: str
    treename: str
    reason: str
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True)
class FileInfo:
    """Identity of a file: uuid and number of entries of its tree; or why it cannot be read."""

    uuid: bytes = b""
    entries: int = 0
    problem: str | None = None


@dataclass
class Plan:
    """The chunks of a run in order, the files they come from, and what had to be left out.

    inspected: ``files`` says how many entries the files have, not only how many are asked for.
    """

    chunks: list[WorkItem] = field(default_factory=list)
    files: dict[tuple[str, str], FileInfo] = field(default_factory=dict)
    inspected: bool = False
    skipped: list[Skipped] = field(default_factory=list)

    def check_sizes(self, found: Iterable[tuple[str, str, int]]) -> None:
        """Compare with the files as they were read, {(filename, treename, entries)}.

        Raises InputFileError for a file with more entries than were planned: some would be lost.
        """
        for filename, treename, entries in sorted(found):
            planned = self.files.get((filename, treename))
            if planned is not None and self.inspected and entries != planned.entries:
                msg = (
                    f"{filename} has {entries} entries, but {planned.entries} were planned: the output is "
                    "incomplete and was not written. Run again, so that the file is looked at anew."
                )
                raise InputFileError(msg)


def work_files(fileset: Mapping[str, Any], treename: str | None) -> Iterator[FileMeta]:
    """Yield the files of every dataset, in order. Raises ConfigurationError for what is not a fileset."""
    from coffea.processor import Runner

    try:
        yield from Runner._normalize_fileset(fileset, treename)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        msg = (
            f"the fileset is not {{dataset: {{'files': [...], 'metadata': {{...}}}}}}: "
            f"{type(exc).__name__}: {exc}"
        )
        raise ConfigurationError(msg) from exc


class Inspector:
    """Looks at one file; runs on a worker. Called with (filename, treename); returns ``{(filename,
    treename): FileInfo}``.

    A file that stays unreadable raises InputFileError, or with ``skip`` is described in ``FileInfo.problem``.
    ``keep``: leave the file open, for processing that soon follows here; without it looking is much quicker.
    """

    def __init__(self, timeout: float | None, retries: int, skip: bool, *, keep: bool = True) -> None:
        self.timeout = timeout
        self.retries = retries
        self.skip = skip
        self.keep = keep

    def __call__(self, item: tuple[str, str]) -> dict[tuple[str, str], FileInfo]:
        filename, treename = item
        try:
            entries, uuid = with_retries(
                self.retries, filename, lambda: self._look(filename, treename), close_all
            )
        except InputFileError as exc:
            if not self.skip:
                raise
            return {item: FileInfo(problem=str(exc))}
        return {item: FileInfo(uuid, entries)}

    def _look(self, filename: str, treename: str) -> tuple[int, bytes]:
        if not self.keep:
            return entry_count(filename, treename, self.timeout)
        summary = file_summary(filename, treename, self.timeout)
        return summary.num_entries, summary.uuid


def make_chunks(
    files: Iterable[FileMeta],
    infos: Mapping[tuple[str, str], FileInfo],
    chunksize: Callable[[Mapping[str, Any]], int],
    maxchunks: int | None = None,
) -> Plan:
    """Cut the readable files into chunks of about ``chunksize(metadata)`` entries, ``maxchunks`` per
    dataset at most.

    A file is cut into equal parts, so that no chunk is much smaller than the others.
    """
    plan = Plan(files=dict(infos), inspected=True)
    count: dict[str, int] = {}
    for file in files:
        info = infos.get((file.filename, file.treename))
        if info is None or count.get(file.dataset, 0) == maxchunks:
            continue
        if info.problem is not None:
            plan.skipped.append(Skipped(file.dataset, file.filename, file.treename, info.problem))
            continue
        metadata = dict(file.metadata or {})
        meta = FileMeta(
            file.dataset,
            file.filename,
            file.treename,
            {**metadata, "numentries": info.entries, "uuid": info.uuid},
            file.preload,
        )
        for chunk in meta.chunks(chunksize(metadata), align_clusters=False):
            if count.get(file.dataset, 0) == maxchunks:
                break
            plan.chunks.append(chunk)
            count[file.dataset] = count.get(file.dataset, 0) + 1
    return plan


def plan_digest(chunks: Sequence[WorkItem], identity: Mapping[str, Any]) -> str:
    """Return the sha256 of what decides the output: the chunks in order (by file uuid) and ``identity``
    (digests, merging).

    Where a file is read from does not count; two replicas are the same file.
    """
    content = {
        "chunks": [[c.dataset, c.fileuuid.hex(), c.treename, c.entrystart, c.entrystop] for c in chunks],
        "identity": identity,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def describe_plan(chunks: Sequence[WorkItem], identity: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest for each thing that decides the output, to tell which of them changed."""
    parts = {name: plan_digest([], {name: value}) for name, value in identity.items()}
    return {**parts, "chunks (files, limits or chunksize)": plan_digest(chunks, {})}
