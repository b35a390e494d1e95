"""The schema of run options: the one list of every option that exists, with kind, default and readers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from pocket_coffea.errors import OptionError, did_you_mean, nearest
from pocket_coffea.run.option_types import Kind, read_value

__all__ = ["SCHEMA", "UNSET", "Option", "Unset", "find_option", "normal_name"]


class Unset(Enum):
    """Type of UNSET: "nobody gave a value", which is not the value null."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET
EVERY: Final = ("all",)
DASK: Final = ("dask",)
BATCH: Final = ("condor", "slurm")
REMOTE: Final = ("dask", "parsl", "condor", "slurm")


@dataclass(frozen=True, slots=True)
class Option:
    """One run option.

    name: with dashes. kind: how values are read, units included. help: one sentence. executors: which read
    it (``all``, an executor, or ``executor@site``). default: used by readers when no layer gives a value;
    UNSET when there is none. choices: allowed values (of every entry, for mappings). minimum: smallest
    number allowed. nullable: may be null.
    """

    name: str
    kind: Kind
    help: str
    executors: tuple[str, ...] = EVERY
    default: Any = UNSET
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    nullable: bool = True

    def read(self, value: Any, origin: str) -> Any:
        """Return the value in its type. Raises OptionError with option, value, origin and what is allowed."""
        if value is None or (isinstance(value, str) and value.strip().lower() in ("null", "none", "~")):
            if self.nullable:
                return None
            raise OptionError(self._message(value, origin, self.kind.value))
        try:
            typed = read_value(self.kind, value)
        except ValueError as exc:
            raise OptionError(self._message(value, origin, str(exc))) from None
        self._check_range(typed, origin)
        return typed

    def read_by(self, executor: str) -> bool:
        """Return whether an executor (``name`` or ``name@site``) reads this option."""
        names = {executor, executor.partition("@")[0]}
        return self.executors == EVERY or not names.isdisjoint(self.executors)

    def _check_range(self, typed: Any, origin: str) -> None:
        if self.choices and typed not in self.choices:
            raise OptionError(
                self._message(typed, origin, f"one of these. {did_you_mean(typed, self.choices)}")
            )
        numbers = typed.values() if self.kind is Kind.PER_SAMPLE and isinstance(typed, dict) else [typed]
        if self.minimum is not None and any(number < self.minimum for number in numbers):
            raise OptionError(self._message(typed, origin, f"{self.kind.value}, at least {self.minimum}"))

    def _message(self, value: Any, origin: str, wanted: str) -> str:
        bare = value is True and self.kind is not Kind.BOOLEAN
        given = f"--{self.name} has no value" if bare else f"{self.name} = {value!r} is not allowed"
        null = " or null" if self.nullable else ""
        return f"{origin}: {given}; it has to be {wanted}{null}. ({self.help})"


def _options() -> Iterable[Option]:
    yield from _processing()
    yield from _surroundings()
    yield from _workers()
    yield from _dask()
    yield from _parsl()
    yield from _jobs()
    yield from _recovery()


def _processing() -> Iterable[Option]:
    k = Kind
    yield Option(
        "scaleout",
        k.INTEGER,
        "Number of processes or workers; number of jobs for manual-job executors.",
        default=1,
        minimum=1,
        nullable=False,
    )
    yield Option(
        "chunksize", k.PER_SAMPLE, "Events processed at once.", default=150000, minimum=1, nullable=False
    )
    yield Option(
        "limit-files", k.INTEGER, "Process at most this many files of each dataset.", default=None, minimum=1
    )
    yield Option(
        "limit-chunks",
        k.INTEGER,
        "Process at most this many chunks of each dataset.",
        default=None,
        minimum=1,
    )
    yield Option(
        "retries",
        k.INTEGER,
        "How often reading a file is tried again.",
        default=10,
        minimum=0,
        nullable=False,
    )
    yield Option(
        "tree-reduction",
        k.INTEGER,
        "How many partial results are added up at once.",
        default=20,
        minimum=2,
        nullable=False,
    )
    yield Option(
        "skip-bad-files",
        k.BOOLEAN,
        "Go on without files that cannot be read, and list them in the output.",
        default=False,
        nullable=False,
    )


def _surroundings() -> Iterable[Option]:
    k = Kind
    yield Option("voms-proxy", k.TEXT, "Path of the grid proxy, used as it is.", default=None)
    yield Option(
        "ignore-grid-certificate",
        k.BOOLEAN,
        "Run without looking for a grid proxy.",
        default=False,
        nullable=False,
    )
    yield Option(
        "group-samples",
        k.GROUPS,
        "With --process-separately: samples processed together, by group.",
        default=None,
    )
    yield Option(
        "checkpoint",
        k.BOOLEAN,
        "Keep completed chunks on disk until the run is complete, for --resume.",
        default=True,
        nullable=False,
    )
    yield Option("starting-time", k.START_TIME, "Wait until then before starting.", default=None)
    yield Option(
        "allow-unpinned-image",
        k.BOOLEAN,
        "Accept a worker image that is not named by its digest.",
        REMOTE,
        False,
        nullable=False,
    )


def _workers() -> Iterable[Option]:
    k = Kind
    yield Option(
        "cores-per-worker", k.INTEGER, "Cores of one worker or job.", REMOTE, 1, minimum=1, nullable=False
    )
    yield Option("mem-per-worker", k.SIZE, "Memory of one worker or job.", REMOTE)
    yield Option("disk-per-worker", k.SIZE, "Scratch disk of one worker or job.", REMOTE)
    yield Option("worker-image", k.TEXT, "Container image of the workers.", REMOTE)
    yield Option("queue", k.TEXT, "Queue, partition or job flavour.", REMOTE)
    yield Option("walltime", k.WALLTIME, "Longest life of a worker or job.", REMOTE)
    yield Option("requirements", k.TEXT, "Requirements expression of HTCondor.", ("parsl", "condor"))
    yield Option(
        "account", k.TEXT, "Account that is charged by the batch system.", ("dask", "parsl", "slurm")
    )
    yield Option("qos", k.TEXT, "Quality of service asked of Slurm.", ("dask", "slurm"))
    yield Option(
        "custom-setup-commands", k.COMMANDS, "Shell lines run on the worker before the analysis.", REMOTE
    )
    yield Option(
        "conda-env",
        k.BOOLEAN,
        "Use the conda environment of the submitting process on the workers.",
        REMOTE,
        False,
        nullable=False,
    )
    yield Option(
        "local-virtualenv",
        k.BOOLEAN,
        "Use the virtual environment of the submitting process on the workers.",
        REMOTE,
        False,
        nullable=False,
    )
    yield Option(
        "extra-input-files",
        k.NAMES,
        "Files opened by path while running, shipped to the workers.",
        BATCH,
        minimum=None,
    )


def _dask() -> Iterable[Option]:
    k = Kind
    yield Option(
        "adaptive",
        k.BOOLEAN,
        "Start with one worker and grow to scaleout as needed.",
        DASK,
        False,
        nullable=False,
    )
    yield Option(
        "death-timeout", k.SECONDS, "Time after which a worker without scheduler ends itself [s].", DASK
    )
    yield Option(
        "performance-report",
        k.BOOLEAN,
        "Write a Dask performance report to the output folder.",
        DASK,
        False,
        nullable=False,
    )
    yield Option("sched-url", k.TEXT, "Address of a running Dask scheduler.", DASK)
    yield Option(
        "dask-scheduler-port",
        k.INTEGER,
        "First port tried for the Dask scheduler.",
        DASK,
        8786,
        minimum=0,
        nullable=False,
    )
    yield Option(
        "dask-scheduler-host", k.TEXT, "Host name or address that workers use for the scheduler.", DASK
    )
    yield Option("dask-worker-start-timeout", k.SECONDS, "How long to wait for the first worker [s].", DASK)
    yield Option("dask-log-directory", k.TEXT, "Where the batch logs of Dask workers go.", DASK)
    yield Option(
        "dask-job-extra-directives", k.MAPPING, "Further lines of the submit file of Dask workers.", DASK
    )
    yield Option("worker-python", k.TEXT, "Python interpreter of the workers.", DASK)
    yield Option("gateway-address", k.TEXT, "Address of a Dask Gateway.", DASK)
    yield Option("gateway-proxy-address", k.TEXT, "Address of the proxy of a Dask Gateway.", DASK)


def _parsl() -> Iterable[Option]:
    k = Kind
    parsl = ("parsl",)
    yield Option("logs-dir", k.TEXT, "Folder for Parsl logs, below the output folder.", parsl, "logs_parsl")
    yield Option("worker-debug", k.BOOLEAN, "Verbose logs of Parsl workers.", parsl, False, nullable=False)
    yield Option("parsl-runinfo", k.TEXT, "Run directory of Parsl.", parsl)
    yield Option("parsl-run-dir", k.TEXT, "Run directory of Parsl.", parsl)
    yield Option("slurm", k.MAPPING, "Slurm provider: partition, account, scheduler-options.", parsl)
    yield Option("srun-overrides", k.TEXT, "Further arguments of srun.", parsl)
    yield Option("max-workers-per-node", k.INTEGER, "Workers started in one batch job.", parsl, minimum=1)
    yield Option(
        "prefetch-capacity", k.INTEGER, "Tasks fetched by a worker ahead of time.", parsl, 0, minimum=0
    )
    yield Option("nodes-per-block", k.INTEGER, "Nodes asked for in one batch job.", parsl, 1, minimum=1)
    yield Option("min-blocks", k.INTEGER, "Batch jobs kept at least.", parsl, 0, minimum=0)
    yield Option("exclusive", k.BOOLEAN, "Ask for whole nodes.", parsl, False, nullable=False)


def _jobs() -> Iterable[Option]:
    k = Kind
    yield Option(
        "max-events-per-job",
        k.PER_SAMPLE,
        "Events of one job; a mapping splits by dataset.",
        BATCH,
        minimum=1,
    )
    yield Option("job-name", k.TEXT, "Name of the folder of a submission, below jobs-dir.", BATCH, "job")
    yield Option(
        "jobs-dir", k.TEXT, "Where the folders of submissions are made (default: output folder).", BATCH
    )
    yield Option(
        "dry-run", k.BOOLEAN, "Prepare the jobs and do not submit them.", BATCH, False, nullable=False
    )
    yield Option(
        "max-retries", k.INTEGER, "How often the batch system restarts a failed job.", BATCH, minimum=0
    )
    yield Option("max-run-time", k.SECONDS, "Longest life of a job [s].", BATCH)
    yield Option(
        "split-by-category",
        k.BOOLEAN,
        "Split the output of each job by category.",
        BATCH,
        False,
        nullable=False,
    )
    yield Option("eos-prefix", k.TEXT, "Prefix of output paths copied with xrdcp.", BATCH)
    yield Option("notify-user", k.TEXT, "Mail address that HTCondor writes to.", BATCH)
    yield Option("host-path-prefix", k.TEXT, "Path outside the container of what is /srv inside.", BATCH)
    yield Option("apptainer-binds", k.NAMES, "Folders bound into the container.", BATCH)
    yield Option("local-scratch-dir", k.TEXT, "Scratch folder on the worker.", BATCH)
    yield Option(
        "max-concurrent-jobs", k.INTEGER, "Jobs of an array that run at the same time.", BATCH, minimum=1
    )
    yield Option("custom-sbatch-options", k.COMMANDS, "Further #SBATCH lines.", BATCH)


def _recovery() -> Iterable[Option]:
    k = Kind
    yield Option("recreate-jobs", k.NAMES, "Submit these jobs again: auto, or their numbers.", BATCH)
    yield Option("recreate-queue", k.TEXT, "Queue for jobs that are submitted again.", BATCH)
    yield Option("blocklist-sites", k.NAMES, "Grid sites that files are not read from.")
    yield Option(
        "use-redirector",
        k.BOOLEAN,
        "Read every file through the global XRootD redirector.",
        default=False,
        nullable=False,
    )


#: Every option by its name.
SCHEMA: Final[dict[str, Option]] = {option.name: option for option in _options()}


def normal_name(name: str) -> str:
    """Return the name of an option as the schema spells it.

    >>> normal_name("--limit_files")
    'limit-files'
    """
    return str(name).strip().lstrip("-").replace("_", "-").lower()


def find_option(name: str, origin: str, extra: dict[str, Option] | None = None) -> Option:
    """Return the option of that name (dashes or underscores). Raises OptionError with the nearest names."""
    known = {**SCHEMA, **(extra or {})}
    key = normal_name(name)
    if key not in known:
        near = " or ".join(repr(close) for close in nearest(key, known))
        guess = f"Did you mean {near}? " if near else ""
        msg = f"{origin}: there is no run option {key!r}. {guess}All of them are in docs/run-options.md."
        raise OptionError(msg)
    return known[key]
