"""From the datasets that are asked for to their files: look-ups in parallel, one replica for each file."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, Protocol

from pocket_coffea.datasets.catalogue import with_events
from pocket_coffea.datasets.definition import GLOBAL_INSTANCE, DatasetRequest
from pocket_coffea.datasets.events import count_events
from pocket_coffea.datasets.files import DatasetFile
from pocket_coffea.datasets.select import SiteRules
from pocket_coffea.errors import CatalogueError, PocketCoffeaError
from pocket_coffea.utils.wording import count_of

__all__ = ["BuildReport", "BuiltDataset", "Chooser", "FileSource", "build_datasets"]

log = logging.getLogger(__name__)

_SHOWN = 3  # files that a message lists


class FileSource(Protocol):
    """What is asked for files; :class:`pocket_coffea.datasets.catalogue.Catalogue`."""

    def files(self, das_name: str, instance: str) -> list[DatasetFile]:
        """Return the files of a dataset."""


@dataclass(frozen=True)
class Chooser:
    """How files are read: ``rules`` of sites; ``redirector`` (an address such as ``root://host//``), which
    with ``fall_back`` takes the files that have no replica at the sites that may be used."""

    rules: SiteRules
    redirector: str
    fall_back: bool = False

    def through_redirector(self, file: DatasetFile) -> str:
        """Return the address of a file through the redirector."""
        return self.redirector.rstrip("/") + "//" + file.name.lstrip("/") if _logical(file) else file.name

    def address(self, file: DatasetFile) -> tuple[str, str] | None:
        """Return (site, address) of the replica to read; None if none may be used."""
        replicas = self.rules.ordered(file)
        if replicas:
            return replicas[0].site, replicas[0].address
        return ("redirector", self.through_redirector(file)) if self.fall_back else None


@dataclass(frozen=True)
class BuiltDataset:
    """A dataset as it is written: ``files`` with their addresses and sites in the same order."""

    request: DatasetRequest
    files: tuple[DatasetFile, ...]
    addresses: tuple[str, ...]
    sites: tuple[str, ...]

    @property
    def nevents(self) -> int:
        """Number of events of all files."""
        return sum(file.nevents or 0 for file in self.files)

    @property
    def size(self) -> int:
        """Size of all files [bytes]; of files of unknown size 0 is counted."""
        return sum(file.size or 0 for file in self.files)

    def metadata(self) -> dict[str, str]:
        """Return the metadata, all as text, as dataset files have them."""
        extra = {
            "das_names": str(list(self.request.das_names)),
            "nevents": str(self.nevents),
            "size": str(self.size),
        }
        if self.request.dbs_instance != GLOBAL_INSTANCE:
            extra["dbs_instance"] = self.request.dbs_instance
        return {key: str(value) for key, value in {**self.request.metadata, **extra}.items()}


@dataclass
class BuildReport:
    """What was built, in the order of the definition, and why the others were not, by name."""

    built: list[BuiltDataset] = field(default_factory=list)
    failed: dict[str, PocketCoffeaError] = field(default_factory=dict)

    def sites(self) -> set[str]:
        """Return all sites that have a replica of any file."""
        return {replica.site for each in self.built for file in each.files for replica in file.replicas}


def build_datasets(
    requests: Sequence[DatasetRequest],
    catalogue: FileSource,
    chooser: Chooser,
    workers: int = 4,
    progress: Callable[[str], Any] = lambda _name: None,
) -> BuildReport:
    """Look up all datasets and choose a replica of each file; ``progress`` is called with each that is done.

    A dataset that is not known, or has files that may not be read anywhere, is in ``failed``. Any other error
    (no proxy, no server) ends the look-ups.
    """
    done: dict[str, BuiltDataset | CatalogueError] = {}
    with _pool(workers) as pool:
        jobs = {pool.submit(_build, request, catalogue, chooser): request for request in requests}
        for job in as_completed(jobs):
            name = jobs[job].name
            try:
                done[name] = job.result()
            except CatalogueError as error:
                done[name] = error
            progress(name)
    report = BuildReport()
    for request in requests:
        result = done[request.name]
        if isinstance(result, BuiltDataset):
            report.built.append(result)
        else:
            report.failed[request.name] = result
    return report


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool whose waiting jobs do not start any more after an error."""
    pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="datasets")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _build(request: DatasetRequest, catalogue: FileSource, chooser: Chooser) -> BuiltDataset:
    files: list[DatasetFile] = []
    for das_name in request.das_names:
        files.extend(catalogue.files(das_name, request.dbs_instance))
    unique = sorted({file.name: file for file in files}.values(), key=lambda file: file.name)
    if len(unique) < len(files):
        log.warning(
            "%s: %s in several of its DAS names",
            request.name,
            count_of(len(files) - len(unique), "file is", "files are"),
        )
    user = request.dbs_instance != GLOBAL_INSTANCE
    chosen = [_address(file, chooser, user) for file in unique]
    left_out = [file for file, found in zip(unique, chosen, strict=True) if found is None]
    if left_out:
        raise CatalogueError(_no_replica(request.name, left_out, len(unique)))
    counted = tuple(with_events(file, count_events) for file in unique)
    unknown = [file.name for file in counted if file.nevents is None]
    if unknown:
        number = count_of(len(unique), "file")
        msg = f"{request.name}: the number of events of {number} is not known, as {unknown[0]}."
        raise CatalogueError(msg)
    pairs = [found for found in chosen if found is not None]
    return BuiltDataset(
        request, counted, tuple(address for _, address in pairs), tuple(site for site, _ in pairs)
    )


def _address(file: DatasetFile, chooser: Chooser, user: bool) -> tuple[str, str] | None:
    if not _logical(file):
        return file.replicas[0].site, file.replicas[0].address
    if user and not file.replicas:  # no catalogue knows where datasets of users are
        return "redirector", chooser.through_redirector(file)
    return chooser.address(file)


def _logical(file: DatasetFile) -> bool:
    return not file.name.startswith("root://")


def _no_replica(name: str, files: list[DatasetFile], total: int) -> str:
    lines = [
        f"{file.name} (at {', '.join(replica.site for replica in file.replicas) or 'no site on disk'})"
        for file in files[:_SHOWN]
    ]
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    events = sum(file.nevents or 0 for file in files)
    return (
        f"{name}: no replica at a site that may be used for {len(files)} of {count_of(total, 'file')} "
        f"({count_of(events, 'event')}): {'; '.join(lines)}{more}. Allow more sites, "
        "or read them through the redirector with --include-redirector."
    )
