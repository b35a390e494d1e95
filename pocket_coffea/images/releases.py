"""The images of the releases: ``containers/images.lock.yaml``.

::

    1.0.0:
      lxplus:
        input_digest: 64 hex digits    what the image is made of
        image_digest: 64 hex digits    sha256 of the image file
        size: bytes
        commit: of the release
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.utils.atomic import write_whole

__all__ = ["LOCK", "ReleasedImage", "read_releases", "write_releases"]

#: Below the checkout. It is not in the wheel: it names images that the wheel is in.
LOCK = Path("containers", "images.lock.yaml")
_HEAD = "# Written by `make release-images`; do not edit.\n"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ReleasedImage:
    """What was released for a site. Digests in hex, size in bytes."""

    site: str
    version: str
    input_digest: str
    image_digest: str
    size: int
    commit: str


def read_releases(path: Path) -> dict[tuple[str, str], ReleasedImage]:
    """Return the released images by (version, site), none when there is no such file.

    Raises ConfigurationError naming the entry that is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path} cannot be read: {error}. Take it from the repository again."
        raise ConfigurationError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} holds {type(content).__name__}, not releases (version: site: digests)."
        raise ConfigurationError(msg)
    return {
        (str(version), str(site)): _entry(path, str(version), str(site), entry)
        for version, sites in content.items()
        for site, entry in (sites or {}).items()
    }


def write_releases(path: Path, entries: Iterable[ReleasedImage]) -> None:
    """Write the file anew, whole or not at all. Raises OutputError."""
    content: dict[str, dict[str, Any]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.version, entry.site.lower())):
        content.setdefault(entry.version, {})[entry.site] = {
            "input_digest": entry.input_digest,
            "image_digest": entry.image_digest,
            "size": entry.size,
            "commit": entry.commit,
        }
    write_whole(path, _HEAD + yaml.safe_dump(content, sort_keys=False))


def _entry(path: Path, version: str, site: str, entry: Any) -> ReleasedImage:
    where = f"{path}: {version}: {site}"
    try:
        found = ReleasedImage(
            site=site,
            version=version,
            input_digest=str(entry["input_digest"]),
            image_digest=str(entry["image_digest"]).removeprefix("sha256:"),
            size=int(entry["size"]),
            commit=str(entry["commit"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{where} must have input_digest, image_digest, size and commit ({error!r})."
        raise ConfigurationError(msg) from error
    for digest in (found.input_digest, found.image_digest):
        if not _SHA256.fullmatch(digest):
            msg = f"{where}: {digest!r} is no sha256 (64 hex digits)."
            raise ConfigurationError(msg)
    return found
