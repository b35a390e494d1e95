"""Statistical model: processes, systematic uncertainties, datacards."""

from __future__ import annotations

from pocket_coffea.utils.stat.combine import Datacard, combine_datacards
from pocket_coffea.utils.stat.processes import DataProcess, DataProcesses, MCProcess, MCProcesses, Process
from pocket_coffea.utils.stat.systematics import Systematics, SystematicUncertainty

__all__ = [
    "DataProcess",
    "DataProcesses",
    "Datacard",
    "MCProcess",
    "MCProcesses",
    "Process",
    "SystematicUncertainty",
    "Systematics",
    "combine_datacards",
]
