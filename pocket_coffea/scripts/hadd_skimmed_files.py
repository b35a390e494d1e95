"""Merging of skimmed files, under its established names; see :mod:`pocket_coffea.datasets.skim_merge`."""

from __future__ import annotations

from collections.abc import Sequence

from pocket_coffea.datasets.events import count_events
from pocket_coffea.datasets.skim_merge import group_state, merge_group
from pocket_coffea.datasets.skim_plan import SkimGroup

__all__ = ["do_hadd"]


def do_hadd(group: tuple[str, Sequence[str]], overwrite: bool = False) -> int:
    """Merge files, ``group`` being (merged file, its inputs); return 0.

    A merged file of these inputs that is there is kept, unless ``overwrite``. Raises InputFileError or
    OutputError, which name the file and the reason.
    """
    output, inputs = group
    plan = SkimGroup("", str(output), tuple(map(str, inputs)), sum(map(count_events, inputs)))
    if overwrite or group_state(plan).state != "ok":
        merge_group(plan)
    return 0
