"""Faults of the lab, one module each: ``NAME`` and ``switch(supervisor, words) -> str``."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from ci.lab.errors import LabError

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervisor


def switch(supervisor: Supervisor, words: list[str]) -> str:
    """Switch a fault on or off and return what was done; raises LabError on unknown words."""
    modules = [importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    known = {module.NAME: module for module in modules}
    name, *rest = words or [""]
    if name not in known:
        msg = f"unknown fault {name!r}; there are: {', '.join(sorted(known))}"
        raise LabError(msg)
    return known[name].switch(supervisor, rest)
