"""Fault `proxy expire|renew [HOURS]`: physicist's grid proxy is replaced by an expired or a fresh one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci.lab.errors import LabError
from ci.lab.services.certificates import HOURS, LONGEST_HOURS, PROXY, make_proxy

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervisor

NAME = "proxy"
USAGE = f"proxy expire | proxy renew [HOURS], HOURS from 1 to {LONGEST_HOURS} (default {HOURS})"


def switch(supervisor: Supervisor, words: list[str]) -> str:
    """Replace the proxy; raises LabError on other words than those of the usage."""
    supervised = supervisor["certificates"]
    match words:
        case ["expire"]:
            with supervised.lock:
                make_proxy(1, expired=True)
                supervisor.faults[NAME] = "proxy expired"
            said = f"{PROXY} is expired now; `proxy renew` makes a fresh one"
        case ["renew", *rest]:
            hours = _hours(rest)
            with supervised.lock:
                make_proxy(hours)
                supervisor.faults.pop(NAME, None)
            said = f"{PROXY} is valid for {hours} h now"
        case _:
            msg = f"unknown words {' '.join(words)!r}; there are: {USAGE}"
            raise LabError(msg)
    supervised.check_now()
    return said


def _hours(rest: list[str]) -> int:
    if not rest:
        return HOURS
    if len(rest) > 1 or not rest[0].isdecimal() or not 1 <= int(rest[0]) <= LONGEST_HOURS:
        msg = f"proxy renew {' '.join(rest)!r}: whole hours are wanted; usage: {USAGE}"
        raise LabError(msg)
    return int(rest[0])
