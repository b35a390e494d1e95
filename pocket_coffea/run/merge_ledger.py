"""What outputs contain together: entries that are there twice or missing, and the common ledger."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pocket_coffea.run.ledger import join_ranges

__all__ = ["Gap", "LedgerBook", "Overlap", "PlannedFiles", "logical_name"]

Ledger = Mapping[str, Mapping[str, Mapping[str, Any]]]
#: dataset -> file -> entry ranges that were asked for; None: all of the file
PlannedFiles = dict[str, dict[str, list[list[int]] | None]]


@dataclass(frozen=True)
class Overlap:
    """Entries of a file that are in two outputs, or twice in one."""

    dataset: str
    files: tuple[str, str]
    start: int
    stop: int
    outputs: tuple[str, str]

    def __str__(self) -> str:
        first, second = self.files
        same = "" if first == second else f" (the same file as {second})"
        return (
            f"{self.dataset}: entries {self.start}-{self.stop} of {first}{same} are in {self.outputs[0]} "
            f"and in {self.outputs[1]}"
        )


@dataclass(frozen=True)
class Gap:
    """Entries of a file that no output has; the whole file if ``start`` is None."""

    dataset: str
    filename: str
    start: int | None = None
    stop: int | None = None
    reason: str = "not processed"

    def __str__(self) -> str:
        where = "the whole file" if self.start is None else f"entries {self.start}-{self.stop}"
        return f"{self.dataset}: {self.filename}: {where}: {self.reason}"


@dataclass
class _Part:
    """What one output has of one file."""

    output: str
    dataset: str
    filename: str
    entry: Mapping[str, Any]


@dataclass
class LedgerBook:
    """Collects the ledgers of outputs, then tells what is wrong with them together.

    planned: the files that ought to be there, if that is known. A file is recognised by its name, by what
    follows ``/store/`` in it (another replica), by its UUID, and, if planned, by its base name.
    """

    planned: PlannedFiles | None = None
    _parts: list[_Part] = field(default_factory=list)
    _grouped: dict[tuple[str, ...], list[_Part]] | None = None

    def add(self, ledger: Ledger, output: str) -> None:
        """Add the ledger of an output; ``output`` is its name in messages."""
        self._grouped = None
        self._parts += [
            _Part(output, dataset, filename, entry)
            for dataset, files in ledger.items()
            for filename, entry in files.items()
        ]

    def drop(self, datasets: Iterable[str]) -> None:
        """Forget these datasets."""
        dropped = set(datasets)
        self._grouped = None
        self._parts = [part for part in self._parts if part.dataset not in dropped]

    # -- the common ledger

    def united(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return one ledger: ranges joined, holes that another output fills left out, everything sorted."""
        ledger: dict[str, dict[str, dict[str, Any]]] = {}
        covered = {key: _ranges(parts) for key, parts in self._by_file().items()}
        for key, parts in self._by_file().items():
            for part in sorted(parts, key=lambda p: p.filename):
                mine = ledger.setdefault(part.dataset, {})
                entry = mine.setdefault(part.filename, {**part.entry, "ranges": []})
                entry["entries"] = part.entry["entries"] if entry["entries"] is None else entry["entries"]
                entry["ranges"] = join_ranges([*entry["ranges"], *part.entry["ranges"]])
                holes = [*entry.pop("skipped", ()), *part.entry.get("skipped", ())]
                _keep_holes(entry, holes, covered[key])
        return {dataset: dict(sorted(files.items())) for dataset, files in sorted(ledger.items())}

    # -- what is wrong

    def overlaps(self) -> list[Overlap]:
        """Return what is there twice, in order of datasets, files and entries."""
        found = []
        for parts in self._by_file().values():
            spans = sorted(
                (start, stop, part.filename, part.output)
                for part in parts
                for start, stop in part.entry["ranges"]
            )
            last = spans[0] if spans else None
            for span in spans[1:]:
                assert last is not None
                if span[0] < last[1]:
                    stop = min(last[1], span[1])
                    dataset = parts[0].dataset
                    found.append(Overlap(dataset, (last[2], span[2]), span[0], stop, (last[3], span[3])))
                last = max(last, span, key=lambda s: s[1])
        return found

    def gaps(self) -> list[Gap]:
        """Return what was asked for and is not there, and was not skipped on purpose."""
        known = self._by_file()
        wanted = self._wanted(known)
        found = []
        for key, (dataset, filename, ranges) in sorted(wanted.items()):
            parts = known.get(key, [])
            entries = max((part.entry["entries"] or 0 for part in parts), default=0)
            if not parts:
                found += [Gap(dataset, filename, start, stop) for start, stop in ranges or ()]
                found += [Gap(dataset, filename)] if ranges is None else []
                continue
            holes = _holes(parts)
            if any(hole["range"] is None for hole in holes) and not _ranges(parts):
                continue  # it could not even be looked at
            have = join_ranges([*_ranges(parts), *(hole["range"] for hole in holes if hole["range"])])
            for start, stop in _missing(ranges or [[0, entries]], have):
                found.append(Gap(dataset, filename, start, stop))
        return found

    def skipped(self) -> list[Gap]:
        """Return what could not be read and was left out on purpose, and is in no other output."""
        found = []
        for dataset, files in self.united().items():
            for filename, entry in files.items():
                for hole in entry.get("skipped", ()):
                    start, stop = hole["range"] or (None, None)
                    found.append(Gap(dataset, filename, start, stop, hole["reason"]))
        return found

    def unplanned(self) -> list[tuple[str, str, str]]:
        """Return (dataset, file, output) of what nobody asked for."""
        if self.planned is None:
            return []
        return [
            (part.dataset, part.filename, part.output)
            for key, parts in self._by_file().items()
            if key[1] != "planned"
            for part in parts
        ]

    def _wanted(
        self, known: Mapping[tuple[str, ...], Sequence[_Part]]
    ) -> dict[tuple[str, ...], tuple[str, str, list[list[int]] | None]]:
        if self.planned is None:
            return {key: (parts[0].dataset, parts[0].filename, None) for key, parts in known.items()}
        trees = {part.dataset: str(part.entry["treename"]) for parts in known.values() for part in parts}
        return {
            (dataset, "planned", filename, trees.get(dataset, "Events")): (dataset, filename, ranges)
            for dataset, files in self.planned.items()
            for filename, ranges in files.items()
        }

    # -- which names are the same file

    def _by_file(self) -> dict[tuple[str, ...], list[_Part]]:
        """Group the parts by file: (dataset, how it was recognised, its name, its tree) -> parts."""
        if self._grouped is None:
            names = _Names(self.planned or {}, self._parts)
            grouped: dict[tuple[str, ...], list[_Part]] = {}
            for part in self._parts:
                key = (part.dataset, *names.of(part), str(part.entry["treename"]))
                grouped.setdefault(key, []).append(part)
            self._grouped = dict(sorted(grouped.items()))
        return self._grouped


class _Names:
    """Gives every file one name, whatever replica it was read from."""

    def __init__(self, planned: PlannedFiles, parts: Sequence[_Part]) -> None:
        self._planned = planned
        self._logical = {(d, logical_name(f)): f for d, files in planned.items() for f in files}
        self._base = _unique((d, posixpath.basename(f), f) for d, files in planned.items() for f in files)
        by_uuid = ((part.dataset, part.entry["uuid"], self._plan_name(part)) for part in parts)
        self._uuid = _unique((d, u, f) for d, u, f in by_uuid if u and f)
        self._apart = _copies(parts)

    def _plan_name(self, part: _Part) -> str | None:
        if part.filename in self._planned.get(part.dataset, ()):
            return part.filename
        return self._logical.get((part.dataset, logical_name(part.filename)))

    def of(self, part: _Part) -> tuple[str, str]:
        """Return how a file was recognised, and its name."""
        uuid = part.entry["uuid"]
        name = self._plan_name(part) or self._uuid.get((part.dataset, uuid or ""))
        name = name or self._base.get((part.dataset, posixpath.basename(part.filename)))
        if name is not None:
            return "planned", name
        if uuid and (part.dataset, uuid) not in self._apart:
            return "uuid", uuid
        return "name", logical_name(part.filename)


def _unique(triples: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], str]:
    """Return {(a, b): c} of those (a, b) that have one c only."""
    found: dict[tuple[str, str], set[str]] = {}
    for first, second, third in triples:
        found.setdefault((first, second), set()).add(third)
    return {key: next(iter(values)) for key, values in found.items() if len(values) == 1}


def _copies(parts: Sequence[_Part]) -> set[tuple[str, str]]:
    """Return (dataset, UUID) of files that one run read under several names: it was asked for both."""
    names: dict[tuple[str, str, str], set[str]] = {}
    for part in parts:
        if part.entry["uuid"]:
            key = (part.output, part.dataset, part.entry["uuid"])
            names.setdefault(key, set()).add(logical_name(part.filename))
    return {(dataset, uuid) for (_, dataset, uuid), found in names.items() if len(found) > 1}


def logical_name(url: str) -> str:
    """Return the name of a file without the place that it is read from.

    >>> logical_name("root://host//eos/cms/store/mc/a.root")
    '/store/mc/a.root'
    >>> logical_name("root://host//data/a.root")
    '/data/a.root'
    """
    _, store, rest = url.partition("/store/")
    if store:
        return store + rest
    path = urlsplit(url).path if "://" in url else url
    return posixpath.normpath("/" + path.lstrip("/")) if path.startswith("/") else posixpath.normpath(path)


# -- ranges


def _ranges(parts: Sequence[_Part]) -> list[list[int]]:
    return join_ranges(span for part in parts for span in part.entry["ranges"])


def _holes(parts: Sequence[_Part]) -> list[Mapping[str, Any]]:
    return [hole for part in parts for hole in part.entry.get("skipped", ())]


def _keep_holes(entry: dict[str, Any], holes: Iterable[Mapping[str, Any]], have: list[list[int]]) -> None:
    """Note what was skipped and is not covered by ``have``."""
    kept: list[dict[str, Any]] = []
    for hole in holes:
        left: list[list[int] | None] = [] if have else [None]
        if hole["range"] is not None:
            left = [*_missing([hole["range"]], have)]
        kept += [{**hole, "range": each} for each in left if {**hole, "range": each} not in kept]
    if kept:
        entry["skipped"] = kept


def _missing(wanted: Iterable[Sequence[int]], have: Iterable[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the parts of ``wanted`` that are not in ``have``, which is sorted."""
    covered = [list(span) for span in have]
    for start, stop in wanted:
        position = start
        for first, last in covered:
            if last <= position or first >= stop:
                continue
            if first > position:
                yield [position, first]
            position = max(position, last)
        if position < stop:
            yield [position, stop]
