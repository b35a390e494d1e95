"""``jobs_config.yaml``: for people and for merging, which files each job has, and where its output goes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from pocket_coffea.executors.jobs.payload import plain_value
from pocket_coffea.executors.jobs.record import CampaignRecord, config_name, output_name
from pocket_coffea.executors.jobs.split import JobPlan

__all__ = ["JOBS_CONFIG", "jobs_config_text"]

JOBS_CONFIG = "jobs_config.yaml"
#: What YAML wants escaped and JSON does not.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def jobs_config_text(record: CampaignRecord, plans: Sequence[JobPlan], configuration: str) -> str:
    """Return the text; ``configuration`` is the pickled Configurator that a merge post-processes with.

    The metadata of a dataset stands in it once, however many jobs have files of it.
    """
    datasets = {name: entry["metadata"] for plan in plans for name, entry in plan.filesets.items()}
    anchors = {name: f"d{number}" for number, name in enumerate(datasets)}
    head = {
        "job_name": record.name,
        "job_dir": str(record.folder),
        "output_dir": record.outdir_local or record.output,
        "executor": record.executor,
        "scheduler": record.system,
        "split_by_category": record.split_by_category,
        "config_pkl_total": configuration,
    }
    lines = [f"{key}: {_quoted(value)}" for key, value in head.items()]
    lines.append("metadata:")
    lines += [f"  {_quoted(name)}: &{anchors[name]} {_flow(values)}" for name, values in datasets.items()]
    lines.append("jobs_list:")
    lines += _jobs(record, plans, anchors)
    return "\n".join([*lines, ""])


def _jobs(record: CampaignRecord, plans: Sequence[JobPlan], anchors: Mapping[str, str]) -> Iterator[str]:
    output = (record.outdir_local or record.output).rstrip("/")
    for number, plan in enumerate(plans):
        filesets = ", ".join(
            f'{_quoted(name)}: {{"files": {_quoted(entry["files"])}, "metadata": *{anchors[name]} }}'
            for name, entry in plan.filesets.items()
        )
        config = _quoted(str(record.folder / config_name(number)))
        target = _quoted(f"{output}/{output_name(number)}")
        yield (f"  job_{number}: {{filesets: {{{filesets}}}, config_file: {config}, output_file: {target}}}")


def _quoted(value: Any) -> str:
    """Return texts, whole numbers, lists and dictionaries of them as YAML, which has JSON in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ": "))
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _flow(values: Mapping[str, Any]) -> str:
    content = json.loads(json.dumps(values, default=plain_value))
    text = yaml.safe_dump(
        content, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False
    )
    return text.strip()
