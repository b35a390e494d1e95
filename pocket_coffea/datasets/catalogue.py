"""The files of a dataset, from all catalogues together: Rucio, DBS, or the folder of a server."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from pocket_coffea.datasets.cache import AnswerCache
from pocket_coffea.datasets.dbs import Dbs
from pocket_coffea.datasets.definition import GLOBAL_INSTANCE
from pocket_coffea.datasets.files import DatasetFile, Replica, from_plain, plain
from pocket_coffea.datasets.rucio_client import RucioCatalogue
from pocket_coffea.errors import CatalogueError, CommandFailed
from pocket_coffea.utils.process import run_command
from pocket_coffea.utils.wording import count_of

__all__ = ["Catalogue"]

log = logging.getLogger(__name__)

_LISTING_S = 300


class Catalogue:
    """Answers what a dataset consists of; answers are kept in ``cache``.

    Official datasets (instance prod/global) are in Rucio; what it does not know of a file (events) is asked
    of DBS. Datasets of users are in DBS alone, without replicas.
    """

    def __init__(self, rucio: RucioCatalogue, dbs: Dbs, cache: AnswerCache) -> None:
        self.rucio = rucio
        self.dbs = dbs
        self.cache = cache

    def files(self, das_name: str, instance: str = GLOBAL_INSTANCE) -> list[DatasetFile]:
        """Return the files of a dataset, sorted by name. Raises CatalogueError if there is none."""
        if das_name.startswith("root://"):
            return self._kept(lambda: listed_files(das_name), "folder", das_name)
        if instance == GLOBAL_INSTANCE:
            return self._kept(lambda: self._official(das_name), "rucio", self.dbs.address, das_name)
        return self._kept(lambda: self.dbs.files(das_name, instance), self.dbs.address, instance, das_name)

    def _kept(self, ask: Callable[[], list[DatasetFile]], *question: str) -> list[DatasetFile]:
        kept: Any = self.cache.get(*question)
        if kept is not None:
            return from_plain(kept)
        files = sorted(ask(), key=lambda file: file.name)
        if not files:
            msg = f"{question[-1]} has no files."
            raise CatalogueError(msg)
        self.cache.put(plain(files), *question)
        return files

    def _official(self, das_name: str) -> list[DatasetFile]:
        files = self.rucio.files(das_name)
        if all(file.nevents is not None for file in files):
            return files
        known = {file.name: file for file in self.dbs.files(das_name, GLOBAL_INSTANCE)}
        gone = [file.name for file in files if file.name not in known]
        if gone:
            log.warning(
                "%s: %s in Rucio but not valid in DBS, and left out",
                das_name,
                count_of(len(gone), "file is", "files are"),
            )
        return [file.filled(known[file.name]) for file in files if file.name in known]

    def names(self, pattern: str, instance: str = GLOBAL_INSTANCE) -> list[str]:
        """Return the datasets whose name matches a pattern with ``*``, sorted."""
        if instance == GLOBAL_INSTANCE:
            return self.rucio.names(pattern)
        return self.dbs.names(pattern, instance)


def listed_files(address: str) -> list[DatasetFile]:
    """Return the ROOT files of a folder of an XRootD server (or the one file that is named), by their
    addresses. Sizes and events are not known. Raises CatalogueError.

    The program xrdfs of XRootD lists them.
    """
    if address.endswith(".root"):
        return [DatasetFile(address, replicas=(_here(address),))]
    host, _, path = address.removeprefix("root://").partition("/")
    folder = "/" + path.strip("/")
    try:
        listing = run_command(["xrdfs", f"root://{host}", "ls", "-R", folder], timeout=_LISTING_S).stdout
    except CommandFailed as error:
        msg = f"{address} cannot be listed: {error}"
        raise CatalogueError(msg) from error
    names = [line.strip() for line in listing.splitlines() if line.strip().endswith(".root")]
    found = [f"root://{host}//{PurePosixPath(name.lstrip('/'))}" for name in names]
    return [DatasetFile(each, replicas=(_here(each),)) for each in dict.fromkeys(found)]


def _here(address: str) -> Replica:
    return Replica(address.removeprefix("root://").partition("/")[0].partition(":")[0], address)


def with_events(file: DatasetFile, count: Callable[[str], int]) -> DatasetFile:
    """Return the file with its number of events, counted at its first replica if it is not known."""
    if file.nevents is not None or not file.replicas:
        return file
    return dataclasses.replace(file, nevents=count(file.replicas[0].address))
