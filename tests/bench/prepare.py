"""``python -m tests.bench.prepare``: how long preparing a large campaign takes, and how much disk it needs.

10,000 jobs over 100,000 files in 100 datasets, from the loaded configuration to the complete jobs folder, as
``condor@lxplus`` with ``dry-run`` makes it. Then the folder is read as watching and merging read it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pocket_coffea.cli.make_config import write_template
from pocket_coffea.config.load import load_config
from pocket_coffea.executors.executors_lxplus import ExecutorFactoryCondorCERN
from pocket_coffea.executors.jobs.record import CampaignRecord
from pocket_coffea.run.merge_jobs import read_jobs

TARGETS = {"seconds": 15.0, "megabytes": 100.0}
DATASETS = 100


def filesets(jobs: int, files: int) -> dict[str, Any]:
    """Return the datasets, each with the same number of files."""
    each = files // DATASETS
    found = {}
    for number in range(DATASETS):
        name = f"DYJetsToLL_M-50_TuneCP5_13TeV-madgraphMLM-pythia8__{number}_2018"
        place = f"root://xrootd-cms.infn.it//store/mc/RunIISummer20UL18NanoAODv9/sample_{number}/NANOAODSIM"
        found[name] = {
            "files": [
                f"{place}/2500{number:04}/{k:08X}-6F1D-9E4A-8C6B-0F5E2A7D3C1B.root" for k in range(each)
            ],
            "metadata": {
                "sample": "DYJetsToLL",
                "year": "2018",
                "isMC": "True",
                "xsec": "6077.22",
                "nevents": str(each * 1_000_000 // (files // jobs)),
                "sum_genweights": "3.3e12",
                "nano_version": "9",
            },
        }
    return found


def measure(jobs: int, files: int) -> dict[str, float]:
    """Return seconds and megabytes of preparing, and the seconds that reading takes afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_template(folder / "analysis")
        config = load_config(folder / "analysis" / "analysis_config.py", save_config=False)
        config.set_filesets_manually(filesets(jobs, files))
        options = {
            "scaleout": jobs,
            "local-virtualenv": True,
            "shared-folders": ["/"],
            "ignore-grid-certificate": True,
            "queue": "workday",
            "mem-per-worker": "2GB",
            "dry-run": True,
        }
        factory = ExecutorFactoryCondorCERN(options, str(folder / "out"))
        began, cpu = time.perf_counter(), time.process_time()
        factory.submit(config, config.filesets, str(folder / "out"))
        prepared, cpu = time.perf_counter(), time.process_time() - cpu
        assert len(CampaignRecord.read(folder / "out" / "job").jobs) == jobs
        recorded = time.perf_counter()
        assert len(read_jobs(folder / "out" / "job").jobs) == jobs
        read = time.perf_counter()
        stats = [path.stat() for path in (folder / "out" / "job").rglob("*")]
        return {
            "seconds": prepared - began,
            "seconds_of_cpu": cpu,
            "megabytes": sum(stat.st_blocks for stat in stats) * 512 / 1e6,
            "megabytes_of_content": sum(stat.st_size for stat in stats) / 1e6,
            "seconds_of_reading_for_watching": recorded - prepared,
            "seconds_of_reading_for_merging": read - recorded,
        }


def main() -> int:
    """Print the figures; 1 when one of them misses its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    found = measure(arguments.jobs, arguments.files)
    if arguments.json:
        print(json.dumps(found))
    else:
        print(f"{arguments.jobs:,} jobs over {arguments.files:,} files:")
        for key, value in found.items():
            target = f" (target {TARGETS[key]:g})" if key in TARGETS else ""
            print(f"  {key.replace('_', ' ')}: {value:.1f}{target}")
    return int(any(found[key] > target for key, target in TARGETS.items()))


if __name__ == "__main__":
    sys.exit(main())
