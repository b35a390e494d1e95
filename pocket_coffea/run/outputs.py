"""The output folder: results that appear whole or not at all, and the record of failures."""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.errors import OptionError, OutputError
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.output_file import write_coffea

__all__ = ["OutputFolder"]

FAILED_JOBS = "failed_jobs.json"
SKIM_DEFINITION = "skimmed_dataset_definition.json"


class OutputFolder:
    """The folder of a run. Making one creates it; raises OutputError when that is not possible."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if "://" in str(path):
            msg = f"--outputdir {path}: the output folder must be on a mounted file system."
            raise OutputError(msg)
        self.path = Path(path).expanduser()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            msg = f"The output folder {self.path} cannot be made: {exc.strerror or exc}."
            raise OutputError(msg) from exc

    def output_file(self, group: str) -> Path:
        """Return where the output of a group of datasets goes."""
        return self.path / f"output_{group.replace('/', '_')}.coffea"

    def save(self, output: Any, group: str) -> Path:
        """Write an output. An older one is replaced when the new one is whole, and stays when that fails.

        Raises OutputError, for example when the disk is full.
        """
        target = self.output_file(group)
        try:
            write_coffea(output, target)
        except OutputError as exc:
            kept = " The older output there is kept." if target.exists() else ""
            msg = f"The output {exc}{kept}"
            raise OutputError(msg) from exc
        return target

    def write_error(self, name: str, error: BaseException) -> Path:
        """Write the traceback of an error to ``error/run_<name>.err``."""
        path = self.path / "error" / f"run_{name.replace('/', '_')}.err"
        write_whole(path, "".join(traceback.format_exception(error)))
        return path

    def clear_error(self, name: str) -> None:
        """Remove the error record of an earlier run of the same group."""
        folder = self.path / "error"
        with contextlib.suppress(OSError):
            (folder / f"run_{name.replace('/', '_')}.err").unlink(missing_ok=True)
            folder.rmdir()

    def write_failed(self, names: Sequence[str]) -> Path | None:
        """Record the groups that failed; no failure removes the record."""
        path = self.path / FAILED_JOBS
        if not names:
            path.unlink(missing_ok=True)
            return None
        write_whole(path, json.dumps(list(names)) + "\n")
        return path

    def read_failed(self) -> list[str]:
        """Return the groups that failed in the run before. Raises OptionError when there is no record of
        them.
        """
        path = self.path / FAILED_JOBS
        if not path.is_file():
            msg = f"--resubmit-failed: there is no {path}; the last run into this folder had no failed job."
            raise OptionError(msg)
        try:
            names = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            msg = f"--resubmit-failed: {path} cannot be read: {exc}"
            raise OptionError(msg) from exc
        if not isinstance(names, list):
            msg = f"--resubmit-failed: {path} must hold a list of names, got {type(names).__name__}"
            raise OptionError(msg)
        return [str(name) for name in names]

    def failed_before(self) -> list[str]:
        """Return what :meth:`read_failed` returns; nothing where there is no record that can be read."""
        with contextlib.suppress(OptionError):
            return self.read_failed()
        return []
