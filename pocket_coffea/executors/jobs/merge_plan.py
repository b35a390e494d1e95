"""Jobs that merge skimmed files: one for each merged file, told in the slice of the job.

The slice has the files to read, whose addresses may change, and in the metadata of the dataset what does not:
``output`` (where the merged file goes), ``nevents`` (its events) and ``merged_from`` (its digest).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocket_coffea.datasets.skim_plan import SkimGroup
from pocket_coffea.executors.jobs.record import JobSlice
from pocket_coffea.executors.jobs.split import JobPlan

__all__ = ["MergeOrder", "merge_plans"]


@dataclass(frozen=True, slots=True)
class MergeOrder:
    """Inputs as they are read now; digest: of the inputs as they were planned."""

    inputs: tuple[str, ...]
    output: str
    nevents: int
    digest: str

    @classmethod
    def of(cls, fileset: Mapping[str, Any]) -> MergeOrder:
        """Return what the dataset of a slice asks for."""
        metadata = fileset["metadata"]
        inputs = tuple(map(str, fileset["files"]))
        return cls(inputs, metadata["output"], int(metadata["nevents"]), metadata["merged_from"])


def merge_plans(groups: Sequence[SkimGroup], samples: Mapping[str, str]) -> list[JobPlan]:
    """Return a job for each merged file; ``samples``: of which sample a dataset is."""
    return [_plan(group, samples.get(group.dataset) or group.dataset) for group in groups]


def _plan(group: SkimGroup, sample: str) -> JobPlan:
    metadata = {
        "sample": sample,
        "output": group.output,
        "nevents": str(group.nevents),
        "merged_from": group.digest,
    }
    # jobs start in other folders than this one
    files = [each if "://" in each else str(Path(each).absolute()) for each in group.inputs]
    filesets = {group.dataset: {"files": files, "metadata": metadata}}
    short = JobSlice(group.dataset, sample, group.nevents, len(group.inputs))
    return JobPlan(filesets, (short,), chunksize=0)
