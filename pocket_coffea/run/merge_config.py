"""The configurations that outputs were made with: what should be in them, and their postprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.config.digests import configuration_digests
from pocket_coffea.errors import ResultsRefused
from pocket_coffea.run.merge_jobs import planned_files
from pocket_coffea.run.merge_ledger import PlannedFiles
from pocket_coffea.run.merge_provenance import configuration_identity
from pocket_coffea.run.merge_sum import OutputSum
from pocket_coffea.run.runner import postprocessed
from pocket_coffea.utils.filter_output import get_datasets_in_output, remove_datasets_from_output

__all__ = ["Configurations"]


class Configurations:
    """One or several loaded configurations, given as ``.pkl`` or ``.py`` files.

    Raises ConfigurationError for a file that is none, ResultsRefused for datasets that two of them define in
    different ways.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        from pocket_coffea.config.load import load_config

        self.paths = list(paths)
        self._configs = [load_config(path, save_config=False) for path in paths]
        self.filesets: dict[str, Any] = {}
        for path, config in zip(paths, self._configs, strict=True):
            config.do_postprocessing = True  # that of a single job leaves it to the merge
            for name, fileset in config.filesets.items():
                if self.filesets.setdefault(name, fileset)["metadata"] != fileset["metadata"]:
                    msg = f"{path} and a configuration before it have different metadata of dataset {name!r}."
                    raise ResultsRefused(msg)

    @property
    def identities(self) -> list[str]:
        """What tells the configurations apart."""
        return [configuration_identity(configuration_digests(config)) for config in self._configs]

    @property
    def planned(self) -> PlannedFiles:
        """The files of all datasets."""
        return planned_files(self.filesets)

    @property
    def n_categories(self) -> int:
        """Number of categories of the first configuration."""
        return len(list(self._configs[0].categories.keys()))

    def postprocess(self, output: dict[str, Any]) -> dict[str, Any]:
        """Return the output postprocessed, each dataset by the first configuration that has it.

        Raises ResultsRefused for a dataset that no configuration has.
        """
        datasets = get_datasets_in_output(output)
        for dataset in datasets:
            if dataset not in self.filesets:
                shown = ", ".join(map(str, self.paths))
                msg = (
                    f"Dataset {dataset!r} is in none of the configurations ({shown}): it cannot "
                    "be normalised. Give the configuration that it was made with, too."
                )
                raise ResultsRefused(msg)
        if len(self._configs) == 1:
            return dict(postprocessed(self._configs[0].processor_instance, output))
        return self._by_configuration(output, datasets)

    def _by_configuration(self, output: dict[str, Any], datasets: list[str]) -> dict[str, Any]:
        left, parts = set(datasets), OutputSum()
        common = {key: value for key, value in output.items() if key not in _BY_DATASET}
        for path, config in zip(self.paths, self._configs, strict=True):
            mine = left & set(config.filesets)
            if not mine:
                continue
            left -= mine
            part = remove_datasets_from_output(output, [name for name in datasets if name not in mine])
            part = {key: value for key, value in part.items() if key in _BY_DATASET}
            parts.add(postprocessed(config.processor_instance, part), str(path))
        return {**parts.result(), **common}


#: Keys of an output that can be divided by dataset.
_BY_DATASET = frozenset(
    {
        *("cutflow", "sumw", "sumw2", "variables", "columns", "processing_metadata", "datasets_metadata"),
        *("sum_genweights", "sum_signOf_genweights", "sum_genweights_skimmed"),
        *("skimmed_files", "nskimmed_events"),
    }
)
