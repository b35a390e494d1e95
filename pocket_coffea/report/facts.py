"""What the provenance of an output says, arranged for people: who, with what, and every run option."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pocket_coffea.run.merge_provenance import limits_of

__all__ = ["facts_of", "options_of", "shown", "warnings_of"]

#: Title of a group -> (key of the provenance, how it is called). A dot goes one level down.
_GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "Code": (
        ("code.version", "PocketCoffea"),
        ("code.commit", "commit"),
        ("code.modified", "differs from the commit"),
        ("code.source_digest", "digest of the source"),
    ),
    "Analysis": (
        ("configuration_file", "configuration"),
        ("digests.configuration", "digest of the configuration"),
        ("digests.parameters", "digest of the parameters"),
        ("digests.datasets", "digest of the datasets"),
        ("plan_digest", "digest of the plan"),
        ("calibrations_not_applied", "calibrations not applied"),
        ("split", "part of a split output"),
        ("merged_from", "merged from"),
    ),
    "Where and when": (
        ("executor", "executor"),
        ("host", "host"),
        ("platform", "platform"),
        ("start", "start"),
        ("end", "end"),
    ),
}
#: What outputs that are added up ought to have in common; hosts and times may differ.
_ALIKE = ("image", "code", "digests.configuration", "digests.parameters", "packages")
_LAST = ("Image", "image"), ("Workers", "workers"), ("Packages", "packages")

Rows = list[list[str]]


def facts_of(provenance: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Return [(title of a group, [[name, value], ...]), ...]; what is not recorded is left out."""
    groups = [
        (title, [[name, shown(value)] for key, name in keys if (value := _at(provenance, key)) is not None])
        for title, keys in _GROUPS.items()
    ]
    for title, key in _LAST:
        content = provenance.get(key)
        if isinstance(content, Mapping) and content:
            groups.append((title, [[name, shown(value)] for name, value in _flat(content)]))
    if provenance and provenance.get("image") is None:
        groups.append(("Image", [["image", "none: this run was not in a pinned image"]]))
    return [(title, rows) for title, rows in groups if rows]


def options_of(provenance: Mapping[str, Any]) -> Rows:
    """Return [[name, value, origin], ...] of the run options, sorted by name."""
    rows = []
    for name, option in sorted(provenance.get("run_options", {}).items()):
        if isinstance(option, Mapping) and "value" in option:
            rows.append([name, shown(option["value"]), str(option.get("origin", ""))])
        else:  # the parts of a merged output do not agree
            rows.append([name, shown(option), "differs between the merged outputs"])
    return rows


def warnings_of(provenance: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know before trusting the numbers."""
    if not provenance:
        return ["The output has no provenance: another program, or an old version, made it."]
    found = []
    if _at(provenance, "code.modified"):
        found.append("The code differs from the commit that is recorded.")
    if provenance.get("calibrations_not_applied"):
        found.append(f"Calibrations not applied: {shown(provenance['calibrations_not_applied'])}.")
    if limits := limits_of(provenance):
        found.append(f"Files or chunks were left out on purpose: {', '.join(limits)}.")
    mixed = [key for key, value in _flat(provenance) if _is_mixed(value) and key.startswith(_ALIKE)]
    if mixed:
        found.append(f"The merged outputs were not made alike: {', '.join(sorted(mixed))}.")
    return found


def _at(content: Any, key: str) -> Any:
    """Return what stands at a dotted key, None for nothing; alternatives if the parts do not agree."""
    if not key:
        return content if content not in ("", [], {}) else None
    if _is_mixed(content):
        found = [_at(each, key) for each in content["mixed"]]
        different = [each for i, each in enumerate(found) if each not in found[:i]]
        return different[0] if len(different) == 1 else {"mixed": different}
    step, _, rest = key.partition(".")
    return _at(content[step], rest) if isinstance(content, Mapping) and step in content else None


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value and not _is_mixed(value):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _is_mixed(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"mixed"}


def shown(value: Any) -> str:
    """Return a value as a person writes it: lists with commas, alternatives with "or"."""
    if _is_mixed(value):
        return " or ".join(shown(each) for each in value["mixed"])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, list | tuple) and all(isinstance(each, str | int | float) for each in value):
        return ", ".join(map(str, value)) or "–"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=str, sort_keys=True)
    return str(value)
