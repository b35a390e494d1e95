"""What describes merged skims: the dataset definition and the record of what was merged into what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.datasets.skim_merge import GroupState
from pocket_coffea.datasets.skim_plan import SkimGroup
from pocket_coffea.errors import ResultsRefused
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.metadata import to_bool
from pocket_coffea.utils.skim import skim_entry
from pocket_coffea.utils.transfer import is_remote

__all__ = ["DEFINITION", "FAILED", "PLAN", "merged_definition", "write_failed", "write_plan"]

#: What is written into the folder where the command runs.
PLAN = "hadd.json"
DEFINITION = "skimmed_dataset_definition_hadd.json"
FAILED = "hadd_failed"


def write_plan(groups: Sequence[SkimGroup], path: Path) -> None:
    """Write ``{dataset: {files: {output: [inputs]}, nevents_per_outfile: {output: n}}}``."""
    content: dict[str, Any] = {}
    for group in groups:
        entry = content.setdefault(group.dataset, {"files": {}, "nevents_per_outfile": {}})
        entry["files"][group.output] = list(group.inputs)
        entry["nevents_per_outfile"][group.output] = group.nevents
    write_whole(path, json.dumps(content, indent=2) + "\n")


def merged_definition(output: Mapping[str, Any], groups: Sequence[SkimGroup]) -> dict[str, Any]:
    """Return the merged datasets as dataset files have them.

    ``size`` [bytes] is that of the merged files where they can be seen, else that before the skim times its
    efficiency. Raises ResultsRefused for a dataset without metadata: the output must be postprocessed.
    """
    known = output.get("datasets_metadata", {}).get("by_dataset", {})
    definition: dict[str, Any] = {}
    for dataset in dict.fromkeys(group.dataset for group in groups):
        if dataset not in known:
            msg = f"Dataset {dataset!r} has no metadata in the output: merge the jobs with merge-outputs -jc."
            raise ResultsRefused(msg)
        members = [group for group in groups if group.dataset == dataset]
        files = [group.output for group in members]
        entry = skim_entry(output, dataset, known[dataset], files)
        metadata = entry["metadata"]
        size = _size(files, metadata)
        if size is not None:
            metadata["size"] = str(size)
        if to_bool(metadata.get("isMC")):
            kept = float(output.get("sum_genweights_skimmed", {}).get(dataset, 0.0))
            metadata["skim_rescale_genweights"] = metadata.get("sum_genweights", 0.0) / kept if kept else 0.0
        entry["file_info"] = {group.output: {"nevents": group.nevents} for group in members}
        definition[dataset] = entry
    return definition


def _size(files: Sequence[str], metadata: Mapping[str, Any]) -> int | None:
    """Return the size of the files [bytes], or what the skim makes one expect; None if nothing tells."""
    paths = [Path(file) for file in files]
    if not any(map(is_remote, files)) and all(path.is_file() for path in paths):
        return sum(path.stat().st_size for path in paths)
    if metadata.get("size") is None:
        return None
    return int(float(metadata["size"]) * float(metadata["skim_efficiency"]))


def write_failed(states: Sequence[GroupState], folder: Path) -> None:
    """Write hadd_failed.json, a plan of what is not there, and hadd_failed.txt with a line for each file:
    state, dataset, file and message, separated by tabs.
    """
    write_plan([state.group for state in states], folder / f"{FAILED}.json")
    lines = [
        "\t".join((state.state, state.group.dataset, state.group.output, state.message)) for state in states
    ]
    write_whole(folder / f"{FAILED}.txt", "".join(f"{line}\n" for line in lines))
