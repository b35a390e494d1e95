"""Flag files: one empty ``job_<i>.<state>`` for each job of a jobs folder, for people, workers and old tools.

Where several exist for one job (a worker, an older tool and this one write them without knowing of each
other) the newest one counts; of equally old ones that which comes later in the life of a job.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pocket_coffea.batch.states import State
from pocket_coffea.errors import OutputError

__all__ = [
    "FLAGS",
    "Flag",
    "end_flags",
    "flag_path",
    "flag_time",
    "read_flags",
    "requeue_flag",
    "set_flag",
    "start_flag",
]

#: In the order of a job's life.
FLAGS = (State.IDLE, State.RUNNING, State.TIMEOUT, State.FAILED, State.DONE)
_RANK = {state: rank for rank, state in enumerate(FLAGS)}
_BY_NAME = {state.value: state for state in FLAGS}
_STEM = re.compile(r"job_(\d+)", re.ASCII)


class Flag(NamedTuple):
    """The flag of a job and, where several were found and had to be compared, since when it is there."""

    state: State
    time: float | None = None
    stale: tuple[State, ...] = ()  # flags of the same job that lost


def flag_path(folder: Path, job: int, state: State) -> Path:
    """Return where the flag of a job is."""
    return folder / f"job_{job}.{state.value}"


def read_flags(folder: Path) -> dict[int, Flag]:
    """Return the flag of every job that has one, with one pass over the folder.

    Raises OutputError when the folder cannot be read.
    """
    found: dict[int, Flag] = {}
    several: dict[int, list[State]] = {}
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError as error:
        msg = f"the jobs folder {folder} cannot be read: {error.strerror or error}."
        raise OutputError(msg) from error
    for name in names:
        stem, _, ending = name.rpartition(".")
        state = _BY_NAME.get(ending)
        if state is None or not (named := _STEM.fullmatch(stem)):
            continue
        job = int(named[1])
        if job in found:
            several.setdefault(job, [found[job].state]).append(state)
        else:
            found[job] = Flag(state)
    for job, states in several.items():
        if flag := _newest(folder, job, states):
            found[job] = flag
        else:
            del found[job]
    return found


def _newest(folder: Path, job: int, states: list[State]) -> Flag | None:
    """Apply the one rule to the flags of a job; None when all have just gone."""
    dated = []
    for state in states:
        with contextlib.suppress(OSError):
            dated.append((flag_path(folder, job, state).stat().st_mtime, _RANK[state], state))
    if not dated:
        return None
    dated.sort()
    time, _, state = dated[-1]
    return Flag(state, time, tuple(each[2] for each in dated[:-1]))


def flag_time(folder: Path, job: int, state: State) -> float | None:
    """Return since when a flag is there; None when it is not."""
    try:
        return flag_path(folder, job, state).stat().st_mtime
    except OSError:
        return None


def set_flag(folder: Path, job: int, state: State) -> None:
    """Make ``state`` the only flag of a job. A reader meets the old flag or the new one, never none.

    Raises OutputError naming the flag.
    """
    target = flag_path(folder, job, state)
    others = [
        path for other in FLAGS if other is not state and (path := flag_path(folder, job, other)).exists()
    ]
    with _writing(target):
        if others and not target.exists():
            with contextlib.suppress(FileNotFoundError):  # a worker has cleared it meanwhile
                others.pop().rename(target)
        target.touch()
        for path in others:
            path.unlink(missing_ok=True)


def start_flag(folder: Path, job: int) -> None:
    """Turn ``idle`` into ``running`` for a job that does not reach the folder itself."""
    target = flag_path(folder, job, State.RUNNING)
    with _writing(target), contextlib.suppress(FileNotFoundError):
        flag_path(folder, job, State.IDLE).rename(target)


def end_flags(folder: Path, job: int) -> tuple[State, ...]:
    """Return which flags of an end a job has: what ``requeue_flag`` replaces once it is sent again."""
    ends = (State.TIMEOUT, State.FAILED, State.DONE)
    return tuple(state for state in ends if flag_path(folder, job, state).exists())


def requeue_flag(folder: Path, job: int, old: tuple[State, ...]) -> None:
    """Turn the flags ``old``, read before the batch system accepted the job again, into ``idle``.

    The renamed flag keeps its age, so that one which the new instance has set meanwhile counts as newer.
    Raises OutputError naming the flag.
    """
    target = flag_path(folder, job, State.IDLE)
    with _writing(target):
        for state in old:
            with contextlib.suppress(FileNotFoundError):
                flag_path(folder, job, state).rename(target)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"the flag {target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
