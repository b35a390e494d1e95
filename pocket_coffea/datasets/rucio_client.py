"""Rucio, the catalogue of replicas: the one place that imports its client and knows its errors."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pocket_coffea.datasets.files import DatasetFile, Replica
from pocket_coffea.datasets.site_map import SiteMap
from pocket_coffea.errors import CatalogueError, ConfigurationError, nearest
from pocket_coffea.utils.network import get_proxy_path

__all__ = ["SCOPE", "RucioCatalogue", "get_rucio_client"]

log = logging.getLogger(__name__)

#: The scope of official datasets.
SCOPE = "cms"
#: What CMS publishes for its users; it has etc/rucio.cfg.
_RUCIO_HOME = "/cvmfs/cms.cern.ch/rucio/current"
_TRIES = 3
_CHUNK = 500  # logical names a question

T = TypeVar("T")


def get_rucio_client(proxy: str | None = None) -> Any:
    """Return a client of Rucio that has authenticated.

    Its configuration is what ``$RUCIO_CONFIG`` or ``$RUCIO_HOME`` name, else CMS's on CVMFS. ``proxy``: path
    of the grid proxy, by default the user's. Raises ConfigurationError without the package, a configuration
    or a usable proxy, CatalogueError when the server does not let the user in.
    """
    _require_configuration()
    try:
        from rucio.client import Client
        from rucio.common.exception import RucioException
    except ImportError as error:
        msg = (
            "Datasets are looked up with the package rucio-clients, which is not installed: "
            "pip install rucio-clients (the site images have it)."
        )
        raise ConfigurationError(msg) from error
    creds = {"client_proxy": proxy} if proxy else None
    try:
        with _quiet():
            return Client(creds=creds) if creds else Client()
    except (RucioException, OSError) as error:
        if _wants_proxy():
            get_proxy_path()  # says what is wrong with the proxy, if that is it
        msg = f"Rucio does not let you in: {_one_line(error)}"
        raise CatalogueError(msg) from error


def _require_configuration() -> None:
    """Raise ConfigurationError when there is no rucio.cfg to be found."""
    if os.environ.get("RUCIO_CONFIG") or os.environ.get("RUCIO_HOME"):
        return
    if not Path(_RUCIO_HOME, "etc", "rucio.cfg").is_file():
        msg = (
            f"Rucio is not configured: neither $RUCIO_CONFIG nor $RUCIO_HOME is set, and {_RUCIO_HOME} is "
            "not there. Run where /cvmfs/cms.cern.ch is mounted, or name a rucio.cfg: "
            "export RUCIO_CONFIG=<file>."
        )
        raise ConfigurationError(msg)
    os.environ["RUCIO_HOME"] = _RUCIO_HOME


def _wants_proxy() -> bool:
    from rucio.common.config import config_get

    return str(config_get("client", "auth_type", raise_exception=False, default="")).startswith("x509")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client from printing its own error messages: ours says the same."""
    logger = logging.getLogger("rucio")
    user = logging.getLogger("user")
    before = [(each, each.level) for each in (logger, user)]
    try:
        for each, _ in before:
            each.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for each, level in before:
            each.setLevel(level)


class RucioCatalogue:
    """Files and replicas as Rucio tells them; each thread has a client of its own.

    ``sites`` tells addresses better than Rucio does: Rucio knows how sites copy files, sites know how they
    are read.
    """

    def __init__(
        self, sites: SiteMap, make_client: Callable[[], Any] = get_rucio_client, scope: str = SCOPE
    ) -> None:
        self.sites = sites
        self.scope = scope
        self._make_client = make_client
        self._local = threading.local()
        self._gate = threading.Lock()

    @property
    def client(self) -> Any:
        """The client of this thread."""
        if not hasattr(self._local, "client"):
            with self._gate:  # the first one writes the token that the others read
                self._local.client = self._make_client()
        return self._local.client

    @property
    def server(self) -> str:
        """The address of the server."""
        return str(self.client.host)

    def files(self, das_name: str) -> list[DatasetFile]:
        """Return the files of a dataset with their replicas on disk. Raises CatalogueError."""
        rows = self._ask(das_name, lambda: list(self.client.list_files(self.scope, das_name)))
        replicas = self.replicas(das_name)
        return [
            DatasetFile(
                name=row["name"],
                size=row.get("bytes"),
                adler32=row.get("adler32"),
                nevents=row.get("events"),
                replicas=tuple(replicas.get(row["name"], ())),
            )
            for row in rows
        ]

    def replicas(self, *names: str) -> dict[str, list[Replica]]:
        """Return the replicas on disk, nearest first, by logical name; ``names`` are of files or datasets.

        Files that Rucio does not know are left out. Raises CatalogueError.
        """
        found: dict[str, list[Replica]] = {}
        for start in range(0, len(names), _CHUNK):
            part = names[start : start + _CHUNK]
            rows = self._ask(f"replicas of {part[0]}", partial(self._rows, part))
            found.update({row["name"]: self._replicas(row) for row in rows})
        return found

    def _rows(self, names: Iterable[str]) -> list[dict[str, Any]]:
        dids = [{"scope": self.scope, "name": name} for name in names]
        return list(self.client.list_replicas(dids, sort="geoip"))

    def _replicas(self, row: dict[str, Any]) -> list[Replica]:
        """Return the replicas of one file: on disk, not volatile, available, with a known address."""
        near_first = sorted(row["pfns"].items(), key=lambda item: (item[1]["priority"], item[1]["rse"]))
        replicas: dict[str, Replica] = {}
        for address, about in near_first:
            element = about["rse"]
            if element in replicas or about["type"] != "DISK" or about["volatile"]:
                continue
            if row["states"].get(element, "AVAILABLE") != "AVAILABLE":
                continue
            known = self.sites.address(element, row["name"])
            if known is None and address.startswith("root://"):
                known = address
            if known is not None:
                replicas[element] = Replica(element, known)
        return list(replicas.values())

    def names(self, pattern: str) -> list[str]:
        """Return the datasets whose name matches a pattern with ``*``, sorted. Raises CatalogueError."""
        found: Iterable[str] = self._ask(
            pattern,
            lambda: list(self.client.list_dids(self.scope, [{"name": pattern}], did_type="container")),
        )
        return sorted(set(found))

    def _ask(self, what: str, question: Callable[[], T]) -> T:
        """Return the answer; a server that does not answer is asked again."""
        _ = self.client  # says what is missing before its errors are imported
        from requests.exceptions import RequestException
        from rucio.common.exception import (
            DataIdentifierNotFound,
            RucioException,
            ServerConnectionException,
        )

        for attempt in range(1, _TRIES + 1):
            try:
                with _quiet():
                    return question()
            except DataIdentifierNotFound as error:
                msg = f"Rucio has no dataset {what}.{self._similar(what)}"
                raise CatalogueError(msg) from error
            except (RequestException, ServerConnectionException) as error:
                if attempt == _TRIES:
                    msg = f"Rucio does not answer ({what}): {_one_line(error)}"
                    raise CatalogueError(msg) from error
                log.info("Rucio does not answer (%s), asked again: %s", what, _one_line(error))
                time.sleep(2.0 ** (attempt - 1))
            except RucioException as error:
                msg = f"Rucio refuses ({what}): {_one_line(error)}"
                raise CatalogueError(msg) from error
        raise AssertionError  # the loop returns or raises

    def _similar(self, name: str) -> str:
        """Return the sentence with names of the same primary dataset and tier that are there."""
        parts = name.split("/")
        if len(parts) != 4 or not parts[1]:
            return ""
        names = self.names(f"/{parts[1]}/*/{parts[3]}")
        close = nearest(name, names) or names[:3]
        return (
            f" Similar ones: {', '.join(close)}." if close else " Look for it in DAS: the name may be wrong."
        )
