"""The Configurator: what an analysis is, in one object that can be checked, saved and sent to other
machines.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pocket_coffea.config import selections, variations, weights
from pocket_coffea.config.calibrators import read_calibrators, shape_variation_check
from pocket_coffea.config.checks import (
    check_columns,
    check_histograms,
    check_only_variations,
    check_workflow,
    check_workflow_options,
)
from pocket_coffea.config.columns import ColumnsConfig, read_columns
from pocket_coffea.config.datasets import (
    Filesets,
    check_filesets,
    limit_files,
    read_filesets,
    samples_are_mc,
    unique_metadata,
)
from pocket_coffea.config.dump import write_dumps
from pocket_coffea.config.names import SampleTable, as_mapping
from pocket_coffea.config.parameters import resolved_copy
from pocket_coffea.errors import InvalidType
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.types import Params
from pocket_coffea.utils.modules import source_digests
from pocket_coffea.utils.wording import count_of

__all__ = ["Configurator"]

log = logging.getLogger(__name__)


class Configurator:
    """The configuration of an analysis.

    Building one stores what is given (copies of dictionaries and lists, so that later changes to them have no
    effect) and resolves the parameters. :meth:`load` reads the datasets, checks everything and makes the
    processor.

    Attributes as they were given: ``workflow, parameters, variables, workflow_options, do_postprocessing``
    and, in the user's form, ``datasets_cfg, skim_cfg, preselections_cfg, categories_cfg, weights_cfg,
    variations_cfg, columns_cfg``.

    After the datasets are read: ``filesets, datasets, samples, years, eras, samples_metadata``.

    After loading: ``subsamples, has_subsamples, subsamples_list, subsamples_map, subsamples_reversed_map,
    total_samples_list, skim, preselections, categories, weights_config, available_weights, requested_weights,
    weights_classes, variations_config, available_weights_variations, available_shape_variations,
    available_calibrators_variations, calibrators, calibrations_not_applied, columns, processor_instance``.
    """

    filesets: Filesets
    samples_metadata: dict[str, dict[str, bool]]
    columns: ColumnsConfig

    def __init__(  # noqa: PLR0917  the signature is public
        self,
        workflow: Any,
        parameters: Params,
        datasets: Mapping[str, Any],
        skim: Any,
        preselections: Any,
        categories: Any,
        weights: Any,
        variations: Any,
        variables: Any,
        weights_classes: Any = None,
        calibrators: Any = None,
        columns: Any = None,
        workflow_options: Mapping[str, Any] | None = None,
        save_skimmed_files: str | os.PathLike[str] | None = None,
        do_postprocessing: bool = True,
    ) -> None:
        """Store the configuration; each argument is a section of the documentation.

        workflow: class of the processor. parameters: OmegaConf; its interpolations are resolved in a copy.
        datasets: where the events are and which subsamples they have. skim, preselections: lists of Cut.
        categories: dictionary of lists of Cut, or a selection. weights, variations, columns: tables for all
        samples and by sample. variables: name -> HistConf. weights_classes: the weights that can be asked
        for. calibrators: classes in order; None for the default sequence. save_skimmed_files: folder that
        skimmed events are written to, instead of an analysis.

        Raises ConfigurationError if the parameters cannot be resolved.
        """
        self.workflow = workflow
        self.parameters = resolved_copy(parameters)
        self.datasets_cfg: dict[str, Any] = dict(as_mapping(_copied(datasets), "datasets"))
        self.skim_cfg = _copied(skim)
        self.preselections_cfg = _copied(preselections)
        self.categories_cfg = _copied(categories)
        self.weights_cfg = _copied(weights)
        self.variations_cfg = _copied(variations)
        self.columns_cfg = _copied(columns)
        self.weights_classes_cfg = _copied(weights_classes)
        self.calibrators_cfg = _copied(calibrators)
        self.variables = _copied(variables)
        self.workflow_options: dict[str, Any] = dict(
            as_mapping(_copied(workflow_options), "workflow_options")
        )
        self.save_skimmed_files = bool(save_skimmed_files)
        self.save_skimmed_files_folder = _folder(save_skimmed_files)
        self.do_postprocessing = do_postprocessing
        #: The file that the configuration was read from, and module -> sha256 of the user's sources.
        self.config_file: str | None = None
        self.source_digests: dict[str, str] = {}
        self.filesets_loaded = False
        self._filesets_given = False
        self._known_samples: frozenset[str] = frozenset()
        self._forget()
        self._index({})

    def _forget(self) -> None:
        """Bring everything that load() makes to its state before."""
        self.loaded = False
        self.processor_instance: Any = None
        self.skim: list[Cut] = []
        self.preselections: list[Cut] = []
        self.categories: Any = None
        self.subsamples: dict[str, selections.Selection] = {}
        self.has_subsamples: dict[str, bool] = {}
        self.subsamples_list: list[str] = []
        self.subsamples_map: dict[str, list[str]] = {}
        self.subsamples_reversed_map: dict[str, str] = {}
        self.total_samples_list: list[str] = []
        self.available_weights: dict[str, Any] = {}
        self.weights_config: dict[str, weights.WeightsConfig] = {}
        self.requested_weights: list[str] = []
        self.weights_classes: list[Any] = []
        self.calibrators: list[Any] = []
        self.calibrations_not_applied: list[str] = []
        self.variations_config: dict[str, variations.VariationsConfig] = {}
        self.available_weights_variations: dict[str, list[str]] = {}
        self.available_shape_variations: dict[str, list[Any]] = {}
        self.available_calibrators_variations: list[str] = []
        self.columns = {}

    # ---- loading ----

    def load(self) -> None:
        """Read the datasets (unless they were set), check the whole configuration and make the processor.

        A second call does nothing. Raises ConfigurationError, with the nearest names that exist, for anything
        that is wrong."""
        if self.loaded:
            return
        self._forget()
        if not self.filesets_loaded:
            self.load_datasets()
        self._load_selections()
        self._load_weights()
        self._load_variations()
        self.columns = read_columns(self.columns_cfg, self._samples_table(), self._category_names())
        self.perform_checks()
        if not self.source_digests:
            self.source_digests = source_digests(self._sources())
        self.load_workflow()
        self.loaded = True

    def load_datasets(self) -> None:
        """Read the dataset files and choose the datasets; raise ConfigurationError if none is left."""
        filesets, self._known_samples = read_filesets(self.datasets_cfg)
        self._index(filesets)
        self.filesets_loaded = True
        self._filesets_given = False

    def set_filesets_manually(self, filesets: Mapping[str, Any]) -> None:
        """Process ``filesets`` ({dataset: {"files": [...], "metadata": {...}}}) instead of those of the
        dataset files.

        They are checked and copied. A loaded configuration stays loaded if it knows all the samples.
        """
        clean = check_filesets(filesets)
        if self.loaded and not set(samples_are_mc(clean)) <= set(self.weights_config):
            self._forget()
        self._index(clean)
        self.filesets_loaded = True
        self._filesets_given = True

    def filter_dataset(self, nfiles: int) -> None:
        """Keep the first ``nfiles`` files of every dataset and scale ``nevents`` in its metadata by the kept
        fraction.
        """
        if not self.filesets_loaded:
            self.load_datasets()
        self._index(limit_files(self.filesets, nfiles))
        self._filesets_given = True  # a clone is to process the same files

    def _index(self, filesets: Filesets) -> None:
        self.filesets = filesets
        self.datasets = list(filesets)
        self.samples = unique_metadata(filesets, "sample")
        self.years = unique_metadata(filesets, "year")
        self.eras = unique_metadata(filesets, "era")
        self.samples_metadata = {
            sample: {"isMC": is_mc} for sample, is_mc in samples_are_mc(filesets).items()
        }

    def _load_selections(self) -> None:
        self.skim = selections.read_cuts(self.skim_cfg, "skim")
        self.preselections = selections.read_cuts(self.preselections_cfg, "preselections")
        self.categories = selections.read_categories(self.categories_cfg)
        read = selections.read_subsamples(
            self.datasets_cfg.get("subsamples"), self.samples, self._known_samples
        )
        if self._known_samples:
            self._known_samples |= read.defined
        self.subsamples = read.selections
        self.subsamples_map = read.full_names
        self.has_subsamples = {sample: sample in read.full_names for sample in self.samples}
        self.subsamples_list = sorted(full for names in read.full_names.values() for full in names)
        self.subsamples_reversed_map = {
            name: sample for sample in self.samples for name in (sample, *read.full_names.get(sample, []))
        }
        self.total_samples_list = sorted(self.subsamples_reversed_map)

    def _load_weights(self) -> None:
        self.available_weights = weights.available_weights(self.weights_classes_cfg)
        self.weights_config = weights.read_weights(
            self.weights_cfg, self.available_weights, self._samples_table(), self._category_names()
        )
        self.requested_weights = weights.requested_weights(self.weights_config)
        self.weights_classes = [self.available_weights[name] for name in self.requested_weights]
        weights.check_available(self.weights_classes)

    def _load_variations(self) -> None:
        calibrators = read_calibrators(self.calibrators_cfg)
        self.calibrators = calibrators.sequence
        self.calibrations_not_applied = calibrators.not_applied
        self.available_calibrators_variations = calibrators.with_variations()
        self.variations_config = variations.read_variations(
            self.variations_cfg,
            self.available_weights,
            self.weights_config,
            shape_variation_check(calibrators),
            samples=self._samples_table(),
            categories=self._category_names(),
        )
        self.available_weights_variations = variations.weight_variations(self.samples, self.variations_config)
        self.available_shape_variations = variations.shape_variations(self.samples, self.variations_config)

    def _samples_table(self) -> SampleTable:
        is_mc = {sample: metadata["isMC"] for sample, metadata in self.samples_metadata.items()}
        return SampleTable(is_mc, self.subsamples_map, self._known_samples)

    def _category_names(self) -> list[str]:
        return list(self.categories.keys())

    def perform_checks(self) -> None:
        """Check histograms, columns, workflow and skim export; raise ConfigurationError or warn."""
        check_workflow(self.workflow)
        check_workflow_options(self.workflow_options)
        check_histograms(self.variables, self._samples_table(), self._category_names())
        check_only_variations(self.variables, self.available_weights.values(), self.calibrators)
        check_columns(self.columns, self.categories)
        if self.save_skimmed_files and self.save_skimmed_files_folder is None:
            msg = "save_skimmed_files must be the folder that the skimmed files go to, not True."
            raise InvalidType(msg)

    def load_workflow(self) -> None:
        """Make the processor, ``processor_instance``, from the workflow class."""
        self.processor_instance = self.workflow(cfg=self)

    # ---- identity, copies, records ----

    def set_origin(self, file: str | os.PathLike[str], *modules: Any) -> None:
        """Remember the file that defines this configuration, and the sources that it needs."""
        self.config_file = str(file)
        self.source_digests = source_digests([*modules, *self._sources()])

    def _sources(self) -> Iterator[Any]:
        """Yield the classes and functions of the user."""
        for item in (self.workflow, *(self.weights_classes_cfg or ()), *(self.calibrators_cfg or ())):
            yield from getattr(item, "__mro__", (item,))
            yield getattr(item, "_function", None) or item
        for item in _leaves([self.skim_cfg, self.preselections_cfg, self.categories_cfg, self.datasets_cfg]):
            if isinstance(item, Cut):
                yield item.function

    def clone(self) -> Configurator:
        """Return an equal configuration that is not loaded. Filesets that were set by hand are kept."""
        new = type(self)(
            workflow=self.workflow,
            parameters={},
            datasets=self.datasets_cfg,
            skim=self.skim_cfg,
            preselections=self.preselections_cfg,
            categories=self.categories_cfg,
            weights=self.weights_cfg,
            variations=self.variations_cfg,
            variables=self.variables,
            weights_classes=self.weights_classes_cfg,
            calibrators=self.calibrators_cfg,
            columns=self.columns_cfg,
            workflow_options=self.workflow_options,
            save_skimmed_files=self.save_skimmed_files_folder or self.save_skimmed_files,  # type: ignore[arg-type]
            do_postprocessing=self.do_postprocessing,
        )
        # quicker than to resolve again what is resolved
        new.parameters = pickle.loads(pickle.dumps(self.parameters))
        new.config_file = self.config_file
        new.source_digests = dict(self.source_digests)
        new._known_samples = self._known_samples
        if self._filesets_given:
            new.set_filesets_manually(self.filesets)
        return new

    def save_config(self, outputdir: str | os.PathLike[str]) -> None:
        """Write ``parameters_dump.yaml``, ``config.json`` and ``configurator.pkl`` into ``outputdir`` (made
        if needed).

        A configuration that is not loaded is not written, with a warning. Raises OutputError if a file cannot
        be written."""
        if not self.loaded:
            log.warning(
                "The configuration is not loaded, so nothing is written into %s: call load() first.",
                outputdir,
            )
            return
        write_dumps(self, outputdir)

    def __repr__(self) -> str:
        """Return a short summary."""
        name = getattr(self.workflow, "__name__", repr(self.workflow))
        head = f"Configurator(workflow={name}, {'loaded' if self.loaded else 'not loaded'}"
        lines = [f"{head}, file={self.config_file})" if self.config_file else f"{head})"]
        if self.filesets_loaded:
            files = sum(len(entry["files"]) for entry in self.filesets.values())
            lines.append(
                f"  datasets    {len(self.datasets)} ({count_of(files, 'file')}), years {_short(self.years)}"
            )
            lines.append(f"  samples     {_short(self.samples)}")
        if self.loaded:
            shapes = dict.fromkeys(
                name for names in self.available_shape_variations.values() for name in names
            )
            lines += [
                f"  subsamples  {_short(self.subsamples_list)}",
                f"  skim        {_short([cut.name for cut in self.skim])}",
                f"  preselect.  {_short([cut.name for cut in self.preselections])}",
                f"  categories  {_short(self._category_names())}",
                f"  weights     {_short(self.requested_weights)}",
                f"  shapes      {_short([getattr(name, 'requested', name) for name in shapes])}",
                f"  histograms  {_short(list(self.variables or {}))}",
            ]
        return "\n".join(lines)


def _short(names: list[str], limit: int = 8) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more


def _folder(value: Any) -> str | None:
    return str(value) if isinstance(value, str | Path) and str(value) else None


def _copied(value: Any) -> Any:
    """Return a copy of nested dictionaries, lists and tuples; what is in them stays the same object."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return type(value)(map(_copied, value)) if type(value) in (list, tuple) else value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
