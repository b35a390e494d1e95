"""The two sides of ``tests.bench.dask_overhead``: our executors, and dask-jobqueue with coffea, by hand."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coffea import processor
from coffea.nanoevents import NanoAODSchema

PROJECT = Path(__file__).resolve().parents[2]
WORKERS = 2
FAN_IN = 20
#: Variable that is set when the script by hand encrypts its connections, too, as ours do.
ENCRYPT = "BENCH_ENCRYPT"
EXECUTORS = {"local": "dask", "htcondor": "dask@lab", "slurm": "dask@T3_CH_PSI"}


def options(system: str) -> dict[str, Any]:
    """Return the run options of our side."""
    own: dict[str, Any] = {"scaleout": WORKERS, "tree-reduction": FAN_IN, "ignore-grid-certificate": True}
    if system == "local":
        return own
    shared = [str(Path.home()), sys.prefix, str(PROJECT), tempfile.gettempdir(), "/shared"]
    return own | {
        "local-virtualenv": True,
        "shared-folders": shared,
        "submit-hosts": ["lab.site"],
        "local-scratch-dir": "$TMPDIR",
        "mem-per-worker": "1GB",
    }


@contextlib.contextmanager
def our_executor(system: str, folder: Path) -> Iterator[Any]:
    """Give our executor with all workers there."""
    from pocket_coffea.executors.registry import make_factory
    from pocket_coffea.run.options import merge_run_options

    chosen = merge_run_options(EXECUTORS[system], extra=options(system)).as_dict()
    factory: Any = make_factory(EXECUTORS[system], chosen, str(folder / "ours"))
    try:
        factory.dask_client.wait_for_workers(WORKERS, timeout=180)
        yield factory.get()
    finally:
        factory.close()


@contextlib.contextmanager
def bare_executor(system: str, folder: Path, workers: int = WORKERS) -> Iterator[Any]:
    """Give coffea's executor on a cluster made by hand, with ``workers`` workers there."""
    from distributed import Client

    with _bare_cluster(system, folder) as cluster, Client(cluster) as client:
        client.wait_for_workers(workers, timeout=180)
        yield processor.DaskExecutor(client=client, treereduction=FAN_IN, retries=10, status=False)


def _bare_cluster(system: str, folder: Path) -> Any:
    if system == "local":
        from distributed import LocalCluster

        return LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0")
    import dask_jobqueue

    logs = folder / "bare"
    logs.mkdir(parents=True, exist_ok=True)
    common: dict[str, Any] = {
        "cores": 1,
        "memory": "1GB",
        "python": sys.executable,
        "log_directory": str(logs),
        "job_script_prologue": [f"export PYTHONPATH={PROJECT}"],
        "scheduler_options": {"dashboard_address": ":0"},
    }
    if os.environ.get(ENCRYPT):
        common |= _encryption(logs)
    if system == "htcondor":
        # the default flavour ends jobs after seconds in the lab
        flavour = {"+JobFlavour": '"workday"'}
        cluster = dask_jobqueue.HTCondorCluster(disk="100MB", job_extra_directives=flavour, **common)
    else:
        cluster = dask_jobqueue.SLURMCluster(queue="standard", walltime="00:50:00", **common)
    cluster.scale(jobs=WORKERS)
    return cluster


def _encryption(folder: Path) -> dict[str, Any]:
    """Return what encrypts the connections of a cluster made by hand; with Python 3.13 they break without
    our mend of tornado.
    """
    from distributed.security import Security

    from pocket_coffea.executors.dask_tls_errors import forget_tls_errors

    forget_tls_errors()
    return {"protocol": "tls://", "security": Security.temporary(), "shared_temp_directory": str(folder)}


@contextlib.contextmanager
def runner_of(engine: str, system: str, folder: Path, chunksize: int) -> Iterator[Any]:
    """Give a Runner of "ours" or "bare"."""
    if engine == "ours":
        from pocket_coffea.run.runner import PocketRunner

        with our_executor(system, folder) as executor:
            yield PocketRunner(executor=executor, chunksize=chunksize, schema=NanoAODSchema)
    else:
        with bare_executor(system, folder) as executor:
            yield processor.Runner(executor=executor, chunksize=chunksize, schema=NanoAODSchema)
