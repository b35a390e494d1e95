"""Checks of what is asked for once all tables are known: histograms, columns, workflow."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pocket_coffea.config.names import SampleTable, as_mapping
from pocket_coffea.errors import (
    ConfigurationError,
    InvalidType,
    InvalidValue,
    UnknownName,
    did_you_mean,
    nearest,
)
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.calibrators.shape_variations import translate_shape_variation
from pocket_coffea.lib.columns_manager import ColumnsManager
from pocket_coffea.lib.hist_manager import HistConf
from pocket_coffea.lib.weights.weights import WeightWrapper

__all__ = [
    "COLUMNS_BY_CHUNK",
    "WORKFLOW_OPTIONS",
    "check_columns",
    "check_histograms",
    "check_only_variations",
    "check_workflow",
    "check_workflow_options",
]

#: Workflow option with the folder of columns that are written by chunk.
COLUMNS_BY_CHUNK = "dump_columns_as_arrays_per_chunk"
#: the workflow options that the framework itself reads
WORKFLOW_OPTIONS = (
    "debug_calibrators",
    "donotscale_sumgenweights",
    COLUMNS_BY_CHUNK,
    "skim_mode",
)

log = logging.getLogger(__name__)


def check_histograms(variables: Any, samples: SampleTable, categories: Collection[str]) -> None:
    """Check the histograms of a configuration.

    Names of samples and categories that do not exist are warned about with the nearest ones (one list of
    histograms may serve several configurations). Raises InvalidType for anything that is not a HistConf,
    InvalidValue for axes that cannot be made, ConfigurationError for a histogram that nothing would ever be
    filled into."""
    for name, conf in as_mapping(variables, "variables").items():
        where = f"variables[{name!r}]"
        if not isinstance(conf, HistConf):
            hint = (
                " A *_hists helper returns a dictionary: unpack it with **."
                if isinstance(conf, Mapping)
                else ""
            )
            msg = f"{where} must be a HistConf, not {conf!r:.80} of type {type(conf).__name__}.{hint}"
            raise InvalidType(msg)
        _check_merging(conf.build_axes(name), where)
        for option in ("only_samples", "exclude_samples"):
            for sample in _listed(conf, option, where):
                _check_sample(sample, samples, f"{where}, {option}")
        for option in ("only_categories", "exclude_categories"):
            _check_categories(
                _listed(conf, option, where), categories, f"{where}, {option}", option == "only_categories"
            )


def _check_merging(axes: Iterable[Any], where: str) -> None:
    """Warn about axes that the sum over chunks may fail for: only labels and integers can grow apart."""
    for axis in axes:
        if axis.traits.growth and axis.traits.continuous:
            log.warning(
                "%s, axis %r: growth=True, but chunks in which such an axis has grown differently cannot be "
                "added. Use a range that is wide enough, or type='int'.",
                where,
                axis.name,
            )


def check_only_variations(
    variables: Any, weights: Iterable[type[WeightWrapper]], calibrators: Iterable[type[Calibrator]]
) -> None:
    """Warn about names in ``only_variations`` that no weight and no calibrator can have.

    What weights and calibrators vary may be known for each chunk only: then every name that begins with that
    of the weight, and with a varying calibrator every name that ends in Up or Down, is possible.
    """
    weight_names = [cls.name for cls in weights if cls.has_variations]
    varying = [cls for cls in calibrators if cls.has_variations]
    exact = {"nominal", *(cls.name for cls in varying), *(str(v) for cls in varying for v in cls._variations)}
    exact |= {f"{name}{direction}" for name in weight_names for direction in ("Up", "Down")}
    stems = tuple(f"{name}_" for name in weight_names)
    dynamic = any(not cls._variations for cls in varying)
    for name, conf in as_mapping(variables, "variables").items():
        where = f"variables[{name!r}]"
        for variation in _listed(conf, "only_variations", where):
            possible = variation.endswith(("Up", "Down")) and (dynamic or variation.startswith(stems))
            # the name of a weight is warned about, with the names to write instead, when it is known for sure
            if (
                variation not in (*exact, *weight_names)
                and not possible
                and not _is_older(variation, varying)
            ):
                hint = did_you_mean(variation, exact)
                log.warning("%s, only_variations: nothing varies %r. %s", where, variation, hint)


def _is_older(variation: str, varying: Iterable[type[Calibrator]]) -> bool:
    """Tell whether this is the older name of a jet uncertainty and the jets are calibrated."""
    try:
        return translate_shape_variation(variation, varying).is_restricted
    except UnknownName:
        return False


def check_columns(columns: Mapping[str, Mapping[str, Any]], categories: Any) -> None:
    """Check that the columns can be exported in their categories.

    Raises InvalidValue for columns of another collection than the one whose objects categories select."""
    for name, by_category in columns.items():
        try:
            ColumnsManager(by_category, categories)
        except InvalidValue as error:
            msg = f"columns of {name!r}: {error}"
            raise InvalidValue(msg) from error


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
    if not only and names and set(categories) <= set(names):
        log.warning("%s: all categories are excluded, nothing will be filled. Leave one.", where)
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


def check_workflow_options(options: Iterable[str]) -> None:
    """Warn about names that are nearly those of the framework; all other names belong to the workflow."""
    for name in options:
        near = nearest(name, WORKFLOW_OPTIONS, n=1, cutoff=0.85)
        if near and name not in WORKFLOW_OPTIONS:
            log.warning(
                "workflow_options[%r] means nothing to the framework; if it is meant for it, write %r.",
                name,
                near[0],
            )
