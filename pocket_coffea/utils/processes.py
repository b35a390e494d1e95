"""Older name of :mod:`pocket_coffea.utils.stat.processes`."""

from __future__ import annotations

import warnings

from pocket_coffea.utils.stat.processes import DataProcess, DataProcesses, MCProcess, MCProcesses, Process

__all__ = ["DataProcess", "DataProcesses", "MCProcess", "MCProcesses", "Process"]

warnings.warn(
    "pocket_coffea.utils.processes is the older name of pocket_coffea.utils.stat.processes",
    DeprecationWarning,
    stacklevel=2,
)
