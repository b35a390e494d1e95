"""``make bench``: compare our engine with hand-written coffea on one generated file, in one run.

Absolute numbers depend on the machine and on who else uses it; the ratios are what counts. The engines take
turns, and the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

N_EVENTS = 400_000
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pocket-coffea" / "bench"
TARGETS = {"ours_over_handwritten": 1.2, "variations_over_handwritten": 0.3}
LABELS = {
    "ours": "(a) PocketCoffea, 25 histograms x 11 categories",
    "handwritten": "(b) hand-written coffea, same selection and histograms",
    "reading": "(c) uproot reading the needed branches",
    "variations": "(d) PocketCoffea, 10 two-sided weights and 6 shape variations",
}


def sample(n_events: int) -> tuple[Path, Path]:
    """Return the generated file and its dataset JSON, made once for each version of the generator."""
    from pocket_coffea.utils import make_sample as package

    sources = sorted(Path(package.__file__).parent.iterdir())
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sources if p.is_file())).hexdigest()[:12]
    path = CACHE / f"ttbar_{n_events}_{digest}.root"
    if not path.exists():
        print(f"Making {path} (once) ...", flush=True)
        package.make_sample(path, "v9", "ttbar", n_events=n_events, cluster_size=-(-n_events // 4))
    metadata = {
        "sample": "TTToAnything",
        "year": "2018",
        "isMC": "True",
        "xsec": "831.76",
        "nevents": str(n_events),
    }
    dataset_json = CACHE / f"{path.stem}.json"
    dataset_json.write_text(json.dumps({"TTToAnything_2018": {"metadata": metadata, "files": [str(path)]}}))
    return path, dataset_json


def high_water_mark() -> float:
    """Peak resident memory of this process in MB; unlike getrusage it does not start from the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peak_memory(engine: str, n_events: int) -> float:
    """Peak resident memory in MB of three passes (12 chunks) of ``engine`` in a process of its own."""
    code = (
        "from tests.bench.engines import Engines; from tests.bench.__main__ import high_water_mark, sample;"
        f"engine = getattr(Engines(*sample({n_events})), {engine!r});"
        "engine(), engine(), engine(); print(high_water_mark())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def help_seconds() -> float:
    """Best of five of ``pocket-coffea --help``."""
    command = [str(Path(sys.executable).parent / "pocket-coffea"), "--help"]
    best = 9.0
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        best = min(best, time.perf_counter() - start)
    return best


def measure(n_events: int, rounds: int) -> dict[str, Any]:
    """Run all engines in turns and return rates, ratios, memory and the time of the help text."""
    from tests.bench.engines import Engines, compare

    engines = Engines(*sample(n_events))
    _, ours = engines.ours()  # compiles the kernels and fills the caches of the operating system
    _, theirs = engines.handwritten()
    compare(ours, theirs)
    engines.variations()
    seconds: dict[str, list[float]] = {name: [] for name in LABELS}
    for number in range(rounds):
        for name, values in seconds.items():
            values.append(getattr(engines, name)()[0])
        print(
            f"round {number + 1}: " + ", ".join(f"{k} {v[-1]:.2f} s" for k, v in seconds.items()), flush=True
        )
    rates = {name: n_events / min(values) for name, values in seconds.items()}

    def ratio(name: str) -> float:
        pairs = zip(seconds["handwritten"], seconds[name], strict=True)
        return statistics.median(theirs / mine for theirs, mine in pairs)

    memory = {name: peak_memory(name, n_events) for name in ("ours", "handwritten")}
    return {
        "n_events": n_events,
        "events_per_second_per_core": rates,
        "seconds": seconds,
        "ours_over_handwritten": ratio("ours"),
        "variations_over_handwritten": ratio("variations"),
        "reading_over_handwritten": ratio("reading"),
        "peak_memory_mb": memory,
        "peak_memory_ours_over_handwritten": memory["ours"] / memory["handwritten"],
        "help_seconds": help_seconds(),
    }


def table(result: dict[str, Any]) -> str:
    """The result as the table that README shows."""
    lines = ["| engine | events/s/core | relative to (b) |", "|---|--:|--:|"]
    relative = {
        "ours": result["ours_over_handwritten"],
        "handwritten": 1.0,
        "reading": result["reading_over_handwritten"],
        "variations": result["variations_over_handwritten"],
    }
    for name, label in LABELS.items():
        rate = result["events_per_second_per_core"][name]
        lines.append(f"| {label} | {rate / 1000:.0f}k | {relative[name]:.2f} |")
    memory = result["peak_memory_mb"]
    lines += [
        "",
        (
            f"Peak memory: (a) {memory['ours']:.0f} MB, (b) {memory['handwritten']:.0f} MB, "
            f"ratio {result['peak_memory_ours_over_handwritten']:.2f}. "
            f"`pocket-coffea --help`: {result['help_seconds']:.2f} s."
        ),
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table, write JSON, and say which targets were missed."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    parser.add_argument("--events", type=int, default=N_EVENTS)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    result = measure(arguments.events, arguments.rounds)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "bench.json").write_text(json.dumps(result, indent=2) + "\n")
    print("\n" + table(result))
    missed = [
        f"{key} {result[key]:.2f} < {target}" for key, target in TARGETS.items() if result[key] < target
    ]
    if result["peak_memory_ours_over_handwritten"] > 1.2:
        missed.append(f"peak memory ratio {result['peak_memory_ours_over_handwritten']:.2f} > 1.2")
    if result["help_seconds"] > 0.3:
        missed.append(f"help {result['help_seconds']:.2f} s > 0.3 s")
    print("\nMissed: " + "; ".join(missed) if missed else "\nAll targets reached.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
