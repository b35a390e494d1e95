"""Where histograms come from: output files, of which one variable at a time is read, or memory.

A zip file is read by the process that draws; a ``.coffea`` file is one pickle, and is read once, here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.errors import InputFileError, NothingToDo, OptionError, ResultsRefused
from pocket_coffea.utils.output_file import is_zip, load_output
from pocket_coffea.utils.output_zip import ZipOutput

__all__ = ["FileSource", "MemorySource", "Source", "find_outputs", "read_histograms", "united"]

log = logging.getLogger(__name__)

#: Entries of ``cutflow`` that are not categories.
STAGES = ("initial", "skim", "presel")
#: Names of outputs that are looked for in a folder, in this order.
_NAMES = ("output_merged", "output_all")
_ENDINGS = (".coffea", ".coffea.zip")

#: {sample: {dataset: [histogram, ...]}}: one histogram for each file that has categories of the dataset.
Found = dict[str, dict[str, list[Any]]]


def find_outputs(folder: Path, files: Sequence[str], *, split_by_category: bool = False) -> list[Path]:
    """Return the outputs to draw: ``files`` (below ``folder`` if they are not found otherwise), or those
    in the folder: ``output_merged``, else ``output_all``, with split_by_category ``*_category<k>``.

    Raises InputFileError when there is none.
    """
    if files:
        paths = [_existing(Path(name).expanduser(), folder) for name in files]
        if len(set(paths)) < len(paths):
            msg = f"an input file is given twice: {', '.join(map(str, paths))}."
            raise OptionError(msg)
        return paths
    if split_by_category:
        found = sorted(path for end in _ENDINGS for path in folder.glob(f"*_category*{end}"))
        if found:
            return found
        msg = f"{folder} has no *_category*.coffea: make them with `pocket-coffea split-output -b category`."
        raise InputFileError(msg)
    for name in _NAMES:
        for ending in _ENDINGS:
            if (folder / f"{name}{ending}").is_file():
                return [folder / f"{name}{ending}"]
    here = sorted(path.name for end in _ENDINGS for path in folder.glob(f"*{end}"))
    hint = f"It has {', '.join(here[:8])}: choose with -i." if here else "It has no output at all."
    msg = f"{folder} has neither output_merged.coffea nor output_all.coffea. {hint}"
    raise InputFileError(msg)


def _existing(path: Path, folder: Path) -> Path:
    for place in (path, folder / path):
        if place.is_file():
            return place
    msg = f"input file {path} does not exist, nor does {folder / path}."
    raise InputFileError(msg)


def read_histograms(paths: Iterable[Path], variable: str) -> Found:
    """Read one variable of zip files. Raises InputFileError, ResultsRefused."""
    parts = []
    for path in paths:
        with ZipOutput(path) as archive:
            if variable in archive.variables:
                parts.append((str(path), archive.histograms(variable)))
    return united(parts, variable)


def united(parts: Iterable[tuple[str, Mapping[str, Mapping[str, Any]]]], variable: str) -> Found:
    """Return the histograms of several outputs, given as (name of the output, histograms).

    A dataset may be in several of them if each has other categories of it. Raises ResultsRefused otherwise:
    its events would count twice.
    """
    found: Found = {}
    seen: dict[tuple[str, str, str], str] = {}
    for name, sample, dataset, histogram in _each(parts):
        for category in histogram.axes["cat"] if "cat" in histogram.axes.name else ():
            other = seen.setdefault((sample, dataset, category), name)
            if other != name:
                msg = (
                    f"{variable}: category {category!r} of dataset {dataset!r} is in {other} and in {name}, "
                    "and would count twice. Choose one of the two with -i."
                )
                raise ResultsRefused(msg)
        found.setdefault(sample, {}).setdefault(dataset, []).append(histogram)
    return found


def _each(
    parts: Iterable[tuple[str, Mapping[str, Mapping[str, Any]]]],
) -> Iterator[tuple[str, str, str, Any]]:
    """Give (name of the output, sample, dataset, histogram)."""
    for name, by_sample in parts:
        for sample, by_dataset in by_sample.items():
            yield from ((name, sample, dataset, histogram) for dataset, histogram in by_dataset.items())


class Source:
    """Variables with their datasets, and what is known of datasets and categories."""

    #: Read by the process that draws, if not None.
    paths: tuple[Path, ...] | None = None

    def __init__(self) -> None:
        self.datasets_metadata: dict[str, Any] = {}
        self.categories: list[str] = []

    @property
    def variables(self) -> list[str]:
        """Names of the histograms, in the order of the output."""
        raise NotImplementedError

    def datasets(self, variable: str) -> set[str]:
        """Names of the datasets of a histogram."""
        raise NotImplementedError

    def samples(self) -> set[str]:
        """Names of the samples and subsamples of all histograms."""
        raise NotImplementedError

    def histograms(self, variable: str) -> Found | None:
        """The histograms, or None if the process that draws reads them from ``paths``."""
        raise NotImplementedError

    def years(self, variable: str) -> list[str]:
        """Years of the datasets of a histogram; of a dataset without metadata none."""
        known = (self.datasets_metadata.get(name, {}).get("year") for name in self.datasets(variable))
        return sorted({str(year) for year in known if year is not None})


class MemorySource(Source):
    """Histograms {variable: {sample: {dataset: histogram}}} of a running program."""

    def __init__(self, histograms: Mapping[str, Any], datasets_metadata: Mapping[str, Any]) -> None:
        super().__init__()
        self._histograms = histograms
        self.datasets_metadata = dict(datasets_metadata.get("by_dataset", datasets_metadata))
        names = (
            name
            for variable in histograms
            for _, _, _, each in _each([("", histograms[variable])])
            for name in (each.axes["cat"] if "cat" in each.axes.name else ())
        )
        self.categories = list(dict.fromkeys(names))

    @property
    def variables(self) -> list[str]:
        return list(self._histograms)

    def datasets(self, variable: str) -> set[str]:
        return {dataset for inner in self._histograms[variable].values() for dataset in inner}

    def samples(self) -> set[str]:
        return {sample for by_sample in self._histograms.values() for sample in by_sample}

    def histograms(self, variable: str) -> Found | None:
        return united([("memory", self._histograms[variable])], variable)


class FileSource(Source):
    """Histograms of output files. Raises InputFileError, and NothingToDo when they have none."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._zips: dict[Path, dict[str, Any]] = {}
        self._loaded: dict[Path, dict[str, Any]] = {}
        for path in paths:
            output = self._open(path)
            self.datasets_metadata |= output.get("datasets_metadata", {}).get("by_dataset", {})
            new = [name for name in output.get("cutflow", {}) if name not in (*STAGES, *self.categories)]
            self.categories += new
        if not self._loaded:
            self.paths = tuple(self._zips)
        if not self.variables:
            msg = f"{', '.join(map(str, paths))}: there is no histogram to draw."
            raise NothingToDo(msg)
        if not self.datasets_metadata:
            msg = (
                f"{', '.join(map(str, paths))}: the output has no metadata of its datasets, it is not "
                "postprocessed. Merge it first: merge-outputs with -cfg or -jc."
            )
            raise InputFileError(msg)

    def _open(self, path: Path) -> dict[str, Any]:
        if is_zip(path):
            with ZipOutput(path) as archive:
                self._zips[path] = archive.variables
                return archive.load([], columns=False)
        log.info("%s is read as a whole; of a .coffea.zip only what is drawn is read", path)
        output = load_output(path, columns=False)
        self._loaded[path] = output.pop("variables", {})
        return output

    @property
    def variables(self) -> list[str]:
        contents = (*self._loaded.values(), *self._zips.values())
        return list(dict.fromkeys(name for each in contents for name in each))

    def datasets(self, variable: str) -> set[str]:
        found = {
            dataset
            for each in self._loaded.values()
            for inner in each.get(variable, {}).values()
            for dataset in inner
        }
        for index in self._zips.values():
            found |= {name for inner in index.get(variable, {}).get("samples", {}).values() for name in inner}
        return found

    def samples(self) -> set[str]:
        loaded = (by_sample for each in self._loaded.values() for by_sample in each.values())
        indexed = (entry.get("samples", {}) for index in self._zips.values() for entry in index.values())
        return {sample for by_sample in (*loaded, *indexed) for sample in by_sample}

    def histograms(self, variable: str) -> Found | None:
        if self.paths is not None:
            return None
        parts = [(str(path), each[variable]) for path, each in self._loaded.items() if variable in each]
        for path, index in self._zips.items():
            if variable in index:
                with ZipOutput(path) as archive:
                    parts.append((str(path), archive.histograms(variable)))
        return united(parts, variable)
