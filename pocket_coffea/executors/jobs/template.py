"""How the jobs of a campaign use their site: how outputs come back, and what the batch system is asked for.

===========  =================================================================================================
outputs      when
===========  =================================================================================================
by XRootD    the output folder is an address, or below a path that the site has a server for (``storage``)
copied       it is in a folder that workers share
transferred  it is anywhere else: HTCondor brings outputs back into the jobs folder, from where they are moved
===========  =================================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_coffea.batch.states import Resources
from pocket_coffea.batch.tasks import JOB, Template
from pocket_coffea.errors import ConfigurationError, OptionError
from pocket_coffea.executors.batch_request import batch_request
from pocket_coffea.executors.jobs.facts import CHECKPOINTS, checkpoints_name, transfer_outputs
from pocket_coffea.executors.jobs.record import Delivery, config_name
from pocket_coffea.executors.worker_environment import fill_in, is_shared
from pocket_coffea.utils.units import to_seconds

if TYPE_CHECKING:
    from pocket_coffea.executors.worker_environment import WorkerEnvironment
    from pocket_coffea.sites.site import Site

__all__ = ["SYSTEMS", "Place", "find_place", "job_resources", "job_template", "storage_of", "with_binds"]

#: Batch system of the batch room, by what a site says it has.
SYSTEMS = {"htcondor": "htcondor", "slurm": "slurm", "none": "local"}
#: Where the container that jobs are submitted from (lpcjobqueue's) has the folder in which it was started.
_INSIDE = "/srv"
#: Seconds in which a job may write down what it has after HTCondor asked it to end.
_VACATE = 60
#: Exit codes that another start of the same job does not heal: wrong image, Python or slice, no time or
#: memory left, an error in the code. ``check-jobs`` decides about them.
_NOT_RESTARTED = (70, 71, 72, 75, 76, 77)
_SBATCH = re.compile(r"(?:#SBATCH\s+)?--(?P<name>[a-z][a-z-]*)(?:[= ](?P<value>.*))?")
_ADDRESS = re.compile(r"roots?://(?P<host>[^/]+)/(?P<path>/.*)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the jobs and their outputs are. flags: whether jobs reach the jobs folder.

    outdir_local: the output folder as this machine sees it, None where it does not."""

    folder: Path
    output: str
    outdir_local: str | None
    delivery: Delivery
    flags: bool


def storage_of(site: Site, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (path, address): what lies below a path is written to address + path."""
    prefix = options.get("eos-prefix")
    if prefix is None:
        return [(each.path, each.url) for each in site.storage]
    if not re.fullmatch(r"roots?://[^/\s]+/*", str(prefix)):
        msg = f"run option eos-prefix = {prefix!r}: give the address of a server, root://eosuser.cern.ch/"
        raise OptionError(msg)
    return [(each.path, str(prefix)) for each in site.storage] or [("/eos", str(prefix))]


def find_place(site: Site, options: Mapping[str, Any], folder: Path, output: str) -> Place:
    """Return how the jobs of ``folder`` deliver to ``output``. Raises ConfigurationError when they cannot."""
    shared = [fill_in(name) for name in site.shared]
    storage = storage_of(site, options)
    # what is in the container only, workers do not see
    hidden = [_INSIDE] if _host_path(options) else []
    delivery = _delivery(site, output, [] if is_shared(output, hidden) else shared, storage)
    reached = is_shared(str(folder), shared) and not is_shared(str(folder), hidden)
    if site.batch == "slurm" and not reached:
        raise ConfigurationError(_not_seen(site, f"jobs folder {folder}", shared, "run option jobs-dir"))
    flags = reached and delivery.way != "transfer"
    return Place(folder, output, _local_view(output, storage), delivery, flags)


def _delivery(site: Site, output: str, shared: Sequence[str], storage: Sequence[tuple[str, str]]) -> Delivery:
    if "://" in output:
        if not _ADDRESS.fullmatch(output):
            msg = f"-o {output}: an address of outputs is root://server//folder; nothing else is written to."
            raise ConfigurationError(msg)
        return Delivery("xrootd", output.rstrip("/"))
    for path, url in storage:
        if is_shared(output, [path]):
            return Delivery("xrootd", url.rstrip("/") + "/" + output)
    if is_shared(output, shared):
        return Delivery("copy", output)
    if site.batch != "htcondor":
        raise ConfigurationError(_not_seen(site, f"output folder {output}", shared, "-o"))
    return Delivery("transfer", output)


def _not_seen(site: Site, what: str, shared: Sequence[str], option: str) -> str:
    seen = f"they share {', '.join(shared)} with this machine" if shared else "they share no folder with it"
    return (
        f"The {what} is not seen by the workers of {site.name}: {seen} (run option shared-folders, when that "
        f"is not right), and its batch system transfers no files. Give a folder in one of them ({option})."
    )


def _local_view(output: str, storage: Sequence[tuple[str, str]]) -> str | None:
    found = _ADDRESS.fullmatch(output)
    if not found:
        return output
    for path, url in storage:
        same_host = url.split("://", 1)[1].strip("/") == found["host"]
        if same_host and is_shared(found["path"], [path]) and Path(path).is_dir():
            return found["path"].rstrip("/")
    return None


def with_binds(site: Site, place: Place) -> Site:
    """Return the site, whose image shows the folders that jobs use outside of it."""
    if site.container.runtime != "apptainer":
        return site
    folders = [str(place.folder.parent)] if place.flags else []
    if place.delivery.way == "copy":
        folders.append(place.delivery.target)
    binds = tuple(dict.fromkeys((*site.container.binds, *folders)))
    return replace(site, container=replace(site.container, binds=binds))


def job_resources(site: Site, options: Mapping[str, Any]) -> Resources:
    """Return what a first attempt asks for. Raises OptionError for an unknown queue."""
    request = batch_request(site, options)
    seconds = request.seconds or 0
    longest = options.get("max-run-time")
    if longest is not None:
        wanted = to_seconds(longest)
        seconds = min(seconds, wanted) if seconds else wanted
    return Resources(request.queue, seconds, request.cores, request.memory, request.disk or 0)


def job_template(
    site: Site,
    options: Mapping[str, Any],
    place: Place,
    environment: WorkerEnvironment,
    files: Sequence[str],
    name: str,
) -> Template:
    """Return what all jobs share. ``files``: names of what every job needs, in the jobs folder.

    Raises OptionError for directives that cannot be written.
    """
    inputs, outputs = [config_name_of_all(), *files], tuple[str, ...]()
    if not place.flags:
        inputs.append(f"{CHECKPOINTS}/{checkpoints_name(JOB)}")
        outputs = transfer_outputs(JOB)
    directives = {"htcondor": _condor_lines, "slurm": _slurm_lines}.get(site.batch, _no_lines)
    return Template(
        folder=place.folder,
        executable=place.folder / "job.sh",
        name=name,
        inputs=tuple(inputs),
        outputs=outputs,
        image=environment.batch_image,
        queue_directive=site.queue_directive,
        directives=directives(site, options),
        max_running=int(options.get("max-concurrent-jobs") or 0),
        host_path=_host_path(options),
    )


def _host_path(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is ``/srv`` in the container that jobs are submitted from, and its path outside."""
    prefix = options.get("host-path-prefix")
    if not prefix:
        return ()
    if not str(prefix).startswith("/"):
        msg = (
            f"run option host-path-prefix = {prefix}: give the path, outside of the container, of the folder "
            f"that is {_INSIDE} in it; it starts with /."
        )
        raise OptionError(msg)
    return _INSIDE, str(prefix).rstrip("/")


def config_name_of_all() -> str:
    """Return the name of a slice with the mark for a job's number in it."""
    return config_name(0).replace("0", JOB)


def _no_lines(site: Site, options: Mapping[str, Any]) -> dict[str, str]:
    del site, options
    return {}


def _condor_lines(site: Site, options: Mapping[str, Any]) -> dict[str, str]:
    lines = {
        # a job that has to end is asked first, and keeps what it has done
        "want_graceful_removal": "True",
        "job_max_vacate_time": str(_VACATE),
        "kill_sig": "SIGTERM",
        **site.directives,
    }
    if options.get("max-retries"):
        lines["max_retries"] = str(options["max-retries"])
        lines["retry_until"] = " || ".join(f"ExitCode =?= {code}" for code in _NOT_RESTARTED)
    if options.get("requirements"):
        lines["requirements"] = str(options["requirements"])
    if options.get("notify-user"):
        lines |= {"notify_user": str(options["notify-user"]), "notification": "Always"}
    return lines


def _slurm_lines(site: Site, options: Mapping[str, Any]) -> dict[str, str]:
    lines = dict(site.directives)
    for key in ("account", "qos"):
        if options.get(key):
            lines[key] = str(options[key])
    for line in _texts(options.get("custom-sbatch-options")):
        found = _SBATCH.fullmatch(line.strip())
        if not found or found["value"] is None:
            msg = f"run option custom-sbatch-options: {line!r} is not --name=value. Write one option a line."
            raise OptionError(msg)
        lines[found["name"]] = found["value"].strip()
    return lines


def _texts(value: Any) -> list[str]:
    texts = value.splitlines() if isinstance(value, str) else list(value or ())
    return [text for text in texts if text.strip()]
