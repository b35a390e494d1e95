"""The jobs folder as a merge sees it: which outputs there should be, with what in them, and which are there.

``jobs_config.yaml`` holds ``output_dir``, ``split_by_category``, ``config_pkl_total`` and ``jobs_list: {job:
{filesets, config_file, output_file}}``. The files of a dataset are a list of names, or ``{name: [[start,
stop], ...]}``, or coffea's ``{name: {"object_path": tree, "steps": [[start, stop], ...]}}``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocket_coffea.errors import ConfigurationError, ResultsRefused
from pocket_coffea.executors.jobs.jobs_config_reading import read_quickly
from pocket_coffea.run.ledger import join_ranges
from pocket_coffea.run.merge_ledger import PlannedFiles
from pocket_coffea.run.merge_source import RemoteOutput, Source, look_up, names_in, output_at, size_of

__all__ = ["Job", "JobsFolder", "planned_files", "read_jobs"]

JOBS_CONFIG = "jobs_config.yaml"
FLAGS = ("idle", "running", "done", "timeout", "failed")
#: A file with fewer bytes is no output.
MIN_BYTES = 10
_BLOCK = re.compile(r"output_category(?P<k>\d+)_(?P<rest>.+)")


@dataclass(frozen=True)
class Job:
    """One job: its slice of the datasets, and where its output goes."""

    name: str
    planned: PlannedFiles
    output: Source

    def block(self, number: int) -> Source:
        """Return the output with one block of categories: ``output_category<k>_job_<i>.coffea``; 0 is that
        with all of them."""
        if number == 0:
            return self.output
        return self.output.with_name(self.output.name.replace("output_", f"output_category{number}_", 1))


@dataclass(frozen=True)
class JobsFolder:
    """The jobs of one submission.

    output_dir: where results go; the folder of the configuration, when the outputs are on a server.
    """

    path: Path
    output_dir: Path
    configuration: Path
    split_by_category: bool
    jobs: dict[str, Job] = field(default_factory=dict)

    @property
    def planned(self) -> PlannedFiles:
        """What all jobs together were to process."""
        return join_plans(job.planned for job in self.jobs.values())

    def blocks(self) -> list[int]:
        """Return the numbers of the blocks of categories of which any job has an output."""
        names = {job.output.name.removeprefix("output_") for job in self.jobs.values()}
        found = set()
        for name in _names_beside(job.output for job in self.jobs.values()):
            match = _BLOCK.fullmatch(name)
            if match and match["rest"] in names:
                found.add(int(match["k"]))
        return sorted(found)

    def incomplete(self, outputs: Mapping[str, Source]) -> dict[str, str]:
        """Return {job: reason} of the jobs whose output is missing or too small to be one.

        Raises InputFileError when a server that has outputs does not answer.
        """
        look_up(outputs.values())
        found = {}
        for name, path in outputs.items():
            try:
                size = size_of(path)
            except OSError as exc:
                found[name] = f"{path}: {exc.strerror or exc}"
                continue
            if size < MIN_BYTES:
                found[name] = f"{path} has {size} bytes"
        return found

    def mark_failed(self, names: Iterable[str]) -> dict[str, str]:
        """Give these jobs the flag ``.failed`` in place of the one that they have; return {job: old flag}.

        Raises ResultsRefused when the folder cannot be written.
        """
        before = {}
        for name in names:
            try:
                before[name] = self._mark(name)
            except OSError as exc:
                msg = f"--mark-failed: {self.path / name}.failed cannot be made: {exc.strerror or exc}."
                raise ResultsRefused(msg) from exc
        return before

    def _mark(self, name: str) -> str:
        flags = [flag for flag in FLAGS if (self.path / f"{name}.{flag}").exists()]
        target = self.path / f"{name}.failed"
        for flag in flags:
            if flag != "failed":
                (self.path / f"{name}.{flag}").replace(target)
        target.touch()
        return flags[0] if flags else ""


def read_jobs(path: str | os.PathLike[str]) -> JobsFolder:
    """Return the jobs of ``path``: ``jobs_config.yaml``, its folder, or the parent of that (``job/``).

    Raises ConfigurationError when there is none, or it is damaged.
    """
    file = _find(Path(path).expanduser())
    content = _parse(file)
    try:
        folder = file.parent
        place = output_at(folder, content.get("output_dir", folder.parent))
        beside = place if isinstance(place, Path) else folder.parent
        total = folder / str(content.get("config_pkl_total", beside / "configurator.pkl"))
        output_dir = place if isinstance(place, Path) else total.parent
        jobs = {
            str(name): Job(str(name), planned_files(job["filesets"]), output_at(folder, job["output_file"]))
            for name, job in content["jobs_list"].items()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        msg = f"{file} is damaged, or not written by a submission of jobs: {type(exc).__name__}: {exc}"
        raise ConfigurationError(msg) from exc
    if not jobs:
        msg = f"{file} has no jobs."
        raise ConfigurationError(msg)
    return JobsFolder(folder, output_dir, total, bool(content.get("split_by_category")), jobs)


def _names_beside(outputs: Iterable[Source]) -> Iterator[str]:
    """Yield the names of all files in the folders of outputs; a folder that is not there has none."""
    every = list(outputs)
    for folder in {each.parent for each in every if isinstance(each, Path)}:
        with contextlib.suppress(OSError):
            yield from (path.name for path in folder.iterdir())
    for address in {each.folder for each in every if isinstance(each, RemoteOutput)}:
        yield from names_in(address)


def _find(path: Path) -> Path:
    for file in (path, path / JOBS_CONFIG, path / "job" / JOBS_CONFIG):
        if file.is_file():
            return file
    below = sorted(path.glob(f"*/{JOBS_CONFIG}"))
    if len(below) == 1:
        return below[0]
    several = (
        f" There are several below it: {', '.join(str(each.parent) for each in below)}." if below else ""
    )
    msg = f"-jc {path}: there is no {JOBS_CONFIG} at {path} or {path / 'job'}.{several} Give the jobs folder."
    raise ConfigurationError(msg)


def _parse(file: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as quick, where it is
    try:
        text = file.read_text(encoding="utf-8")
        content = read_quickly(text) or yaml.load(text, Loader=loader)
    except (OSError, UnicodeError, yaml.YAMLError) as exc:
        msg = f"{file} cannot be read: {exc}"
        raise ConfigurationError(msg) from exc
    if not isinstance(content, dict) or not isinstance(content.get("jobs_list"), dict):
        msg = f"{file} has no 'jobs_list'; it was not written by a submission or is damaged"
        raise ConfigurationError(msg)
    return content


def planned_files(filesets: Mapping[str, Any]) -> PlannedFiles:
    """Return the files and entry ranges that filesets ask for."""
    planned: PlannedFiles = {}
    for dataset, fileset in filesets.items():
        files = fileset["files"] if isinstance(fileset, Mapping) else fileset
        names: Mapping[str, Any] = files if isinstance(files, Mapping) else dict.fromkeys(files)
        planned[str(dataset)] = {str(name): _ranges(what) for name, what in names.items()}
    return planned


def _ranges(what: Any) -> list[list[int]] | None:
    steps = what.get("steps") if isinstance(what, Mapping) else what
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        return None
    return join_ranges([int(start), int(stop)] for start, stop in steps)


def join_plans(plans: Iterable[PlannedFiles]) -> PlannedFiles:
    """Return what several plans ask for together."""
    joined: PlannedFiles = {}
    for plan in plans:
        for dataset, files in plan.items():
            mine = joined.setdefault(dataset, {})
            for name, ranges in files.items():
                before = mine.get(name, [])
                mine[name] = None if before is None or ranges is None else join_ranges([*before, *ranges])
    return joined
