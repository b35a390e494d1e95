"""DBS, the catalogue of files and events of CMS, through its REST interface.

The grid proxy is the client's certificate, and the server's is checked against the grid's authorities.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pocket_coffea.datasets.files import DatasetFile
from pocket_coffea.errors import CatalogueError, ConfigurationError
from pocket_coffea.utils.network import get_proxy_path
from pocket_coffea.utils.wording import count_of

__all__ = ["DBS_VARIABLE", "Dbs"]

log = logging.getLogger(__name__)

#: Environment variable with the address of another server than CMS's.
DBS_VARIABLE = "POCKET_COFFEA_DBS"
_CMS_DBS = "https://cmsweb.cern.ch:8443/dbs"
_AUTHORITIES = ("/etc/grid-security/certificates", "/cvmfs/grid.cern.ch/etc/grid-security/certificates")
_TIMEOUT_S = 60
_TRIES = 3


class Dbs:
    """A DBS server. ``proxy`` returns the path of a valid grid proxy, or raises ConfigurationError."""

    def __init__(
        self,
        address: str | None = None,
        proxy: Callable[[], str] = get_proxy_path,
        authorities: str | None = None,
    ) -> None:
        self.address = (address or os.environ.get(DBS_VARIABLE) or _CMS_DBS).rstrip("/")
        if not self.address.startswith("https://"):
            msg = f"DBS is asked with the grid proxy, so by https:// only, not {self.address!r}."
            raise ConfigurationError(msg)
        self._proxy = proxy
        self._authorities = authorities or os.environ.get("X509_CERT_DIR")
        self._kept: ssl.SSLContext | None = None

    def files(self, das_name: str, instance: str) -> list[DatasetFile]:
        """Return the valid files of a dataset, without replicas. Raises CatalogueError, ConfigurationError.

        Files that DBS has marked as invalid are left out, with a warning.
        """
        rows = self._get(instance, "files", dataset=das_name, detail="1")
        valid = [row for row in rows if row.get("is_file_valid", 1)]
        if not rows:
            msg = f"DBS has no files of {das_name} in its instance {instance!r}: look for it in DAS."
            raise CatalogueError(msg)
        if len(valid) < len(rows):
            log.warning(
                "%s: %s invalid in DBS and left out",
                das_name,
                count_of(len(rows) - len(valid), "file is", "files are"),
            )
        return [_file(row) for row in valid]

    def names(self, pattern: str, instance: str) -> list[str]:
        """Return the datasets whose name matches a pattern with ``*``, sorted."""
        return sorted({str(row["dataset"]) for row in self._get(instance, "datasets", dataset=pattern)})

    def _get(self, instance: str, method: str, **query: str) -> list[dict[str, Any]]:
        url = f"{self.address}/{instance}/DBSReader/{method}?{urllib.parse.urlencode(query, safe='/*')}"
        for attempt in range(1, _TRIES + 1):
            try:
                return self._read(url)
            except urllib.error.HTTPError as error:
                if error.code < 500 or attempt == _TRIES:
                    msg = f"DBS refuses {url}: {error.code} {error.reason}"
                    raise CatalogueError(msg) from error
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, ssl.SSLCertVerificationError) or attempt == _TRIES:
                    raise CatalogueError(self._why(url, reason)) from error
            time.sleep(2.0 ** (attempt - 1))
        raise AssertionError  # the loop returns or raises

    def _read(self, url: str) -> list[dict[str, Any]]:
        request = urllib.request.Request(url, headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self._context()) as answer:
            rows = json.load(answer)
        if not isinstance(rows, list):
            msg = f"the answer is no list: {rows!r:.80}"
            raise ValueError(msg)  # noqa: TRY004 - a wrong answer, not a wrong argument
        return rows

    def _why(self, url: str, reason: object) -> str:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return (
                f"The server of {url} is not trusted: {reason.verify_message}. The folder with the grid's "
                f"authorities is looked for at $X509_CERT_DIR (now: {self._authorities or 'not set'}) and "
                f"{', '.join(_AUTHORITIES)}."
            )
        return f"DBS does not answer ({url}): {reason}"

    def _context(self) -> ssl.SSLContext:
        """Return what checks the server and shows the proxy; it is made once."""
        if self._kept is None:
            context = ssl.create_default_context()
            folders = [self._authorities] if self._authorities else list(_AUTHORITIES)
            for folder in folders:
                if Path(folder).is_dir():
                    context.load_verify_locations(capath=folder)
            path = self._proxy()
            try:
                context.load_cert_chain(path)
            except (ssl.SSLError, OSError) as error:
                msg = f"The grid proxy {path} cannot be used: {error}."
                raise ConfigurationError(msg) from error
            self._kept = context
        return self._kept


def _file(row: dict[str, Any]) -> DatasetFile:
    checksum = row.get("adler32")
    usable = isinstance(checksum, str) and checksum not in ("", "NOTSET", "-1")
    return DatasetFile(
        name=row["logical_file_name"],
        size=row.get("file_size"),
        adler32=checksum.lower().rjust(8, "0") if usable and isinstance(checksum, str) else None,
        nevents=row.get("event_count"),
    )
