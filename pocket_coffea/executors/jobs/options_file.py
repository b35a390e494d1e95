"""The run options that jobs get, ``inner_run_options.yaml``, changed after the submission."""

from __future__ import annotations

from pathlib import Path

import yaml

from pocket_coffea.errors import InputFileError
from pocket_coffea.executors.jobs.facts import OPTIONS_NAME
from pocket_coffea.utils.atomic import write_whole

__all__ = ["skip_bad_files"]


def skip_bad_files(folder: Path) -> None:
    """Let all further attempts go on without files that cannot be read.

    Raises InputFileError when the options cannot be read, OutputError when they cannot be written.
    """
    path = folder / OPTIONS_NAME
    try:
        options = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        msg = f"{path} cannot be read: {error}"
        raise InputFileError(msg) from error
    if not isinstance(options, dict | None):
        msg = f"{path} holds no options but {options!r}; prepare the jobs again."
        raise InputFileError(msg)
    changed = {**(options or {}), "skip-bad-files": True}
    if changed != options:
        write_whole(path, yaml.safe_dump(changed, sort_keys=False))
