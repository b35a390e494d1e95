"""Payload files of the analysis that travel with the workers' jobs: the run option ``extra-input-files``.

They lie beside the start script, under their own names, in a folder of ``$POCKET_COFFEA_DATA``: so the path
that a parameter names is found there (:func:`pocket_coffea.utils.data_files.resolve_data_file`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from pocket_coffea.errors import ConfigurationError

__all__ = ["extra_files"]

#: Names, and how they begin, of the files that a run puts there itself.
_TAKEN = ("worker.sh", "expectation.json", "x509up", "certificates", "dask-", "task-", ".")


def extra_files(options: Mapping[str, Any]) -> list[Path]:
    """Return the files. Raises ConfigurationError for one that is missing, and for two of the same name."""
    found: dict[str, Path] = {}
    for name in options.get("extra-input-files") or ():
        path = Path(str(name)).expanduser().absolute()
        if not path.is_file():
            _refuse(f"there is no file {name!r}. Give paths of files of this machine.")
        if path.name.startswith(_TAKEN):
            _refuse(f"the name of {name!r} is that of a file of the run. Rename it.")
        other = found.setdefault(path.name, path)
        if other != path:
            _refuse(f"{other} and {path} have the same name, by which workers find them. Rename one of them.")
    return list(found.values())


def _refuse(reason: str) -> NoReturn:
    msg = f"run option extra-input-files: {reason}"
    raise ConfigurationError(msg)
