"""Dask's own performance report of a run: one page with task stream, profile and load of the workers."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["REPORT", "performance_report"]

log = logging.getLogger(__name__)

#: Its file in the output folder.
REPORT = "dask-report.html"


@contextlib.contextmanager
def performance_report(client: Any, folder: Path) -> Iterator[None]:
    """Write the report when the block ends, also when it fails. What goes wrong with it is only logged."""
    if importlib.util.find_spec("bokeh") is None:
        log.warning("performance-report: the package bokeh is not installed, so no report is written")
        yield
        return
    from distributed import performance_report as of_dask

    path, part = folder / REPORT, folder / f".{REPORT}.part"
    report = of_dask(filename=str(part))
    with client.as_current():
        report.__enter__()
    try:
        yield
    finally:
        try:
            with client.as_current():
                report.__exit__(None, None, None)
            part.replace(path)
            log.info("Dask's performance report is in %s", path)
        except Exception as exc:  # noqa: BLE001  (the results do not depend on it)
            log.warning("the performance report cannot be written: %s: %s", type(exc).__name__, exc)
            part.unlink(missing_ok=True)
