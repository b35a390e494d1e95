"""Processes of a statistical model: samples of simulation or data under one name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pocket_coffea.errors import InvalidType, InvalidValue

__all__ = ["DataProcess", "DataProcesses", "MCProcess", "MCProcesses", "Process"]


@dataclass
class Process:
    """Samples that are added up; ``label`` is for plots."""

    name: str
    samples: Sequence[str]
    label: str | None = None


@dataclass(kw_only=True)
class MCProcess:
    """Simulated samples of some years; ``has_rateParam`` lets the fit scale a background freely."""

    name: str
    samples: Sequence[str]
    years: Sequence[str]
    is_signal: bool
    has_rateParam: bool = False
    label: str | None = None


@dataclass(kw_only=True)
class DataProcess:
    """Data samples of some years."""

    name: str
    samples: Sequence[str]
    years: Sequence[str]
    label: str | None = None


P = TypeVar("P", MCProcess, DataProcess)


class _Processes(dict[str, P], Generic[P]):
    """Processes by name."""

    kind: type

    def __init__(self, processes: Iterable[P]) -> None:
        super().__init__()
        for process in processes:
            if not isinstance(process, self.kind):
                msg = f"{type(self).__name__} holds {self.kind.__name__} objects, not {process!r}"
                raise InvalidType(msg)
            if process.name in self:
                msg = f"{type(self).__name__}: the process name {process.name!r} is used twice"
                raise InvalidValue(msg)
            self[process.name] = process


class MCProcesses(_Processes[MCProcess]):
    """Simulated processes by name. Raises InvalidValue for duplicates, InvalidType for anything else."""

    kind = MCProcess

    @property
    def signal_processes(self) -> list[str]:
        """``name_year`` of the signals."""
        return [f"{name}_{year}" for name, one in self.items() if one.is_signal for year in one.years]

    @property
    def background_processes(self) -> list[str]:
        """``name_year`` of the backgrounds."""
        return [f"{name}_{year}" for name, one in self.items() if not one.is_signal for year in one.years]


class DataProcesses(_Processes[DataProcess]):
    """Data processes by name. Raises InvalidValue for duplicates, InvalidType for anything else."""

    kind = DataProcess
