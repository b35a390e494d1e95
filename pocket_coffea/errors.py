"""Every error that PocketCoffea raises on purpose.

A message names the offending value, where it came from, what is allowed and the next step.

::

    PocketCoffeaError                      (exit code 3)
    +-- ConfigurationError                 exit code 1: the analysis configuration is wrong
    |   +-- InvalidValue    (ValueError)   a value outside the allowed set
    |   +-- InvalidType     (TypeError)    an object of the wrong type
    |   +-- UnknownName     (ValueError)   a name that is not defined; carries the nearest ones
    |   +-- DataFileNotFound (FileNotFoundError)  a payload (correction, lumi file) is nowhere to be found
    |   +-- PhysicsNotAvailable (NotImplementedError)  importable, but its physics is not in this version
    |   +-- OptionError                    a run option is unknown, of the wrong type or out of range
    |   +-- SiteError                      a site file is wrong, or there is no such site
    +-- NothingToDo                        exit code 4: the selection of datasets is empty
    +-- ResultsRefused                     exit code 6: going on would lose, double or mix results
    +-- ProcessingError                    exit code 3: a chunk of events failed
    |   +-- MissingBranch                  a branch or collection is not in the file
    |   +-- CutError                       a cut returned something that is not a mask
    |   +-- WeightError     (ValueError)   a weight is not finite or has the wrong length
    |   +-- FillError       (ValueError)   a histogram cannot be filled as configured
    +-- CommandFailed                      another program could not be run, or failed
    +-- CatalogueError                     a catalogue of datasets does not answer, or does not know the name
    +-- InputFileError      (OSError)      an input file is missing, unreadable or truncated
    +-- OutputError         (OSError)      an output cannot be written

Errors cross process boundaries, so each one is built from its message alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CatalogueError",
    "CommandFailed",
    "ConfigurationError",
    "CutError",
    "DataFileNotFound",
    "FillError",
    "InputFileError",
    "InvalidType",
    "InvalidValue",
    "MissingBranch",
    "NothingToDo",
    "OptionError",
    "OutputError",
    "PhysicsNotAvailable",
    "PocketCoffeaError",
    "ProcessingError",
    "ResultsRefused",
    "SiteError",
    "UnknownName",
    "WeightError",
    "did_you_mean",
    "nearest",
]


class PocketCoffeaError(Exception):
    """Root of the tree. ``exit_code`` is what the command line ends with."""

    exit_code = 3


class ConfigurationError(PocketCoffeaError):
    """The analysis configuration is wrong; nothing was processed."""

    exit_code = 1


class InvalidValue(ConfigurationError, ValueError):
    """A value outside the allowed set."""


class InvalidType(ConfigurationError, TypeError):
    """An object of the wrong type."""


class UnknownName(ConfigurationError, ValueError):
    """A name (weight, variation, category, sample, option) that is not defined."""


class DataFileNotFound(ConfigurationError, FileNotFoundError):
    """A payload file is at none of the places that were looked at."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class PhysicsNotAvailable(ConfigurationError, NotImplementedError):
    """The name exists for compatibility, but what it computes is not in this version."""


class OptionError(ConfigurationError):
    """A run option is unknown, of the wrong type or out of range."""


class SiteError(ConfigurationError):
    """A site file is wrong, or there is no site of that name."""


class NothingToDo(PocketCoffeaError):
    """No dataset, file or chunk is left to process."""

    exit_code = 4


class ResultsRefused(PocketCoffeaError):
    """Going on would lose, double or mix results."""

    exit_code = 6


class ProcessingError(PocketCoffeaError):
    """A chunk of events could not be processed."""


class MissingBranch(ProcessingError):
    """A branch or collection that the analysis asks for is not in the file."""


class CutError(ProcessingError):
    """A cut function returned something that is not a mask over its collection."""


class WeightError(ProcessingError, ValueError):
    """A weight is not finite, or its length is not the number of events."""


class FillError(ProcessingError, ValueError):
    """A histogram cannot be filled as it is configured."""


class CommandFailed(PocketCoffeaError):
    """Another program (git, xrdcp, voms-proxy-info) could not be started, did not end in time, or failed."""


class CatalogueError(PocketCoffeaError):
    """A catalogue of datasets (Rucio, DBS) cannot be asked, or does not know what it was asked for."""


class InputFileError(PocketCoffeaError, OSError):
    """An input file is missing, unreadable or truncated."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class OutputError(PocketCoffeaError, OSError):
    """An output cannot be written (disk full, permission, quota)."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def nearest(value: object, allowed: Iterable[object], n: int = 3, cutoff: float = 0.6) -> list[str]:
    """Return up to ``n`` names of ``allowed`` that look most like ``value``, at least by ``cutoff`` (0 to 1).

    >>> nearest("sf_mu_idd", ["genWeight", "sf_mu_id", "sf_mu_iso"])
    ['sf_mu_id', 'sf_mu_iso']
    """
    names = [str(name) for name in allowed]
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(value).lower(), list(lowered), n=n, cutoff=cutoff)
    return [lowered[name] for name in close]


def did_you_mean(value: object, allowed: Iterable[object], limit: int = 12) -> str:
    """Return the sentence that ends a message about an unknown name.

    >>> did_you_mean("2beta", ["2btag", "baseline"])
    "Did you mean '2btag'? Allowed: 2btag, baseline."
    >>> did_you_mean("x", [])
    'None is defined.'
    """
    names = sorted({str(name) for name in allowed})
    if not names:
        return "None is defined."
    shown = ", ".join(names[:limit]) + (f", ... ({len(names)} in all)" if len(names) > limit else "")
    near = nearest(value, names)
    guess = f"Did you mean {' or '.join(repr(name) for name in near)}? " if near else ""
    return f"{guess}Allowed: {shown}."
