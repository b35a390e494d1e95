"""Skims: write selected NanoAOD events, describe the result as datasets, and restore their normalisation."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import os
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from pocket_coffea.errors import OutputError, ResultsRefused
from pocket_coffea.types import Array
from pocket_coffea.utils.metadata import to_bool

__all__ = [
    "apply_skim_sumgenweights_override",
    "original_branches",
    "save_skimed_dataset_definition",
    "skim_entry",
    "uproot_writeable",
    "write_skim",
]

log = logging.getLogger(__name__)

#: Totals of a skimmed dataset that its metadata carry: those before the skim.
TOTALS = ("sum_genweights", "sum_signOf_genweights")


def original_branches(events: Array) -> dict[str, list[str]] | None:
    """Return {collection or branch: [fields]} of what the file holds ([] for a plain branch).

    Fields that the NanoAOD schema adds (global indices, nested indices, masses of zero, aliases) are left
    out. None when the events do not come from a file.
    """
    form = events.attrs.get("@form")
    if form is None:
        return None
    found: dict[str, list[str]] = {}
    for name, content in zip(form["fields"], form["contents"], strict=True):
        record = content["content"] if content["class"].startswith("List") else content
        if record["class"] != "RecordArray":
            if _is_branch(record, name):
                found[name] = []
            continue
        fields = [
            field
            for field, leaf in zip(record["fields"], record["contents"], strict=True)
            if leaf["class"] == "NumpyArray" and _is_branch(leaf, f"{name}_{field}")
        ]
        if fields:
            found[name] = fields
    return found


def _is_branch(leaf: Mapping[str, Any], branch: str) -> bool:
    """Tell whether a leaf is this branch as it is in the file; its key says how the schema gets it."""
    name, *steps = urllib.parse.unquote(str(leaf.get("form_key", ""))).split(",")
    return name == branch and steps in (["!load"], ["!load", "!content"])


def uproot_writeable(events: Array, branches: Mapping[str, Collection[str]] | None = None) -> dict[str, Any]:
    """Return ``{branch: array}`` in a form that uproot can write and NanoAODSchema can read again.

    branches: what to keep, as returned by :func:`original_branches` (None: every field). Of collections only
    flat or singly jagged numbers are kept; jagged collections become one record array, so that they share one
    counter.
    """
    keep = {name: list(ak.fields(events[name])) for name in events.fields} if branches is None else branches
    tree: dict[str, Any] = {}
    for name, fields in keep.items():
        array = events[name]
        if not ak.fields(array):
            plain = _primitive(array)
            if plain is not None:
                tree[name] = plain
            continue
        tree.update(_collection(name, array, fields))
    return tree


def _collection(name: str, array: Array, fields: Collection[str]) -> Iterator[tuple[str, Any]]:
    columns = {field: _primitive(array[field]) for field in fields}
    jagged = {field: column for field, column in columns.items() if column is not None and column.ndim > 1}
    for field, column in columns.items():
        if column is not None and column.ndim == 1:
            yield f"{name}_{field}", column
    if jagged:
        offsets = next(iter(jagged.values())).layout.to_ListOffsetArray64(True).offsets
        contents = [column.layout.to_ListOffsetArray64(True).content for column in jagged.values()]
        contents = [content[: offsets[-1]] for content in contents]
        record = ak.contents.RecordArray(contents, list(jagged), length=int(offsets[-1]))
        yield name, ak.Array(ak.contents.ListOffsetArray(offsets, record))


def _primitive(array: Array) -> Array | None:
    """Return the array packed and without behaviour if it is flat or singly jagged numbers, else None."""
    packed = ak.Array(ak.to_packed(array).layout)
    kind = packed.type.content
    if isinstance(kind, ak.types.ListType | ak.types.RegularType) and not _is_text(kind):
        kind = kind.content
    if not isinstance(kind, ak.types.NumpyType):
        return None
    return ak.without_parameters(packed)


def _is_text(kind: Any) -> bool:
    return kind.parameters.get("__array__") in ("string", "bytestring")


def write_skim(
    path: Path, events: Array, extra: Mapping[str, Any], original: Mapping[str, Collection[str]] | None
) -> None:
    """Write ``events`` and the ``extra`` branches to the tree ``Events`` of a new file.

    Raises OutputError when the file cannot be written.
    """
    tree = uproot_writeable(events, original)
    tree.update({name: np.asarray(values) for name, values in extra.items()})
    try:
        with uproot.recreate(path, compression=uproot.ZSTD(5)) as file:
            # not file["Events"] = ...: that would write an RNTuple
            file.mktree("Events", {name: _branch_type(array) for name, array in tree.items()}).extend(tree)
    except OSError as exc:
        with contextlib.suppress(OSError):
            path.unlink()
        msg = f"Cannot write the skimmed events to {path}: {exc.strerror or exc}."
        raise OutputError(msg) from exc


def _branch_type(array: Any) -> Any:
    return array.type.content if isinstance(array, ak.Array) else array.dtype


def apply_skim_sumgenweights_override(
    accumulator: dict[str, Any], filesets: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Replace the sums of generator weights of skimmed datasets by the totals before the skim.

    Chunks of which no event survived the skim left no file, so what is summed over the files may be too
    small; the metadata have the totals. Works in place on ``sum_genweights`` and ``sum_signOf_genweights``.

    Returns the names of the datasets that were changed.
    """
    changed = []
    for dataset in accumulator.get("cutflow", {}).get("initial", {}):
        metadata = filesets.get(dataset, {}).get("metadata", {})
        if not to_bool(metadata.get("isSkim"), False) or any(metadata.get(key) is None for key in TOTALS):
            continue
        for key in TOTALS:
            accumulator.setdefault(key, {})[dataset] = float(metadata[key])
        changed.append(dataset)
        _warn_if_partial(accumulator, dataset, metadata)
    return changed


def _warn_if_partial(accumulator: Mapping[str, Any], dataset: str, metadata: Mapping[str, Any]) -> None:
    seen, expected = accumulator["cutflow"]["initial"][dataset], metadata.get("nevents")
    if expected is not None and int(expected) != int(seen):
        log.warning(
            "Skimmed dataset %s: %s of %s events were processed, but it is normalised to the whole dataset.",
            *(dataset, seen, expected),
        )


def save_skimed_dataset_definition(
    processing_out: Mapping[str, Any],
    fileout: str | os.PathLike[str],
    check_initial_events: bool = True,
    skip_initial_events_check_datasets: Collection[str] | None = None,
) -> None:
    """Write the dataset JSON of a skim from the postprocessed output of the skimming run.

    Datasets without any surviving event are left out, with a warning. ``check_initial_events`` compares the
    processed with the expected number of events of each dataset; for the datasets in
    ``skip_initial_events_check_datasets`` a difference is only a warning.

    Raises ResultsRefused when a dataset was not processed completely, or the output is not that of a skim.
    """
    if "skimmed_files" not in processing_out:
        msg = "The output has no 'skimmed_files': it does not come from a run with save_skimmed_files."
        raise ResultsRefused(msg)
    known = processing_out.get("datasets_metadata", {}).get("by_dataset", {})
    definition = {}
    for dataset, files in processing_out["skimmed_files"].items():
        if dataset not in known:
            msg = f"Dataset {dataset!r} has no metadata in the output: it must be postprocessed first."
            raise ResultsRefused(msg)
        if check_initial_events:
            tolerated = dataset in (skip_initial_events_check_datasets or ())
            _check_complete(processing_out, dataset, known[dataset], tolerated=tolerated)
        if not files:
            log.warning(
                "Dataset %s: no event passed the skim; it is left out of the definition of skimmed datasets.",
                dataset,
            )
            continue
        definition[dataset] = skim_entry(processing_out, dataset, known[dataset], files)
    _write_json(Path(fileout), definition)


def _check_complete(
    output: Mapping[str, Any], dataset: str, metadata: Mapping[str, Any], *, tolerated: bool
) -> None:
    expected, processed = metadata.get("nevents"), output["cutflow"]["initial"][dataset]
    if expected is None or int(expected) == int(processed):
        return
    found = (
        f"Dataset {dataset!r}: {processed} events were skimmed, but its metadata say nevents = {expected}."
    )
    if not tolerated:
        msg = (
            f"{found} Process the missing events first. If a file was skipped on purpose, merge with "
            f"--skip-initial-events-check {dataset}."
        )
        raise ResultsRefused(msg)
    log.warning("%s That is accepted; its normalisation is off by what is missing.", found)


def skim_entry(
    output: Mapping[str, Any], dataset: str, metadata: Mapping[str, Any], files: list[str]
) -> dict[str, Any]:
    """Return a skimmed dataset as dataset files have it: ``metadata`` (those before the skim) with the
    numbers of the skim, and its files.
    """
    entry = copy.deepcopy(dict(metadata))
    survivors = int(sum(output["nskimmed_events"][dataset]))
    initial = int(output["cutflow"]["initial"][dataset])
    entry["isSkim"] = "True"
    entry["nevents"] = str(survivors)
    entry["skim_efficiency"] = str(survivors / initial if initial else 0.0)
    for key in TOTALS:
        if dataset in output.get(key, {}):
            entry[key] = float(output[key][dataset])
    return {"metadata": entry, "files": list(files)}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as exc:
        part.unlink(missing_ok=True)
        msg = f"Cannot write the dataset definition {path}: {exc.strerror or exc}."
        raise OutputError(msg) from exc
