"""Factory of the executors ``parsl@SITE``: Parsl's workers are jobs of the site's HTCondor or Slurm.

Parsl is imported when such an executor is made, and not before.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pocket_coffea.batch.waiting import remove_jobs, why_waiting
from pocket_coffea.errors import ConfigurationError, ProcessingError
from pocket_coffea.executors.executors_base import ExecutorFactoryABC
from pocket_coffea.executors.parsl_executor import ParslExecutor, TaskPool
from pocket_coffea.executors.parsl_waiting import BlockErrors, WorkerWatch, log_tails
from pocket_coffea.executors.setup import WorkerSetup
from pocket_coffea.sites.book import SiteBook
from pocket_coffea.sites.site import Site, adjusted

if TYPE_CHECKING:
    from pocket_coffea.executors.parsl_config import ParslPlan

__all__ = ["NO_PARSL", "ParslExecutorFactory"]

log = logging.getLogger(__name__)

NO_PARSL = (
    "the parsl executors need the package parsl, but {missing} is not installed: "
    "pip install 'pocket-coffea[parsl]', or run on this machine with `-e futures`."
)
#: How long the first worker may take when ``parsl-worker-start-timeout`` is not given [s].
START_TIMEOUT_S = 3600
#: Transferred folders may get another mode, which Parsl then refuses.
_PRIVATE_CERTIFICATES = '[ ! -d "$worker_here/certificates" ] || chmod 700 "$worker_here/certificates"'


class ParslExecutorFactory(ExecutorFactoryABC):
    """``scaleout`` batch jobs with Parsl workers at ``site``; they stay for all groups of datasets of a run.

    Subclasses override :meth:`get_worker_env`, :meth:`make_config` or :meth:`customized_args`. What they
    leave behind in :meth:`setup`: ``self.plan``, ``self.worker_setup``, ``self.parsl_config``,
    ``self.dfk`` (Parsl's DataFlowKernel).
    """

    site: ClassVar[str] = ""
    system: ClassVar[str] = "parsl"

    plan: ParslPlan | None = None
    worker_setup: WorkerSetup | None = None
    parsl_config: Any = None
    dfk: Any = None
    pool: TaskPool | None = None

    def setup(self) -> None:
        """Check and prepare everything, and submit the workers.

        Raises ConfigurationError without Parsl and for what cannot work; nothing is submitted then.
        """
        _require_parsl()
        #: The site's data, with what the run options replace.
        self.site_data = adjusted(self.get_site(), self.run_options)
        super().setup()
        try:
            self.prepare_workers()
            self.start_workers()
        except BaseException:
            self.close()
            raise

    # -- what sites and users may change

    def get_site(self) -> Site:
        """Return the site: the one that was found for the executor string, else the one named ``site``."""
        given = self.kwargs.get("site")
        return (
            given if isinstance(given, Site) else SiteBook(self.kwargs.get("site_files", ())).get(self.site)
        )

    def setup_proxyfile(self) -> None:
        """Leave the proxy to WorkerSetup, which checks it for the time of the jobs and delivers it."""

    def get_worker_env(self) -> list[str]:
        """Return further shell lines that prepare a worker."""
        return []

    def make_config(self) -> Any:
        """Return Parsl's configuration."""
        assert self.plan is not None
        return self.plan.config(BlockErrors(self._log_tails))

    # -- start

    def prepare_workers(self) -> None:
        """Work out image, proxy, files of the run and batch request."""
        from pocket_coffea.executors.parsl_config import ParslPlan

        site = self.site_data
        output = str(Path(self.outputdir or ".").absolute())
        lines = [_PRIVATE_CERTIFICATES, *self.get_worker_env()]
        self.worker_setup = WorkerSetup.prepare(site, self.run_options, output, lines)
        if self.worker_setup.proxy is not None:
            self.x509_path = str(self.worker_setup.proxy.path)
        self.plan = ParslPlan(site, self.run_options, output, self.worker_setup)

    def start_workers(self) -> None:
        """Start Parsl, which submits the batch jobs."""
        import parsl
        from parsl.errors import ConfigurationError as AlreadyLoaded

        assert self.plan is not None
        assert self.worker_setup is not None
        self.parsl_config = self.make_config()
        self.plan.run_dir.mkdir(parents=True, exist_ok=True)
        if not self.run_options.get("worker-debug"):
            logging.getLogger("parsl").setLevel(logging.CRITICAL)  # what matters is said here
        log.info(">> Sending out jobs")
        try:
            self.dfk = parsl.load(self.parsl_config)
        except AlreadyLoaded as exc:
            msg = "Parsl is in use in this process already; close the other executor first, or parsl.clear()."
            raise ConfigurationError(msg) from exc
        log.info(">> Waiting for the first job to start... (Parsl's files: %s)", self.dfk.run_dir)
        self.pool = self._make_pool(self.plan, self.worker_setup)

    def _make_pool(self, plan: ParslPlan, setup: WorkerSetup) -> TaskPool:
        from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

        limit = self.run_options.get("parsl-worker-start-timeout")
        return TaskPool(
            self._submit,
            plan.slots,
            keep=setup.folder.add if plan.in_place else None,
            watch=WorkerWatch(
                connected=lambda: len(self._executor.connected_managers()),
                problem=self._problem,
                reasons=lambda: why_waiting(self._blocks.system, self._blocks.open_jobs()),
                tails=self._log_tails,
                limit=float(START_TIMEOUT_S if limit is None else limit),
            ),
            lost=(ManagerLost, WorkerLost),
            folder=Path.cwd() if plan.in_place else None,
        )

    @property
    def _executor(self) -> Any:
        (executor,) = self.parsl_config.executors
        return executor

    @property
    def _blocks(self) -> Any:
        return self._executor.provider

    def _submit(self, function: Any, *args: Any) -> Any:
        problem = self._problem()
        if problem is not None:
            raise problem
        return self._executor.submit(function, {}, *args)

    def _problem(self) -> BaseException | None:
        """Return what ended all workers."""
        executor = self._executor
        if executor.bad_state_is_set:
            error = executor.executor_exception
            return error if isinstance(error, ProcessingError) else ProcessingError(f"Parsl gave up: {error}")
        if executor.interchange_proc is not None and executor.interchange_proc.poll() is not None:
            return ProcessingError(
                f"Parsl's interchange has ended (code {executor.interchange_proc.returncode}); its log is in "
                f"{executor.logdir}."
            )
        return None

    def _log_tails(self) -> str:
        executor = self._executor
        return log_tails(
            [Path(folder) for folder in (self._blocks.script_dir, executor.worker_logdir) if folder]
        )

    # -- the executor

    def customized_args(self) -> dict[str, Any]:
        assert self.pool is not None
        return {
            **super().customized_args(),
            "processes": self.pool,
            "workers": self.pool.size,
            "treereduction": self._fan_in(),
            "retries": self._retries(),
            "status": False,
        }

    def get(self) -> Any:
        return ParslExecutor(**self.customized_args())

    def provenance(self) -> dict[str, Any]:
        """Return in what the workers ran, and with which Parsl."""
        if self.worker_setup is None:
            return {}
        return {**self.worker_setup.provenance(), "parsl": importlib.metadata.version("parsl")}

    # -- end

    def close(self) -> None:
        """Remove the batch jobs, end Parsl and remove the files of the run."""
        try:
            if self.dfk is not None:
                self._end_parsl()
        finally:
            self.dfk = None
            if self.parsl_config is not None:
                with contextlib.suppress(Exception):
                    remove_jobs(self._blocks.system, self._blocks.open_jobs())
            if self.worker_setup is not None:
                self.worker_setup.close()
                self.worker_setup = None

    def _end_parsl(self) -> None:
        executor = self._executor
        if not executor.bad_state_is_set and (self._problem() is not None or not _answers(executor)):
            # else Parsl would ask a dead process about its workers, and wait for ever
            executor.set_bad_state_and_fail_all(ProcessingError("closed"))
        try:
            self.dfk.cleanup()
        except Exception as exc:  # noqa: BLE001  (the results are there; what is left is removed by the caller)
            log.warning("Parsl did not end in order: %s: %s", type(exc).__name__, exc)


def _answers(executor: Any, seconds: float = 30.0) -> bool:
    """Return whether the interchange still does: it may be on its way out when a run ends."""
    try:
        executor.command_client.run("CONNECTED_BLOCKS", timeout_s=seconds)
    except Exception as exc:  # noqa: BLE001  (of ZeroMQ, of Parsl: no answer)
        log.debug("Parsl's interchange does not answer: %s: %s", type(exc).__name__, exc)
        return False
    return True


def _require_parsl() -> None:
    try:
        import parsl  # noqa: F401
    except ImportError as exc:
        raise ConfigurationError(NO_PARSL.format(missing=exc.name or "parsl")) from exc
