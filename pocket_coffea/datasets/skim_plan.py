"""Which skimmed files become which merged file."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pocket_coffea.errors import NothingToDo, OptionError, ResultsRefused, did_you_mean
from pocket_coffea.utils.transfer import join

__all__ = ["MAX_FILES", "SkimGroup", "plan_groups", "skimmed_datasets"]

log = logging.getLogger(__name__)

#: Files are merged by so many at most.
MAX_FILES = 500


@dataclass(frozen=True, slots=True)
class SkimGroup:
    """Files of one dataset, in their order, that become ``output`` with ``nevents`` events."""

    dataset: str
    output: str
    inputs: tuple[str, ...]
    nevents: int

    @property
    def digest(self) -> str:
        """sha256 over what goes into the merged file; it is stored there."""
        content = json.dumps([self.dataset, list(self.inputs), self.nevents])
        return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def skimmed_datasets(
    output: Mapping[str, Any], samples: Collection[str] = (), datasets: Collection[str] = ()
) -> dict[str, list[tuple[str, int]]]:
    """Return {dataset: [(file, its events)]} of the output of a skimming run, without empty datasets.

    samples, datasets: these only; empty for all. Raises ResultsRefused for an output that is not of a skim,
    OptionError for a name that is not in it, NothingToDo when no file is left.
    """
    if "skimmed_files" not in output:
        msg = "The output has no 'skimmed_files': it does not come from a run with save_skimmed_files."
        raise ResultsRefused(msg)
    metadata = output.get("datasets_metadata", {}).get("by_dataset", {})
    sample_of = {name: str(metadata.get(name, {}).get("sample", "")) for name in output["skimmed_files"]}
    _check_names("--filter-samples", samples, set(sample_of.values()))
    _check_names("--filter-datasets", datasets, set(sample_of))
    found = {}
    for name, files in output["skimmed_files"].items():
        if (samples and sample_of[name] not in samples) or (datasets and name not in datasets):
            continue
        if not files:
            log.warning("Dataset %s: no event passed the skim; there is nothing to merge.", name)
            continue
        found[name] = list(zip(files, _events(output, name, len(files)), strict=True))
    if not found:
        msg = "No skimmed file is left to merge."
        raise NothingToDo(msg)
    return found


def _check_names(option: str, wanted: Collection[str], known: Collection[str]) -> None:
    for name in wanted:
        if name not in known:
            msg = f"{option}: the output has no {name!r}. {did_you_mean(name, known)}"
            raise OptionError(msg)


def _events(output: Mapping[str, Any], dataset: str, n_files: int) -> list[int]:
    """Return the events of each file: chunks of which no event is left have no file."""
    events = [int(n) for n in output.get("nskimmed_events", {}).get(dataset, []) if int(n)]
    if len(events) != n_files:
        msg = (
            f"Dataset {dataset!r} has {n_files} skimmed files, but numbers of events of {len(events)}: the "
            "output is not whole."
        )
        raise ResultsRefused(msg)
    return events


def plan_groups(
    files: Mapping[str, list[tuple[str, int]]],
    folder: str,
    max_files: int | None = None,
    max_events: int | None = None,
) -> list[SkimGroup]:
    """Return the merged files, ``folder/dataset/dataset_N.root`` with N from 1.

    A group ends before it has more than ``max_files`` files (at most 500) or more than ``max_events`` events;
    a file with more events than that is a group of its own. Raises OptionError for limits below 1.
    """
    for option, limit in (("--files", max_files), ("--events", max_events)):
        if limit is not None and limit < 1:
            msg = f"{option}: {limit} is no limit; give at least 1."
            raise OptionError(msg)
    if max_files and max_files > MAX_FILES:
        log.warning("--files: %s are too many, at most %s files become one", max_files, MAX_FILES)
    most = min(max_files or MAX_FILES, MAX_FILES)
    groups = []
    for dataset, members in files.items():
        for number, part in enumerate(_cut(members, most, max_events), start=1):
            output = join(folder, dataset, f"{dataset}_{number}.root")
            inputs = tuple(path for path, _ in part)
            groups.append(SkimGroup(dataset, output, inputs, sum(n for _, n in part)))
    return groups


def _cut(
    members: list[tuple[str, int]], max_files: int, max_events: int | None
) -> Iterator[list[tuple[str, int]]]:
    part: list[tuple[str, int]] = []
    events = 0
    for path, n in members:
        if part and (len(part) >= max_files or (max_events is not None and events + n > max_events)):
            yield part
            part, events = [], 0
        part.append((path, n))
        events += n
    yield part
