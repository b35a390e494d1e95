"""What one batch job of a worker asks for: cores, memory, disk, queue and time, from run options and site."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pocket_coffea.errors import OptionError, did_you_mean
from pocket_coffea.utils.units import to_megabytes, to_seconds

if TYPE_CHECKING:
    from pocket_coffea.sites.site import Queue, Site

__all__ = ["BatchRequest", "batch_request", "clock", "pick_queue"]

#: Memory of a worker when neither user nor site says it.
_DEFAULT_MEMORY = "2GB"


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """memory, disk: MiB; disk is None when none is asked for. queue: empty when none is named. seconds: how
    long a job may live, None when nobody knows."""

    cores: int
    memory: int
    disk: int | None
    queue: str
    seconds: int | None
    account: str | None = None
    qos: str | None = None


def batch_request(site: Site, options: Mapping[str, Any]) -> BatchRequest:
    """Return what a worker's job asks for. Raises OptionError for an unknown queue, and for a walltime
    that is longer than the queue's."""
    queue, seconds = pick_queue(site, options)
    disk = options.get("disk-per-worker")
    return BatchRequest(
        cores=int(options.get("cores-per-worker") or 1),
        memory=_mebibytes(options.get("mem-per-worker") or _DEFAULT_MEMORY),
        disk=None if disk is None else _mebibytes(disk),
        queue=queue,
        seconds=seconds,
        account=options.get("account"),
        qos=options.get("qos"),
    )


def pick_queue(site: Site, options: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return the queue and how long a job may live in it [s]; see :func:`batch_request`."""
    walltime = options.get("walltime")
    wanted = None if walltime is None else to_seconds(walltime)
    name = str(options.get("queue") or "")
    if not name:
        return "", wanted
    queue = _queue(site, name)
    if queue is None:
        return name, wanted
    if wanted is not None and wanted > queue.seconds:
        fits = [each.name for each in site.queues if each.seconds >= wanted]
        hint = f"Longer queues: {', '.join(fits)}." if fits else "No queue of this site is that long."
        msg = (
            f"run option walltime = {walltime}: the queue {name!r} of {site.name} gives "
            f"{clock(queue.seconds)}. {hint} {_ladder(site)}"
        )
        raise OptionError(msg)
    return name, wanted or queue.seconds


def _queue(site: Site, name: str) -> Queue | None:
    for queue in site.queues:
        if queue.name == name:
            return queue
    if not site.queues:
        return None
    msg = (
        f"run option queue = {name!r}: {site.name} has no such queue. "
        f"{did_you_mean(name, [queue.name for queue in site.queues])} {_ladder(site)}"
    )
    raise OptionError(msg)


def _ladder(site: Site) -> str:
    steps = ", ".join(f"{queue.name} {clock(queue.seconds)}" for queue in site.queues)
    return f"Its queues and their times: {steps} ({site.shown_path})."


def _mebibytes(size: float | str) -> int:
    return math.ceil(to_megabytes(size) * 1e6 / 2**20)


def clock(seconds: int) -> str:
    """Return a duration as Slurm writes it.

    >>> clock(21600), clock(93784)
    ('6:00:00', '1-02:03:04')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, left = divmod(hours, 24)
    if days:
        return f"{days}-{left:02}:{minutes:02}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}"
