"""The sha256 of image files, computed once per file: a campaign names its image in every submission.

The cache is one small JSON file of the user. It is replaced whole, so that several processes may use it at
once; when two write at the same moment one entry is lost and computed again. Losing the file costs seconds.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from pocket_coffea.errors import InputFileError, OutputError
from pocket_coffea.images.sif import file_sha256
from pocket_coffea.images.store import cache_folder
from pocket_coffea.utils.atomic import write_whole

__all__ = ["DigestCache"]

log = logging.getLogger(__name__)

#: Files that are remembered; the oldest entry goes first.
ENTRIES = 200
#: Seconds. A file changed more recently may change once more without getting another time stamp.
SETTLED = 2.0


class DigestCache:
    """Digests by path, size, inode and times of last change; any of them differs: the file is read again."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / "image-digests.json"

    def sha256(self, file: Path) -> str:
        """Return the sha256 of a file, in hex.

        Raises InputFileError when it cannot be read or changes while it is read.
        """
        before = _identity(file)
        known = self._read().get(str(file))
        if isinstance(known, dict) and {**known, "sha256": ""} == {**before, "sha256": ""}:
            return str(known["sha256"])
        digest = file_sha256(file)
        if _identity(file) != before:
            msg = f"{file} changed while its sha256 was computed. Wait until it is complete, then try again."
            raise InputFileError(msg)
        if time.time_ns() - max(before["mtime_ns"], before["ctime_ns"]) > SETTLED * 1e9:
            self._remember(str(file), {**before, "sha256": digest})
        return digest

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _remember(self, file: str, entry: dict[str, Any]) -> None:
        entries = {name: value for name, value in self._read().items() if name != file}
        entries[file] = entry
        kept = dict(list(entries.items())[-ENTRIES:])
        try:
            write_whole(self.path, json.dumps(kept, indent=1) + "\n")
        except OutputError as error:
            # a full or read-only home folder: the digest is right all the same
            log.debug("the digest of %s is not remembered: %s", file, error)


def _identity(file: Path) -> dict[str, int]:
    """Return what changes with the content. ctime, too: a copy may set mtime back, but not ctime."""
    try:
        found = file.stat()
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror or error}."
        raise InputFileError(msg) from error
    return {
        "size": found.st_size,
        "inode": found.st_ino,
        "mtime_ns": found.st_mtime_ns,
        "ctime_ns": found.st_ctime_ns,
    }
