"""Fault `xrootd SITE down|frozen|slow|corrupt FILE|up`: what a storage element does to its users.

``down`` refuses connections, ``frozen`` accepts them and never answers, ``slow`` lets a small rate through,
``corrupt`` flips bytes in the middle of the site's copy of a file, ``up`` ends every fault of the site.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from ci.lab.errors import LabError
from ci.lab.inside.service import until_ready
from ci.lab.services.data import local
from ci.lab.services.xrootd import SITES, SLOW_RATE, Site, check_site, configure

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervised, Supervisor

NAME = "xrootd"
USAGE = f"xrootd SITE down|frozen|slow|corrupt FILE|up, SITE is {' or '.join(SITES)}, FILE is /store/..."
FLIPPED = 4096  # bytes
SETTLE_SECONDS = 40.0
PATIENCE_SECONDS = 10.0
REDIRECTOR_DAEMON = "xrootd-redirector"


def switch(supervisor: Supervisor, words: list[str]) -> str:
    """Switch a fault of a site on, or all of them off; raises LabError on words that are not in the usage."""
    supervised = supervisor[NAME]
    if not words or words[0] not in SITES:
        msg = f"unknown site {' '.join(words[:1])!r}; usage: {USAGE}"
        raise LabError(msg)
    site = SITES[words[0]]
    with supervised.lock:
        match words[1:]:
            case ["down" | "frozen" | "slow" as kind]:
                said = {"down": _down, "frozen": _frozen, "slow": _slow}[kind](supervised, site)
                supervisor.faults[_key(site, "rate" if kind == "slow" else "state")] = said
            case ["corrupt", lfn]:
                said = _corrupt(site, lfn)
                supervisor.faults[_key(site, lfn)] = said
            case ["up"]:
                return _up(supervisor, supervised, site)
            case _:
                msg = f"unknown words {' '.join(words[1:])!r}; usage: {USAGE}"
                raise LabError(msg)
    supervised.check_now()
    return said


def _key(site: Site, what: str) -> str:
    return f"{NAME} {site.name} {what}"


def _down(supervised: Supervised, site: Site) -> str:
    _resume(supervised, site)
    supervised.stop(site.daemon)
    site.fault = f"{site.name} is down: it refuses connections"
    return site.fault


def _frozen(supervised: Supervised, site: Site) -> str:
    _must_run(supervised, site)
    os.killpg(supervised.processes[site.daemon].pid, signal.SIGSTOP)
    site.fault = f"{site.name} is frozen: it accepts connections and never answers"
    return site.fault


def _slow(supervised: Supervised, site: Site) -> str:
    _must_run(supervised, site)
    if site.fault:
        msg = f"{site.fault}; `fault xrootd {site.name} up` first"
        raise LabError(msg)
    if not site.slow:
        site.slow = True
        restart(supervised, site)
    return f"{site.name} is slow: {SLOW_RATE // 1000} kB/s for all clients together"


def _corrupt(site: Site, lfn: str) -> str:
    """Flip bytes in the middle of the site's copy; its mtime gets newer, so that the server sums it again."""
    path = _copy(site, lfn)
    size = path.stat().st_size
    begin = max(0, size // 2 - FLIPPED // 2)
    with path.open("r+b") as copy, local(lfn).open("rb") as original:
        original.seek(begin)
        copy.seek(begin)
        copy.write(bytes(byte ^ 0xFF for byte in original.read(FLIPPED)))
    _touch(path)
    return f"{site.name} has a corrupt {lfn}"


def _copy(site: Site, lfn: str) -> Path:
    path = site.path(lfn)
    if not path.is_file() or not local(lfn).is_file():
        msg = f"{site.name} has no file {lfn!r} of the catalogue; usage: {USAGE}"
        raise LabError(msg)
    return path


def _touch(path: Path) -> None:
    """Give the file an mtime that differs by seconds from its last one: servers keep sums by it."""
    seconds = path.stat().st_mtime + 2
    os.utime(path, (seconds, seconds))


def _up(supervisor: Supervisor, supervised: Supervised, site: Site) -> str:
    """End every fault of the site and wait until clients can use it again."""
    for key in [key for key in supervisor.faults if key.startswith(_key(site, ""))]:
        del supervisor.faults[key]
    _restore(site)
    _resume(supervised, site)
    site.fault = ""
    if site.slow:
        site.slow = False
        restart(supervised, site)
    else:
        supervised.start_daemons(site.daemon)
        _come_back(supervised, site)
    return f"{site.name} is up"


def _come_back(supervised: Supervised, site: Site) -> None:
    """Wait until the site serves clients of the redirector, whatever the other site does.

    After half a minute of frost a redirector may send clients to the site without its port, and on a busy
    machine it may not take back a site that began anew at once: only a new redirector forgets what it knew.
    """
    try:
        until_ready(lambda: check_site(site), PATIENCE_SECONDS, site.name)
    except LabError:
        supervised.stop(REDIRECTOR_DAEMON)
        supervised.start_daemons(REDIRECTOR_DAEMON)
        late = f"{site.name} does not come back (`lab logs {site.daemon}`)"
        until_ready(lambda: check_site(site), SETTLE_SECONDS, late)
    supervised.check_now()


def _resume(supervised: Supervised, site: Site) -> None:
    process = supervised.processes.get(site.daemon)
    if process is not None and process.poll() is None:
        os.killpg(process.pid, signal.SIGCONT)


def _restore(site: Site) -> None:
    for path in (site.root / "store").rglob("*.root"):
        original = local(str(path.relative_to(site.root)))
        if original.is_file() and path.read_bytes() != original.read_bytes():
            last = path.stat().st_mtime
            shutil.copyfile(original, path)
            os.utime(path, (last, last))
            _touch(path)


def restart(supervised: Supervised, site: Site) -> None:
    """Start the site's daemons again with its present configuration and clock."""
    supervised.stop(site.daemon)
    configure(site)
    supervised.start_daemons(site.daemon)
    _come_back(supervised, site)


def _must_run(supervised: Supervised, site: Site) -> None:
    process = supervised.processes.get(site.daemon)
    if process is None or process.poll() is not None:
        msg = f"{site.name} is not running; `fault xrootd {site.name} up` starts it"
        raise LabError(msg)
