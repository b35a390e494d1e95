"""Fault `clock-skew SECONDS|off`: the protected data server and the jobs of the worker see a shifted clock.

Positive seconds put their clock ahead: a valid proxy is expired to them. Negative ones put it back: a fresh
proxy is not valid yet. The clock of physicist and of the open server stays right.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ci.lab.errors import LabError
from ci.lab.faults.xrootd import restart
from ci.lab.inside.service import write
from ci.lab.services.certificates import faketime
from ci.lab.services.xrootd import SITES

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervisor

NAME = "clock-skew"
LONGEST = 300 * 24 * 3600  # s; the certificates hold for longer
USAGE = f"clock-skew SECONDS | clock-skew off, SECONDS from {-LONGEST} to {LONGEST}, not 0"
JOBS = Path("/etc/condor/config.d/60-clock-skew.conf")  # read by the starter of each job


def switch(supervisor: Supervisor, words: list[str]) -> str:
    """Shift the clocks or put them right; raises LabError on other words than those of the usage."""
    seconds = _seconds(words)
    site = next(site for site in SITES.values() if site.protected)
    supervised = supervisor["xrootd"]
    with supervised.lock:
        if site.fault:
            msg = f"{site.fault}; `fault xrootd {site.name} up` first"
            raise LabError(msg)
        if site.clock != seconds:
            site.clock = seconds
            restart(supervised, site)
        _shift_jobs(supervisor, seconds)
        if not seconds:
            supervisor.faults.pop(NAME, None)
            return "every clock is right"
        way = "ahead" if seconds > 0 else "behind"
        said = f"the clock of {site.name} and of jobs on the worker is {abs(seconds)} s {way}"
        supervisor.faults[NAME] = said
        return said


def _seconds(words: list[str]) -> int:
    if words == ["off"]:
        return 0
    if (
        len(words) != 1
        or not re.fullmatch(r"[+-]?\d{1,9}", words[0])
        or not 0 < abs(int(words[0])) <= LONGEST
    ):
        msg = f"unknown words {' '.join(words)!r}; usage: {USAGE}"
        raise LabError(msg)
    return int(words[0])


def _shift_jobs(supervisor: Supervisor, seconds: int) -> None:
    if "condor" not in supervisor.services:
        return
    if seconds:
        words = " ".join(f"{name}={value}" for name, value in faketime(seconds).items())
        write(JOBS, f'STARTER_JOB_ENVIRONMENT = "{words}"\n')
    else:
        JOBS.unlink(missing_ok=True)
