"""What of a site's needs is there on this machine, and what to do about the rest.

Image and grid proxy belong to other rooms; the command ``pocket-coffea sites check`` adds them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pocket_coffea.sites.hosts import host_names, is_submit_host
from pocket_coffea.sites.site import Site

__all__ = ["DASK_PORT", "Finding", "check_site"]

#: First port that is tried for the Dask scheduler.
DASK_PORT = 8786

#: Programs of a batch system that are called on the submit machine.
_COMMANDS = {
    "htcondor": ("condor_submit", "condor_q", "condor_rm", "condor_history"),
    "slurm": ("sbatch", "squeue", "scancel", "sacct"),
    "none": (),
}
#: Packages that an executor needs, by batch system.
_PACKAGES = {
    ("dask", "htcondor"): ("distributed", "dask_jobqueue"),
    ("dask", "slurm"): ("distributed", "dask_jobqueue"),
    ("dask", "gateway"): ("distributed", "dask_gateway"),
    ("dask", "scheduler"): ("distributed",),
    ("dask", "none"): ("distributed",),
    ("parsl", "htcondor"): ("parsl",),
    ("parsl", "slurm"): ("parsl",),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked for, what was found, and what to do. A "note" keeps nothing from running."""

    what: str
    state: Literal["ok", "missing", "note"]
    found: str
    todo: str = ""


def check_site(site: Site) -> list[Finding]:
    """Return what was found of everything that the site's file names."""
    return [
        _host(site),
        *_commands(site),
        *_packages(site),
        *_folders(site),
        *_cvmfs(site),
        *_port(site),
    ]


def _host(site: Site) -> Finding:
    here = host_names()[0]
    if not site.hosts:
        return Finding("submit machine", "ok", "any machine")
    patterns = " or ".join(site.hosts)
    if is_submit_host(site):
        return Finding("submit machine", "ok", f"{here} fits {patterns}")
    todo = f"Log in to a machine of {site.name}; or set the run option submit-hosts, when this is one."
    return Finding("submit machine", "missing", f"{here} does not fit {patterns}", todo)


def _commands(site: Site) -> Iterator[Finding]:
    commands = list(_COMMANDS.get(site.batch, ()))
    if site.batch == "none" and site.container.runtime == "apptainer":
        commands.append("apptainer")  # elsewhere it is the node that needs it
    image = f" (`apptainer shell IMAGE` of the image {site.image} has them)" if site.image else ""
    for command in commands:
        path = shutil.which(command)
        if path:
            yield Finding(command, "ok", path)
        elif command == "apptainer":
            todo = "Install Apptainer, or run without an image: --worker-image=null."
            yield Finding(command, "missing", "not on PATH", todo)
        else:
            yield Finding(command, "missing", "not on PATH", f"Work where the batch client is{image}.")


def _packages(site: Site) -> Iterator[Finding]:
    packages = {
        package: executor
        for executor in site.executors
        for package in _PACKAGES.get((executor, site.batch), ())
    }
    for package, executor in packages.items():
        name = f"Python package {package.replace('_', '-')}"
        if importlib.util.find_spec(package) is not None:
            yield Finding(name, "ok", "installed")
        else:
            install = f"pip install {package.replace('_', '-')}"
            todo = f"{executor}@{site.name} needs it: {install}, or work in the image of the site."
            yield Finding(name, "missing", "not installed", todo)


def _folders(site: Site) -> Iterator[Finding]:
    for folder in site.shared:
        path = Path(os.path.expandvars(folder))
        if path.is_dir():
            yield Finding(f"shared folder {folder}", "ok", "is there")
        else:
            todo = (
                f"Bind it into the container that you work in (apptainer shell --bind {folder} ...), or name "
                "the folders that are shared with the run option shared-folders."
            )
            yield Finding(f"shared folder {folder}", "missing", f"there is no folder {path}", todo)
    if folder := site.proxy.folder:
        path = Path(os.path.expandvars(folder))
        if path.is_dir() and os.access(path, os.W_OK):
            yield Finding(f"folder for the proxy {folder}", "ok", "can be written")
        else:
            todo = "Make it, or keep the output folder in a shared folder: the proxy is then copied there."
            yield Finding(f"folder for the proxy {folder}", "missing", f"{path} cannot be written", todo)


def _cvmfs(site: Site) -> Iterator[Finding]:
    binds = [bind.split(":")[0] for bind in site.container.binds]
    named = [path for path in (*binds, *site.environment.values()) if path.startswith("/cvmfs")]
    state: Literal["missing", "note"] = "note" if site.batch == "none" else "missing"
    for path in dict.fromkeys("/cvmfs/cms.cern.ch" if path == "/cvmfs" else path for path in named):
        if Path(path).exists():  # which mounts it
            yield Finding(path, "ok", "is there")
        else:
            todo = (
                "Start CVMFS, or bind it into the container that you work in (apptainer shell --bind /cvmfs)."
            )
            yield Finding(path, state, "not there", todo)


def _port(site: Site) -> Iterator[Finding]:
    if "dask" not in site.executors or site.batch in ("gateway", "scheduler"):
        return
    what = f"port {DASK_PORT} for the Dask scheduler"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", DASK_PORT))
        except OSError as error:
            todo = "The next free port is taken; choose one with --dask-scheduler-port."
            yield Finding(what, "note", f"busy ({error.strerror})", todo)
        else:
            yield Finding(what, "ok", "free")
