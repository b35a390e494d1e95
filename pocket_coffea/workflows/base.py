"""The processor that every analysis subclasses: which steps a chunk of events goes through, in which order.

The steps themselves are in :mod:`pocket_coffea.workflows.steps`. Hooks, the methods without a leading
underscore that do nothing here, are what a workflow overrides; they are called with ``variation`` by keyword.
"""

from __future__ import annotations

import copy
import time
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Self

from coffea.processor import ProcessorABC

from pocket_coffea.errors import InvalidType
from pocket_coffea.lib.delayed_eval import DelayedEvalBranchManager
from pocket_coffea.lib.hist_manager import Axis
from pocket_coffea.lib.memo import MEMO_KEY
from pocket_coffea.lib.weights.weights_manager import WeightsManager
from pocket_coffea.types import Array, BoolArray
from pocket_coffea.workflows.steps import (
    calibration,
    columns,
    counting,
    histograms,
    metadata,
    postprocess,
    selection,
    skimming,
    state,
)
from pocket_coffea.workflows.steps.failures import guarded

__all__ = ["BaseProcessorABC"]


class BaseProcessorABC(ProcessorABC):
    """Run the analysis that a Configurator describes over chunks of events.

    A subclass defines :meth:`apply_object_preselection` and :meth:`count_objects`, and overrides any other
    hook. The events of the chunk are ``self.events``; hooks add fields to it in place. Fields added before
    the preselection stay for the later variations (which overwrite them); calibrated collections are put
    back.

    One instance may process many chunks: each starts with the attributes the instance had before the first
    one.
    """

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Refuse a workflow that lacks a hook it must define (InvalidType, a TypeError)."""
        missing = sorted(cls.__abstractmethods__)
        if missing:
            msg = (
                f"The workflow {cls.__name__} ({cls.__module__}) does not define {', '.join(missing)}. Add: "
                + "; ".join(f"def {name}(self, variation): ..." for name in missing)
            )
            raise InvalidType(msg)
        return super().__new__(cls)

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg
        self.params = cfg.parameters
        self.workflow_options = cfg.workflow_options if cfg.workflow_options is not None else {}
        self.events: Array = None
        self.output: dict[str, Any] = {}
        self._skim = cfg.skim
        self._preselections = cfg.preselections
        self._categories = cfg.categories
        self._subsamples = cfg.subsamples
        self._columns = cfg.columns
        self.weights_config_allsamples = cfg.weights_config
        self.weights_classes = cfg.weights_classes
        self.delayed_branches = DelayedEvalBranchManager()
        self.custom_axes: list[Axis] = []
        self.custom_histogram_fields: dict[str, Any] = {}
        self.jmefactory = None
        self.has_events = False
        self.output_format = self._empty_output()

    def _empty_output(self) -> dict[str, Any]:
        categories = list(self._categories.keys())
        return {
            "sum_genweights": {},
            "sum_signOf_genweights": {},
            "sumw": {category: {} for category in categories},
            "sumw2": {category: {} for category in categories},
            "cutflow": {
                **{stage: {} for stage in ("initial", "skim", "presel")},
                **{category: {} for category in categories},
            },
            "variables": {
                name: defaultdict(dict)
                for name, hist in (self.cfg.variables or {}).items()
                if not hist.metadata_hist
            },
            "columns": {},
            "processing_metadata": {
                name: defaultdict(dict)
                for name, hist in (self.cfg.variables or {}).items()
                if hist.metadata_hist
            },
            "datasets_metadata": {},
        }

    @property
    def nevents(self) -> int:
        """Number of events that are left at this point."""
        return len(self.events)

    def __getstate__(self) -> dict[str, Any]:
        return state.pristine_state(self)

    # ---- hooks that every workflow defines -----------------------------------------------------------

    @abstractmethod
    def apply_object_preselection(self, variation: str) -> None:
        """Add the collections of good objects (``JetGood``, ...) to ``self.events``."""

    @abstractmethod
    def count_objects(self, variation: str) -> None:
        """Add the numbers of good objects (``nJetGood``, ...) to ``self.events``."""

    # ---- hooks that do nothing unless overridden -----------------------------------------------------

    def load_metadata_extra(self) -> None:
        """After the metadata of the chunk are known."""

    def process_extra_before_skim(self) -> None:
        """On all events, after they were counted."""

    def process_extra_after_skim(self) -> None:
        """On the events that passed the skim."""

    def define_custom_axes_extra(self) -> None:
        """Append to ``self.custom_axes`` the axes that all histograms get."""

    def define_histograms_extra(self) -> None:
        """Change or add histograms in ``self.hists_manager``."""

    def define_column_accumulators_extra(self) -> None:
        """Change ``self.column_managers``."""

    def process_extra_after_calibrators(self, variation: str) -> None:
        """On calibrated events, before the object selection."""

    def define_common_variables_before_presel(self, variation: str) -> None:
        """Add variables that the preselection needs."""

    def process_extra_before_presel(self, variation: str) -> None:
        """On all events that passed the skim, right before the preselection."""

    def define_common_variables_after_presel(self, variation: str) -> None:
        """Add variables for preselected events."""

    def process_extra_after_presel(self, variation: str) -> Any:
        """On preselected events, before the categories; what it returns is ignored."""

    def compute_weights_extra(self, variation: str) -> None:
        """Add weights with ``self.weights_manager.add_weight``."""

    def fill_histograms_extra(self, variation: str) -> None:
        """Fill histograms that are not filled automatically."""

    def fill_column_accumulators_extra(self, variation: str) -> None:
        """Export more columns."""

    # ---- steps ---------------------------------------------------------------------------------------

    def load_metadata(self) -> None:
        """Set ``_dataset, _sample, _year, _isMC, ...``."""
        metadata.load(self)

    def count_initial_events(self) -> None:
        """Count the events of the chunk and sum their generator weights."""
        counting.count_initial(self)

    def skim_events(self) -> None:
        """Keep the events that pass the skim cuts."""
        selection.skim_events(self)

    def export_skimmed_chunk(self, mask: BoolArray) -> None:
        """Write the events of the file for which ``mask`` is true."""
        skimming.export_skimmed_chunk(self, mask)

    def initialize_calibrators(self) -> None:
        """Make ``self.calibrators_manager``."""
        calibration.initialize_calibrators(self)

    def define_weights(self) -> None:
        """Make ``self.weights_manager``."""
        self.weights_manager = WeightsManager(
            self.params,
            self.weights_config_allsamples[self._sample],
            self.weights_classes,
            metadata=metadata.weights_metadata(self),
            storeIndividual=False,
        )

    def define_histograms(self) -> None:
        """Make ``self.hists_manager``."""
        histograms.define(self)

    def define_column_accumulators(self) -> None:
        """Make ``self.column_managers``."""
        columns.define(self)

    def loop_over_variations(self) -> Iterator[str]:
        """Yield the name of each variation, nominal first, with ``self.events`` calibrated for it."""
        yield from calibration.loop_over_variations(self)

    def get_preselection_mask(self, variation: str) -> BoolArray:  # noqa: ARG002  an override may depend on it
        """Return (n_events,) of bool: passes all preselections."""
        return selection.and_of_cuts(self, self._preselections)

    def apply_preselections(self, variation: str) -> None:
        """Keep the events that pass the preselections, in a new ``self.events``."""
        selection.apply_preselections(self, variation)

    def define_categories(self, variation: str) -> None:  # noqa: ARG002  an override may depend on it
        """Evaluate the cuts of categories and subsamples."""
        selection.define_categories(self)

    def compute_weights(self, variation: str) -> None:
        """Compute the weights of the preselected events."""
        self.weights_manager.compute(self.events, self.nevents, shape_variation=variation)

    def fill_histograms(self, variation: str) -> None:
        """Fill the histograms of this variation."""
        histograms.fill(self, variation)

    def fill_column_accumulators(self, variation: str) -> None:
        """Export the columns of this variation."""
        columns.fill(self, variation)

    def count_events(self, variation: str) -> None:
        """Count events and sum weights by category."""
        counting.count_events(self, variation)

    def save_processing_metadata(self) -> None:
        """Fill the histograms about the processing itself."""
        self.stop_time = time.time()
        histograms.fill_processing_metadata(self)

    # ---- order ---------------------------------------------------------------------------------------

    def process(self, events: Array) -> dict[str, Any]:
        """Process one chunk and return its output, ready to be added to that of other chunks.

        Raises ProcessingError (or a more exact error of the package) naming hook, dataset, file and entries.
        """
        state.begin_chunk(self)
        self.start_time = time.time()
        # The events of the file stay as they are: for the skim export, and for cross-references (matched_gen)
        self._source = events
        self.events = copy.copy(events)
        self.events.attrs[MEMO_KEY] = {}
        self.output = copy.deepcopy(self.output_format)
        self._run("load_metadata", "load_metadata_extra", "count_initial_events")
        self._run("process_extra_before_skim", "skim_events")
        skim_mode = skimming.skim_mode(self)
        if skim_mode is not None:
            self._skim_chunk(skim_mode)
        elif self.has_events:
            self._analyse_chunk()
        return self.output

    def _skim_chunk(self, mode: str) -> None:
        passed = None
        if mode == "presel_any_variation" and self.has_events:
            self._run("process_extra_after_skim", "initialize_calibrators")
            passed = skimming.any_variation_mask(self)
        with guarded(self, "export_skimmed_chunk"):
            self.export_skimmed_chunk(skimming.source_mask(self, passed))

    def _analyse_chunk(self) -> None:
        self._run("process_extra_after_skim", "initialize_calibrators", "define_weights")
        self._run("define_custom_axes_extra", "define_histograms", "define_histograms_extra")
        self._run("define_column_accumulators", "define_column_accumulators_extra")
        self._nevents_presel_nominal = 0
        for variation in self._guarded_variations():
            self._process_variation(variation)
        self._run("save_processing_metadata")
        histograms.collect(self)

    def prepare_preselection(self, variation: str) -> None:
        """Run the hooks from the calibrators to the preselection."""
        self._run("process_extra_after_calibrators", "apply_object_preselection", variation=variation)
        self._run("count_objects", "define_common_variables_before_presel", variation=variation)
        self._run("process_extra_before_presel", variation=variation)

    def _process_variation(self, variation: str) -> None:
        self.prepare_preselection(variation)
        if variation == "nominal":
            with guarded(self, "delayed_branches.prepare", variation):
                self.delayed_branches.prepare(self.events)
        self._run("apply_preselections", variation=variation)
        if not self.has_events:
            return
        self._run("define_common_variables_after_presel", "process_extra_after_presel", variation=variation)
        self._run("define_categories", "_update_delayed_branches", variation=variation)
        self._run("compute_weights", "compute_weights_extra", variation=variation)
        self._run("fill_histograms", "fill_histograms_extra", variation=variation)
        self._run("fill_column_accumulators", "fill_column_accumulators_extra", variation=variation)
        self._run("count_events", variation=variation)

    def _update_delayed_branches(self, variation: str) -> None:  # noqa: ARG002  called like the hooks
        if self.delayed_branches:
            entering = counting.in_any_category(self._categories, self.nevents)
            self.delayed_branches.update(self.events, entering)

    def _guarded_variations(self) -> Iterator[str]:
        """Go through the variations; errors of the calibrators say where they come from."""
        loop = iter(self.loop_over_variations())
        while True:
            with guarded(self, "loop_over_variations"):
                variation = next(loop, None)
            if variation is None:
                return
            yield variation

    def _run(self, *steps: str, **arguments: str) -> None:
        """Call methods by name, so that overrides count, each with errors that name it."""
        for step in steps:
            with guarded(self, step, arguments.get("variation")):
                getattr(self, step)(**arguments)

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """Complete the merged output: metadata of the datasets, normalisation to generator weights.

        Does nothing when the configuration says ``do_postprocessing=False``.
        """
        if not self.cfg.do_postprocessing:
            return accumulator
        return postprocess.postprocess(self, accumulator)
