"""``python -m tests.bench.polling``: what a poll of a campaign of 10,000 jobs costs (target: 0.2 s).

The flags are real files and the event log is HTCondor's format; nothing is submitted. ``watching`` is a whole
look of check-jobs, with the overview and the live screen of 60 samples, in seconds of processor time.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.decide import Policy
from pocket_coffea.batch.htcondor import HTCondor
from pocket_coffea.batch.monitor import Monitor
from pocket_coffea.batch.states import Resources
from pocket_coffea.batch.systems import Submission
from pocket_coffea.batch.tasks import Task, Template
from pocket_coffea.cli.jobs_loop import LiveScreen
from pocket_coffea.executors.jobs.record import CampaignRecord, Delivery, JobRecord, JobSlice
from pocket_coffea.executors.jobs.watching import Watching, Wishes

JOBS = 10_000
TARGET = 0.2


class _Slices:
    """Jobs that are never looked at closely."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resources(self, job: int) -> Resources:
        return Resources("workday", 28800, 1, 2000)

    def task(self, job: int, attempt: int, resources: Resources) -> Task:
        return Task(job, attempt, (str(job),), resources)

    def delivered(self, job: int) -> bool:
        return (self.folder / f"job_{job}.done").exists()


def log_of(event: str, first: str, *lines: str, jobs: range) -> str:
    """Return an event of each job as HTCondor writes it."""
    body = "".join(f"\t{line}\n" for line in lines)
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return "".join(f"{event} (037.{job:03d}.000) {now} {first}\n{body}...\n" for job in jobs)


def measure(jobs: int = JOBS) -> dict[str, float]:
    """Return the seconds of each kind of poll."""
    took: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "logs" / "job_37.log"
        log.parent.mkdir()
        slices = _Slices(folder)
        campaign = Campaign.create(folder, "htcondor", jobs)
        tasks = [slices.task(job, 1, slices.resources(job)) for job in range(jobs)]
        campaign.finish(campaign.begin(tasks), Submission({job: f"37.{job}" for job in range(jobs)}, {}))
        for job in range(jobs):
            for ending in ("job_{}.idle", "job_{}.sub", "config_job_{}.pkl"):
                (folder / ending.format(job)).touch()
        log.write_text(log_of("000", "Job submitted from host: <127.0.0.1:9618>", jobs=range(jobs)))
        system = HTCondor(Template(folder, folder / "job.sh"), campaign.id)
        monitor = Monitor(campaign, system, slices, Policy(), acting=True)  # type: ignore[arg-type]

        def poll(label: str) -> None:
            start = time.perf_counter()
            monitor.poll()
            took[label] = round(time.perf_counter() - start, 3)

        poll("first, all idle")
        poll("nothing new")
        with log.open("a") as file:
            file.write(log_of("001", "Job executing on host: <127.0.0.1:9620>", jobs=range(0, jobs, 10)))
        for job in range(0, jobs, 10):
            (folder / f"job_{job}.idle").rename(folder / f"job_{job}.running")
        poll("a tenth starts")
        with log.open("a") as file:
            file.write(
                log_of(
                    "005",
                    "Job terminated.",
                    "(1) Normal termination (return value 0)",
                    jobs=range(0, jobs, 100),
                )
            )
        for job in range(0, jobs, 100):
            (folder / f"job_{job}.running").rename(folder / f"job_{job}.done")
        poll("a hundredth ends")
        poll("nothing new again")
        for job in campaign.jobs.values():
            job.attempts[-1].submitted -= 3600
        poll("nothing new, an hour later")
        start = time.perf_counter()
        again = Campaign(folder)
        took["ledger read"] = round(time.perf_counter() - start, 3)
        fresh = HTCondor(Template(folder, folder / "job.sh"), again.id)
        monitor = Monitor(again, fresh, slices, Policy(), acting=True)  # type: ignore[arg-type]
        poll("first after a restart")
        campaign.close()
        again.close()
    return took


def write_campaign(folder: Path, jobs: int) -> None:
    """Write a jobs folder as it is after its submission: a fifth of its jobs has started."""
    (folder / "logs").mkdir(parents=True)
    slices = [JobSlice(f"S{job % 60}_2018", f"S{job % 60}", 100_000, 10) for job in range(jobs)]
    need = Resources("workday", 28800, 1, 2000)
    CampaignRecord(
        name="job",
        executor="condor@lxplus",
        site="lxplus",
        system="htcondor",
        folder=folder,
        output=str(folder),
        outdir_local=None,
        template=Template(folder, folder / "job.sh"),
        resources=need,
        payload="configurator.pkl",
        payload_sha256="0" * 64,
        delivery=Delivery("copy", str(folder)),
        flags=True,
        jobs=tuple(JobRecord((each,), 150_000) for each in slices),
    ).write(folder)
    campaign = Campaign.create(folder, "htcondor", jobs)
    tasks = [Task(job, 1, (str(job),), need) for job in range(jobs)]
    campaign.finish(campaign.begin(tasks), Submission({job: f"37.{job}" for job in range(jobs)}, {}))
    campaign.close()
    started = range(0, jobs, 5)
    (folder / "logs" / "job_37.log").write_text(
        log_of("000", "Job submitted from host: <127.0.0.1:9618>", jobs=range(jobs))
        + log_of("001", "Job executing on host: <127.0.0.1:9620>", jobs=started)
    )
    for job in range(jobs):
        (folder / f"config_job_{job}.pkl").touch()
        (folder / f"job_{job}.{'idle' if job % 5 else 'running'}").touch()


def watching(jobs: int = JOBS, looks: int = 5) -> dict[str, float]:
    """Return the seconds of processor time of a look in which nothing changed: the median of some."""
    took: dict[str, list[float]] = {"poll and overview": [], "live screen": []}
    with tempfile.TemporaryDirectory() as name, Path("/dev/null").open("w") as nowhere:
        folder = Path(name) / "job"
        write_campaign(folder, jobs)
        console = Console(file=nowhere, force_terminal=True, width=120, height=50)
        with Watching(folder, Wishes(resubmit=True), acting=True) as watched:
            watched.look()
            screen = LiveScreen(console, by="sample", details=False, hint="")
            for _ in range(looks):
                start = time.process_time()
                seen = watched.look()
                looked = time.process_time()
                screen.show(seen)
                took["live screen"].append(time.process_time() - looked)
                took["poll and overview"].append(looked - start)
            screen.close()
        assert seen.counts == {"running": jobs // 5, "idle": jobs - jobs // 5}
    return {label: round(statistics.median(each), 3) for label, each in took.items()}


def main() -> int:
    """Print the figures; 1 when the usual poll, or a look of check-jobs, is slower than the target."""
    took, cpu = measure(), watching()
    print(json.dumps({"jobs": JOBS, "seconds": took, "watching": cpu, "target": TARGET}, indent=2))
    usual = (took["nothing new"], took["nothing new, an hour later"], sum(cpu.values()))
    return int(max(usual) > TARGET)


if __name__ == "__main__":
    sys.exit(main())
