"""Jobs of --process-separately that failed: which of them run again, and which stay on record."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from pocket_coffea.errors import NothingToDo, OptionError
from pocket_coffea.run.filesets import Filesets

__all__ = ["choose_failed", "failed_elsewhere"]

log = logging.getLogger(__name__)

GroupSamples = Mapping[str, Iterable[str]] | None


def choose_failed(
    failed: Iterable[str],
    groups: Mapping[str, Filesets],
    group_samples: GroupSamples,
    every: Mapping[str, Any],
) -> dict[str, Filesets]:
    """Return the jobs among ``groups`` that failed; ``every`` are the filesets before the filters.

    Raises NothingToDo when there are none, OptionError when the filters leave out a part of one: its output
    would look complete, and the job would count as done.
    """
    chosen = {}
    for name in failed:
        if name not in groups:
            log.warning("--resubmit-failed: %s", _why_not(name, group_samples, every))
            continue
        cut = [ds for ds in _datasets(name, group_samples, every) if ds not in groups[name]]
        if cut:
            msg = (
                f"--resubmit-failed runs a failed job whole, but the --filter options leave {', '.join(cut)} "
                f"out of the group {name!r}. Give the filters of the run before, or none."
            )
            raise OptionError(msg)
        chosen[name] = groups[name]
    if not chosen:
        msg = "--resubmit-failed: none of the failed jobs belongs to the datasets that are selected now."
        raise NothingToDo(msg)
    log.info("Resubmitting %d failed jobs: %s", len(chosen), list(chosen))
    return chosen


def failed_elsewhere(
    failed: Iterable[str],
    groups: Mapping[str, Filesets],
    group_samples: GroupSamples,
    every: Mapping[str, Any],
    resubmit: bool,
) -> list[str]:
    """Return the failed jobs of earlier runs that this run does not process again: they stay on record.

    A new run of everything forgets those that the configuration does not have any more.
    """
    known = {*(group_samples or {}), *every}
    return [name for name in failed if name not in groups and (resubmit or name in known)]


def _datasets(name: str, group_samples: GroupSamples, every: Mapping[str, Any]) -> list[str]:
    """Return the datasets that a job has without filters."""
    samples = set((group_samples or {}).get(name, ()))
    if not samples:
        return [name]
    return [dataset for dataset, entry in every.items() if str(entry["metadata"]["sample"]) in samples]


def _why_not(name: str, group_samples: GroupSamples, every: Mapping[str, Any]) -> str:
    if name in every or name in (group_samples or {}):
        return f"{name!r} is not among the datasets that are selected now"
    return f"{name!r} is not a job of this configuration"
