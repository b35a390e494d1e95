"""The process of one batch job: ``python -m pocket_coffea.executors.dask_worker SCHEDULER --options``.

Dask's own worker command with the settings of the project, so that nothing has to be carried to the worker
in files of settings or long lists of variables. Its workers show no status pages.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main", "worker_settings"]

_TLS_ERRORS = "pocket_coffea.executors.dask_tls_errors"
#: Dask's command reads those of the nanny from its arguments alone, not from the settings.
_OF_NANNY = (_TLS_ERRORS, "pocket_coffea.executors.dask_leaving")


def worker_settings() -> dict[str, object]:
    """Return Dask's settings of a remote worker; some are read when distributed is imported."""
    from pocket_coffea.executors.dask_local import DASK_SETTINGS

    return {
        **DASK_SETTINGS,
        "distributed.worker.preload": [_TLS_ERRORS],
        "distributed.worker.http.routes": [],
        "distributed.comm.require-encryption": True,
    }


def main(arguments: Sequence[str]) -> None:
    """Run a worker until its scheduler, its job or its lifetime ends."""
    import dask

    dask.config.set(worker_settings())
    from distributed.cli.dask_worker import main as dask_worker

    preload = [word for name in _OF_NANNY for word in ("--preload-nanny", name)]
    dask_worker([*preload, *arguments], prog_name="dask_worker")


if __name__ == "__main__":
    main(sys.argv[1:])
