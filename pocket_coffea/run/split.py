"""``split-output``: one output into one file for each year, or for each block of categories."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pocket_coffea.errors import OptionError, ResultsRefused
from pocket_coffea.run.merge_sum import with_sorted_sets
from pocket_coffea.utils.filter_output import (
    filter_output_by_category,
    filter_output_by_year,
    get_datasets_in_output,
)
from pocket_coffea.utils.output_file import FORMATS, load_output, save_output

__all__ = ["split_output"]

#: Entries of ``cutflow`` that are not categories.
_STAGES = ("initial", "skim", "presel")


def split_output(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    by: str = "year",
    n_categories: int = 8,
    overwrite: bool = False,
) -> list[Path]:
    """Write ``<name>_<year>`` or ``<name>_category<k>`` files next to ``output`` (default: to ``path``).

    Categories are sorted and taken ``n_categories`` at a time. What does not depend on the year or category
    is in every file. Raises ResultsRefused for files that exist, unless ``overwrite``; InputFileError,
    OptionError, OutputError.
    """
    if n_categories < 1:
        msg = f"-n {n_categories}: a file holds at least one category."
        raise OptionError(msg)
    source = Path(path).expanduser()
    target = Path(output).expanduser() if output is not None else source
    whole = load_output(source)
    parts = dict(_by_year(whole, source) if by == "year" else _by_category(whole, n_categories, source))
    targets = {name: named(target, f"_{name}") for name in parts}
    for file in targets.values():
        if file.exists() and not overwrite:
            msg = f"{file} already exists. Use --overwrite to write it anew."
            raise ResultsRefused(msg)
    _write_all(parts, targets)
    return list(targets.values())


def named(path: Path, ending: str) -> Path:
    """Return the path with ``ending`` before the end that says the format."""
    suffix = FORMATS["zip"] if path.name.endswith(FORMATS["zip"]) else path.suffix
    return path.with_name(f"{path.name.removesuffix(suffix)}{ending}{suffix}")


def _by_year(output: Mapping[str, Any], path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    known = output.get("datasets_metadata", {}).get("by_dataset", {})
    without = [name for name in get_datasets_in_output(output) if name not in known]
    if without:
        msg = (
            f"{path} does not say of which year {', '.join(without[:5])} are: it is not postprocessed. "
            "Merge it first: merge-outputs with -cfg or -jc."
        )
        raise ResultsRefused(msg)
    for year in sorted({str(metadata["year"]) for metadata in known.values()}):
        part = filter_output_by_year(output, year)
        if "ledger" in output:
            datasets = get_datasets_in_output(part)
            part["ledger"] = {name: files for name, files in output["ledger"].items() if name in datasets}
        yield year, part


def _by_category(output: Mapping[str, Any], size: int, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    categories = sorted(name for name in output.get("cutflow", {}) if name not in _STAGES)
    if not categories:
        msg = f"{path} has no categories."
        raise ResultsRefused(msg)
    blocks = [categories[start : start + size] for start in range(0, len(categories), size)]
    for number, block in enumerate(blocks, start=1):
        part = filter_output_by_category(output, block)
        # the parts hold the same events: merge-outputs must not add them up
        provenance = {**output.get("provenance", {}), "split": {"categories": block}}
        yield f"category{number}", {**part, "provenance": provenance}


def _write_all(parts: dict[str, dict[str, Any]], targets: Mapping[str, Path]) -> None:
    """Write all files or none."""
    written: list[tuple[Path, Path]] = []
    try:
        for name, target in targets.items():
            part = target.with_name(f".splitting-{os.getpid()}.{target.name}")
            written.append((part, target))
            save_output(with_sorted_sets(parts.pop(name)), part)
        for part, target in written:
            part.replace(target)
    finally:
        for part, _ in written:
            with contextlib.suppress(OSError):
                part.unlink()
