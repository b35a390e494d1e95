"""Skim, preselections, categories and subsamples: what the user wrote becomes lists of cuts and
selections.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pocket_coffea.config.names import as_list, as_mapping
from pocket_coffea.errors import ConfigurationError, InvalidType, did_you_mean
from pocket_coffea.lib.categorization import CartesianSelection, StandardSelection
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.parameters.cuts import passthrough

__all__ = ["Selection", "Subsamples", "read_categories", "read_cuts", "read_subsamples"]

log = logging.getLogger(__name__)

Selection = StandardSelection | CartesianSelection


def read_cuts(cuts: Any, where: str) -> list[Cut]:
    """Return a new list of the cuts that select whole events; without any, ``[passthrough]``.

    Raises InvalidType for anything that is not a Cut, ConfigurationError for a cut on the objects of a
    collection."""
    read = as_list(cuts, where)
    for position, cut in enumerate(read):
        _check_cut(cut, f"{where}[{position}]")
        if cut.collection != "events":
            msg = (
                f"{where}[{position}]: the cut {cut.name!r} is on the collection {cut.collection!r}, but "
                f"{where} selects whole "
                "events. Use it in categories, or write a cut on events."
            )
            raise ConfigurationError(msg)
    return read or [passthrough]


def _check_cut(cut: Any, where: str) -> None:
    if not isinstance(cut, Cut):
        hint = " It is a function: wrap it, Cut(name=..., params={}, function=...)." if callable(cut) else ""
        msg = f"{where} must be a Cut, not {cut!r} of type {type(cut).__name__}.{hint}"
        raise InvalidType(msg)


def read_selection(config: Any, where: str) -> Selection:
    """Return the selection that ``config`` is, or that a dictionary of lists of cuts defines (the dictionary
    is copied).
    """
    if isinstance(config, Selection):
        return config
    if not isinstance(config, Mapping):
        msg = (
            f"{where} must be a dictionary of lists of cuts, a StandardSelection or a CartesianSelection, "
            f"not {config!r} of type {type(config).__name__}."
        )
        raise InvalidType(msg)
    categories: dict[str, list[Cut]] = {}
    for name, cuts in config.items():
        if not isinstance(name, str) or not name:
            msg = f"{where}: the name {name!r} must be a string that is not empty."
            raise InvalidType(msg)
        # people also write one cut without a list around it
        categories[name] = [cuts] if isinstance(cuts, Cut) else as_list(cuts, f"{where}[{name!r}]")
        for position, cut in enumerate(categories[name]):
            _check_cut(cut, f"{where}[{name!r}][{position}]")
    return StandardSelection(categories)


def read_categories(config: Any) -> Selection:
    """Return the selection of categories; an empty one is ``{"baseline": [passthrough]}``."""
    if config is None or (isinstance(config, Mapping) and not config):
        config = {"baseline": [passthrough]}
    selection = read_selection(config, "categories")
    for name in selection.keys():  # noqa: SIM118  iterating a selection and asking for its names need not be the same
        if name in ("initial", "skim", "presel"):
            log.warning(
                'The category %r takes the place of the entry of that name in output["cutflow"]: rename it.',
                name,
            )
    return selection


@dataclass(frozen=True)
class Subsamples:
    """The subsamples of every sample.

    selections: sample -> its Selection (one pass-through subsample, named like the sample, if none are
    defined). full_names: sample -> ["sample__label"], only for samples with subsamples. defined: all full
    names, of filtered-out samples too."""

    selections: dict[str, Selection]
    full_names: dict[str, list[str]]
    defined: frozenset[str]


def read_subsamples(config: Any, samples: Iterable[str], known: Iterable[str]) -> Subsamples:
    """Read ``datasets["subsamples"]``; definitions for samples that are not selected are ignored.

    known: the samples that exist before the filter (empty: not known), to warn of a misspelt one.
    """
    definitions = as_mapping(config, 'datasets["subsamples"]')
    selected, known = list(samples), frozenset(known)
    selections: dict[str, Selection] = {}
    full_names: dict[str, list[str]] = {}
    defined: set[str] = set()
    for sample, definition in definitions.items():
        where = f'datasets["subsamples"][{sample!r}]'
        selection = read_selection(definition, where)
        labels = list(selection.keys())
        defined.update(f"{sample}__{label}" for label in labels)
        if sample not in selected:
            if known and sample not in known:
                log.warning(
                    "%s: no dataset has the sample %r. %s", where, sample, did_you_mean(sample, known)
                )
        elif labels:
            selections[sample] = selection
            full_names[sample] = [f"{sample}__{label}" for label in labels]
    _check_full_names(full_names, selected)
    for sample in selected:
        selections.setdefault(sample, StandardSelection({sample: [passthrough]}))
    return Subsamples({name: selections[name] for name in selected}, full_names, frozenset(defined))


def _check_full_names(full_names: Mapping[str, Iterable[str]], samples: Iterable[str]) -> None:
    """Raise ConfigurationError when two samples or subsamples would share the entries of the output."""
    owners = {sample: f"the sample {sample!r}" for sample in samples}
    for sample, names in full_names.items():
        for name in names:
            if name in owners:
                msg = (
                    f'datasets["subsamples"][{sample!r}]: the subsample {name!r} has the name of '
                    f"{owners[name]}; both would be added up. Rename the label {name[len(sample) + 2 :]!r}."
                )
                raise ConfigurationError(msg)
            owners[name] = f"a subsample of {sample!r}"
