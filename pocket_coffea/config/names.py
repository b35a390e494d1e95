"""What every table of the configuration needs: checked lists of names, samples and categories.

Weights, variations and columns are requested in one shape::

    {"common":   {"inclusive": [items], "bycategory": {category: [items]}},
     "bysample": {sample or full subsample name: {"inclusive": [items], "bycategory": {category: [items]}}}}

:func:`read_table` turns it into :class:`Table`; what the items are is the caller's business.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pocket_coffea.errors import ConfigurationError, InvalidType, UnknownName, did_you_mean

__all__ = [
    "Request",
    "SampleTable",
    "Table",
    "UnknownCategory",
    "as_list",
    "as_mapping",
    "check_category",
    "check_class",
    "read_table",
    "warn_unknown_keys",
]

log = logging.getLogger(__name__)

#: Checks one item of a request, given where it was written; raises if it is not acceptable.
ItemCheck = Callable[[Any, str], Any]


class UnknownCategory(UnknownName, KeyError):
    """A category that the configuration does not define."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True)
class SampleTable:
    """The samples of a configuration.

    is_mc: sample -> whether it is simulation, in dataset order. subsamples: sample -> full subsample names,
    only for samples that have some. known: every sample and full subsample name that exists before any
    filter; empty if that is not known."""

    is_mc: dict[str, bool]
    subsamples: dict[str, list[str]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    def parent(self, name: str) -> str | None:
        """Return the sample that ``name``, a sample or a full subsample name, belongs to; None if there is
        none.
        """
        if name in self.is_mc:
            return name
        return next((sample for sample, full in self.subsamples.items() if name in full), None)

    def names(self) -> list[str]:
        """Return all samples and full subsample names."""
        return [*self.is_mc, *(full for names in self.subsamples.values() for full in names)]

    def missing(self, name: str, where: str) -> bool:
        """Return whether ``name`` is not processed, and warn unless a filter explains it."""
        if self.parent(name) is not None:
            return False
        if name in self.known:
            log.debug("%s: %r is not among the selected samples and is ignored.", where, name)
        else:
            candidates = self.known or self.names()
            log.warning(
                "%s: %r is no sample or subsample and is ignored. %s",
                where,
                name,
                did_you_mean(name, candidates),
            )
        return True


@dataclass(frozen=True)
class Request:
    """Items requested at one place: for all categories, and for some."""

    where: str
    inclusive: list[Any] = field(default_factory=list)
    bycategory: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """What was requested for all samples, and for samples or subsamples by name (only those that are
    processed).
    """

    common: Request
    bysample: dict[str, Request]

    def for_sample(self, name: str) -> list[Request]:
        """Return the requests that concern the sample ``name`` itself."""
        return [self.common, *([self.bysample[name]] if name in self.bysample else [])]


def as_mapping(value: Any, where: str) -> Mapping[Any, Any]:
    """Return ``value``, a mapping or None (empty); raise InvalidType for anything else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        msg = f"{where} must be a dictionary, not {value!r} of type {type(value).__name__}."
        raise InvalidType(msg)
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """Return a new list of the items of ``value``, a list, tuple or None (empty); raise InvalidType for
    anything else.

    A string is refused: taken as a list, its characters would be the items.
    """
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        msg = f"{where} must be a list, not {value!r} of type {type(value).__name__}: write [{value!r}]."
        raise InvalidType(msg)
    return list(value)


def check_category(name: Any, categories: Collection[str], where: str) -> str:
    """Return ``name`` if it is one of the categories; raise UnknownCategory (a KeyError) with the nearest
    ones.
    """
    if name not in categories:
        msg = f"{where}: there is no category {name!r}. {did_you_mean(name, categories)}"
        raise UnknownCategory(msg)
    return str(name)


def check_class(cls: Any, base: type, where: str) -> None:
    """Check that ``cls`` is a weight or calibrator class that can be used; raise InvalidType otherwise."""
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        msg = f"{where} must be a class derived from {base.__name__}, not {cls!r}."
        raise InvalidType(msg)
    missing = [f"a method {name}" for name in sorted(getattr(cls, "__abstractmethods__", ()))]
    if not hasattr(cls, "name"):
        missing.insert(0, "a name, as in name = 'mine'")
    if missing:
        msg = f"{where}, {cls.__module__}.{cls.__qualname__}, does not define {', '.join(missing)}."
        raise InvalidType(msg)


def warn_unknown_keys(mapping: Mapping[Any, Any], allowed: Collection[str], where: str) -> None:
    """Warn about the keys that nothing reads: most often they are misspelt."""
    for key in mapping:
        if key not in allowed:
            log.warning(
                "%s: the key %r has no meaning and is ignored. %s", where, key, did_you_mean(key, allowed)
            )


def read_table(
    config: Any,
    where: str,
    categories: Collection[str],
    samples: SampleTable,
    check: ItemCheck,
    *,
    strict: bool = True,
) -> Table:
    """Read the requests for weights, variations or columns (the shape is in the module's description).

    check: called with each item and the place it was written at. strict: ``common`` and its ``inclusive``
    list are mandatory, and each entry of ``bysample`` must say something. Requests for samples that are not
    processed are left out, with a warning when no filter explains it. The caller's lists are copied.

    Raises ConfigurationError for a missing part, InvalidType for a wrong type, UnknownCategory for an unknown
    category."""
    tree = as_mapping(config, where)
    if strict and "common" not in tree:
        msg = f'{where} has no "common" entry: write {{"common": {{"inclusive": [...]}}}} ([] for none).'
        raise ConfigurationError(msg)
    common_where = f'{where}["common"]'
    common = as_mapping(tree.get("common"), common_where)
    if strict and "inclusive" not in common:
        msg = f'{common_where} has no "inclusive" list: add it ([] for none).'
        raise ConfigurationError(msg)
    bysample = {}
    for name, entry in as_mapping(tree.get("bysample"), f'{where}["bysample"]').items():
        entry_where = f'{where}["bysample"][{name!r}]'
        request = _read_request(entry, entry_where, categories, check)
        if strict and not {"inclusive", "bycategory"} & set(entry or {}):
            msg = f'{entry_where} needs "inclusive" or "bycategory"; it has {list(entry or {})}.'
            raise ConfigurationError(msg)
        if not samples.missing(name, entry_where):
            bysample[name] = request
    return Table(_read_request(common, common_where, categories, check), bysample)


def _read_request(config: Any, where: str, categories: Collection[str], check: ItemCheck) -> Request:
    entry = as_mapping(config, where)
    warn_unknown_keys(entry, ("inclusive", "bycategory"), where)
    inclusive_where = f'{where}["inclusive"]'
    inclusive = as_list(entry.get("inclusive"), inclusive_where)
    for item in inclusive:
        check(item, inclusive_where)
    bycategory: dict[str, list[Any]] = {}
    for category, items in as_mapping(entry.get("bycategory"), f'{where}["bycategory"]').items():
        category_where = f'{where}["bycategory"][{category!r}]'
        check_category(category, categories, category_where)
        bycategory[category] = as_list(items, category_where)
        for item in bycategory[category]:
            check(item, category_where)
    return Request(where, inclusive, bycategory)
