"""A jobs folder with a small analysis, and jobs of it that run as on a worker: ``bash job.sh ...``."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pocket_coffea.cli.make_config import write_template
from pocket_coffea.executors.jobs.facts import OPTIONS_NAME, JobFacts
from pocket_coffea.executors.jobs.payload import sha256_of, write_payload, write_slice
from pocket_coffea.executors.jobs.record import config_name
from pocket_coffea.executors.jobs.wrapper import JOB_SCRIPT, job_script
from pocket_coffea.executors.setup import EXPECTATION, SCRIPT
from pocket_coffea.executors.start_script import Preparation, start_script
from pocket_coffea.executors.worker_variables import XROOTD_LIMITS
from pocket_coffea.utils.utils import load_config

ROOT = Path(__file__).resolve().parents[3]


@dataclasses.dataclass
class Ended:
    """What is left of a job."""

    code: int
    text: str
    report: dict[str, Any]
    flags: list[str]


#: In the workflow of the analysis: what a test wants of every chunk, by variables.
HOOK = """

import os
import time

_select = DimuonProcessor.apply_object_preselection


def _as_the_test_wants(self, variation):
    what, log = os.environ.get("TEST_DO"), os.environ.get("TEST_LOG")
    if log:
        chunk = [self.events.metadata[key] for key in ("dataset", "fileuuid", "entrystart")]
        with open(log, "a") as file:
            file.write(" ".join(map(str, chunk)) + "\\n")
    if what == "raise":
        raise KeyError("no such thing")
    if what == "memory":
        raise MemoryError
    if what:
        time.sleep(float(what))
    _select(self, variation)


DimuonProcessor.apply_object_preselection = _as_the_test_wants
"""


def write_analysis(folder: Path, files: dict[str, list[Any]]) -> Path:
    """Write the analysis of make-config with these samples and the hook; return its configuration."""
    write_template(folder)
    datasets = folder / "datasets" / "datasets.json"
    content = json.loads(datasets.read_text())
    for name, samples in files.items():
        content[name]["files"] = [str(sample.path) for sample in samples]
        content[name]["metadata"]["nevents"] = str(sum(sample.n_events for sample in samples))
    datasets.write_text(json.dumps(content))
    with (folder / "workflow.py").open("a") as file:
        file.write(HOOK)
    return folder / "analysis_config.py"


class Jobs:
    """A campaign of jobs in ``folder`` that deliver to ``output``."""

    #: What the start script sets.
    variables: dict[str, str] = XROOTD_LIMITS

    def __init__(self, config: Path, place: Path, **facts: Any) -> None:
        self.folder = folder = place
        self.output = folder.parent / "results"
        folder.mkdir(parents=True)
        self.output.mkdir()
        self.config = load_config(config, save_config=False)
        self.sha256 = write_payload(folder, self.config)
        self.facts = JobFacts(
            **{
                "campaign": "c1",
                "executor": "condor@lab",
                "folder": str(folder),
                "way": "copy",
                "target": str(self.output),
                "payload_sha256": self.sha256,
                "read_retries": 0,
                "delivery_retries": 0,
                "grace": 30.0,
                **facts,
            }
        )
        self.write()

    def write(self, expectation: str = "", prologue: str = "", options: str = "", **changes: Any) -> None:
        """Write what all jobs share."""
        self.facts = dataclasses.replace(self.facts, **changes)
        self.facts.write(self.folder)
        preparation = Preparation(
            variables=self.variables,
            python=sys.executable,
            expectation=EXPECTATION if expectation else "",
            lines=[("prologue", [prologue])] if prologue else (),
        )
        if expectation:
            (self.folder / EXPECTATION).write_text(expectation)
        (self.folder / SCRIPT).write_text(start_script(preparation))
        (self.folder / OPTIONS_NAME).write_text(f"tree-reduction: 2\n{options}")
        script = job_script(
            folder=self.facts.folder, python=sys.executable, transferred=not self.facts.folder
        )
        (self.folder / JOB_SCRIPT).write_text(script)

    def add(self, job: int, filesets: dict[str, Any] | None = None) -> None:
        """Write the slice of a job, by default everything."""
        write_slice(self.folder, job, filesets or self.config.filesets, self.sha256)
        (self.folder / f"job_{job}.idle").touch()

    def start(
        self, job: int, *, attempt: int = 1, chunksize: int = 200, seconds: int = 0, cpus: int = 1, **env: str
    ) -> subprocess.Popen[str]:
        """Start a job as the batch system does."""
        name = config_name(job)
        digest = env.pop("sha256", "") or sha256_of(self.folder / name)
        words = [str(job), name, digest, *map(str, (chunksize, attempt, seconds, cpus))]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        scratch = self.folder.parent / "scratch"
        scratch.mkdir(exist_ok=True)
        environment["TMPDIR"] = str(scratch)
        return subprocess.Popen(
            ["bash", str(self.folder / JOB_SCRIPT), *words],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, job: int, *, attempt: int = 1, **named: Any) -> Ended:
        """Run a job to its end."""
        return self.end(self.start(job, attempt=attempt, **named), job, attempt)

    def kept(self, job: int) -> list[Path]:
        """Return the files of completed chunks."""
        return list((self.folder / "checkpoints" / f"job_{job}").rglob("*.node"))

    def end(self, process: subprocess.Popen[str], job: int, attempt: int = 1) -> Ended:
        """Wait for a job."""
        text = process.communicate(timeout=600)[0]
        place = self.folder / "logs" / f"job_{job}.{attempt}.json"
        report = json.loads(place.read_text()) if place.exists() else {}
        flags = sorted(
            path.suffix[1:] for path in self.folder.glob(f"job_{job}.*") if not path.stat().st_size
        )
        return Ended(process.returncode, text, report, flags)

    def left(self) -> list[str]:
        """Return what is in the output folder, and on scratch."""
        scratch = self.folder.parent / "scratch"
        return sorted(path.name for place in (self.output, scratch) for path in place.iterdir())


def wait_for(condition: Any, process: subprocess.Popen[str], seconds: float = 300) -> None:
    """Wait until something is true while a job runs."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.05)


def ask_to_end(process: subprocess.Popen[str]) -> None:
    """Do what a batch system does before it kills."""
    process.send_signal(signal.SIGTERM)
