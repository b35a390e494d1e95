"""One run option: its name, how its values are read and checked, and who reads them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from pocket_coffea.errors import OptionError, did_you_mean
from pocket_coffea.run.option_types import Kind, read_value

__all__ = ["UNSET", "Option", "Unset"]


class Unset(Enum):
    """Type of UNSET: "nobody gave a value", which is not the value null."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Option:
    """One run option.

    name: with dashes. kind: how values are read, units included. help: one sentence. executors: which read
    it: ``all``, an executor, ``executor@site`` or ``executor/batch system`` (``here``: without site).
    default: used by readers when no layer gives a value; UNSET when there is none. choices: allowed values
    (of every entry, for mappings). minimum: smallest number allowed. nullable: may be null. aliases: older
    names.
    """

    name: str
    kind: Kind
    help: str
    executors: tuple[str, ...] = ("all",)
    default: Any = UNSET
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    nullable: bool = True
    aliases: tuple[str, ...] = ()

    def read(self, value: Any, origin: str) -> Any:
        """Return the value in its type. Raises OptionError with option, value, origin and what is allowed."""
        if value is None or (isinstance(value, str) and value.strip().lower() in ("null", "none", "~")):
            if self.nullable:
                return None
            raise OptionError(self._message(value, origin, self.kind.value))
        try:
            typed = read_value(self.kind, value)
        except ValueError as exc:
            raise OptionError(self._message(value, origin, str(exc))) from None
        self._check_range(typed, origin)
        return typed

    def read_by(self, executor: str, batch: str | None = None) -> bool:
        """Return whether an executor (``name`` or ``name@site``) reads this option.

        batch: batch system of its site, None for a plain name.
        """
        name = executor.partition("@")[0]
        names = {"all", executor, name, f"{name}/{batch or 'here'}"}
        return not names.isdisjoint(self.executors)

    def readers(self) -> str:
        """Return who reads it, in words.

        >>> Option("x", Kind.TEXT, "", ("dask/htcondor", "dask/slurm", "parsl")).readers()
        'dask (htcondor, slurm), parsl'
        """
        systems: dict[str, list[str]] = {}
        for reader in self.executors:
            name, _, batch = reader.partition("/")
            systems.setdefault(name, []).extend([batch] if batch else [])
        return ", ".join(f"{name} ({', '.join(on)})" if on else name for name, on in systems.items())

    def _check_range(self, typed: Any, origin: str) -> None:
        if self.choices and typed not in self.choices:
            raise OptionError(
                self._message(typed, origin, f"one of these. {did_you_mean(typed, self.choices)}")
            )
        numbers = typed.values() if self.kind is Kind.PER_SAMPLE and isinstance(typed, dict) else [typed]
        if self.minimum is not None and any(number < self.minimum for number in numbers):
            raise OptionError(self._message(typed, origin, f"{self.kind.value}, at least {self.minimum}"))

    def _message(self, value: Any, origin: str, wanted: str) -> str:
        bare = value is True and self.kind is not Kind.BOOLEAN
        given = f"--{self.name} has no value" if bare else f"{self.name} = {value!r} is not allowed"
        null = " or null" if self.nullable else ""
        return f"{origin}: {given}; it has to be {wanted}{null}. ({self.help})"
