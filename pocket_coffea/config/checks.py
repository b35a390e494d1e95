"""Checks of what is asked for once all tables are known: histograms, workflow, skim."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Collection, Mapping
from typing import Any

from pocket_coffea.config.names import SampleTable, as_mapping
from pocket_coffea.errors import ConfigurationError, InvalidType, did_you_mean
from pocket_coffea.lib.hist_manager import HistConf

__all__ = ["check_histograms", "check_workflow"]

log = logging.getLogger(__name__)


def check_histograms(variables: Any, samples: SampleTable, categories: Collection[str]) -> None:
    """Check the histograms of a configuration.

    Names of samples and categories that do not exist are warned about with the nearest ones (one list of
    histograms may serve several configurations). Raises InvalidType for anything that is not a HistConf,
    ConfigurationError for a histogram that nothing would ever be filled into."""
    for name, conf in as_mapping(variables, "variables").items():
        where = f"variables[{name!r}]"
        if not isinstance(conf, HistConf):
            hint = (
                " A *_hists helper returns a dictionary: unpack it with **."
                if isinstance(conf, Mapping)
                else ""
            )
            msg = f"{where} must be a HistConf, not {conf!r} of type {type(conf).__name__}.{hint}"
            raise InvalidType(msg)
        for option in ("only_samples", "exclude_samples"):
            for sample in _listed(conf, option, where):
                _check_sample(sample, samples, f"{where}, {option}")
        for option in ("only_categories", "exclude_categories"):
            _check_categories(
                _listed(conf, option, where), categories, f"{where}, {option}", option == "only_categories"
            )


def _listed(conf: HistConf, option: str, where: str) -> list[str]:
    names = getattr(conf, option, None)
    if isinstance(names, str):
        msg = f"{where}: {option} must be a list of names, not the string {names!r}: write [{names!r}]."
        raise InvalidType(msg)
    return list(names or [])


def _check_sample(name: str, samples: SampleTable, where: str) -> None:
    parent = samples.parent(name)
    if parent is None:
        samples.missing(name, where)
    elif parent != name:
        log.warning("%s: %r is a subsample; histograms are chosen by sample: write %r.", where, name, parent)


def _check_categories(names: list[str], categories: Collection[str], where: str, only: bool) -> None:
    unknown = [name for name in names if name not in categories]
    if only and names and len(unknown) == len(names):
        msg = (
            f"{where}: none of {', '.join(map(repr, names))} is a category. "
            f"{did_you_mean(names[0], categories)}"
        )
        raise ConfigurationError(msg)
    for name in unknown:
        log.warning("%s: there is no category %r. %s", where, name, did_you_mean(name, categories))


def check_workflow(workflow: Any) -> None:
    """Check that the workflow is a class that can process events; raise InvalidType otherwise."""
    if inspect.isclass(workflow) and callable(getattr(workflow, "process", None)):
        return
    kind = (
        f"the class {workflow.__name__}, which has no process method"
        if inspect.isclass(workflow)
        else repr(workflow)
    )
    msg = (
        f"workflow must be a class derived from BaseProcessorABC, not {kind}. Pass the class itself, not an "
        "instance of it."
    )
    raise InvalidType(msg)
