"""What the Dask tests share: options of runs in the lab's own environment, and what must not be left."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ci.lab.layout import IMAGES, PROJECT
from ci.lab.process import run
from pocket_coffea.images.store import Store
from tests.lab.parsl_runs import Running, jobs

#: Both sides run the lab's own Python, as `local-virtualenv` does at a site.
OPTIONS: dict[str, Any] = {
    "local-virtualenv": True,
    "shared-folders": ["/shared", "/opt/venv", str(PROJECT)],
    "submit-hosts": ["lab.site"],
    "local-scratch-dir": "$TMPDIR",
    "scaleout": 2,
    "mem-per-worker": "1GB",
    "tree-reduction": 4,
    "dask-worker-start-timeout": 180,
}
SECRETS = ("dask-ca.pem", "dask-worker.pem", "dask-worker.key")


def newest_image(which: int = -1) -> Path:
    """Return the newest image in the host's store, or an older one; the checkout may be newer than all."""
    records = sorted(Store(IMAGES).records(), key=lambda record: record.built)
    assert len(records) > 1, "the image store has no two images: pocket-coffea image build lab lxplus"
    return Store(IMAGES).image(records[which].input_digest)


def in_image(**changes: Any) -> dict[str, Any]:
    """Return options for workers in a pinned image."""
    options = {key: value for key, value in OPTIONS.items() if key != "local-virtualenv"}
    image = {"worker-image": str(newest_image()), "allow-code-mismatch": True, "shared-folders": ["/shared"]}
    return {**options, **image, "apptainer-binds": ["/shared"], **changes}


def left_behind(output: Path) -> list[str]:
    """Return what a run must not leave: jobs, workers, secrets."""
    found = run(["pgrep", "-u", "physicist", "-af", "dask_worker"], timeout=30, check=False).stdout
    own = [line for line in found.splitlines() if "pocket_coffea" in line and "pgrep" not in line]
    secrets = [*output.glob("**/*.key"), *output.glob("**/*.pem"), *output.glob("**/x509up*")]
    return [*jobs(), *own, *map(str, secrets), *map(str, output.glob(".workers-*"))]


def leaves_nothing(output: Path) -> bool:
    """Return whether nothing is left, and print what is; jobs take a moment to disappear."""
    left: list[str] = []
    for _ in range(60):
        left = left_behind(output)
        if not left:
            return True
        time.sleep(0.5)
    print("left behind:", *left, sep="\n  ")
    print(run(["condor_q", "-all", "-nobatch"], timeout=30, check=False).stdout)
    return False


def scheduler_of(running: Running, until: Callable[..., Any], output: Path) -> str:
    """Return the address of a run's scheduler, as a worker's log tells it."""

    def address() -> str:
        for log in output.glob("*_log/worker-*.err"):
            if found := re.search(r"Registered to:\s+(tls://\S+)", log.read_text(errors="replace")):
                return found[1]
        return ""

    found = until(address, 60)
    assert running.process.poll() is None, running.text
    return str(found)
