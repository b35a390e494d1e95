"""What the Parsl tests share: the demo analysis where workers see it, and what runs leave behind."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hist
import numpy as np
import yaml
from coffea.util import load

from ci.lab.layout import PROJECT
from ci.lab.process import run, start

COMMAND = Path(sys.executable).with_name("pocket-coffea")
#: Where workers see what the submit side sees, and the lab's own environment on both sides.
OPTIONS = {
    "local-virtualenv": True,
    "shared-folders": ["/shared", "/opt/venv", str(PROJECT)],
    "submit-hosts": ["lab.site"],
    "scaleout": 2,
    "mem-per-worker": "1GB",
    "walltime": "0:30:00",
    "parsl-run-dir": None,
}
SLURM = {"slurm": {"scheduler-options": ""}}
#: What an output says about how it came to be.
_CIRCUMSTANCES = ("provenance", "throughput", "metrics")


class Analysis:
    """The demo analysis below ``folder``, and runs of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        spec = importlib.util.spec_from_file_location("demo", PROJECT / "ci" / "demo.py")
        assert spec is not None
        assert spec.loader is not None
        demo = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(demo)
        self.config = demo.prepare(folder, demo.make_samples(folder / "samples", 0.05)) / "config.py"

    def argv(self, executor: str, output: Path, options: Mapping[str, Any], *more: str) -> list[str]:
        """Return the command of a run."""
        output.parent.mkdir(parents=True, exist_ok=True)
        file = output.with_suffix(".yaml")
        file.write_text(yaml.safe_dump(dict(options)))
        words = [str(COMMAND), "run", "--cfg", str(self.config), "-o", str(output), "-e", executor]
        return [*words, "-ro", str(file), "-c", "300", *more]

    def run(self, executor: str, output: Path, options: Mapping[str, Any], *more: str, code: int = 0) -> str:
        """Run it, compare the exit code, and return what was printed."""
        done = run(self.argv(executor, output, options, *more), cwd=self.folder, timeout=180, check=False)
        assert done.returncode == code, done.stdout
        return done.stdout

    def start(self, executor: str, output: Path, options: Mapping[str, Any], *more: str) -> Running:
        """Start it and return at once."""
        log = output.with_suffix(".log")
        argv = self.argv(executor, output, options, *more)
        return Running(start(argv, log=log, cwd=self.folder), log)


class Running:
    """A run that goes on; ``text`` is what it has printed."""

    def __init__(self, process: Any, log: Path) -> None:
        self.process, self.log = process, log

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.text) is not None

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Send what Ctrl-C in a terminal sends, or its end (SIGHUP), to every process of the run."""
        os.killpg(self.process.pid, number)

    def end(self, seconds: float = 240) -> int:
        """Wait for its end and return the exit code."""
        return int(self.process.wait(seconds))


def content(output: Path) -> list[tuple[Any, ...]]:
    """Return every number of an output, to the bit."""
    found = load(output / "output_all.coffea")
    return [entry for key in found if key not in _CIRCUMSTANCES for entry in _entries(found[key], f"/{key}")]


def _entries(value: Any, path: str) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from _entries(value[key], f"{path}/{key}")
    elif isinstance(value, hist.Hist):
        yield path, str(value.axes), value.view(flow=True).tobytes()
    elif isinstance(value, set | frozenset):
        yield path, tuple(sorted(map(str, value)))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _entries(each, f"{path}/{number}")
    elif isinstance(value, np.ndarray):
        yield path, value.dtype.str, value.tobytes()
    elif hasattr(value, "value"):
        yield from _entries(value.value, path)
    else:
        yield path, repr(value)


def provenance(output: Path) -> dict[str, Any]:
    return dict(load(output / "output_all.coffea")["provenance"])


def jobs() -> dict[str, str]:
    """Return the jobs of both batch systems that have not ended: {condor:12.0: state, slurm:34: state}."""
    found = json.loads(run(["condor_q", "-json"], timeout=30).stdout or "[]")
    condor = {f"condor:{job['ClusterId']}.{job['ProcId']}": str(job["JobStatus"]) for job in found}
    lines = run(["squeue", "--me", "--noheader", "--format=%i %T"], timeout=30).stdout.splitlines()
    return condor | {f"slurm:{job}": state for job, state in map(str.split, lines) if state != "COMPLETING"}


def left_behind(output: Path) -> list[str]:
    """Return what a run must not leave: jobs, processes of Parsl, files with secrets, `runinfo` anywhere."""
    pattern = "parsl_interchange|parsl_pool|pocket-coffea run"
    found = run(["pgrep", "-u", "physicist", "-af", pattern], timeout=30, check=False).stdout
    own = [line for line in found.splitlines() if "pgrep" not in line]
    secrets = [*output.glob("**/*.key_secret"), *output.glob(".workers-*")]
    runinfo = [*output.parent.glob("runinfo"), *Path.cwd().glob("runinfo")]
    return [*jobs(), *own, *map(str, [*secrets, *runinfo])]
