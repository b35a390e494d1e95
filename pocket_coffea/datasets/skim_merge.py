"""Merge skimmed files group by group, in processes; continue where an earlier merge ended."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import uproot

from pocket_coffea.datasets.skim_plan import SkimGroup
from pocket_coffea.datasets.tree_merge import MERGED_FROM, TREES, merge_files
from pocket_coffea.errors import PocketCoffeaError, ResultsRefused
from pocket_coffea.utils.transfer import deliver, is_remote

__all__ = [
    "STATES",
    "GroupState",
    "MergedSkims",
    "group_state",
    "merge_group",
    "merge_groups",
    "to_merge",
    "write_merged",
]

log = logging.getLogger(__name__)

#: What a merged file can be; the states of ``--check``.
STATES = ("ok", "missing", "unreadable", "wrong_nevents", "other_inputs")
_ABSENT = ("no such file", "not found", "[3011]", "does not exist")


@dataclass(frozen=True, slots=True)
class GroupState:
    """How a merged file is: one of ``STATES``, and what is wrong with it."""

    group: SkimGroup
    state: str
    message: str = ""


@dataclass
class MergedSkims:
    """Groups by what happened to them; ``failed`` tells why."""

    merged: list[SkimGroup]
    there: list[SkimGroup]
    failed: dict[str, str]


def group_state(group: SkimGroup) -> GroupState:
    """Open the merged file and compare it with the plan."""
    try:
        with uproot.open(group.output) as file:
            nevents = int(file[TREES[0]].num_entries)
            made_from = str(file[MERGED_FROM]) if MERGED_FROM in file else ""
    except Exception as error:  # noqa: BLE001 - whatever a damaged file or a server does to the reader
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        absent = isinstance(error, FileNotFoundError) or any(word in reason.lower() for word in _ABSENT)
        return GroupState(group, "missing" if absent else "unreadable", reason)
    if nevents != group.nevents:
        return GroupState(group, "wrong_nevents", f"{nevents} events instead of {group.nevents}")
    if made_from and made_from != group.digest:
        return GroupState(group, "other_inputs", "it was merged from other files")
    return GroupState(group, "ok")


def merge_group(group: SkimGroup) -> int:
    """Write the merged file of a group, whole or not at all; return its size [bytes].

    Raises InputFileError, OutputError, or ResultsRefused when the inputs do not have the events they should.
    """
    folder = _scratch_folder(group)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_scratch_prefix(os.getpid()), dir=folder) as scratch:
        local = Path(scratch) / Path(group.output).name
        write_merged(group.inputs, local, group.nevents, group.digest)
        size = local.stat().st_size
        deliver(local, group.output)
    return size


def write_merged(
    inputs: Sequence[str],
    local: Path,
    nevents: int,
    made_from: str,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Merge inputs that have ``nevents`` events into a file of this machine; see ``tree_merge.merge_files``.

    Raises InputFileError, OutputError, or ResultsRefused when they have another number of events.
    """
    found = merge_files(inputs, local, made_from, between)
    if found != nevents:
        msg = f"{local.name}: its {len(inputs)} inputs have {found} events, not {nevents}."
        raise ResultsRefused(msg)


def to_merge(groups: Sequence[SkimGroup], overwrite: bool = False) -> list[SkimGroup]:
    """Return the groups whose merged file is not there and whole; all to ``overwrite``.

    Raises ResultsRefused when a file of another merge is in the way and may not be overwritten.
    """
    # what is replaced is not looked at: a server does not let anybody write what is open
    states = [] if overwrite else [group_state(group) for group in groups]
    _refuse_others(states)
    there = {state.group for state in states if state.state == "ok"}
    return [group for group in groups if group not in there]


def merge_groups(
    groups: Sequence[SkimGroup],
    workers: int = 2,
    overwrite: bool = False,
    progress: Callable[[str], Any] = lambda _output: None,
) -> MergedSkims:
    """Merge all groups in ``workers`` processes. Files of an earlier merge that are whole are kept.

    Raises ResultsRefused, before anything is written, when a file of another merge is in the way and may not
    be overwritten. ``progress`` is called with each file that is done.
    """
    todo = to_merge(groups, overwrite)
    there = [group for group in groups if group not in set(todo)]
    result = MergedSkims([], there, {})
    for group in there:
        progress(group.output)
    for group, reason in _merged(todo, workers):
        if reason:
            result.failed[group.output] = reason
        else:
            result.merged.append(group)
        progress(group.output)
    return result


def _merged(groups: Sequence[SkimGroup], workers: int) -> Iterator[tuple[SkimGroup, str]]:
    """Merge; yield each group that is done with the reason why it failed, "" if it did not."""
    if min(workers, len(groups)) < 2:
        for group in groups:
            yield group, _reason(partial(merge_group, group))
        return
    # spawned, since threads of uproot do not survive a fork
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(workers, len(groups)), mp_context=context)
    # what starts now never gets a Ctrl-C, which is this process's to answer
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        jobs = {pool.submit(merge_group, group): group for group in groups}
    finally:
        mine = set(multiprocessing.active_children()) - before
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
    try:
        for job in as_completed(jobs):
            yield jobs[job], _reason(job.result)
    except BaseException:
        _end(mine, groups)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _end(processes: Collection[BaseProcess], groups: Sequence[SkimGroup]) -> None:
    """End the processes at once, and remove what they were writing."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
    folders = {_scratch_folder(group) for group in groups}
    for folder, process in itertools.product(folders, processes):
        for left in folder.glob(f"{_scratch_prefix(process.pid)}*"):
            shutil.rmtree(left, ignore_errors=True)


def _scratch_folder(group: SkimGroup) -> Path:
    """Return where a file is written before it has its name: beside it, or on this machine."""
    return Path(tempfile.gettempdir() if is_remote(group.output) else Path(group.output).parent)


def _scratch_prefix(pid: int | None) -> str:
    return f".hadd_{os.uname().nodename}_{pid}_"


def _reason(call: Callable[[], Any]) -> str:
    try:
        call()
    except PocketCoffeaError as error:
        return str(error)
    except OSError as error:  # inputs that cannot be read are errors of the kind above
        return f"{error.filename or 'it'} cannot be written: {error.strerror or error}."
    except BrokenProcessPool:
        return "the process that merged it died: is there enough memory?"
    return ""


def _refuse_others(states: Sequence[GroupState]) -> None:
    others = [state for state in states if state.state in ("other_inputs", "wrong_nevents")]
    if others:
        first = others[0]
        msg = (
            f"{len(others)} files are there from another merge: {first.group.output} ({first.message}). "
            "Replace them with --overwrite, or choose another folder."
        )
        raise ResultsRefused(msg)
