"""A small campaign of manual jobs as batch jobs leave it behind: real outputs of slices of an analysis."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import yaml

from pocket_coffea.cli.make_config import write_template
from pocket_coffea.config.load import load_config
from pocket_coffea.run.session import RunRequest, run_analysis

#: dataset -> (kind of sample, events, seed) of its files
FILES = {
    "DYJetsToLL_2018": [("dy", 300, 1), ("dy", 200, 2), ("dy", 250, 3)],
    "DATA_SingleMuon_2018_EraA": [("data_singlemuon", 260, 4), ("data_singlemuon", 150, 5)],
}
COLUMNS = '{"common": {"inclusive": [ColOut("MuonGood", ["pt", "eta"])]}}'


def write_analysis(folder: Path, sample_file: Any, **edits: str) -> Path:
    """Write the analysis of ``make-config`` on small generated files; return its configuration file.

    edits: argument of the Configurator -> its new text.
    """
    write_template(folder)
    datasets = folder / "datasets" / "datasets.json"
    content = json.loads(datasets.read_text())
    for name, files in FILES.items():
        made = [sample_file(kind=kind, n_events=n, seed=seed).path for kind, n, seed in files]
        content[name]["files"] = [str(path) for path in made]
        content[name]["metadata"]["nevents"] = str(sum(n for _, n, _ in files))
    datasets.write_text(json.dumps(content))
    config = folder / "analysis_config.py"
    text = config.read_text().replace("    columns={},\n", f"    columns={COLUMNS},\n")
    for name, value in edits.items():
        before = next((line for line in text.splitlines() if line.startswith(f"    {name}=")), None)
        line = f"    {name}={value},"
        text = text.replace(before, line) if before else text.replace("    columns=", f"{line}\n    columns=")
    config.write_text(text)
    return config


class Campaign:
    """Jobs over slices of the files of an analysis, run with the iterative executor, outputs in place."""

    def __init__(self, folder: Path, config: Path, slices: Sequence[Mapping[str, Sequence[int]]]) -> None:
        """slices: for each job {dataset: numbers of its files}."""
        self.folder = folder
        self.config_file = config
        self.jobs_dir = folder / "job"
        self.jobs_dir.mkdir(parents=True)
        self.config = load_config(config, save_config=False)
        self.config.save_config(folder)
        jobs = {f"job_{i}": self._run(i, files) for i, files in enumerate(slices)}
        content = {
            "job_name": "job",
            "job_dir": str(self.jobs_dir),
            "output_dir": str(folder),
            "split_by_category": False,
            "config_pkl_total": str(folder / "configurator.pkl"),
            "jobs_list": jobs,
        }
        self.write(content)

    def write(self, content: dict[str, Any]) -> None:
        (self.jobs_dir / "jobs_config.yaml").write_text(yaml.safe_dump(content))

    def read(self) -> dict[str, Any]:
        return yaml.safe_load((self.jobs_dir / "jobs_config.yaml").read_text())

    def output(self, job: int) -> Path:
        return self.folder / f"output_job_{job}.coffea"

    def _run(self, number: int, files: Mapping[str, Sequence[int]]) -> dict[str, Any]:
        filesets = {
            name: {
                "files": [self.config.filesets[name]["files"][k] for k in numbers],
                "metadata": copy.deepcopy(self.config.filesets[name]["metadata"]),
            }
            for name, numbers in files.items()
        }
        config = self.config.clone()
        config.set_filesets_manually(filesets)
        config.do_postprocessing = False
        path = self.jobs_dir / f"config_job_{number}.pkl"
        path.write_bytes(cloudpickle.dumps(config))
        scratch = self.jobs_dir / f"scratch_{number}"
        run_analysis(RunRequest(cfg=str(path), outputdir=str(scratch)))
        shutil.move(scratch / "output_all.coffea", self.output(number))
        shutil.rmtree(scratch)
        (self.jobs_dir / f"job_{number}.done").touch()
        return {
            "filesets": filesets,
            "config_file": str(path),
            "output_file": str(self.output(number)),
        }

    def reference(self) -> Path:
        """Run everything at once; return the output."""
        folder = self.folder / "reference"
        if not folder.is_dir():
            run_analysis(RunRequest(cfg=str(self.config_file), outputdir=str(folder)))
        return folder / "output_all.coffea"


def copy_of(campaign: Campaign, folder: Path) -> Campaign:
    """Return a copy of the campaign in another folder, to be damaged."""
    shutil.copytree(campaign.folder, folder)
    other = copy.copy(campaign)
    other.folder, other.jobs_dir = folder, folder / "job"
    content = other.read()
    text = json.dumps(content).replace(str(campaign.folder), str(folder))
    other.write(json.loads(text))
    return other
