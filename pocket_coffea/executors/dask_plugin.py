"""Prepares workers that a facility has started: image, Python and code checked, proxy and variables set.

Dask runs it on every worker, also on those that come later, and undoes it when the run ends.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin

from pocket_coffea.errors import PocketCoffeaError

__all__ = ["FacilityPlugin"]

#: A worker that comes this long after the plugin [s] is not one of those whose answer is waited for.
_LATE = 30.0


class FacilityPlugin(WorkerPlugin):
    """``expectation``: JSON of images.check; ``proxy``: content of the grid proxy; ``variables``: to be set.

    The proxy is written into the worker's own folder, mode 0600.
    """

    name = "pocket-coffea"

    def __init__(self, expectation: str | None, proxy: bytes | None, variables: Mapping[str, str]) -> None:
        self.expectation = expectation
        self.variables = dict(variables)
        self._proxy = proxy
        self._made = time.time()

    def __repr__(self) -> str:
        return "FacilityPlugin(...)"  # Dask writes it into logs

    def setup(self, worker: Any) -> None:
        """Raises WrongImage or WrongPython. A worker that comes later and is wrong ends itself."""
        self._before: dict[str, str | None] = {}
        self._path: Path | None = None
        if self.expectation is not None:
            from pocket_coffea.images.check import check_worker

            try:
                check_worker(self.expectation)
            except PocketCoffeaError:
                if time.time() - self._made > _LATE:
                    worker.loop.add_callback(worker.close, reason="pocket-coffea-wrong-environment")
                raise
        variables = dict(self.variables)
        if self._proxy is not None:
            self._path = _write_private(Path(worker.local_directory), self._proxy)
            variables["X509_USER_PROXY"] = str(self._path)
        for name, value in variables.items():
            self._before[name] = os.environ.get(name)
            os.environ[name] = value

    def teardown(self, worker: Any) -> None:
        """Remove the proxy and give the variables their values back."""
        del worker
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()


def _write_private(folder: Path, content: bytes) -> Path:
    """Write the proxy of this worker process: several share the folder's parent, none the folder."""
    path = folder / f"x509up-{os.getpid()}"
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)
    return path
