"""What is kept of a campaign of jobs when its preparation is complete: ``campaign.json``.

It is the last file that a preparation writes, so a jobs folder without it is not complete. Nothing in it
changes afterwards: what happens to the jobs is in the ledger of the batch room, ``campaign.jsonl``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from pocket_coffea.batch.states import Resources
from pocket_coffea.batch.tasks import Template
from pocket_coffea.errors import InputFileError
from pocket_coffea.utils.atomic import write_whole

__all__ = [
    "RECORD_NAME",
    "VERSION",
    "CampaignRecord",
    "Delivery",
    "JobRecord",
    "JobSlice",
    "Rung",
    "Way",
    "Work",
    "config_name",
    "output_name",
]

RECORD_NAME = "campaign.json"
VERSION = 2
#: How outputs get to their place: ``cp`` by the job, XRootD by the job, or the batch system's transfer.
Way = Literal["copy", "xrootd", "transfer"]
#: What jobs do: process events with a Configurator, or merge skimmed files.
Work = Literal["events", "skims"]


class JobSlice(NamedTuple):
    """What a job has of one dataset. events is 0 where the metadata does not tell."""

    dataset: str
    sample: str
    events: int
    files: int


class Rung(NamedTuple):
    """A queue of the site, shortest first in the ladder."""

    name: str
    seconds: int


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """How outputs come back. target: a folder or an address ``root://host//folder``; for "transfer" the
    folder that the collected files are moved to."""

    way: Way
    target: str


@dataclasses.dataclass(frozen=True, slots=True)
class JobRecord:
    """One job; its number is its place in the list."""

    datasets: tuple[JobSlice, ...]
    chunksize: int

    @property
    def events(self) -> int:
        """Events of the slice, as far as the metadata tells."""
        return sum(each.events for each in self.datasets)

    @property
    def files(self) -> int:
        """Files of the slice."""
        return sum(each.files for each in self.datasets)


@dataclasses.dataclass(frozen=True, slots=True)
class CampaignRecord:
    """Everything that submitting, watching and recovering need to know of a campaign."""

    name: str  # job-name
    executor: str  # "condor@lxplus"
    site: str
    system: str  # key of batch.systems.SYSTEMS
    folder: Path  # the jobs folder
    output: str  # where outputs are in the end: a folder, or an address root://host//folder
    outdir_local: str | None  # the mounted view of ``output``; None where there is none
    template: Template
    resources: Resources  # of first attempts
    payload: str  # name of the pickled Configurator in the folder; empty for jobs without one
    payload_sha256: str
    delivery: Delivery
    #: Whether jobs reach the folder, and write flags and reports there themselves.
    flags: bool
    jobs: tuple[JobRecord, ...]
    #: Jobs whose first attempt asks for something else.
    exceptions: Mapping[int, Resources] = dataclasses.field(default_factory=dict)
    ladder: tuple[Rung, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # run options for recovery
    image: str = ""
    image_digest: str = ""
    split_by_category: bool = False
    outputdir: str = ""  # -o as it was given
    work: Work = "events"
    version: int = VERSION

    def resources_of(self, job: int) -> Resources:
        """Return what the first attempt of a job asks for."""
        return self.exceptions.get(job, self.resources)

    def write(self, folder: Path) -> None:
        """Write the record into a jobs folder. Raises OutputError."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        content |= {
            "folder": str(self.folder),
            "template": self.template.as_mapping(),
            "resources": dataclasses.asdict(self.resources),
            "exceptions": {job: dataclasses.asdict(each) for job, each in self.exceptions.items()},
            "delivery": dataclasses.asdict(self.delivery),
            **_without_repeats(self.jobs),
        }
        write_whole(folder / RECORD_NAME, json.dumps(content, separators=(",", ":")) + "\n")

    @classmethod
    def read(cls, folder: Path) -> CampaignRecord:
        """Read the record of a jobs folder. Raises InputFileError when there is none, or it is damaged."""
        path = folder / RECORD_NAME
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            msg = (
                f"{folder} holds no jobs that were prepared to the end ({RECORD_NAME} is missing). Give the "
                "jobs folder, or prepare the jobs with `pocket-coffea run`."
            )
            raise InputFileError(msg) from error
        except (OSError, ValueError) as error:
            msg = f"{path} cannot be read: {error}. Prepare the jobs again under another job-name."
            raise InputFileError(msg) from error
        try:
            return _from_json(content)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            msg = (
                f"{path} is damaged, or of another version: {type(error).__name__}: {error}. "
                "Prepare the jobs again under another job-name."
            )
            raise InputFileError(msg) from error


def config_name(job: int) -> str:
    """Return the name of a job's slice in the jobs folder."""
    return f"config_job_{job}.pkl"


def output_name(job: int) -> str:
    """Return the name of a job's output."""
    return f"output_job_{job}.coffea"


def _from_json(content: Mapping[str, Any]) -> CampaignRecord:
    if content["version"] > VERSION:
        msg = f"version {content['version']}, and this program knows {VERSION}"
        raise ValueError(msg)
    known = {field.name for field in dataclasses.fields(CampaignRecord)}
    values = {key: value for key, value in content.items() if key in known}
    values |= {
        "folder": Path(content["folder"]),
        "template": Template.from_mapping(content["template"]),
        "resources": Resources.from_mapping(content["resources"]),
        "exceptions": {int(job): Resources.from_mapping(each) for job, each in content["exceptions"].items()},
        "delivery": _delivery(content["delivery"]),
        "ladder": tuple(Rung(str(name), int(seconds)) for name, seconds in content["ladder"]),
        "jobs": _jobs(content),
    }
    return CampaignRecord(**values)


def _without_repeats(jobs: tuple[JobRecord, ...]) -> dict[str, Any]:
    """Return the jobs with the number of each dataset in the list of their names: campaigns are large."""
    names: dict[tuple[str, str], int] = {}
    rows = [
        (
            job.chunksize,
            [
                (names.setdefault((each.dataset, each.sample), len(names)), each.events, each.files)
                for each in job.datasets
            ],
        )
        for job in jobs
    ]
    return {"datasets": list(names), "jobs": rows}


def _jobs(content: Mapping[str, Any]) -> tuple[JobRecord, ...]:
    if content["version"] == 1:  # it repeated the names
        return tuple(
            JobRecord(tuple(JobSlice(*each) for each in datasets), int(chunksize))
            for chunksize, datasets in content["jobs"]
        )
    names = [(str(dataset), str(sample)) for dataset, sample in content["datasets"]]
    return tuple(
        JobRecord(tuple(JobSlice(*names[number], *rest) for number, *rest in datasets), int(chunksize))
        for chunksize, datasets in content["jobs"]
    )


def _delivery(content: Mapping[str, Any]) -> Delivery:
    if content["way"] not in ("copy", "xrootd", "transfer"):
        msg = f"delivery {content['way']!r}"
        raise ValueError(msg)
    return Delivery(cast("Way", content["way"]), str(content["target"]))
