"""What is asked of a batch system: the template that all jobs share, and one task for each attempt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocket_coffea.batch.states import Resources

__all__ = ["JOB", "Task", "Template"]

#: In ``Template.inputs`` this stands for the job's number.
JOB = "{job}"


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One attempt to be sent: opaque arguments, and what it needs."""

    job: int
    attempt: int
    arguments: tuple[str, ...]
    resources: Resources = dataclasses.field(default_factory=Resources)


@dataclasses.dataclass(frozen=True, slots=True)
class Template:
    """What all jobs of a campaign have in common. Relative paths are in ``folder``."""

    folder: Path  # the jobs folder
    executable: Path
    name: str = "pocket-coffea"  # what people see in the queue
    logs: str = "logs"
    inputs: tuple[str, ...] = ()  # files for the batch system to transfer; may hold ``{job}``
    outputs: tuple[str, ...] = ()  # files it brings back; may hold ``{job}``
    transfer: bool = True  # HTCondor: move files. Slurm has nothing of that kind
    image: str = ""  # HTCondor: it starts the image itself
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    queue_directive: str = ""  # "+JobFlavour", "+MaxRuntime", "partition", ...
    directives: Mapping[str, str] = dataclasses.field(
        default_factory=dict
    )  # further lines, written as they are
    max_array: int = 1000  # Slurm: most tasks of one array
    max_running: int = 0  # Slurm: most tasks of an array that run at once; 0 for all of them
    slots: int = 2  # local processes: most at once
    #: HTCondor: (a folder here, the same one as the schedd sees it) where condor_submit runs in a container
    host_path: tuple[str, ...] = ()

    def outside(self, path: str | Path) -> str:
        """Return a path as the schedd sees it.

        >>> template = Template(Path("/srv/job"), Path("/srv/job/job.sh"), host_path=("/srv", "/data/me"))
        >>> template.outside("/srv/job")
        '/data/me/job'
        """
        text = str(path)
        if self.host_path and (text == self.host_path[0] or text.startswith(f"{self.host_path[0]}/")):
            return self.host_path[1] + text.removeprefix(self.host_path[0])
        return text

    def as_mapping(self) -> dict[str, Any]:
        """Return plain data from which ``from_mapping`` makes an equal template."""
        values = dataclasses.asdict(self)
        return {**values, "folder": str(self.folder), "executable": str(self.executable)}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Template:
        """Return the template that ``as_mapping`` wrote, also after it went through JSON or YAML."""
        known = {field.name for field in dataclasses.fields(cls)}
        kept: dict[str, Any] = {}
        for key in known & set(values):
            kept[key] = tuple(values[key]) if isinstance(values[key], list) else values[key]
        return cls(**{**kept, "folder": Path(kept["folder"]), "executable": Path(kept["executable"])})
