"""Payload files (corrections, certified luminosity): found when used, never when parameters are loaded.

Parameters name payloads by their path on CVMFS, by a path in the package that is not shipped, or by any
path of the analysis. ``resolve_data_file`` turns such a reference into a file that exists, looking first in
the directories of the environment variable ``POCKET_COFFEA_DATA``, so that an analysis runs where CVMFS is
not mounted.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from pocket_coffea.errors import DataFileNotFound, InvalidType, InvalidValue

__all__ = [
    "CVMFS_METADATA",
    "DATA_VARIABLE",
    "data_directories",
    "is_packaged",
    "place_below",
    "resolve_data_file",
]

log = logging.getLogger(__name__)

#: Where the CMS analysis tools group publishes payloads: <group>/<period>/<tag>/<file> below it.
CVMFS_METADATA = "/cvmfs/cms-griddata.cern.ch/cat/metadata"
#: Environment variable with the directories to look in first, separated by ":".
DATA_VARIABLE = "POCKET_COFFEA_DATA"

_PACKAGED = "pocket_coffea/parameters/"
_CERTIFICATE = re.compile(r"^Cert_.*Collisions(?:20)?(\d\d)")
_warned: set[tuple[str, str]] = set()


def data_directories() -> list[str]:
    """Return the directories of ``$POCKET_COFFEA_DATA``, in order, ``~`` expanded, empty entries dropped."""
    entries = os.environ.get(DATA_VARIABLE, "").split(":")
    return [os.path.expanduser(entry.strip()) for entry in entries if entry.strip()]  # noqa: PTH111


def resolve_data_file(reference: str | os.PathLike[str]) -> str:
    """Return the path of an existing file for a reference taken from the parameters.

    reference: a path on CVMFS, any other path, or a bare file name. Places, in this order: the path itself
    (unless it is on CVMFS), then in every data directory the path below the CVMFS metadata area (with and
    without tag), the path as it was written, ``datacert/`` for certified luminosity, the bare name; then
    CVMFS.

    Raises DataFileNotFound with the places that were looked at, InvalidType for anything but a path,
    InvalidValue for an interpolation that was not resolved.
    """
    text = _checked(reference)
    places: list[str] = []
    for place, by_name in _candidates(text):
        if place in places:
            continue
        if os.path.isfile(place):  # noqa: PTH113 - unlike Path.is_file it is False without permission
            if by_name:
                _warn_once(text, place)
            log.debug("data file %s: using %s", text, place)
            return place
        places.append(place)
    raise DataFileNotFound(_not_found(text, places))


def is_packaged(reference: str) -> bool:
    """Return whether a reference names a payload of the framework: on CVMFS, or next to its parameters."""
    return reference.startswith(CVMFS_METADATA + "/") or _PACKAGED in reference


def place_below(reference: str) -> str:
    """Return where below a data directory :func:`resolve_data_file` looks first for a reference.

    >>> place_below(CVMFS_METADATA + "/JME/Run2-2018-UL-NanoAODv9/2026-06-10/jet_jerc.json.gz")
    'JME/Run2-2018-UL-NanoAODv9/2026-06-10/jet_jerc.json.gz'
    """
    text = _checked(reference)
    below = _below_cvmfs(text) if text.startswith(CVMFS_METADATA + "/") else _below_directory(text)
    return below[0] if below else PurePosixPath(text).name


def _checked(reference: object) -> str:
    if not isinstance(reference, (str, os.PathLike)):
        msg = f"a data file is named by its path, but the parameter holds {reference!r}"
        raise InvalidType(msg)
    text = os.path.expanduser(os.fspath(reference)).strip()  # noqa: PTH111
    if not text or "${" in text or text == "???":
        msg = (
            f"{text!r} does not name a data file: resolve the parameters first (OmegaConf.resolve), "
            "and give a value where the defaults have '???'"
        )
        raise InvalidValue(msg)
    return text


def _candidates(text: str) -> Iterator[tuple[str, bool]]:
    """Yield (path, was it found by its bare name although the reference said more?)."""
    on_cvmfs = text.startswith(CVMFS_METADATA + "/")
    if not on_cvmfs and "/" in text:
        yield text, False
    elif not on_cvmfs:
        yield f"./{text}", False
    below = _below_cvmfs(text) if on_cvmfs else _below_directory(text)
    directories = data_directories()
    # The most telling path wins over the order of directories: payloads of all years share few names.
    for relative in below:
        yield from ((f"{directory}/{relative}", False) for directory in directories)
    name = PurePosixPath(text).name
    telling = "/" in text and not _CERTIFICATE.match(name)
    yield from ((f"{directory}/{name}", telling) for directory in directories)
    if on_cvmfs:
        yield text, False
    elif match := _CERTIFICATE.match(name):
        yield f"{CVMFS_METADATA}/DC/Collisions{match[1]}/latest/{name}", False


def _below_cvmfs(text: str) -> list[str]:
    relative = PurePosixPath(text).relative_to(CVMFS_METADATA)
    below = [str(relative), text.removeprefix("/cvmfs/")]
    if len(relative.parts) >= 4:  # group/period/tag/file: a private mirror need not keep the tags
        group, period, _, *rest = relative.parts
        below.append("/".join((group, period, *rest)))
    return below


def _below_directory(text: str) -> list[str]:
    path = PurePosixPath(text)
    below = []
    if _PACKAGED in text:  # parameters may have been resolved by another installation
        below.append(text.rsplit(_PACKAGED, 1)[1])
    elif not path.is_absolute():
        below.append(str(path))
    if path.parent.name:
        below.append(f"{path.parent.name}/{path.name}")
    if _CERTIFICATE.match(path.name):
        below.append(f"datacert/{path.name}")
    return below


def _warn_once(text: str, place: str) -> None:
    if (text, place) in _warned:
        return
    _warned.add((text, place))
    log.warning(
        "data file %s was found by its name alone at %s: make sure that it is for this period "
        "(payloads of all periods share few names; keep the folders of %s to be sure)",
        text,
        place,
        CVMFS_METADATA,
    )


def _not_found(text: str, places: list[str]) -> str:
    name = PurePosixPath(text).name
    target = (_below_cvmfs(text) if text.startswith(CVMFS_METADATA + "/") else _below_directory(text)) or [
        name
    ]
    directories = data_directories()
    now = ":".join(directories) if directories else "not set"
    return (
        f"data file {name!r} ({text}) is not available. Looked at: {', '.join(places)}. "
        f"Put it at <directory>/{target[0]} and name <directory> in ${DATA_VARIABLE} "
        f"(now: {now}; several are separated by ':'), or run where /cvmfs is mounted."
    )
