"""Systematic uncertainties of a statistical model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocket_coffea.errors import InvalidType, InvalidValue

__all__ = ["SystematicUncertainty", "Systematics"]


@dataclass
class SystematicUncertainty:
    """One nuisance parameter.

    processes: names with one common ``value``, or {process: value}. value: a number, or (down, up).
    datacard_name defaults to ``name``. coffea_name_alias: the variation's name in the output where it differs
    from ``name``, for all processes or {process: alias}. Raises UserWarning when the value is given in both
    ways or in none.
    """

    name: str
    typ: str
    processes: Sequence[str] | Mapping[str, Any]
    years: Sequence[str]
    value: float | tuple[float, float] | None = None
    datacard_name: str | None = None
    coffea_name_alias: str | Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        by_process = isinstance(self.processes, Mapping)
        given: object = self.processes
        if not by_process and not isinstance(given, (list, tuple)):
            msg = f"systematic {self.name!r}: processes is a list or a dictionary, not {self.processes!r}"
            raise InvalidType(msg)
        if by_process == (self.value is not None):
            msg = (
                f"systematic {self.name!r}: give either one value or a dictionary of processes with their "
                "values"
            )
            raise UserWarning(msg)
        pair: Any = self.value
        if isinstance(pair, (tuple, list)) and len(pair) != 2:
            msg = f"systematic {self.name!r}: value {self.value!r} is a number or (down, up)"
            raise InvalidValue(msg)
        if self.datacard_name is None:
            self.datacard_name = self.name

    def value_for(self, process: str) -> Any:
        """The value of this uncertainty for one process, None when it does not apply."""
        if isinstance(self.processes, Mapping):
            return self.processes.get(process)
        return self.value if process in self.processes else None


class Systematics(dict[str, SystematicUncertainty]):
    """Uncertainties by ``datacard_name``. Raises InvalidValue for duplicates, InvalidType for anything
    else.
    """

    def __init__(self, systematics: Iterable[SystematicUncertainty]) -> None:
        super().__init__()
        entries: Iterable[Any] = systematics
        for one in entries:
            if not isinstance(one, SystematicUncertainty):
                msg = f"Systematics holds SystematicUncertainty objects, not {one!r}"
                raise InvalidType(msg)
            name = str(one.datacard_name)
            if name in self:
                msg = f"Systematics: the name {name!r} is used twice; give one of them another datacard_name"
                raise InvalidValue(msg)
            self[name] = one
