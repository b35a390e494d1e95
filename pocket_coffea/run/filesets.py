"""Which datasets run, and in which groups."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pocket_coffea.errors import NothingToDo, OptionError, did_you_mean

__all__ = ["filter_filesets", "group_filesets", "needs_grid", "split_names", "warn_of_unknown_samples"]

log = logging.getLogger(__name__)

Filesets = dict[str, dict[str, Any]]


def split_names(text: str | None) -> list[str]:
    """Split a comma-separated list; None and empty names give nothing.

    >>> split_names("2017, 2018,")
    ['2017', '2018']
    """
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def filter_filesets(
    filesets: Mapping[str, Any],
    *,
    years: Collection[str] = (),
    samples: Collection[str] = (),
    datasets: Collection[str] = (),
) -> Filesets:
    """Return the datasets that pass every filter that is not empty, in the same order.

    A name that no dataset has is warned about. Raises NothingToDo when no dataset is left.
    """
    filters = (
        ("--filter-years", set(years), {str(f["metadata"]["year"]) for f in filesets.values()}),
        ("--filter-samples", set(samples), {str(f["metadata"]["sample"]) for f in filesets.values()}),
        ("--filter-datasets", set(datasets), set(filesets)),
    )
    hints = []
    for option, wanted, known in filters:
        hints += [
            f"{option}: there is no {name!r}. {did_you_mean(name, known)}" for name in sorted(wanted - known)
        ]
    kept = {
        name: fileset
        for name, fileset in filesets.items()
        if (not years or str(fileset["metadata"]["year"]) in years)
        and (not samples or str(fileset["metadata"]["sample"]) in samples)
        and (not datasets or name in datasets)
    }
    if not kept:
        msg = "No dataset is left to process." + "".join(f"\n{hint}" for hint in hints)
        raise NothingToDo(msg)
    for hint in hints:
        log.warning("%s", hint)
    return kept


def group_filesets(
    filesets: Mapping[str, Any], groups: Mapping[str, Iterable[str]] | None = None
) -> dict[str, Filesets]:
    """Return {group: its datasets}: the groups of samples asked for, then every other dataset alone.

    Raises OptionError when a group has the name of a dataset outside of it, whose output it would overwrite.
    """
    member = {sample: group for group, samples in (groups or {}).items() for sample in samples}
    grouped: dict[str, Filesets] = {group: {} for group in groups or {}}
    alone: dict[str, Filesets] = {}
    for name, fileset in filesets.items():
        sample = str(fileset["metadata"]["sample"])
        if sample in member:
            grouped[member[sample]][name] = fileset
        elif name in grouped:
            msg = (
                f"group-samples: the group {name!r} has the name of a dataset that is not in it; "
                "rename the group."
            )
            raise OptionError(msg)
        else:
            alone[name] = {name: fileset}
    for group, datasets in grouped.items():
        if not datasets:
            log.warning("group-samples: no dataset of this run is in group %r", group)
    return {**{group: datasets for group, datasets in grouped.items() if datasets}, **alone}


def warn_of_unknown_samples(filesets: Mapping[str, Any], groups: Mapping[str, Iterable[str]] | None) -> None:
    """Warn of samples in ``groups`` that no dataset has; ``filesets`` are those before the filters."""
    known = {str(fileset["metadata"]["sample"]) for fileset in filesets.values()}
    for group, samples in (groups or {}).items():
        for sample in samples:
            if sample not in known:
                said = "group-samples: no dataset has the sample %r of group %r. %s"
                log.warning(said, sample, group, did_you_mean(sample, known))


def needs_grid(filesets: Mapping[str, Any]) -> bool:
    """Return whether any file is read with XRootD."""
    return any(
        str(file).startswith(("root://", "roots://"))
        for fileset in filesets.values()
        for file in fileset["files"]
    )
