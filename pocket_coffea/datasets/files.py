"""What a catalogue tells of the files of a dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

__all__ = ["DatasetFile", "Replica", "from_plain", "plain", "site_name"]


@dataclass(frozen=True, slots=True)
class Replica:
    """A copy of a file: the site (or storage element) that has it, and its address."""

    site: str
    address: str


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A file by its logical name. ``size`` [bytes], ``adler32`` (8 hex digits) and ``nevents`` are None where
    the catalogue does not know; ``replicas`` come in the order of the catalogue, nearest first."""

    name: str
    size: int | None = None
    adler32: str | None = None
    nevents: int | None = None
    replicas: tuple[Replica, ...] = ()

    def filled(self, other: DatasetFile) -> DatasetFile:
        """Return this file with what ``other`` knows in addition."""
        keys = ("size", "adler32", "nevents")
        missing = {key: getattr(other, key) for key in keys if getattr(self, key) is None}
        return replace(self, **missing)


def site_name(name: str) -> str:
    """Return the site of a storage element: users name both.

    >>> site_name("T1_DE_KIT_Disk")
    'T1_DE_KIT'
    """
    return name.removesuffix("_Disk")


def plain(files: list[DatasetFile]) -> list[dict[str, Any]]:
    """Return files as what JSON can hold; :func:`from_plain` reads it."""
    return [
        {
            "name": file.name,
            "size": file.size,
            "adler32": file.adler32,
            "nevents": file.nevents,
            "replicas": [[replica.site, replica.address] for replica in file.replicas],
        }
        for file in files
    ]


def from_plain(rows: list[dict[str, Any]]) -> list[DatasetFile]:
    """Return the files that :func:`plain` wrote."""
    return [
        DatasetFile(**{**row, "replicas": tuple(Replica(site, address) for site, address in row["replicas"])})
        for row in rows
    ]
