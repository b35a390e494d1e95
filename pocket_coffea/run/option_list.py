"""Every run option that exists, by subject: kind, default, and which executors read it."""

from __future__ import annotations

from collections.abc import Iterator

from pocket_coffea.run.option import Option
from pocket_coffea.run.option_types import Kind

__all__ = ["EVERY", "all_options"]

# Readers are an executor ("parsl": everywhere), one at a site ("dask@swan"), or one on a kind of batch system
# ("dask/slurm"); "none" is the machine itself, in an image, "here" an executor without site.
EVERY = ("all",)
DASK_BATCH = ("dask/htcondor", "dask/slurm")
DASK_STARTED = (*DASK_BATCH, "dask/none")
DASK_SITES = (*DASK_STARTED, "dask/gateway", "dask/scheduler")
PARSL = ("parsl",)
JOBS = ("condor", "slurm", "jobs")
#: Who starts workers itself, and who has workers that are not processes of this one.
STARTED = (*DASK_STARTED, *PARSL, *JOBS)
SUBMITTED = (*DASK_BATCH, *PARSL, *JOBS)
REMOTE = (*DASK_SITES, *PARSL, *JOBS)


def all_options() -> Iterator[Option]:
    """Give every option, in the order of the reference."""
    yield from _processing()
    yield from _surroundings()
    yield from _size_of_workers()
    yield from _batch()
    yield from _worker_environment()
    yield from _dask()
    yield from _parsl()
    yield from _jobs()
    yield from _recovery()


def _integer(name: str, text: str, readers: tuple[str, ...], default: int, minimum: int = 0) -> Option:
    return Option(name, Kind.INTEGER, text, readers, default, minimum=minimum, nullable=False)


def _flag(name: str, text: str, readers: tuple[str, ...], default: bool = False) -> Option:
    return Option(name, Kind.BOOLEAN, text, readers, default, nullable=False)


def _processing() -> Iterator[Option]:
    k = Kind
    text = "Number of processes or workers; number of jobs for manual-job executors."
    yield _integer("scaleout", text, EVERY, 1, minimum=1)
    text = "Events processed at once."
    yield Option("chunksize", k.PER_SAMPLE, text, default=150000, minimum=1, nullable=False)
    text = "Process at most this many files of each dataset."
    yield Option("limit-files", k.INTEGER, text, default=None, minimum=1)
    text = "Process at most this many chunks of each dataset."
    yield Option("limit-chunks", k.INTEGER, text, default=None, minimum=1)
    yield _integer("retries", "How often reading a file is tried again.", EVERY, 10)
    text = "How many partial results are added up at once."
    yield _integer("tree-reduction", text, EVERY, 20, minimum=2)
    text = "Go on without files that cannot be read, and list them in the output."
    yield _flag("skip-bad-files", text, EVERY)


def _surroundings() -> Iterator[Option]:
    k = Kind
    yield Option("voms-proxy", k.TEXT, "Path of the grid proxy, used as it is.", default=None)
    yield _flag("ignore-grid-certificate", "Run without looking for a grid proxy.", EVERY)
    text = "With --process-separately: samples processed together, by group."
    yield Option("group-samples", k.GROUPS, text, default=None)
    text = "Keep completed chunks on disk until the run is complete, for --resume."
    yield _flag("checkpoint", text, EVERY, default=True)
    yield Option("starting-time", k.START_TIME, "Wait until then before starting.", default=None)
    text = "Folder of what --timeit measured (default: timeit, next to the configuration)."
    yield Option("timeit-dir", k.TEXT, text, default=None)


def _size_of_workers() -> Iterator[Option]:
    k = Kind
    readers = tuple(name for name in REMOTE if name != "dask/scheduler")
    yield _integer("cores-per-worker", "Cores of one worker or job.", readers, 1, minimum=1)
    yield Option("mem-per-worker", k.SIZE, "Memory of one worker or job.", ("dask/here", *readers))
    # Slurm has no request for disk that sites set up; HTCondor has
    readers = ("dask/htcondor", "parsl/htcondor", "condor")
    yield Option("disk-per-worker", k.SIZE, "Scratch disk of one worker or job.", readers)


def _batch() -> Iterator[Option]:
    k = Kind
    text = (
        "Queue, partition or job flavour; those of a site: `pocket-coffea sites show SITE`. For manual jobs "
        "also auto: the shortest that each job fits into."
    )
    yield Option("queue", k.TEXT, text, SUBMITTED)
    yield Option("walltime", k.WALLTIME, "Longest life of a worker or job.", SUBMITTED)
    text = "Requirements expression of HTCondor."
    yield Option("requirements", k.TEXT, text, ("parsl/htcondor", "condor"))
    slurm = ("dask/slurm", "parsl/slurm", "slurm")
    text = "Account that is charged: of Slurm, or accounting group of HTCondor."
    yield Option("account", k.TEXT, text, ("dask/htcondor", *slurm))
    yield Option("qos", k.TEXT, "Quality of service asked of Slurm.", slurm)
    text = "Patterns of full host names where jobs are submitted, instead of the site's; empty: anywhere."
    yield Option("submit-hosts", k.NAMES, text, REMOTE)
    text = "Folders that submit side and workers both see, instead of the site's; empty: none."
    yield Option("shared-folders", k.NAMES, text, REMOTE)
    text = "Scratch folder on the worker, instead of the site's."
    yield Option("local-scratch-dir", k.TEXT, text, STARTED)


def _worker_environment() -> Iterator[Option]:
    k = Kind
    text = "Container image of the workers: a site, a SIF file or a digest (docs/pinning.md)."
    yield Option("worker-image", k.TEXT, text, REMOTE)
    text = "Accept a worker image that is not named by its digest."
    yield _flag("allow-unpinned-image", text, REMOTE)
    text = "Accept a worker image made from other code than that which submits."
    yield _flag("allow-code-mismatch", text, REMOTE)
    text = "Folders of the node bound into the container, instead of the site's."
    yield Option("apptainer-binds", k.NAMES, text, STARTED)
    text = (
        "Use the conda environment of the submitting process on the workers (conda, mamba, micromamba, pixi)."
    )
    yield _flag("conda-env", text, (*STARTED, "dask/gateway"))
    text = "Use the virtual environment of the submitting process on the workers."
    yield _flag("local-virtualenv", text, STARTED)
    yield Option("worker-python", k.TEXT, "Python interpreter of the workers.", STARTED)
    text = "Shell lines run on the worker before the analysis, in order; one that fails ends the worker."
    yield Option("custom-setup-commands", k.COMMANDS, text, STARTED)


def _dask() -> Iterator[Option]:
    k = Kind
    text = "Start with one worker and grow to scaleout as needed."
    yield _flag("adaptive", text, (*DASK_STARTED, "dask/gateway"))
    text = "Time after which a worker without scheduler ends itself [s]."
    yield Option("death-timeout", k.SECONDS, text, DASK_STARTED)
    yield _flag("performance-report", "Write a Dask performance report to the output folder.", DASK_SITES)
    yield Option("sched-url", k.TEXT, "Address of a running Dask scheduler.", ("dask/scheduler",))
    text = "First port tried for the Dask scheduler."
    yield _integer("dask-scheduler-port", text, DASK_STARTED, 8786)
    text = "Port of a Dask worker, or the first and the last of several: 10000:10100 (default: any)."
    yield Option("dask-worker-port", k.TEXT, text, DASK_BATCH)
    text = "Host name or address that workers use for the scheduler."
    yield Option("dask-scheduler-host", k.TEXT, text, DASK_BATCH)
    text = "How long to wait for the first worker [s]."
    yield Option("dask-worker-start-timeout", k.SECONDS, text, DASK_SITES)
    text = "Where the batch logs of Dask workers go, instead of the site's folder."
    yield Option("dask-log-directory", k.TEXT, text, DASK_STARTED)
    text = "Further lines of the submit file of Dask workers."
    yield Option("dask-job-extra-directives", k.MAPPING, text, DASK_BATCH)
    yield Option("gateway-address", k.TEXT, "Address of a Dask Gateway.", ("dask/gateway",))
    text = "Address of the proxy of a Dask Gateway."
    yield Option("gateway-proxy-address", k.TEXT, text, ("dask/gateway",))


def _parsl() -> Iterator[Option]:
    k = Kind
    yield Option("logs-dir", k.TEXT, "Folder for Parsl logs, below the output folder.", PARSL, "logs_parsl")
    yield _flag("worker-debug", "Verbose logs of Parsl workers.", PARSL)
    text = "How long to wait for the first worker [s]."
    yield Option("parsl-worker-start-timeout", k.SECONDS, text, PARSL)
    text = "Run directory of Parsl (default: parsl_runinfo below logs-dir)."
    yield Option("parsl-run-dir", k.TEXT, text, PARSL, aliases=("parsl-runinfo",))
    text = "Slurm provider: partition, account, scheduler-options."
    yield Option("slurm", k.MAPPING, text, ("parsl/slurm",))
    yield Option("srun-overrides", k.TEXT, "Further arguments of srun.", ("parsl/slurm",))
    yield Option("max-workers-per-node", k.INTEGER, "Workers started in one batch job.", PARSL, minimum=1)
    text = "How long to wait for the first worker [s]."
    yield Option("parsl-worker-start-timeout", k.SECONDS, text, PARSL)
    text = "Tasks fetched by a worker ahead of time."
    yield Option("prefetch-capacity", k.INTEGER, text, PARSL, 0, minimum=0)
    yield Option("nodes-per-block", k.INTEGER, "Nodes asked for in one batch job.", PARSL, 1, minimum=1)
    yield Option("min-blocks", k.INTEGER, "Batch jobs kept at least.", PARSL, 0, minimum=0)
    yield _flag("exclusive", "Ask for whole nodes.", ("parsl/slurm",))


def _jobs() -> Iterator[Option]:
    k = Kind
    text = "Events of one job; a mapping splits by dataset."
    yield Option("max-events-per-job", k.PER_SAMPLE, text, JOBS, minimum=1)
    text = "How long a job is to take [s], by what --timeit measured; instead of scaleout."
    yield Option("target-time", k.SECONDS, text, JOBS, minimum=1)
    text = "With timings: a job fits into a queue when it takes less than this part of its time [%]."
    yield _integer("queue-time-threshold-percent", text, JOBS, 80, minimum=1)
    text = "Submit jobs without asking that may not fit into their queue."
    yield _flag("allow-long-jobs", text, JOBS)
    yield _flag("split-files", "Cut files that have more events than a job may have.", JOBS)
    yield Option("job-name", k.TEXT, "Name of the folder of a submission, below jobs-dir.", JOBS, "job")
    text = "Where the folders of submissions are made (default: output folder)."
    yield Option("jobs-dir", k.TEXT, text, JOBS)
    yield _flag("dry-run", "Prepare the jobs and do not submit them.", JOBS)
    text = "How often HTCondor starts a job again whose failure another worker may heal."
    yield Option("max-retries", k.INTEGER, text, ("condor",), minimum=0)
    yield Option("max-run-time", k.SECONDS, "Longest life of a job [s].", JOBS)
    yield _flag("split-by-category", "Split the output of each job by category.", JOBS)
    text = "Prefix of output paths copied with xrdcp, instead of those of the site."
    yield Option("eos-prefix", k.TEXT, text, JOBS)
    text = "Files opened by path while running, shipped to the workers."
    yield Option("extra-input-files", k.NAMES, text, ("dask/htcondor", "parsl/htcondor", *JOBS))
    yield Option("notify-user", k.TEXT, "Mail address that HTCondor writes to.", ("condor",))
    text = "Path outside the container of what is /srv inside."
    yield Option("host-path-prefix", k.TEXT, text, ("condor",))
    text = "Jobs of an array that run at the same time."
    yield Option("max-concurrent-jobs", k.INTEGER, text, ("slurm",), minimum=1)
    yield Option("custom-sbatch-options", k.COMMANDS, "Further #SBATCH lines.", ("slurm",))


def _recovery() -> Iterator[Option]:
    k = Kind
    yield Option("recreate-jobs", k.NAMES, "Submit these jobs again: auto, or their numbers.", JOBS)
    text = "With recreate-jobs: remove and send also jobs that are in the queue or run."
    yield _flag("remove-running", text, JOBS)
    text = "Queue for jobs that are submitted again; auto: the shortest that each fits into."
    yield Option("recreate-queue", k.TEXT, text, JOBS)
    yield Option("blocklist-sites", k.NAMES, "Grid sites that files are not read from.", JOBS)
    yield _flag("use-redirector", "Read every file through the global XRootD redirector.", JOBS)
    text = "Address of another redirector than CMS's, to which logical names are appended."
    yield Option("redirector", k.TEXT, text, JOBS)
