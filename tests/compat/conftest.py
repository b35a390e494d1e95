"""Run complete old-style analyses, as their users do: a folder with a config, and the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from coffea.util import load

from pocket_coffea.utils.make_sample import write_golden_json

CONFIGS = Path(__file__).parent / "configs"
COMMAND = str(Path(sys.executable).parent / "pocket-coffea")

#: dataset -> (kind, events, seed, metadata)
DATASETS = {
    "DYJetsToLL_2018": ("dy", 1200, 11, {"sample": "DYJetsToLL", "isMC": "True", "xsec": "6077.22"}),
    "TTToAnything_2018": ("ttbar", 1200, 12, {"sample": "TTToAnything", "isMC": "True", "xsec": "831.76"}),
    "DATA_SingleMuon_2018_EraA": (
        "data_singlemuon",
        800,
        13,
        {"sample": "DATA_SingleMuon", "isMC": "False", "era": "A", "primaryDataset": "SingleMuon"},
    ),
}


@dataclass
class Analysis:
    """A copy of a config folder with its samples, ready to run."""

    folder: Path
    golden_name: str

    def command(
        self, output: str, *options: str, env: dict[str, str] | None = None, config: str = "config.py"
    ) -> Any:
        """Run ``pocket-coffea run`` and return the finished process."""
        arguments = [
            COMMAND,
            "run",
            "--cfg",
            str(self.folder / config),
            "-o",
            str(self.folder / output),
            *options,
        ]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SKIM_", "COLUMNS_"))}
        return subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            check=False,
            env=environment | (env or {}),
            cwd=self.folder,
        )

    def run(self, output: str = "output", *options: str, **more: Any) -> dict[str, Any]:
        """Run, expect success, and return ``output_all.coffea``."""
        done = self.command(output, *options, **more)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return load(str(self.folder / output / "output_all.coffea"))


@pytest.fixture
def analysis(sample_file, tmp_path) -> Callable[[str], Analysis]:
    """Return ``prepare(name)``: a copy of ``configs/<name>`` with samples, datasets.json and golden.json."""

    def prepare(name: str) -> Analysis:
        folder = tmp_path / name
        shutil.copytree(CONFIGS / name, folder)
        datasets: dict[str, Any] = {}
        for dataset, (kind, n_events, seed, metadata) in DATASETS.items():
            info = sample_file("v9", kind, n_events=n_events, seed=seed)
            details = {"year": "2018", "nevents": str(n_events), "size": str(os.path.getsize(info.path))}
            datasets[dataset] = {"metadata": metadata | details, "files": [info.path]}
            if not info.is_mc and (folder / "params").is_dir():
                write_golden_json(folder / "params" / "golden.json", [info], certified=0.8)
        (folder / "datasets.json").write_text(json.dumps(datasets, indent=2))
        return Analysis(folder, name)

    return prepare
