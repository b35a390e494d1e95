"""Puts the report together: one HTML file with its style, its script and all numbers in it.

The script builds everything on the page with ``textContent``, so no name can become markup, and the policy
of the page lets only this script run and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import logging
import string
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pocket_coffea
from pocket_coffea.errors import ConfigurationError
from pocket_coffea.plotting.manager import read_style
from pocket_coffea.plotting.style import Style
from pocket_coffea.report.datasets import datasets_of, holes_of, metadata_of, throughput_of
from pocket_coffea.report.facts import facts_of, options_of, warnings_of
from pocket_coffea.report.figures import Figures, histograms_of, packed
from pocket_coffea.report.jobs import history_of
from pocket_coffea.report.source import Source
from pocket_coffea.report.tables import STEPS, categories_of, cutflow_of, not_finite_of, years_of, yields_of
from pocket_coffea.run.merge_jobs import JOBS_CONFIG, read_jobs
from pocket_coffea.run.merge_ledger import PlannedFiles
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.output_file import load_output

__all__ = ["content_of", "page_of", "write_report"]

log = logging.getLogger(__name__)

_SCRIPTS = ("dom.js", "chart.js", "map.js", "gallery.js", "viewer.js", "tables.js", "jobs.js", "start.js")


def write_report(source: Source, target: Path, cfg: str | None = None, overwrite: Sequence[str] = ()) -> int:
    """Write the report of an output, a campaign, or both; return its size in bytes.

    cfg, overwrite: parameters whose ``plotting_style`` the figures have, as for ``make-plots``. Raises
    InputFileError for an output or campaign that cannot be read, OutputError when the report cannot be
    written, InvalidType or InvalidValue for a style that cannot be.
    """
    page = page_of(content_of(source, cfg, overwrite)).encode()
    write_whole(target, page)
    return len(page)


def content_of(source: Source, cfg: str | None = None, overwrite: Sequence[str] = ()) -> dict[str, Any]:
    """Return everything that the page shows, as plain data."""
    content: dict[str, Any] = {
        "title": _title(source),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": pocket_coffea.__version__,
        "output": None,
        "jobs": None,
    }
    if source.output is not None:
        style = Style(read_style(source.output.parent, cfg, overwrite))
        content["output"] = _output(source.output, style, _planned(source))
    if source.jobs is not None:
        history = history_of(source.jobs)
        content["jobs"] = {"states": history["states"], "block": packed(history)}
    return content


def _title(source: Source) -> str:
    if source.output is not None:
        path = source.output.resolve()
        return f"{path.parent.name}/{path.name}"
    return source.folder.resolve().name


def _planned(source: Source) -> PlannedFiles | None:
    """Return what the campaign was to process, if the output is the merged one of it all."""
    is_merged = source.output is not None and source.output.name.startswith("output_merged.")
    if source.jobs is None or not is_merged or not (source.jobs / JOBS_CONFIG).is_file():
        return None
    try:
        return read_jobs(source.jobs).planned
    except ConfigurationError as error:
        log.warning("files that no job looked at are not listed: %s", error)
        return None


def _output(path: Path, style: Style, planned: PlannedFiles | None) -> dict[str, Any]:
    output = load_output(path, [], columns=False)
    provenance = output.get("provenance") or {}
    categories = categories_of(output)
    metadata = {"by_dataset": metadata_of(output)}
    figures = Figures(style, metadata, years_of(output), categories)
    for name, histograms in histograms_of(path):
        figures.add(name, histograms)
    return {
        "facts": facts_of(provenance),
        "options": options_of(provenance),
        "warnings": [*warnings_of(provenance), *not_finite_of(output)],
        "datasets": datasets_of(output),
        "holes": packed(holes_of(output, planned)),
        "throughput": throughput_of(output),
        "steps": [step for step in STEPS if step in output.get("cutflow", {})],
        "categories": categories,
        "cutflow": list(cutflow_of(output).items()),
        "yields": list(yields_of(output).items()),
        "figures": figures.content,
    }


def page_of(content: Mapping[str, Any]) -> str:
    """Return the page that shows ``content``."""
    style = _file("report.css")
    script = "\n".join(_file(name) for name in _SCRIPTS)
    template = string.Template(_file("report.html"))
    return template.substitute(
        title=html.escape(str(content["title"])),
        policy=f"default-src 'none'; script-src {_hash_of(script)}; style-src {_hash_of(style)}",
        style=style,
        script=script,
        data=_embedded(content),
    )


def _file(name: str) -> str:
    return resources.files("pocket_coffea.report").joinpath(name).read_text(encoding="utf-8")


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(content: Mapping[str, Any]) -> str:
    """Return JSON that may stand in a script element: no name can end it."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
