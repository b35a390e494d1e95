"""What a job needs to know besides its slice: ``job.json`` of the jobs folder, the same for all jobs.

``executors`` writes it at submission, ``pocket_coffea.run.job`` reads it on the worker.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.errors import InputFileError
from pocket_coffea.executors.jobs.record import Way, Work
from pocket_coffea.utils.atomic import write_whole

__all__ = [
    "CHECKPOINTS",
    "FACTS_NAME",
    "OPTIONS_NAME",
    "JobFacts",
    "checkpoints_name",
    "packed_outputs_name",
    "report_name",
    "returned_report_name",
    "transfer_outputs",
]

FACTS_NAME = "job.json"
OPTIONS_NAME = "inner_run_options.yaml"
#: Folder of the completed chunks of jobs, in the jobs folder.
CHECKPOINTS = "checkpoints"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """Facts of a campaign for its jobs; times in seconds.

    campaign: its id, for reports. executor: as in ``-e``. folder: the jobs folder as workers see it, "" where
    they do not reach it. way, target: how outputs come back, and where to (see record.Delivery). storage:
    (path, address) of the site: what lies below a path that is not mounted is written to address + path.
    margin: how long before the time limit a job stops by itself. grace: how long it may go on after it was
    asked to end. read_retries, read_seconds: attempts for a file, and the wall clock of one read.
    delivery_retries: attempts to copy a file. work: what the jobs do; payload_sha256 is empty where that
    takes no Configurator. workers: in what the job runs, for the provenance.
    """

    campaign: str
    executor: str
    way: Way
    target: str
    payload_sha256: str
    folder: str = ""
    split_by_category: bool = False
    storage: Sequence[tuple[str, str]] = ()
    margin: float = 120.0
    grace: float = 20.0
    read_retries: int = 3
    read_seconds: float = 300.0
    delivery_retries: int = 3
    delivery_seconds: float = 1800.0
    image: str = ""
    work: Work = "events"
    workers: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_text(self) -> str:
        """Return what ``job.json`` holds."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    def write(self, folder: Path) -> Path:
        """Write ``job.json`` into a jobs folder and return its path. Raises OutputError."""
        path = folder / FACTS_NAME
        write_whole(path, self.to_text())
        return path

    @classmethod
    def read(cls, path: Path) -> JobFacts:
        """Read what ``write`` wrote. Raises InputFileError."""
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            content = json.loads(path.read_bytes())
            values = {key: value for key, value in content.items() if key in known}
            values["storage"] = tuple((str(path), str(url)) for path, url in values.get("storage", ()))
            return cls(**values)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            msg = f"{path} cannot be read: {error}. It comes with the job: submit the job again."
            raise InputFileError(msg) from error


# -- names of files; those that the batch system transfers have no folders


def report_name(job: int, attempt: int) -> str:
    """Return the name of the report of an attempt, in ``logs``."""
    return f"job_{job}.{attempt}.json"


def returned_report_name(job: int | str) -> str:
    """Return the name under which the batch system brings a report back."""
    return f"job_{job}_report.json"


def packed_outputs_name(job: int | str) -> str:
    """Return the name of the archive in which the batch system brings outputs back."""
    return f"job_{job}_outputs.tar"


def checkpoints_name(job: int | str) -> str:
    """Return the name of the archive in which completed chunks travel, below ``checkpoints`` when kept."""
    return f"job_{job}_checkpoints.tar"


def transfer_outputs(job: int | str) -> tuple[str, str, str]:
    """Return what the batch system brings back with the way "transfer"; ``job`` may be ``{job}``.

    ``job.sh`` makes sure that all of them exist, whatever happened. The last one is also an input, from the
    folder ``checkpoints``, where an empty file stands for no chunks (``job_delivery.prepare_transfer``).
    """
    return returned_report_name(job), packed_outputs_name(job), checkpoints_name(job)
