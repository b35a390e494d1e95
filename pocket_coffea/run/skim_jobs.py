"""Merging of skimmed files by batch jobs: from what the user asks for to the submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pocket_coffea.errors import OptionError
from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC
from pocket_coffea.executors.registry import make_factory
from pocket_coffea.run.option_list import JOBS
from pocket_coffea.run.option_set import USER_ORIGINS
from pocket_coffea.run.options import parse_executor
from pocket_coffea.run.outputs import OutputFolder
from pocket_coffea.run.session import RunRequest, merge_options
from pocket_coffea.sites.book import SiteBook
from pocket_coffea.sites.hosts import require_submit_host
from pocket_coffea.sites.site import adjusted
from pocket_coffea.utils.transfer import is_remote

if TYPE_CHECKING:
    from pocket_coffea.datasets.skim_plan import SkimGroup

__all__ = ["JOB_NAME", "merge_factory", "submit_merges"]

#: Folder of the jobs, below ``jobs-dir``, when run option job-name does not say it.
JOB_NAME = "hadd"


def merge_factory(request: RunRequest) -> ExecutorFactoryManualABC:
    """Return who submits the jobs of a request, of which executor, options and output folder count.

    ``jobs-dir`` is the output folder, or the current one where outputs go to an address. Raises OptionError
    for an executor that submits no jobs and for wrong options, SiteError on a machine that is none of the
    site's.
    """
    name, at = parse_executor(request.executor_name)
    if name not in JOBS or at is None:
        msg = (
            f"--executor {request.executor_name}: files are merged by batch jobs, as with condor@lxplus, "
            "slurm@T3_CH_PSI or jobs@local. Leave the option out to merge them in processes of this machine."
        )
        raise OptionError(msg)
    merged = merge_options(request)
    book = SiteBook(request.site_files)
    options = merged.as_dict()
    require_submit_host(adjusted(book.get(at), merged), request.executor_name)
    if not merged.origin("job-name").startswith(USER_ORIGINS):
        options["job-name"] = JOB_NAME
    if is_remote(request.outputdir) and not options.get("jobs-dir"):
        options["jobs-dir"] = str(Path.cwd())
    factory = make_factory(request.executor_name, options, request.outputdir, sites=book)
    assert isinstance(factory, ExecutorFactoryManualABC)
    return factory


def submit_merges(
    factory: ExecutorFactoryManualABC, groups: Sequence[SkimGroup], samples: Mapping[str, str]
) -> None:
    """Submit a job for each group; with ``dry-run`` only prepare them. samples: sample of each dataset.

    Raises as ``ExecutorFactoryManualABC.submit``.
    """
    output = str(factory.outputdir)
    if not is_remote(output):
        OutputFolder(output)  # jobs deliver into a folder that is there
    try:
        factory.submit_merges(groups, samples)
    finally:
        factory.close()
