"""A campaign under fire: jobs on HTCondor and Slurm while everything around them breaks.

::

    make lab-soak                                   # 200 jobs, every fault
    python -m tests.lab.soak FOLDER --jobs 20 --short   # in a lab: some faults, as in CI

Half of the jobs go to ``condor@lxplus``, half to ``slurm@T3_CH_PSI``; each half processes all events of the
lab's files at its XRootD sites. In the end each merge must equal the iterative run, no instance of a job may
have been sent twice, and the report says what was broken and what was decided.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ci.lab.control import ask
from ci.lab.errors import LabError
from ci.lab.layout import CONTROL, PROJECT, SHARED, WORK
from ci.lab.process import run, start
from ci.lab.services.data import catalogue
from ci.lab.services.xrootd import REDIRECTOR, SITES
from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.ledger import read_records
from pocket_coffea.batch.states import Attempt, State
from tests.lab.parsl_runs import Analysis
from tests.lab.soak_checks import known_to_batch, mismatches

COMMAND = Path(sys.executable).with_name("pocket-coffea")
PROXY = Path(f"/tmp/x509up_u{os.getuid()}")
#: Both sides run the lab's own environment.
OPTIONS: dict[str, Any] = {
    "local-virtualenv": True,
    "shared-folders": ["/shared", "/opt/venv", str(PROJECT)],
    "submit-hosts": ["lab.site"],
    "mem-per-worker": "1GB",
    "split-files": True,
    "redirector": f"root://{REDIRECTOR}//",
}
EXECUTORS = {
    "condor@lxplus": {"queue": "workday", "disk-per-worker": "100MB"},  # a flavour's minutes are seconds here
    "slurm@T3_CH_PSI": {"queue": "standard", "local-scratch-dir": "/scratch/physicist"},
}
DATASETS = {
    "/DYJetsToLL": "DYJetsToLL_2018",
    "/TTto2L2Nu": "TTToAnything_2018",
    "/SingleMuon": "DATA_SingleMuon_2018_EraA",
}
#: What differs between jobs in reasons that are the same.
_ADDRESS, _NUMBER = (
    re.compile(r"root://[^\s:]+:\d+//\S+(?=[:,. ])"),
    re.compile(r"0x[0-9a-f]+|job_[\d.]+|slot\S+"),
)
PATIENCE = 3600.0  # s, for everything


def prepare(folder: Path) -> Analysis:
    """Return the demo analysis, with the lab's files at its XRootD sites as input."""
    analysis = Analysis(folder)
    path = analysis.config.parent / "datasets.json"
    datasets = json.loads(path.read_text())
    for dataset in datasets.values():
        dataset["files"], dataset["metadata"]["nevents"] = [], "0"
    for file in catalogue():
        name = next(name for start, name in DATASETS.items() if file["dataset"].startswith(start))
        site = next(site for site in SITES.values() if site.rse in file["sites"])
        datasets[name]["files"].append(f"root://{site.address}/{file['lfn']}")
        metadata = datasets[name]["metadata"]
        metadata["nevents"] = str(int(metadata["nevents"]) + file["events"])
    path.write_text(json.dumps(datasets, indent=1))
    return analysis


@dataclass
class Half:
    """The jobs of one executor, and who watches them."""

    executor: str
    output: Path
    words: Sequence[str]
    monitor: Any = None
    starts: int = 0

    @property
    def jobs_folder(self) -> Path:
        return self.output / "job"

    @property
    def log(self) -> Path:
        """What the monitors say, where a full disk of the jobs does not reach it."""
        return WORK / f"soak-{self.output.name}-{os.getpid()}.log"

    def submit(self, analysis: Analysis, events_per_job: int) -> None:
        """Submit all jobs."""
        self.output.mkdir(parents=True)
        options = {**OPTIONS, **EXECUTORS[self.executor], "max-events-per-job": events_per_job}
        file = self.output.with_suffix(".yaml")
        file.write_text(yaml.safe_dump(options))
        words = [
            COMMAND,
            "run",
            "--cfg",
            analysis.config,
            "-o",
            self.output,
            "-e",
            self.executor,
            "-ro",
            file,
        ]
        run(words, cwd=analysis.folder, timeout=600)

    def watch(self) -> None:
        """Start ``check-jobs``, again when it was killed."""
        argv = [COMMAND, "check-jobs", "-j", self.jobs_folder, "--resubmit", *self.words]
        self.monitor = start(argv, log=self.log, cwd=WORK)
        self.starts += 1

    def kill_monitor(self) -> str:
        """Kill the monitor as nothing can defend itself against, and start another."""
        self.monitor.send_signal(signal.SIGKILL)
        self.monitor.wait(30)
        self.watch()
        return f"the monitor of {self.executor} is killed (-9) and started again"

    def campaign(self) -> Campaign:
        return Campaign(self.jobs_folder)

    def running(self) -> list[Attempt]:
        """Return attempts that are running now, as the flags of their jobs say."""
        campaign = self.campaign()
        flags = [int(path.stem.removeprefix("job_")) for path in self.jobs_folder.glob("job_*.running")]
        return [last for job in sorted(flags) if (last := campaign.jobs[job].last) and not last.cause]

    def done(self) -> float:
        """Return which part of the jobs is done or given up."""
        jobs = self.campaign().jobs.values()
        return sum(job.done or bool(job.given_up) for job in jobs) / len(jobs)


@dataclass
class Fault:
    """Something that breaks when a part of all jobs is done; ``act`` returns what it did in words."""

    after: float
    name: str
    act: Callable[[], str]
    time: float = 0.0
    said: str = ""


def lab(*words: str) -> str:
    """Switch a fault of the lab."""
    return str(ask(CONTROL, "fault", *words)["text"])


@dataclass
class Fire:
    """The faults, in their order."""

    halves: Mapping[str, Half]
    log: Callable[[str], None]
    faults: list[Fault] = field(default_factory=list)

    @property
    def condor(self) -> Half:
        return self.halves["condor@lxplus"]

    @property
    def slurm(self) -> Half:
        return self.halves["slurm@T3_CH_PSI"]

    def kill_jobs(self, half: Half, number: int) -> str:
        """Kill jobs that run."""
        system, said = half.executor.partition("@")[0], []
        for attempt in half.running()[: number * 3]:
            try:
                lab("node", "kill-job", f"{system}:{attempt.id}")
            except LabError:  # it has just ended
                continue
            said.append(attempt.id)
            if len(said) == number:
                break
        return f"jobs {', '.join(said) or 'none'} of {system} are killed (-9)"

    def hold_jobs(self, number: int) -> str:
        """Hold jobs as an administrator does, and release them after a while."""
        ids = [attempt.id for attempt in self.condor.running()[:number]]
        held = [each for each in ids if _succeeds("condor", "hold", each)]
        time.sleep(12)
        for each in held:
            lab("condor", "release", each)
        return f"jobs {', '.join(held) or 'none'} of condor are held by an administrator, released 12 s later"

    def remove_job(self) -> str:
        """Remove a job as an administrator does."""
        ids = [attempt.id for attempt in self.condor.running()]
        gone = next((each for each in ids if _succeeds("condor", "remove", each)), "none")
        return f"job {gone} of condor is removed by an administrator"

    def corrupt(self) -> str:
        """Damage the files that another site has, too."""
        files = [file["lfn"] for file in catalogue() if len(file["sites"]) > 1]
        for file in files:
            lab("xrootd", "kit", "corrupt", file)
        return f"kit has damaged copies of {len(files)} files; fnal has good ones, as Rucio knows"

    def for_a_while(self, seconds: float, on: Sequence[str], off: Sequence[str]) -> str:
        """Switch a fault on and off again."""
        said = lab(*on)
        time.sleep(seconds)
        return f"{said}; after {seconds:.0f} s: {lab(*off)}"

    def expire_proxy(self, seconds: float) -> str:
        """Let the user's proxy and the copies that jobs get expire; renew the user's."""
        said = lab("proxy", "expire")
        for half in self.halves.values():
            for copy in half.jobs_folder.glob("x509up*"):
                temporary = copy.with_name(".x509up.soak")
                temporary.touch(mode=0o600)
                shutil.copyfile(PROXY, temporary)
                temporary.replace(copy)
        time.sleep(seconds)
        return f"{said}, that of the jobs, too; after {seconds:.0f} s: {lab('proxy', 'renew')}"

    def plan(self, *, short: bool) -> None:
        """Decide what breaks when."""
        condor, slurm = self.condor, self.slurm
        number = 1 if short else 3
        some = [
            Fault(0.05, "kill jobs", lambda: self.kill_jobs(condor, number)),
            Fault(0.05, "kill jobs", lambda: self.kill_jobs(slurm, number)),
            Fault(0.15, "schedd restarted", lambda: lab("condor", "schedd-kill")),
            Fault(0.20, "damaged files", self.corrupt),
            Fault(0.30, "monitor killed", condor.kill_monitor),
            Fault(0.95, "files mended", lambda: lab("xrootd", "kit", "up")),
        ]
        rest = [
            Fault(0.08, "jobs held", lambda: self.hold_jobs(3)),
            Fault(0.12, "job removed", self.remove_job),
            Fault(0.35, "monitor killed", slurm.kill_monitor),
            Fault(
                0.17,
                "server down",
                lambda: self.for_a_while(45, ("xrootd", "kit", "down"), ("xrootd", "kit", "up")),
            ),
            Fault(
                0.55,
                "disk full",
                lambda: self.for_a_while(40, ("disk", "full", "/shared"), ("disk", "free", "/shared")),
            ),
            Fault(0.65, "proxy expired", lambda: self.expire_proxy(30)),
            Fault(0.75, "kill jobs", lambda: self.kill_jobs(condor, 2)),
            Fault(0.75, "kill jobs", lambda: self.kill_jobs(slurm, 2)),
            Fault(
                0.80, "node drained", lambda: self.for_a_while(10, ("slurm", "drain"), ("slurm", "resume"))
            ),
            Fault(0.85, "pool restarted", lambda: lab("condor", "restart")),
            Fault(0.90, "monitor killed", condor.kill_monitor),
        ]
        self.faults = sorted(some if short else some + rest, key=lambda fault: fault.after)

    def light(self, done: float) -> None:
        """Start the next fault whose time has come."""
        fault = next((each for each in self.faults if not each.time), None)
        if fault is None or done < fault.after:
            return
        fault.time = time.time()
        try:
            fault.said = fault.act()
        except LabError as error:
            fault.said = f"could not be done: {error}"
        self.log(f"{done:4.0%} {fault.name}: {fault.said}")

    def put_out(self) -> None:
        """End every fault, whatever happened."""
        for words in (
            ("xrootd", "kit", "up"),
            ("disk", "free"),
            ("proxy", "renew"),
            ("slurm", "resume"),
        ):
            _succeeds(*words)


def _succeeds(*words: str) -> bool:
    try:
        lab(*words)
    except LabError:
        return False
    return True


def soak(
    folder: Path,
    jobs: int,
    *,
    short: bool,
    patience: float = PATIENCE,
    log: Callable[[str], None] = print,
) -> str:
    """Run it all below ``folder``, which jobs see; return the report. Raises AssertionError with it, or after
    ``patience`` in s."""
    began = time.time()
    words = ["--interval", "2", "--backoff", "3" if short else "20", "-m", "20"]
    analysis = prepare(folder)
    events = sum(file["events"] for file in catalogue())
    halves = {name: Half(name, folder / name.replace("@", "-"), words) for name in EXECUTORS}
    fire = Fire(halves, log)
    fire.plan(short=short)
    try:
        for half in halves.values():
            half.submit(analysis, -(-events // (jobs // 2)))
            log(f"{half.executor}: {len(half.campaign().jobs)} jobs submitted, {time.time() - began:.0f} s")
            half.watch()
        _burn(halves, fire, began + patience)
    finally:
        fire.put_out()
        for half in halves.values():
            if half.monitor is not None and half.monitor.poll() is None:
                half.monitor.terminate()
                half.monitor.wait(60)
    return _judged(analysis, halves, fire, began)


def _burn(halves: Mapping[str, Half], fire: Fire, deadline: float) -> None:
    """Wait for the ends of all monitors, while things break."""
    while any(half.monitor.poll() is None for half in halves.values()):
        assert time.time() < deadline, "the campaign does not end"
        fire.light(sum(half.done() for half in halves.values()) / len(halves))
        time.sleep(0.5)


def _judged(analysis: Analysis, halves: Mapping[str, Half], fire: Fire, began: float) -> str:
    """Return the report of what came out; raises AssertionError with it when something is wrong."""
    ended = time.time()
    iterative = analysis.folder / "iterative"
    run(
        [COMMAND, "run", "--cfg", analysis.config, "-o", iterative, "-e", "iterative"],
        cwd=analysis.folder,
        timeout=600,
    )
    lines, wrong = _head(halves, began, ended), []
    for fault in fire.faults:
        if not fault.time:
            wrong.append(f"the fault {fault.name!r} was never lit")
    lines += _fault_lines(halves, fire.faults)
    for half in halves.values():
        found = _check(half, iterative)
        wrong += [f"{half.executor}: {each}" for each in found]
        lines += _half_lines(half, found)
    lines += ["", "## Verdict", "", *([f"- WRONG: {each}" for each in wrong] or ["All is as it has to be."])]
    report = "\n".join(lines) + "\n"
    assert not wrong, report
    for half in halves.values():
        half.log.unlink(missing_ok=True)
    return report


def _check(half: Half, iterative: Path) -> list[str]:
    """Return what is wrong with a half: jobs, instances, result."""
    wrong = []
    campaign = half.campaign()
    if half.monitor.returncode != 0:
        wrong.append(f"check-jobs ended with {half.monitor.returncode}")
    wrong += [
        f"job {job.number} was given up: {job.given_up}" for job in campaign.jobs.values() if job.given_up
    ]
    ids = [attempt.id for job in campaign.jobs.values() for attempt in job.attempts]
    if len(ids) != len(set(ids)):
        wrong.append(f"ids were given twice: {[each for each, n in Counter(ids).items() if n > 1]}")
    if campaign.open:
        wrong.append(f"submissions without an answer: {sorted(campaign.open)}")
    unknown = known_to_batch(campaign) ^ set(ids)
    if unknown:
        wrong.append(f"the batch system and the ledger differ about {sorted(unknown)}")
    done = run([COMMAND, "merge-outputs", "-jc", half.jobs_folder], timeout=600, check=False)
    if done.returncode:
        return [*wrong, f"merge-outputs ended with {done.returncode}: {done.stdout[-1000:]}"]
    return wrong + mismatches(half.output / "output_merged.coffea", iterative / "output_all.coffea")


def _head(halves: Mapping[str, Half], began: float, ended: float) -> list[str]:
    total = sum(len(half.campaign().jobs) for half in halves.values())
    sent = sum(len(job.attempts) for half in halves.values() for job in half.campaign().jobs.values())
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began))
    return [
        "# Campaign under fire",
        "",
        f"{total} jobs from {when} on, {ended - began:.0f} s, {sent} attempts.",
    ]


def _decisions(half: Half) -> list[dict[str, Any]]:
    records = read_records(half.jobs_folder / "campaign.jsonl")[0]
    return [record for record in records if record["kind"] in ("decided", "note")]


def _fault_lines(halves: Mapping[str, Half], faults: Sequence[Fault]) -> list[str]:
    """List every fault with what was decided until the next one."""
    lines = ["", "## Faults, and what was decided until the next one", ""]
    lit = sorted((fault for fault in faults if fault.time), key=lambda fault: fault.time)
    for fault, after in zip(lit, [*lit[1:], None], strict=True):
        when = time.strftime("%H:%M:%S", time.localtime(fault.time))
        lines.append(f"- {when} **{fault.name}**: {fault.said}")
        end = after.time if after else float("inf")
        for half in halves.values():
            reasons: dict[str, list[int]] = {}
            for record in _decisions(half):
                if fault.time <= record["time"] < end:
                    said = f"{record['action']}: {record['reason']}" if "action" in record else record["text"]
                    said = _ADDRESS.sub("root://SERVER//...", _NUMBER.sub("0x", said))
                    reasons.setdefault(said, []).append(record.get("job", -1))
            for said, jobs in reasons.items():
                named = ", ".join(str(job) for job in sorted(set(jobs)) if job >= 0)
                lines.append(f"  - {half.executor}, jobs {named or 'all'}: {said}")
    return lines


def _half_lines(half: Half, wrong: Sequence[str]) -> list[str]:
    campaign = half.campaign()
    attempts = [attempt for job in campaign.jobs.values() for attempt in job.attempts]
    causes = Counter(attempt.cause for attempt in attempts if attempt.state is not State.DONE)
    ended = ", ".join(f"{cause} {number}" for cause, number in causes.most_common()) or "none"
    submissions, same = campaign.submissions, not any("differ about" in each for each in wrong)
    return [
        "",
        f"## {half.executor}",
        "",
        f"- {len(campaign.jobs)} jobs, {len(attempts)} attempts in {submissions} submissions",
        f"- starts of the monitor: {half.starts}",
        f"- attempts that did not end well: {ended}",
        f"- the batch system has had the same instances as the ledger: {'yes' if same else 'no'}",
        f"- merged and equal to iterative: {'no' if wrong else 'yes'}",
    ]


def main() -> int:
    """Run it and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = SHARED / "physicist" / "soak"
    parser.add_argument("folder", nargs="?", type=Path, default=default, help="where jobs see it")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--short", action="store_true", help="some of the faults")
    parser.add_argument("--report", type=Path, default=WORK / "soak-report.md")
    asked = parser.parse_args()
    shutil.rmtree(asked.folder, ignore_errors=True)
    asked.folder.mkdir(parents=True)
    try:
        report = soak(asked.folder, asked.jobs, short=asked.short, log=lambda text: print(text, flush=True))
    except AssertionError as error:
        asked.report.write_text(f"{error}\n")
        print(error)
        return 3
    asked.report.write_text(report)
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
