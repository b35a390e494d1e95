"""From run options and a site to Parsl's configuration: what a batch job asks for and what it runs.

Imported only where Parsl is used.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parsl import curvezmq
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SingleNodeLauncher, SrunLauncher

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.batch_request import BatchRequest, batch_request
from pocket_coffea.executors.parsl_options import SLURM_NAMES, escaped, slurm_options, submit_address
from pocket_coffea.executors.parsl_providers import HTCondorBlocks, SlurmBlocks
from pocket_coffea.executors.worker_environment import fill_in, is_shared

if TYPE_CHECKING:
    from pocket_coffea.executors.setup import WorkerSetup
    from pocket_coffea.sites.site import Site

__all__ = ["ParslPlan"]

_POOL = "pocket_coffea.executors.parsl_pool"
_CERTIFICATES = "certificates"
#: The arguments of Parsl's worker pool; double braces are filled in for each batch job.
_POOL_ARGUMENTS = (
    "{debug} {max_workers_per_node} -a {addresses} -p {prefetch_capacity} -c {cores_per_worker} "
    "-m {mem_per_worker} --poll {poll_period} --port={worker_port} --logdir={logdir} --logconf={logconf} "
    "--block_id={{block_id}} --hb_period={heartbeat_period} {address_probe_timeout_string} "
    "--hb_threshold={heartbeat_threshold} --drain_period={drain_period} --cpu-affinity {cpu_affinity} "
    "{enable_mpi_mode} --mpi-launcher={mpi_launcher} --available-accelerators {accelerators}"
)
#: A worker that says nothing for so long has gone [s].
_HEARTBEAT_S, _LOST_S = 10, 60
#: A job takes no new chunk when it has so little time left [s], or a tenth of its time.
_DRAIN_S = 600


class ParslPlan:
    """What is to be started at a site, worked out before anything is submitted.

    Raises OptionError or ConfigurationError for options that cannot work.
    """

    def __init__(self, site: Site, options: Mapping[str, Any], outputdir: str, setup: WorkerSetup) -> None:
        self.site = site
        self.options = options
        self.setup = setup
        self.output = Path(outputdir).absolute()
        self.shared = [fill_in(name, str(self.output)) for name in site.shared]
        self.slurm = slurm_options(site, options) if site.batch == "slurm" else {}
        named = {key: options.get(key) or self.slurm.get(other) for key, other in SLURM_NAMES.items()}
        self.request: BatchRequest = batch_request(site, {**options, **named})
        self.run_dir = self._run_dir()
        # ZeroMQ finds the keys by a pattern, in which brackets are not themselves
        _require_plain(setup.folder.path, "The folder of the run", "an output folder (-o)")
        #: Whether the workers read the files of the run in place.
        self.in_place = is_shared(str(setup.folder.path), self.shared)
        self.nodes = int(options.get("nodes-per-block") or 1)
        self.workers_per_node = int(options.get("max-workers-per-node") or self.request.cores)
        self.blocks = max(1, int(options.get("scaleout") or 1))

    @property
    def slots(self) -> int:
        """How many tasks run at the same time when all batch jobs run."""
        return self.blocks * self.nodes * self.workers_per_node

    def _run_dir(self) -> Path:
        given = self.options.get("parsl-run-dir") or self.options.get("parsl-runinfo")
        logs = self.output / fill_in(str(self.options.get("logs-dir") or "logs_parsl"), str(self.output))
        path = Path(fill_in(os.path.expandvars(str(given)))).expanduser() if given else logs / "parsl_runinfo"
        path = path.absolute()
        _require_plain(path, "Parsl's run folder", "parsl-run-dir, or -o")
        if self.site.batch == "slurm" and not is_shared(str(path), self.shared):
            msg = (
                f"Parsl's run folder {path} is not seen by the workers of {self.site.name}, which share "
                f"{', '.join(self.shared) or 'no folder'} with this machine, and Slurm transfers no files. "
                "Give parsl-run-dir or an output folder (-o) in one of them."
            )
            raise ConfigurationError(msg)
        return path

    # -- Parsl's objects

    def config(self, block_errors: Callable[..., None]) -> Config:
        """Return the configuration; ``block_errors`` hears of batch jobs that ended."""
        debug = bool(self.options.get("worker-debug"))
        certificates = curvezmq.create_certificates(self.setup.folder.path)
        executor = HighThroughputExecutor(
            label=f"coffea_parsl_{'condor' if self.site.batch == 'htcondor' else 'slurm'}",
            provider=self.provider(),
            address=submit_address(),
            launch_cmd=self.launch_command(),
            interchange_launch_cmd=[
                sys.executable,
                "-m",
                "pocket_coffea.executors.parsl_interchange",
                str(os.getpid()),
            ],
            encrypted=True,
            worker_debug=debug,
            cores_per_worker=self.request.cores / self.workers_per_node,
            max_workers_per_node=self.workers_per_node,
            prefetch_capacity=int(self.options.get("prefetch-capacity") or 0),
            heartbeat_period=_HEARTBEAT_S,
            heartbeat_threshold=_LOST_S,
            drain_period=self._drain_period(),
            worker_logdir_root=self._worker_logs(),
            block_error_handler=block_errors,
        )
        executor.cert_dir = certificates
        return Config(
            executors=[executor],
            run_dir=str(self.run_dir),
            strategy="simple",
            strategy_period=1,
            retries=0,  # lost workers are seen to by the TaskPool; mistakes come again
            initialize_logging=debug,
            usage_tracking=0,
        )

    def launch_command(self) -> str:
        """Return what a batch job runs on each node, with what Parsl fills in between braces."""
        python = self.setup.environment.python
        head = self.setup.command(
            [python, "-m", _POOL, "--cert_dir", f"{{here}}/{_CERTIFICATES}"],
            transferred=not self.in_place,
        )
        text = shlex.join(head)
        if self.site.batch == "slurm":  # srun's launcher puts it through a here-document
            text = "".join(f"\\{letter}" if letter in "\\$`" else letter for letter in text)
        return f"{escaped(text)} {_POOL_ARGUMENTS}"

    def provider(self) -> HTCondorBlocks | SlurmBlocks:
        """Return what submits the batch jobs. Raises ConfigurationError at a site without batch system."""
        if self.site.batch == "htcondor":
            return self._condor()
        if self.site.batch == "slurm":
            return self._slurm()
        msg = (
            f"parsl@{self.site.name}: Parsl's workers are jobs of HTCondor or Slurm, and {self.site.name} "
            f"has neither (batch: {self.site.batch} in {self.site.shown_path})."
        )
        raise ConfigurationError(msg)

    def _blocks(self) -> dict[str, Any]:
        return {
            "nodes_per_block": self.nodes,
            "init_blocks": self.blocks,
            "min_blocks": min(int(self.options.get("min-blocks") or 0), self.blocks),
            "max_blocks": self.blocks,
            "walltime": _clock(self.request.seconds or 86400),
        }

    def _condor(self) -> HTCondorBlocks:
        request, image = self.request, self.setup.environment.batch_image
        lines = {
            "leave_in_queue": "False",
            "when_to_transfer_output": "ON_EXIT",
            "transfer_output_files": '""',
            "RequestMemory": str(request.memory),
            "+projectname": '"PocketCoffea"',
        }
        if request.disk is not None:
            lines["RequestDisk"] = str(request.disk * 1024)
        if self.site.queue_directive and request.queue:
            lines[self.site.queue_directive] = f'"{request.queue}"'
        elif self.site.queue_directive and not self.site.queues and request.seconds:
            lines[self.site.queue_directive] = str(request.seconds)
        if image:
            lines["MY.SingularityImage"] = f'"{image}"'
        lines |= {name: str(value) for name, value in self.site.directives.items()}
        return HTCondorBlocks(
            **self._blocks(),
            cores_per_slot=request.cores,
            requirements=self._requirements(),
            scheduler_options="\n".join(f"{name} = {value}" for name, value in lines.items()),
            transfer_input_files=[] if self.in_place else [str(path) for path in self.setup.files],
            launcher=SingleNodeLauncher(debug=bool(self.options.get("worker-debug"))),
        )

    def _requirements(self) -> str:
        """Return the user's, and leave out what HTCondor makes of a directive such as ``+RequestRuntime``.

        It reads that as a resource, and demands machines that offer it; not all do.
        """
        parts = [str(self.options["requirements"])] if self.options.get("requirements") else []
        found = re.fullmatch(r"(?i)(?:\+|MY\.)Request(\w+)", self.site.queue_directive)
        if found and self.request.seconds:
            offered = f"TARGET.{found[1]}"
            parts.append(f"isUndefined({offered}) || {offered} >= Request{found[1]}")
        return " && ".join(f"({part})" for part in parts)

    def _slurm(self) -> SlurmBlocks:
        request = self.request
        own = [f"#SBATCH --mem={request.memory}M", f"#SBATCH --cpus-per-task={request.cores}"]
        own += [f"#SBATCH --{name}={value}" for name, value in self.site.directives.items()]
        given = str(self.slurm.get("scheduler-options") or "")
        default = str(self._site_slurm().get("scheduler-options") or "")
        # Slurm takes the last word: the user's, but not before other options the site's
        parts = [given, *own] if given.strip() == default.strip() else [*own, given]
        overrides = f"--cpus-per-task={request.cores} {self.options.get('srun-overrides') or ''}"
        return SlurmBlocks(
            **self._blocks(),
            partition=request.queue or None,
            account=request.account,
            qos=request.qos,
            exclusive=bool(self.options.get("exclusive")),
            scheduler_options="\n".join(parts),
            launcher=SrunLauncher(debug=bool(self.options.get("worker-debug")), overrides=overrides.strip()),
        )

    def _site_slurm(self) -> Mapping[str, Any]:
        return dict(self.site.executors.get("parsl", {}).get("slurm") or {})

    def _drain_period(self) -> int | None:
        seconds = self.request.seconds
        return None if seconds is None else int(seconds - min(_DRAIN_S, seconds / 10))

    def _worker_logs(self) -> str | None:
        """Return the folder of the workers' logs, None for Parsl's run folder."""
        if is_shared(str(self.run_dir), self.shared):
            return None
        if is_shared(str(self.output), self.shared):
            return str(self.output / str(self.options.get("logs-dir") or "logs_parsl"))
        return "."  # where the job runs


def _require_plain(path: Path, what: str, option: str) -> None:
    if any(letter in str(path) for letter in " \t\n\"'\\,;&|<>$`*?()[]{}"):
        msg = (
            f"{what} {str(path)!r} has a blank or a special letter in its name, which does not go through "
            f"the submit files of batch systems and through Parsl. Give another one: {option}."
        )
        raise ConfigurationError(msg)


def _clock(seconds: int) -> str:
    """Return hours, minutes and seconds, as Parsl reads them."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"
