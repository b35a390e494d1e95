"""``python -m tests.bench.dask_overhead``: what our Dask executors cost, against a script made by hand.

By hand means dask-jobqueue (or a LocalCluster) with the executor of coffea. Measured, in turns, each in a
process of its own:

* seconds from the start of the command to the first chunk on a worker;
* seconds per chunk of the Runner, and of the executor alone; memory of the process with the scheduler;
* merging outputs of 4 MB: seconds, and how many of them one process holds at once.

The workers are two: processes of this machine, and where a lab runs jobs of HTCondor and Slurm. Ratios count:
absolute numbers are those of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.__main__ import high_water_mark
from tests.bench.dask_engines import (
    ENCRYPT,
    EXECUTORS,
    PROJECT,
    bare_executor,
    options,
    our_executor,
    runner_of,
)

EVENTS = 10_000
#: Chunks of the command that is timed to its first one, of the Runner; outputs that are merged.
FEW, CHUNKS, OUTPUTS = 10, 100, 40
ENGINES = ("ours", "bare")
TARGET = 1.0


def fileset(folder: Path) -> dict[str, Any]:
    """Make the file, once, and return the datasets of a run."""
    from pocket_coffea.utils.make_sample import make_sample

    path = folder / "dy.root"
    if not path.exists():
        make_sample(path, "v9", "dy", n_events=EVENTS, n_branches=400)
    metadata = {"sample": "DYJetsToLL", "year": "2018", "isMC": "True", "xsec": "6077.22"}
    datasets = {"DYJetsToLL_2018": {"metadata": metadata | {"nevents": str(EVENTS)}, "files": [str(path)]}}
    (folder / "datasets.json").write_text(json.dumps(datasets))
    return datasets


# -- one measurement, in a process of its own


def measure_chunks(engine: str, system: str, folder: Path, tasks: int) -> dict[str, float]:
    """Return seconds per chunk of which only the number of events is looked at."""
    from tests.bench.dask_work import Trivial

    del tasks
    files = {"DYJetsToLL_2018": {"files": [str(folder / "dy.root")]}}
    with runner_of(engine, system, folder, EVENTS // FEW) as runner:
        runner(files, treename="Events", processor_instance=Trivial())  # imports, on both sides
        runner.chunksize = EVENTS // CHUNKS
        start = time.perf_counter()
        found = runner(files, treename="Events", processor_instance=Trivial())
        seconds = time.perf_counter() - start
    assert (found[0] if isinstance(found, tuple) else found)["events"] == EVENTS, found
    return {"per_chunk": seconds / CHUNKS}


def measure_tasks(engine: str, system: str, folder: Path, tasks: int) -> dict[str, float]:
    """Return seconds per chunk of which nothing is opened, and how much the scheduler's process grew [MB]."""
    from tests.bench.dask_work import count, work_items

    with opened(engine, system, folder) as executor:
        executor(work_items(10), count, None)
        items = work_items(tasks)
        before, used = high_water_mark(), processor_time(executor.client)
        start = time.perf_counter()
        found, _ = executor(items, count, None)
        seconds = time.perf_counter() - start
        used = processor_time(executor.client) - used
    assert found["events"] == tasks
    memory = high_water_mark() - before
    return {"per_task": seconds / tasks, "per_task_cpu": used / tasks, "memory_mb": memory}


def processor_time(client: Any) -> float:
    """Return the processor time [s] of client, scheduler and workers so far; others' load does not count."""
    return time.process_time() + float(sum(client.run(time.process_time).values()))


def opened(engine: str, system: str, folder: Path) -> Any:
    """Return the context of an executor."""
    return (our_executor if engine == "ours" else bare_executor)(system, folder)


def measure_merging(engine: str, system: str, folder: Path, outputs: int) -> dict[str, float]:
    """Return seconds per output, and how many outputs the worker and this process held at most."""
    from tests.bench.dask_work import make_output, most_alive

    with opened(engine, system, folder) as executor:
        client = executor.client
        small, _ = executor.copy(function_name="merge")(list(range(4)), make_output, None)
        del small
        client.run(_forget)
        _forget()
        start = time.perf_counter()
        found, _ = executor.copy(function_name="merge")(list(range(outputs)), make_output, None)
        seconds = time.perf_counter() - start
        assert len(found["histograms"]) == 50
        held = max(client.run(most_alive).values())
    return {"per_output": seconds / outputs, "held_by_worker": held, "held_here": most_alive()}


def _forget() -> None:
    from tests.bench.dask_work import Counted

    Counted.most = 0


MEASURES: dict[str, Callable[..., dict[str, float]]] = {
    "chunks": measure_chunks,
    "tasks": measure_tasks,
    "merging": measure_merging,
}


def measured(what: str, engine: str, system: str, folder: Path, number: int) -> dict[str, float]:
    """Run a measurement in a process of its own."""
    argv = [sys.executable, "-W", "ignore", "-m", "tests.bench.dask_overhead", "--folder", str(folder)]
    words = ["--systems", system, "--measure", what, "--engine", engine, "--tasks", str(number)]
    done = subprocess.run(
        [*argv, *words], env=_environment(folder), check=False, text=True, stdout=subprocess.PIPE
    )
    if done.returncode:
        sys.exit(f"{what} of {engine} on {system} ended with exit code {done.returncode}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "BENCH_FOLDER": str(folder)}


# -- the whole command


def first_chunk(engine: str, system: str, folder: Path) -> dict[str, float]:
    """Return seconds from the start of a command to its first chunk, and to its end."""
    marks = folder / "marks"
    shutil.rmtree(marks, ignore_errors=True)
    marks.mkdir()
    start = time.time()
    with (folder / "command.log").open("wb") as log:
        code = subprocess.call(
            _command(engine, system, folder), env=_environment(folder), stdout=log, stderr=log
        )
    seconds = time.time() - start
    if code:
        sys.exit((folder / "command.log").read_text() + f"\nexit code {code}")
    first = min(float(path.read_text()) for path in marks.iterdir())
    return {"first_chunk": first - start, "end": seconds}


def _command(engine: str, system: str, folder: Path) -> list[str]:
    if engine == "bare":
        words = ["--systems", system, "--measure", "script", "--folder", str(folder)]
        return [sys.executable, "-W", "ignore", "-m", "tests.bench.dask_overhead", *words]
    chosen = folder / "options.yaml"
    chosen.write_text(json.dumps(options(system)))  # JSON is YAML
    output = folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    words = ["--cfg", str(PROJECT / "tests" / "bench" / "dask_config.py"), "-o", str(output)]
    words += ["-e", EXECUTORS[system], "-ro", str(chosen), "-c", str(EVENTS // FEW)]
    return [str(Path(sys.executable).with_name("pocket-coffea")), "run", *words]


def script(system: str, folder: Path) -> None:
    """The command made by hand: it begins when the first worker is there, as ours does."""
    from coffea import processor
    from coffea.nanoevents import NanoAODSchema

    from tests.bench.dask_work import Muons

    files = {"DYJetsToLL_2018": {"files": [str(folder / "dy.root")]}}
    with bare_executor(system, folder, workers=1) as executor:
        runner = processor.Runner(executor=executor, chunksize=EVENTS // FEW, schema=NanoAODSchema)
        found = runner(files, treename="Events", processor_instance=Muons(str(folder / "marks")))
    assert found["npv"].sum(flow=True).value != 0


# -- both in turns


def compare(
    take: Callable[[str], dict[str, float]], rounds: int
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Return the median of each number by engine, and the median of the ratios ours / bare."""
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for _ in range(rounds):
        for engine in ENGINES:
            found[engine].append(take(engine))
    keys = found["ours"][0]
    medians = {
        engine: {key: statistics.median(one[key] for one in rows) for key in keys}
        for engine, rows in found.items()
    }
    ratios = {
        key: statistics.median(
            ours[key] / max(bare[key], 1e-9) for ours, bare in zip(found["ours"], found["bare"], strict=True)
        )
        for key in keys
    }
    return medians, ratios


#: The first chunk and the end of a whole command, and what is measured with the workers there.
COMPARISONS = ("first", *MEASURES)
ROWS = {
    "first_chunk": "command to first chunk [s]",
    "end": "whole command, 10 chunks [s]",
    "per_chunk": "a chunk of which only the events are counted [ms]",
    "per_task": "a chunk of which nothing is opened [ms]",
    "per_task_cpu": "the same, processor time of all processes [ms]",
    "memory_mb": "memory of the scheduler's process, more by [MB]",
    "per_output": "merging an output of 4 MB [ms]",
    "held_by_worker": "outputs that a worker holds at once",
    "held_here": "outputs that the command holds at once",
}


def _take(what: str, engine: str, system: str, folder: Path, tasks: int) -> dict[str, float]:
    if what == "first":
        return first_chunk(engine, system, folder)
    number = {"chunks": CHUNKS, "tasks": tasks, "merging": OUTPUTS}[what]
    return measured(what, engine, system, folder, number)


def rows(
    system: str, folder: Path, rounds: int, tasks: int, only: str | None = None
) -> tuple[list[str], list[str]]:
    """Measure everything on a system; return lines of the table, and what is worse than by hand."""
    lines, missed = [], []
    for what in [only] if only else COMPARISONS:
        medians, ratios = compare(partial(_take, what, system=system, folder=folder, tasks=tasks), rounds)
        for key, ratio in ratios.items():
            scale = 1000 if key.startswith("per_") else 1
            ours, bare = (medians[engine][key] * scale for engine in ENGINES)
            lines.append(f"| {system} | {ROWS[key]} | {ours:.4g} | {bare:.4g} | {ratio:.2f} |")
            print(lines[-1], flush=True)
            if ours > 2 if key.startswith("held") else ratio > TARGET:
                missed.append(f"{system}, {ROWS[key]}: {ratio:.2f}")
    return lines, missed


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dask_overhead")
    parser.add_argument("--systems", default="local", help="local,htcondor,slurm")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=10_000, help="chunks of which nothing is opened")
    parser.add_argument("--folder", type=Path, help="seen by the workers; made and removed when not given")
    parser.add_argument("--encrypt", action="store_true", help="by hand, too, in jobs of a batch system")
    parser.add_argument("--only", choices=list(COMPARISONS), help="one comparison instead of all")
    parser.add_argument("--measure", choices=["script", *MEASURES], help=argparse.SUPPRESS)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure == "script":
        script(asked.systems, asked.folder)
        return 0
    if asked.measure:
        taken = MEASURES[asked.measure](asked.engine, asked.systems, asked.folder, asked.tasks)
        print(json.dumps(taken))
        return 0
    if asked.encrypt:
        os.environ[ENCRYPT] = "1"
    with tempfile.TemporaryDirectory(dir=asked.folder or Path.home()) as name:
        folder = Path(name)
        fileset(folder)
        print("| workers | | ours | by hand | ratio |\n|---|---|--:|--:|--:|", flush=True)
        missed = []
        for system in asked.systems.split(","):
            missed += rows(system, folder, asked.rounds, asked.tasks, asked.only)[1]
    print("\nMissed: " + "; ".join(missed) if missed else "\nAll targets reached.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
