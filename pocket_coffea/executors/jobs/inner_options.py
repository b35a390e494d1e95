"""``inner_run_options.yaml``: the run options that jobs get. All others are about the jobs, not for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pocket_coffea.executors.jobs.facts import OPTIONS_NAME
from pocket_coffea.utils.atomic import write_whole

__all__ = ["WHITELIST", "inner_options_text", "write_inner_options"]

#: What the outputs of a job depend on, besides its files and its chunksize.
WHITELIST = ("skip-bad-files", "tree-reduction", "retries", "limit-chunks")


def inner_options_text(options: Mapping[str, Any]) -> str:
    """Return the options of the white list that have a value, as YAML."""
    kept = {name: options[name] for name in WHITELIST if options.get(name) is not None}
    return yaml.safe_dump(kept, sort_keys=False) if kept else "{}\n"


def write_inner_options(jobs_dir: str | Path, options: Mapping[str, Any]) -> Path:
    """Write the file into a jobs folder and return its path. Raises OutputError."""
    path = Path(jobs_dir) / OPTIONS_NAME
    write_whole(path, inner_options_text(options))
    return path
