"""``python -m tests.bench.merge``: seconds per file and memory of merge-outputs on outputs of 2.5 MB.

The outputs are those of the benchmark's analysis with its variations: the same one many times, each with a
file of its own in the ledger. What is compared with is coffea alone: load each file, accumulate. Files are
read once before, so that the speed of the disk does not count.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from tests.bench.__main__ import sample

N_EVENTS = 3_000
TARGET_SECONDS = 0.02


def make_output() -> dict[str, Any]:
    """Return an output of the benchmark's analysis, of about 2.5 MB as a file."""
    from coffea.nanoevents import NanoAODSchema

    from pocket_coffea.config.digests import configuration_digests
    from pocket_coffea.executors.local import IterativeExecutor
    from pocket_coffea.run.runner import PocketRunner
    from tests.bench.analysis import configuration

    cfg = configuration(str(sample(N_EVENTS)[1]), with_variations=True)
    cfg.do_postprocessing = False
    cfg.load()
    runner = PocketRunner(executor=IterativeExecutor(), chunksize=N_EVENTS, schema=NanoAODSchema)
    output = runner(cfg.filesets, treename="Events", processor_instance=cfg.processor_instance)
    output["ledger"] = runner.ledger
    output["provenance"] = {"digests": configuration_digests(cfg)}
    return output


def write_inputs(folder: Path, number: int) -> list[Path]:
    """Write the outputs of ``number`` jobs."""
    from pocket_coffea.utils.output_file import save_output

    output = make_output()
    ledger = copy.deepcopy(output["ledger"])
    (dataset, files), *_ = ledger.items()
    (entry,) = files.values()
    paths = []
    for job in range(number):
        name = f"root://site//store/bench/{job}.root"
        output["ledger"] = {dataset: {name: {**entry, "uuid": str(uuid.UUID(int=job + 1))}}}
        paths.append(save_output(output, folder / f"output_job_{job}.coffea"))
    return paths


def ours(paths: list[Path], target: Path) -> float:
    """Seconds that merge_outputs takes, without imports."""
    from pocket_coffea.run.merge import MergeRequest, merge_outputs

    start = time.perf_counter()
    merge_outputs(MergeRequest(files=list(map(str, paths)), output=str(target), force=True))
    return time.perf_counter() - start


def plain(paths: list[Path], target: Path) -> float:
    """Seconds that coffea alone takes, which looks at nothing and concatenates what is text."""
    from coffea.processor import accumulate
    from coffea.util import load, save

    def outputs() -> Any:
        for path in paths:
            yield {k: v for k, v in load(str(path)).items() if k not in ("ledger", "provenance")}

    start = time.perf_counter()
    save(accumulate(outputs()), str(target))
    return time.perf_counter() - start


def measured(name: str, folder: Path) -> dict[str, float]:
    """Run ``ours`` or ``plain`` in a process of its own; return seconds and MB above those of the imports."""
    code = (
        "import sys; from pathlib import Path; from tests.bench import merge;"
        "from tests.bench.__main__ import high_water_mark; import pocket_coffea.run.merge, json;"
        "paths = sorted(Path(sys.argv[1]).glob('output_job_*.coffea')); before = high_water_mark();"
        "import time; cpu = time.process_time();"
        f"seconds = merge.{name}(paths, Path(sys.argv[1]) / 'merged.coffea');"
        "print(json.dumps({'seconds': seconds, 'cpu': time.process_time() - cpu,"
        " 'memory_mb': high_water_mark() - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.merge")
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where the files are made, and removed again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        paths = write_inputs(folder, arguments.files)
        size = sum(path.stat().st_size for path in paths) / len(paths) / 1e6
        for path in paths:
            path.read_bytes()
        result = {each: measured(each, folder) for each in ("ours", "plain")}
    per_file = {name: result[name]["seconds"] / len(paths) for name in result}
    print(f"{len(paths)} outputs of {size:.2f} MB")
    for each, numbers in result.items():
        cpu = numbers["cpu"] / len(paths)
        print(
            f"{each:6} {per_file[each]:.4f} s per file ({cpu:.4f} s of processor time), "
            f"{numbers['memory_mb']:.0f} MB"
        )
    print(
        "Target reached." if per_file["ours"] <= TARGET_SECONDS else f"Missed: {TARGET_SECONDS} s per file."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
