"""Whether what a job says it has delivered is really there: on a file system, or on an XRootD server."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from pocket_coffea.errors import CommandFailed
from pocket_coffea.executors.jobs.record import CampaignRecord
from pocket_coffea.executors.jobs.report import Output
from pocket_coffea.utils.process import run_command
from pocket_coffea.utils.transfer import is_remote

__all__ = ["is_there", "listed_sizes", "local_view", "remote_size", "remote_sizes"]

log = logging.getLogger(__name__)

_TIMEOUT = 30.0
#: A stock client waits for minutes for a server that is down; variables of its documentation, in s.
_CLIENT_LIMITS = {
    "XRD_CONNECTIONRETRY": "2",
    "XRD_CONNECTIONWINDOW": "5",
    "XRD_REQUESTTIMEOUT": "15",
    "XRD_STREAMTIMEOUT": "15",
    "XRD_TIMEOUTRESOLUTION": "1",
}
_ADDRESS = re.compile(r"(?P<server>roots?://[^/]+)/(?P<path>/.*)")
_LISTED = re.compile(  # size and date; older clients have them the other way round
    r"^-.*?\s(?:(\d+)\s+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s+(\d+))\s+(/.*)$",
    re.MULTILINE,
)
_SIZE = re.compile(r"^Size:\s+(\d+)\s*$", re.MULTILINE)
#: How `xrdfs` says that there is no such file; anything else says nothing about the file
_NO_FILE = re.compile(r"\[3011\]|no such file", re.IGNORECASE)


def is_there(record: CampaignRecord, output: Output) -> bool:
    """Return whether an output exists with its size.

    A server that does not answer is no reason to run a job again: the job itself has checked its copy.
    """
    path = local_view(record, output.path)
    if path is not None:
        try:
            return path.stat().st_size == output.size
        except OSError:
            return False
    try:
        return remote_size(output.path) == output.size
    except CommandFailed as error:
        log.warning("%s is taken for delivered, as its job says; the server does not tell: %s", path, error)
        return True


def local_view(record: CampaignRecord, address: str) -> Path | None:
    """Return where an output is seen on this machine; None when only its server has it."""
    if not is_remote(address):
        return Path(address)
    base = record.output.rstrip("/") + "/"
    if record.outdir_local and address.startswith(base):
        return Path(record.outdir_local) / address.removeprefix(base)
    return None


def remote_size(address: str) -> int | None:
    """Return the size in bytes of a file on an XRootD server; None when there is no such file.

    Raises CommandFailed when the server does not answer, or refuses.
    """
    said = _asked(address, "stat")
    if said is None:
        return None
    if found := _SIZE.search(said):
        return int(found[1])
    msg = f"xrdfs stat of {address} has no size: {said[-300:]}"
    raise CommandFailed(msg)


def remote_sizes(folder: str) -> dict[str, int]:
    """Return the sizes in bytes of the files in a folder on an XRootD server; none where there is no folder.

    Raises CommandFailed when the server does not answer, or refuses.
    """
    return listed_sizes(_asked(folder, "ls", "-l") or "")


def listed_sizes(text: str) -> dict[str, int]:
    """Return the sizes of the files that ``xrdfs ls -l`` has listed, by name."""
    listed = _LISTED.findall(text)
    return {path.rpartition("/")[2]: int(size or old_size) for size, old_size, path in listed}


def _asked(address: str, *words: str) -> str | None:
    """Return what a server says of an address; None when there is no such file."""
    named = _ADDRESS.fullmatch(address)
    if named is None:
        msg = f"{address!r} is no address of the form root://host//path."
        raise CommandFailed(msg)
    argv = ["xrdfs", named["server"], *words, named["path"]]
    done = run_command(argv, timeout=_TIMEOUT, check=False, env={**os.environ, **_CLIENT_LIMITS})
    if done.returncode == 0:
        return done.stdout
    said = (done.stderr + done.stdout).strip()
    if _NO_FILE.search(said):
        return None
    msg = f"{' '.join(argv)} ended with code {done.returncode}: {said[-300:]}"
    raise CommandFailed(msg)
