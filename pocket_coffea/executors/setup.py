"""Everything a worker needs, put together once for all engines.

::

    setup = WorkerSetup.prepare(site, options, outputdir)
    setup.command(["python", "-m", "distributed.cli.dask_worker", "--tls-cert", "{here}/worker.pem", ...])
    ...
    setup.close()

In a command ``{here}`` is the folder of the run's files as the worker sees it, ``{scratch}`` its scratch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pocket_coffea.errors import ConfigurationError, InputFileError
from pocket_coffea.executors.extra_files import extra_files
from pocket_coffea.executors.proxy import GridProxy, find_proxy
from pocket_coffea.executors.start_script import Preparation, commands_of, start_script
from pocket_coffea.executors.worker_environment import (
    WorkerEnvironment,
    fill_in,
    is_shared,
    plan_environment,
)
from pocket_coffea.executors.worker_folder import WorkerFolder
from pocket_coffea.executors.worker_variables import worker_variables
from pocket_coffea.utils.units import to_seconds

if TYPE_CHECKING:
    from pocket_coffea.sites.site import Site

__all__ = ["EXPECTATION", "PROXY", "SCRIPT", "WorkerSetup", "write_worker_files"]

SCRIPT = "worker.sh"
EXPECTATION = "expectation.json"
PROXY = "x509up"


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What :meth:`prepare` made. ``folder.add`` takes further files of the engine, which then count as
    ``files``; ``logs`` is where the site wants logs, made when missing."""

    site: Site
    environment: WorkerEnvironment
    proxy: GridProxy | None
    folder: WorkerFolder
    script: Path
    logs: Path
    variables: Mapping[str, str]
    #: Run options that a later ``renew_proxy`` looks at.
    options: Mapping[str, Any]

    @classmethod
    def prepare(
        cls, site: Site, options: Mapping[str, Any], outputdir: str | Path, extra_lines: Sequence[str] = ()
    ) -> WorkerSetup:
        """Check image, environment, proxy and further files, and write the files of the run.

        ``extra_lines``: shell lines of a factory's ``get_worker_env``. Raises ConfigurationError,
        ResultsRefused or OutputError before anything is submitted; nothing is left behind then.
        """
        output = str(Path(outputdir).absolute())
        proxy = find_proxy(options, _longest_job(site, options))
        parent = _place(site, output)
        environment = plan_environment(site, options, output)
        data = extra_files(options)
        preparation = replace(_preparation(site, options, environment, extra_lines), data=bool(data))
        logs = Path(fill_in(site.logs, output) or output)
        folder = WorkerFolder(parent)
        try:
            logs.mkdir(parents=True, exist_ok=True)
            for path in data:
                folder.copy(path)
            script = _write(preparation, environment, proxy, folder)
        except BaseException:
            folder.close()
            raise
        return cls(site, environment, proxy, folder, script, logs, preparation.variables, dict(options))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the run, to transfer where nothing is shared; their names stay."""
        return self.folder.files

    def command(self, argv: Sequence[str], transferred: bool = False) -> list[str]:
        """Return the words that run ``argv`` on a node, prepared and in the right environment.

        ``transferred``: the files were brought into the folder that the job starts in.
        """
        script = SCRIPT if transferred else str(self.script)
        return [*self.environment.prefix, "bash", script, *argv]

    def provenance(self) -> dict[str, Any]:
        """Return plain data for the outputs: in what the workers ran, and how it was checked."""
        return {"site": self.site.name, **self.environment.provenance}

    def renew_proxy(self) -> GridProxy | None:
        """Copy the proxy again, for one that was renewed while the run goes on; return it.

        Workers that read the copy in place see it at the next connection. Raises ConfigurationError.
        """
        proxy = find_proxy(self.options, _longest_job(self.site, self.options))
        _copy_proxy(proxy, self.folder)
        return proxy

    def close(self) -> None:
        """Remove the files of the run; a second time does nothing."""
        self.folder.close()


def _preparation(
    site: Site, options: Mapping[str, Any], environment: WorkerEnvironment, extra_lines: Sequence[str]
) -> Preparation:
    custom = commands_of(options.get("custom-setup-commands"))
    return Preparation(
        variables=worker_variables(site, options),
        scratch=fill_in(site.scratch, worker=True),
        # what the submitting shell has would replace the code of the image
        clean_python=environment.expectation is not None,
        lines=[(f"prologue of the site {site.name}", site.prologue), ("custom-setup-commands", custom)],
        lenient=extra_lines,
        activation=environment.lines,
        python=environment.python,
    )


class Adds(Protocol):
    """A folder that files are put into, as :class:`WorkerFolder`."""

    def add(self, name: str, content: bytes | str, secret: bool = True) -> Path:
        """Write a file and return its path."""


def write_worker_files(
    site: Site,
    options: Mapping[str, Any],
    environment: WorkerEnvironment,
    proxy: GridProxy | None,
    folder: Adds,
    extra_lines: Sequence[str] = (),
) -> None:
    """Write start script, expectation and proxy into the folder of jobs that outlive this process.

    Raises ConfigurationError, InputFileError, OutputError.
    """
    preparation = _preparation(site, options, environment, extra_lines)
    preparation = replace(preparation, data=bool(options.get("extra-input-files")))
    _write(preparation, environment, proxy, folder)


def _write(
    preparation: Preparation, environment: WorkerEnvironment, proxy: GridProxy | None, folder: Adds
) -> Path:
    if environment.expectation is not None:
        folder.add(EXPECTATION, environment.expectation.to_json())
        preparation = replace(preparation, expectation=EXPECTATION)
    if proxy is not None:
        _copy_proxy(proxy, folder)
        preparation = replace(preparation, proxy=PROXY)
    return folder.add(SCRIPT, start_script(preparation), secret=False)


def _copy_proxy(proxy: GridProxy | None, folder: Adds) -> None:
    if proxy is None:
        return
    try:
        content = proxy.path.read_bytes()
    except OSError as error:
        msg = f"The grid proxy {proxy.path} cannot be read: {error.strerror}."
        raise InputFileError(msg) from error
    folder.add(PROXY, content)


def _longest_job(site: Site, options: Mapping[str, Any]) -> float | None:
    """Return how long a job may run [s]: the option ``walltime``, else what its queue allows."""
    if options.get("walltime") is not None:
        return to_seconds(options["walltime"])
    queues = {queue.name: queue.seconds for queue in site.queues}
    return queues.get(str(options.get("queue")))


def _place(site: Site, output: str) -> Path:
    """Return in which folder the files of the run are made: seen by the workers, where folders are shared."""
    shared = [fill_in(name) for name in site.shared]
    if not shared or is_shared(output, shared):
        return Path(output)
    if site.proxy.folder:
        return Path(fill_in(site.proxy.folder))
    if site.batch == "slurm":
        msg = (
            f"The output folder {output} is not seen by the workers of {site.name}, which share "
            f"{', '.join(shared)} with this machine (run option shared-folders, when that is not right), and "
            "Slurm transfers no files. Give an output folder (-o) in one of them."
        )
        raise ConfigurationError(msg)
    return Path(output)
