"""Correction sets of correctionlib, read once per process."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from pocket_coffea.errors import ConfigurationError, did_you_mean
from pocket_coffea.utils.data_files import resolve_data_file

__all__ = ["clear_cache", "get_correction", "load_correction_set"]


@functools.lru_cache(maxsize=64)
def _load(path: str, _identity: tuple[int, int]) -> Any:
    import correctionlib

    try:
        return correctionlib.CorrectionSet.from_file(path)
    except (RuntimeError, OSError, ValueError, IndexError) as exc:
        msg = f"{path} is not a readable correctionlib file (JSON, may be gzipped): {exc}"
        raise ConfigurationError(msg) from exc


def load_correction_set(path: str) -> Any:
    """Return the ``correctionlib.CorrectionSet`` of a file; a second call gives the same object.

    path: anything that ``resolve_data_file`` finds (a path, a CVMFS path, a bare name below
    ``$POCKET_COFFEA_DATA``). A file that was replaced meanwhile is read again. Raises DataFileNotFound, or
    ConfigurationError when unreadable.
    """
    found = resolve_data_file(path)
    status = Path(found).stat()
    return _load(found, (status.st_mtime_ns, status.st_size))


def get_correction(path: str, name: str) -> Any:
    """Return one correction (or compound correction) of a file. Raises ConfigurationError with the nearest
    names.
    """
    corrections = load_correction_set(path)
    if name in list(corrections):  # asking the mapping itself for an unknown name is an IndexError
        return corrections[name]
    if name in list(corrections.compound):
        return corrections.compound[name]
    msg = f"{path} has no correction {name!r}. {did_you_mean(name, [*corrections, *corrections.compound])}"
    raise ConfigurationError(msg)


def clear_cache() -> None:
    """Forget all files."""
    _load.cache_clear()
