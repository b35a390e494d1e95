"""One sha256 for a folder of source files: the identity of code, in a checkout, a wheel or an image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["tree_digest"]

#: Of a package: bytecode, and the site files that a wheel has in it and a checkout beside it.
_LEFT_OUT = frozenset({"__pycache__", "_sites"})


def tree_digest(root: Path, files: Iterable[Path] | None = None) -> str:
    """Return the sha256 over names and contents of the files below ``root``, without bytecode and ``_sites``.

    ``files``: which ones, all by default. Raises OSError when one cannot be read.
    """
    total = hashlib.sha256()
    for path in sorted(root.rglob("*") if files is None else files):
        name = path.relative_to(root)
        if path.is_file() and path.suffix != ".pyc" and _LEFT_OUT.isdisjoint(name.parts):
            total.update(f"{name.as_posix()}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
