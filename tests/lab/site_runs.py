"""Runs of the documented executor strings as a physicist starts them: from inside the image of the site."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ci.lab.layout import CVMFS, IMAGES, SHARED
from ci.lab.process import run, start
from ci.lab.services.dask import CA, FILES, NODE
from ci.lab.services.gateway import ADDRESS, PROXY_ADDRESS
from ci.lab.services.xrootd import SITES
from pocket_coffea.images.same_code import submitting_digest
from pocket_coffea.images.store import Record, Store
from tests.lab.parsl_runs import Analysis

#: The strings of the documentation, and of dask@lpc, with what is not so in the lab.
SMALL = {"mem-per-worker": "1GB", "disk-per-worker": "100MB"}  # the lab's machine is small
STRINGS: dict[str, dict[str, Any]] = {
    "dask@lxplus": {**SMALL, "queue": "workday"},  # a flavour's minutes are seconds in the lab
    "dask@T3_CH_PSI": {},
    "parsl@DESY": {},
    "dask@RWTH": SMALL,
    "parsl@RWTH": {},
    "dask@CLAIX": {},
    "parsl@CLAIX": {"slurm": {"partition": "c23ms", "scheduler-options": ""}},  # no constraint zen4 here
    "dask@brux": SMALL,
    "dask@oscar": {},
    "dask@rubin": SMALL,
    "dask@lpc": {**SMALL, "queue": "workday"},
    "dask@purdue-af": {"gateway-address": ADDRESS, "gateway-proxy-address": PROXY_ADDRESS},
    "dask@infn-af": {},
    "dask@swan": {},
    "dask@casa": {},
}
#: Their workers run before the analysis starts, in a cluster that the facility's panel makes.
FACILITIES = ("infn-af", "swan", "casa")
FACILITY = "tls://127.0.0.1:18786"
#: Workers that see nothing of the submit side.
BARE = {"lpc": "TARGET.HasSharedFS =?= False"}
#: What a physicist binds to submit from inside an image: the clients' settings, and the folders of the site.
BINDS = ("/etc/condor", "/etc/slurm", "/run/munge", "/etc/dask", str(FILES), str(CVMFS), str(SHARED))
PROTECTED = SITES["kit"]


@dataclass(frozen=True)
class SiteImage:
    """The image that a site's string is tried in, and whether it is the site's own."""

    path: Path
    digest: str
    own: bool


def image_of(site: str) -> SiteImage:
    """Return the image of the site with the code of this checkout, else another one with that code."""
    store, code = Store(IMAGES), submitting_digest()
    same = [record for record in store.records() if record.source_digest == code]
    assert same, "no image in the store has this checkout's code: make image SITE=lab ALLOW_DIRTY=1"

    def preference(record: Record) -> tuple[bool, bool, str]:
        return record.site == site, record.site == "lab", record.built

    best = max(same, key=preference)
    return SiteImage(store.image(best.input_digest), f"sha256:{best.image_digest}", best.site == site)


def remote_samples(analysis: Analysis) -> None:
    """Let the analysis read its files from the server that wants a proxy."""
    definition = analysis.config.parent / "datasets.json"
    datasets = json.loads(definition.read_text())
    for dataset in datasets.values():
        dataset["files"] = [_upload(Path(file), analysis.folder.name) for file in dataset["files"]]
    definition.write_text(json.dumps(datasets, indent=1))


def _upload(file: Path, folder: str) -> str:
    url = f"root://{PROTECTED.address}//store/user/physicist/{folder}/{file.name}"
    run(["xrdcp", "--force", "--silent", "--path", file, url], timeout=60)
    return url


def in_image(image: SiteImage, *argv: str | Path) -> list[str]:
    """Return the command that runs ``argv`` in the image, as from its shell."""
    binds = [*BINDS, f"{IMAGES}:{IMAGES}:ro"]
    words = [word for bind in binds for word in ("--bind", bind)]
    return ["apptainer", "--silent", "exec", *words, str(image.path), *map(str, argv)]


def run_string(
    string: str, image: SiteImage, analysis: Analysis, output: Path, changes: Mapping[str, Any] | None = None
) -> str:
    """Run the analysis with that string, from inside the image; return what was printed."""
    site = string.partition("@")[2]
    options = {
        "worker-image": str(image.path),
        "submit-hosts": ["lab.site"],
        "local-scratch-dir": "$TMPDIR",
        "scaleout": 2,
        "tree-reduction": 4,
        **STRINGS.get(string, {}),
        **({"sched-url": FACILITY} if site in FACILITIES else {}),
        **_folders(site, analysis),
        **(changes or {}),
    }
    file = output.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({key: value for key, value in options.items() if value is not None}))
    words = ["pocket-coffea", "run", "--cfg", analysis.config, "-o", output, "-e", string, "-ro", file]
    env = {**os.environ, "PYTHONPATH": "", **_requirements(site)}
    done = run(in_image(image, *words, "-c", "300"), cwd=analysis.folder, env=env, timeout=400, check=False)
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


def golden_json(analysis: Analysis) -> str:
    """Return the list of certified runs of the analysis, a file of the submit side."""
    return str(analysis.folder / "samples" / "golden.json")


def _folders(site: str, analysis: Analysis) -> dict[str, Any]:
    """What submit side and workers share is another folder in the lab, and nothing at FNAL."""
    if site in BARE:
        travelling = {"extra-input-files": [golden_json(analysis)]}
        return {"shared-folders": [], "dask-log-directory": None, **travelling}
    if site in FACILITIES or site == "purdue-af":
        return {"local-scratch-dir": None}
    return {"shared-folders": [str(SHARED)], "apptainer-binds": [str(SHARED), str(CVMFS)]}


def _requirements(site: str) -> dict[str, str]:
    return {"_CONDOR_APPEND_REQUIREMENTS": BARE[site]} if site in BARE else {}


@contextlib.contextmanager
def facility_cluster(image: SiteImage, folder: Path) -> Iterator[None]:
    """Run a scheduler that speaks TLS and two workers in the image, as a facility's panel starts them."""
    tls = [f"--tls-ca-file={CA}", f"--tls-cert={NODE}.pem", f"--tls-key={NODE}.key"]
    port = FACILITY.rpartition(":")[2]
    preload = "--preload=pocket_coffea.executors.dask_tls_errors"
    scheduler = ["scheduler", "--protocol=tls", "--host=127.0.0.1", f"--port={port}", "--no-dashboard"]
    worker = ["worker", FACILITY, "--host=127.0.0.1", "--no-dashboard", "--nworkers=2", "--nthreads=1"]
    worker += ["--memory-limit=2GB", f"--local-directory={folder}"]
    running = []
    try:
        for name, words in (("scheduler", scheduler), ("worker", worker)):
            argv = in_image(image, "dask", *words, *tls, preload)
            running.append(start(argv, log=folder / f"{name}.log", cwd=folder))
        yield
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(30)
