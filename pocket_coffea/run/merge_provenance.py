"""The provenance of a merged output: what its parts agree on, and what may not differ between them.

Where parts differ the merged provenance says ``{"mixed": [...]}``, sorted and without repetition; ``start``
is that of the first part and ``end`` that of the last; ``throughput`` is added up.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pocket_coffea.errors import ResultsRefused
from pocket_coffea.run.provenance import code_identity

__all__ = ["KINDS", "ProvenanceBook", "configuration_identity", "limits_of"]

#: What may not differ between outputs that are added up, unless it is allowed.
KINDS = ("image", "code", "configuration")
#: Keys with one value below each key.
_NESTED = ("digests", "packages", "run_options")
#: Differ from part to part, and say nothing that the union does not.
_EDGES = {"start": min, "end": max}
_JOB = re.compile(r"config_job_\d+")


class ProvenanceBook:
    """Unites the provenance of outputs as they come.

    allowed: those of :data:`KINDS` that may differ. configurations: digests of the configurations that may be
    mixed, when the user names several.
    """

    def __init__(self, allowed: Collection[str] = (), configurations: Collection[str] = ()) -> None:
        self._allowed = set(allowed)
        self._configurations = set(configurations)
        self._first: dict[str, tuple[str, str]] = {}
        self._values: dict[tuple[str, ...], dict[str, Any]] = {}
        self._edges: dict[str, str] = {}
        self._digests: dict[str, list[str]] = {"plan_digest": [], "datasets": []}
        self._not_applied: set[str] = set()
        self._throughput: dict[str, dict[str, list[float]]] = {}
        self._parts = 0

    def add(self, provenance: Mapping[str, Any], output: str) -> None:
        """Add the provenance of an output. Raises ResultsRefused when it differs in what may not differ."""
        for kind, identity in _identities(provenance).items():
            self._compare(kind, identity, output)
        self._parts += int(provenance.get("merged_from", 1))
        self._digests["plan_digest"].append(str(provenance.get("plan_digest")))
        self._digests["datasets"].append(str(provenance.get("digests", {}).get("datasets")))
        self._not_applied.update(provenance.get("calibrations_not_applied", ()))
        for dataset, numbers in (provenance.get("throughput") or {}).items():
            mine = self._throughput.setdefault(dataset, {})
            for name, value in numbers.items():
                mine.setdefault(name, []).append(value)
        for key, choose in _EDGES.items():
            if key in provenance:
                self._edges[key] = choose(provenance[key], self._edges.get(key, provenance[key]))
        for path, value in _leaves(provenance):
            self._values.setdefault(path, {}).update({_text(each): each for each in _alternatives(value)})

    def _compare(self, kind: str, identity: str, output: str) -> None:
        if kind in self._allowed:
            return
        if kind == "configuration" and self._configurations:
            if identity not in self._configurations:
                msg = (
                    f"{output} was made with another configuration or other parameters than those given: "
                    f"{_short(identity)}, not {' or '.join(map(_short, sorted(self._configurations)))}. "
                    "Give the one that it was made with; --allow-mixed configuration would allow it."
                )
                raise ResultsRefused(msg)
            return
        other, name = self._first.setdefault(kind, (identity, output))
        if other != identity:
            msg = (
                f"{output} and {name} were not made with the same {kind}: {_short(identity)} and "
                f"{_short(other)}. Nothing is merged."
            )
            if kind in KINDS:
                msg += f" --allow-mixed {kind} would allow it."
            raise ResultsRefused(msg)

    def united(self) -> dict[str, Any]:
        """Return the provenance of the sum; the same for any order of the parts."""
        merged: dict[str, Any] = {}
        for path, values in sorted(self._values.items()):
            place = merged
            for key in path[:-1]:
                place = place.setdefault(key, {})
            found = [values[text] for text in sorted(values)]
            place[path[-1]] = found[0] if len(found) == 1 else {"mixed": found}
        merged.setdefault("digests", {})["datasets"] = _digest_of(self._digests["datasets"])
        return {
            **merged,
            **self._edges,
            "calibrations_not_applied": sorted(self._not_applied),
            "plan_digest": _digest_of(self._digests["plan_digest"]),
            "merged_from": self._parts,
            "merged_by": dict(code_identity()),
            "throughput": {
                dataset: {name: _sum(parts) for name, parts in sorted(numbers.items())}
                for dataset, numbers in sorted(self._throughput.items())
            },
        }


def _sum(parts: Collection[float]) -> float:
    """Return the sum, which is the same for any order of the parts."""
    return sum(parts) if all(isinstance(each, int) for each in parts) else round(math.fsum(parts), 3)


def _digest_of(parts: Collection[str]) -> str:
    """Return the digest that all parts have, or the sha256 over theirs, sorted."""
    found = sorted(set(parts))
    return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()


def _identities(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return what may not differ, as text."""
    digests = provenance.get("digests", {})
    code = provenance.get("code", {})
    image = provenance.get("image")
    return {
        "image": _text(image),
        "code": _text(code.get("source_digest", code) if isinstance(code, Mapping) else code),
        "configuration": configuration_identity(digests),
        "part of split-output": _text(provenance.get("split")),
    }


def configuration_identity(digests: Mapping[str, Any]) -> str:
    """Return what tells configurations apart: the digests of the configuration and of its parameters."""
    return _text([digests.get("configuration"), digests.get("parameters")])


def _leaves(provenance: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    done = {*_EDGES, "calibrations_not_applied", "plan_digest", "merged_from", "merged_by", "throughput"}
    for key, value in provenance.items():
        if key in _NESTED and isinstance(value, Mapping) and "mixed" not in value:
            left = {"datasets"} if key == "digests" else ()
            yield from (((key, str(inner)), leaf) for inner, leaf in value.items() if inner not in left)
        elif key == "configuration_file" and isinstance(value, str):
            yield (key,), _JOB.sub("config_job_*", value)  # thousands of jobs, one configuration
        elif key not in done:
            yield (key,), value


def _alternatives(value: Any) -> list[Any]:
    mixed = isinstance(value, Mapping) and set(value) == {"mixed"}
    return list(value["mixed"]) if mixed else [value]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}... ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


def limits_of(provenance: Mapping[str, Any]) -> list[str]:
    """Return the run options by which a run left out files or chunks on purpose."""
    options = provenance.get("run_options", {})
    return [
        name
        for name in ("limit-files", "limit-chunks")
        if any(_value(option) is not None for option in _alternatives(options.get(name)))
    ]


def _value(option: Any) -> Any:
    return option.get("value") if isinstance(option, Mapping) else option
