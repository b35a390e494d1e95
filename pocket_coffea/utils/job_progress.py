"""Progress of batch jobs by sample or dataset: who belongs where, how many are in which state, and a bar for
it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pocket_coffea.errors import ConfigurationError

__all__ = ["aggregate_by_group", "load_job_to_group_map", "render_progress_bar"]

#: States in the order in which the bar shows them, with their colours.
STATES = {"done": "green", "running": "magenta", "idle": "blue", "failed": "red"}

Groups = dict[str, set[str]]


def load_job_to_group_map(jobs_folder: str | Path) -> tuple[Groups, Groups] | tuple[None, None]:
    """Return ({sample: jobs}, {dataset: jobs}) from ``jobs_config.yaml``, (None, None) when there is no such
    file.

    A job that reads several samples is in each of them. Raises ConfigurationError for a file without a job
    list.
    """
    path = Path(jobs_folder) / "jobs_config.yaml"
    if not path.is_file():
        return None, None
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as quick, where it is
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    if not isinstance(content, dict) or not isinstance(content.get("jobs_list"), dict):
        msg = f"{path} has no 'jobs_list'; it was not written by a submission or is damaged"
        raise ConfigurationError(msg)
    samples: Groups = {}
    datasets: Groups = {}
    for job, description in content["jobs_list"].items():
        for dataset, entry in description.get("filesets", {}).items():
            datasets.setdefault(dataset, set()).add(job)
            samples.setdefault(_sample_of(dataset, entry), set()).add(job)
    return samples, datasets


def _sample_of(dataset: str, entry: Any) -> str:
    metadata = entry.get("metadata", {}) if isinstance(entry, Mapping) else {}
    return str(metadata.get("sample", dataset))


def aggregate_by_group(
    group_to_jobs: Mapping[str, Collection[str]],
    idle: Collection[str],
    running: Collection[str],
    done: Collection[str],
    failed: Collection[str],
) -> dict[str, dict[str, int]]:
    """Return {group: {"total", "idle", "running", "done", "failed"}}: how many of its jobs are in which
    state.

    A job in none of the four collections counts only in "total".
    """
    states = {"idle": set(idle), "running": set(running), "done": set(done), "failed": set(failed)}
    return {
        group: {"total": len(set(jobs))}
        | {state: len(members & set(jobs)) for state, members in states.items()}
        for group, jobs in group_to_jobs.items()
    }


def _cells(counts: Mapping[str, int], total: int, width: int) -> dict[str, int]:
    """Cells per state, largest remainder first; what is in no state is left over."""
    shares = {state: width * counts.get(state, 0) / total for state in STATES}
    shares[""] = width - sum(shares.values())
    cells = {state: int(share + 1e-9) for state, share in shares.items()}
    by_remainder = sorted(shares, key=lambda state: shares[state] - cells[state], reverse=True)
    for state in by_remainder[: width - sum(cells.values())]:
        cells[state] += 1
    return cells


def render_progress_bar(counts: Mapping[str, int], width: int = 30) -> Any:
    """Return a ``rich.text.Text`` of exactly ``width`` cells: done, running, idle, failed, and unknown (dim).

    counts: {"done": n, "running": n, "idle": n, "failed": n}, and "total" when there are jobs in no state.
    """
    from rich.text import Text

    known = sum(counts.get(state, 0) for state in STATES)
    total = max(int(counts.get("total", known)), known)
    bar = Text()
    if total == 0:
        return bar.append("░" * width, style="dim")
    for state, cells in _cells(counts, total, width).items():
        bar.append(("█" if state else "░") * cells, style=STATES.get(state, "dim"))
    return bar
