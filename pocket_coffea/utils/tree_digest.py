"""One sha256 for a folder of source files: the identity of code, in a checkout, a wheel or an image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["tree_digest"]


def tree_digest(root: Path, files: Iterable[Path] | None = None) -> str:
    """Return the sha256 over names and contents of the files below ``root``; bytecode is left out.

    ``files``: which ones, all by default. Raises OSError when one cannot be read.
    """
    total = hashlib.sha256()
    for path in sorted(root.rglob("*") if files is None else files):
        if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(root).as_posix()}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
