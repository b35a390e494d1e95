"""Executors that submit one self-contained batch job per group of files (``condor@lxplus``,
``condor@rubin``).

The names are kept for configurations that import them; submitting jobs is not in this version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.executors_base import ExecutorFactoryABC

__all__ = [
    "INNER_RUN_OPTIONS_FILENAME",
    "INNER_RUN_OPTIONS_WHITELIST",
    "ExecutorFactoryManualABC",
    "ensure_job_sh_forwards_inner_yaml",
    "ensure_sub_transfers_inner_yaml",
    "write_inner_run_options",
]

#: The run options that a job gets, and the file that carries them.
INNER_RUN_OPTIONS_FILENAME = "inner_run_options.yaml"
INNER_RUN_OPTIONS_WHITELIST = ("skip-bad-files", "tree-reduction")


def _refuse(what: str) -> NoReturn:
    msg = (
        f"{what}: remote executor 'condor' is not in this version. "
        "Run on this machine with `-e futures` or `-e dask`."
    )
    raise ConfigurationError(msg)


class ExecutorFactoryManualABC(ExecutorFactoryABC):
    """Base of the factories that submit jobs. Its methods raise ConfigurationError in this version."""

    available: ClassVar[bool] = False
    handles_submission: ClassVar[bool] = True

    def __init__(self, run_options: Mapping[str, Any], outputdir: str | None = None, **kwargs: Any) -> None:
        del run_options, outputdir, kwargs
        _refuse(type(self).__name__)

    def get(self) -> Any:
        _refuse("get")

    def submit(self, config: Any, filesets: Mapping[str, Any], outputdir: str) -> None:
        """Split ``filesets`` into jobs, prepare and submit them."""
        del config, filesets, outputdir
        _refuse("submit")

    def prepare_splitting(self, filesets: Mapping[str, Any]) -> list[Any]:
        """Return the filesets of the jobs."""
        del filesets
        _refuse("prepare_splitting")

    def prepare_jobs(self, splits: list[Any]) -> None:
        """Write what the jobs need."""
        del splits
        _refuse("prepare_jobs")

    def submit_jobs(self, jobs_config: Mapping[str, Any]) -> None:
        """Hand the jobs to the batch system."""
        del jobs_config
        _refuse("submit_jobs")

    def recreate_jobs(self, jobs_to_redo: str) -> None:
        """Submit some jobs again."""
        del jobs_to_redo
        _refuse("recreate_jobs")


def write_inner_run_options(jobs_dir: str, run_options: Mapping[str, Any]) -> None:
    """Write the run options that a job gets."""
    del jobs_dir, run_options
    _refuse("write_inner_run_options")


def ensure_job_sh_forwards_inner_yaml(job_sh: str) -> None:
    """Make an existing job script pass the run options on."""
    del job_sh
    _refuse("ensure_job_sh_forwards_inner_yaml")


def ensure_sub_transfers_inner_yaml(sub_file: str, inner_yaml: str = "") -> None:
    """Make an existing submit file ship the run options."""
    del sub_file, inner_yaml
    _refuse("ensure_sub_transfers_inner_yaml")
