"""``hadd-skimmed-files`` from and to a real XRootD server that wants a proxy."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import uproot
import yaml

from ci.lab.layout import CVMFS, SHARED, VENV
from ci.lab.process import run
from ci.lab.services.xrootd import SITES
from pocket_coffea.utils.output_file import save_output
from tests.lab.site_runs import SMALL, image_of

FOLDER = f"/store/user/physicist/hadd-{os.getpid()}"
KIT = f"root://{SITES['kit'].address}"
EVENTS = (5, 7, 3)
COMMAND = VENV / "bin" / "pocket-coffea"
#: What is not the same as at the sites.
LAB = {
    "shared-folders": [str(SHARED)],
    "apptainer-binds": [str(SHARED), str(CVMFS)],
    "submit-hosts": ["lab.site"],
}
#: The machine is small, and a flavour's minutes are seconds.
EXECUTORS: dict[str, dict[str, str]] = {
    "condor@lxplus": {**SMALL, "queue": "workday"},
    "slurm@T3_CH_PSI": {"queue": "quick", "walltime": "00:30:00"},
}


@pytest.fixture
def skim(tmp_path: Path) -> Path:
    """Return an output that describes three skimmed files, which are on the server."""
    files = []
    for number, n in enumerate(EVENTS):
        local = tmp_path / f"{number}.root"
        content = {"event": np.arange(n), "genWeight": np.ones(n), "skimRescaleGenWeight": np.full(n, 1.5)}
        with uproot.recreate(local) as file:
            file.mktree("Events", {name: values.dtype for name, values in content.items()}).extend(content)
        files.append(f"{KIT}/{FOLDER}/in/{number}.root")
        run(["xrdcp", "--force", "--silent", "--path", local, files[-1]], timeout=60)
    metadata = {"sample": "DY", "year": "2018", "isMC": "True", "xsec": "1", "size": "1000"}
    output = {
        "skimmed_files": {"DY": files},
        "nskimmed_events": {"DY": list(EVENTS)},
        "cutflow": {"initial": {"DY": 30}},
        "sum_genweights": {"DY": 22.5},
        "sum_genweights_skimmed": {"DY": 15.0},
        "datasets_metadata": {"by_dataset": {"DY": metadata}},
    }
    save_output(output, tmp_path / "skim.coffea")
    return tmp_path


def test_inputs_and_outputs_on_a_server(skim):
    def hadd(*options: str, code: int = 0) -> str:
        words = [COMMAND, "hadd-skimmed-files", "-fl", "skim.coffea", "-s", "1"]
        done = run([*words, "-o", f"{KIT}/{FOLDER}/out", "-f", "2", *options], cwd=skim, check=False)
        assert done.returncode == code, done.stdout
        return done.stdout

    assert "missing: 2" in hadd("--check", code=3)
    assert "2 files merged" in hadd()
    assert "All output files are present and look healthy." in hadd("--check")
    (entry,) = json.loads((skim / "skimmed_dataset_definition_hadd.json").read_text()).values()
    assert entry["files"] == [f"{KIT}/{FOLDER}/out/DY/DY_{n}.root" for n in (1, 2)]
    assert [info["nevents"] for info in entry["file_info"].values()] == [12, 3]
    run(["xrdfs", KIT, "rm", f"{FOLDER}/out/DY/DY_2.root"], timeout=60)
    assert "1 file merged, 1 were there" in hadd()
    assert "2 files merged, 0 were there" in hadd("--overwrite")


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.usefixtures("clean_queues")
def test_jobs_in_the_pinned_image_merge_what_a_server_has(executor, skim, shared_folder):
    image = image_of(executor.partition("@")[2])
    changes = {**EXECUTORS[executor], "worker-image": str(image.path), "jobs-dir": str(shared_folder)}
    options = {**LAB, **changes}
    (skim / "options.yaml").write_text(yaml.safe_dump(options))
    output = f"{KIT}/{FOLDER}/{shared_folder.name}"
    words = [COMMAND, "hadd-skimmed-files", "-fl", "skim.coffea", "-o", output, "-f", "2"]
    words += ["--executor", executor, "-ro", "options.yaml"]
    assert f"Submitted 2 jobs with {executor}" in run(words, cwd=skim).stdout
    watch = [COMMAND, "check-jobs", "-j", shared_folder, "--resubmit", "--interval", "0.5"]
    assert "All jobs are completed" in run(watch, cwd=skim, timeout=400).stdout
    assert "2 of 2 merged files are there" in run(words, cwd=skim).stdout
    (entry,) = json.loads((skim / "skimmed_dataset_definition_hadd.json").read_text()).values()
    assert entry["files"] == [f"{output}/DY/DY_{n}.root" for n in (1, 2)]
    report = json.loads((shared_folder / "hadd" / "logs" / "job_0.1.json").read_text())
    assert (report["exit_code"], report["events"], report["image"]) == (0, 12, image.digest)
    assert [each["path"] for each in report["outputs"]] == entry["files"][:1]
