"""What is true of a site: plain data, as ``sites/<site>.yaml`` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

__all__ = ["Batch", "Container", "ProxyDelivery", "Queue", "Runtime", "Site", "Storage", "adjusted"]

#: What starts workers. "gateway": Dask Gateway; "scheduler": a Dask scheduler that the facility runs.
Batch = Literal["htcondor", "slurm", "gateway", "scheduler", "none"]
#: Who starts the image: HTCondor itself (MY.SingularityImage), a prefix `apptainer exec`, or the facility.
Runtime = Literal["htcondor", "apptainer", "given"]


@dataclass(frozen=True, slots=True)
class Container:
    """How a worker gets into its image, and which folders of the node it sees there."""

    runtime: Runtime
    binds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, partition or job flavour and the longest time of a job in it [s]."""

    name: str
    seconds: int


@dataclass(frozen=True, slots=True)
class ProxyDelivery:
    """How the grid proxy comes to the workers.

    way: "transfer" by the batch system, "shared" in ``folder`` that the workers see (empty: the folder of the
    run), "plugin" through Dask.
    """

    way: Literal["transfer", "shared", "plugin"]
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Storage:
    """Output below ``path`` is copied to ``url`` + path."""

    path: str
    url: str


@dataclass(frozen=True, slots=True)
class Site:
    """A site. Executors fill in ``$USER``, ``$HOME``, ``$TMPDIR`` and ``{outputdir}`` in its folders.

    image: definition file of its image, ``containers/<image>.def``. hosts: patterns of full host names of
    submit machines (empty: anywhere). queues: shortest first; queue_directive: what names one in a submit
    file. shared: folders that submit side and workers both see (empty: files travel by the batch system).
    scratch: on the worker. prologue: shell lines on the worker. directives: further submit lines. executors:
    option defaults by executor name; option_lines: the line of each in ``path``.
    """

    name: str
    description: str
    image: str | None
    aliases: tuple[str, ...]
    batch: Batch
    hosts: tuple[str, ...]
    container: Container
    queues: tuple[Queue, ...]
    queue_directive: str
    shared: tuple[str, ...]
    proxy: ProxyDelivery
    scratch: str
    logs: str
    environment: dict[str, str]
    prologue: tuple[str, ...]
    directives: dict[str, str]
    storage: tuple[Storage, ...]
    executors: dict[str, dict[str, Any]]
    path: Path
    option_lines: dict[tuple[str, str], int] = field(default_factory=dict)
    #: Whether the file is one of the project's own; they are called by their short path in messages.
    shipped: bool = False

    @property
    def shown_path(self) -> str:
        """The file as messages call it."""
        return f"sites/{self.path.name}" if self.shipped else str(self.path)

    def origin(self, executor: str, option: str) -> str:
        """Return where the default of an option stands: ``site file sites/lxplus.yaml:23 (dask@lxplus)``."""
        line = self.option_lines.get((executor, option))
        where = self.shown_path if line is None else f"{self.shown_path}:{line}"
        return f"site file {where} ({executor}@{self.name})"


def adjusted(site: Site, options: Mapping[str, Any]) -> Site:
    """Return the site with what the run options replace: hosts, shared folders, scratch and binds.

    Reads ``submit-hosts``, ``shared-folders``, ``local-scratch-dir`` and ``apptainer-binds``; null and
    missing ones leave the site as it is, an empty list empties it.
    """
    given = {key: options.get(key) for key in ("submit-hosts", "shared-folders", "local-scratch-dir")}
    changes: dict[str, Any] = {}
    if given["submit-hosts"] is not None:
        changes["hosts"] = tuple(given["submit-hosts"])
    if given["shared-folders"] is not None:
        changes["shared"] = tuple(given["shared-folders"])
    if given["local-scratch-dir"] is not None:
        changes["scratch"] = given["local-scratch-dir"]
    if (binds := options.get("apptainer-binds")) is not None:
        changes["container"] = replace(site.container, binds=tuple(binds))
    return replace(site, **changes) if changes else site
