"""Bring payloads (certified luminosity, corrections) into a data directory, each by its sha256.

A lock says which bytes a payload has; where they come from does not matter. Without CVMFS at the place of
the run, ``$POCKET_COFFEA_DATA`` then has all that the parameters name.
"""

from __future__ import annotations

import hashlib
import logging
import re
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pocket_coffea.errors import ConfigurationError, UnknownName, did_you_mean
from pocket_coffea.utils.atomic import whole_file, write_whole
from pocket_coffea.utils.data_files import CVMFS_METADATA, is_packaged, place_below

__all__ = ["Fetched", "Payload", "fetch", "payloads", "read_lock", "references", "write_lock"]

log = logging.getLogger(__name__)

_TIMEOUT_S = 60
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = ("sha256", "size", "sources")


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload: its place below a data directory, what it must be (None: not locked), and where it is."""

    place: str
    sha256: str | None = None
    size: int | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a payload: "there" (it was), "fetched", "unpinned" or "failed", with the reasons. With
    "there" and "fetched" the payload has its sha256 and size."""

    payload: Payload
    state: str
    message: str = ""


def references(parameters: Mapping[str, Any], years: Collection[str]) -> list[str]:
    """Return the payloads of the framework that parameters name for these years, sorted, each once.

    A payload belongs to the year that is a key on the way to it. Raises UnknownName for a year that no
    payload has.
    """
    found = list(_walk(parameters, ()))
    known = {year for path, _ in found for year in path if _is_year(year)}
    for year in years:
        if year not in known:
            msg = f"--years: no payload is for {year!r}. {did_you_mean(year, known)}"
            raise UnknownName(msg)
    wanted = set(years) or known
    return sorted({text for path, text in found if not any(map(_is_year, path)) or wanted & set(path)})


def _is_year(key: str) -> bool:
    return re.fullmatch(r"20\d\d(_\w+)?", key) is not None


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif isinstance(value, str) and is_packaged(value):
        yield path, value


def read_lock(path: Path) -> dict[str, Payload]:
    """Return the payloads of a lock by their places. Raises ConfigurationError naming what is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"The lock of payloads {path} cannot be read: {error}."
        raise ConfigurationError(msg) from error
    files = content.get("files") if isinstance(content, Mapping) else None
    if not isinstance(files, Mapping):
        msg = f"{path} is no lock of payloads: it has no 'files'."
        raise ConfigurationError(msg)
    return {str(place): _payload(str(place), entry or {}, path) for place, entry in files.items()}


def _payload(place: str, entry: Any, path: Path) -> Payload:
    where = f"{path}: {place}"
    if not isinstance(entry, Mapping) or any(key not in _KEYS for key in entry):
        msg = f"{where} must have sha256, size and sources, not {entry!r:.80}."
        raise ConfigurationError(msg)
    if Path(place).is_absolute() or ".." in Path(place).parts:
        msg = f"{where} is not below the data directory."
        raise ConfigurationError(msg)
    digest = entry.get("sha256")
    if digest is not None and not _SHA256.fullmatch(str(digest)):
        msg = f"{where}: {digest!r} is no sha256 (64 hex digits)."
        raise ConfigurationError(msg)
    return Payload(place, digest, entry.get("size"), tuple(map(str, entry.get("sources", ()))))


def write_lock(path: Path, locked: Sequence[Payload]) -> None:
    """Write a lock, sorted by place."""
    files = {
        each.place: {
            "sha256": each.sha256,
            "size": each.size,
            **({"sources": list(each.sources)} if each.sources else {}),
        }
        for each in sorted(locked, key=lambda payload: payload.place)
    }
    write_whole(path, yaml.safe_dump({"files": files}, sort_keys=False, width=200))


def payloads(wanted: Sequence[str], locks: Sequence[Mapping[str, Payload]]) -> list[Payload]:
    """Return what is known of the payloads that references name; of several locks the last one counts.

    Their place on CVMFS, if they have one, is their first source.
    """
    found = []
    for reference in wanted:
        payload = Payload(place_below(reference))
        for lock in locks:
            payload = lock.get(payload.place, payload)
        if reference.startswith(CVMFS_METADATA):
            payload = replace(payload, sources=(reference, *payload.sources))
        found.append(payload)
    return list({payload.place: payload for payload in found}.values())


def fetch(payload: Payload, folder: Path, mirrors: Sequence[str] = (), pin: bool = False) -> Fetched:
    """Bring a payload to its place below ``folder``; it appears whole or not at all.

    mirrors: folders or addresses that have it at the same place; they are tried first. One that is not locked
    is brought with ``pin`` only. A source with other bytes than the lock says is passed over and said.
    """
    target = folder / payload.place
    if target.is_file() and (payload.sha256 is not None or pin):
        content = target.read_bytes()
        if payload.sha256 in (None, _digest(content)):
            return Fetched(_locked(payload, content), "there")
        log.warning("%s is not what the lock says, and fetched again", target)
    if payload.sha256 is None and not pin:
        return Fetched(payload, "unpinned", "no lock says what it must be: fetch it with --pin")
    reasons = []
    for source in (*(f"{mirror.rstrip('/')}/{payload.place}" for mirror in mirrors), *payload.sources):
        try:
            content = _read(source)
        except (OSError, ValueError) as error:
            reasons.append(
                f"{source}: {getattr(error, 'reason', None) or getattr(error, 'strerror', None) or error}"
            )
            continue
        if payload.sha256 not in (None, _digest(content)):
            reasons.append(f"{source}: sha256 {_digest(content)} instead of {payload.sha256}")
            continue
        with whole_file(target) as temporary:
            temporary.write_bytes(content)
        return Fetched(_locked(payload, content), "fetched", source)
    return Fetched(payload, "failed", "; ".join(reasons) or "no source is known: give --mirror")


def _locked(payload: Payload, content: bytes) -> Payload:
    return replace(payload, sha256=_digest(content), size=len(content))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(source: str) -> bytes:
    """Return the bytes at a path or an address. Raises OSError or ValueError."""
    if "://" not in source:
        return Path(source).expanduser().read_bytes()
    if not source.startswith(("https://", "http://", "file://")):
        msg = "only paths, https://, http:// and file:// are read"
        raise ValueError(msg)
    with urllib.request.urlopen(source, timeout=_TIMEOUT_S) as answer:
        content: bytes = answer.read()
    return content
