"""A site of a user is one file: with it alone, Dask runs in jobs of the real HTCondor, with equal numbers."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from coffea.util import load

from ci.lab.layout import PROJECT
from ci.lab.process import run

COMMAND = Path(sys.executable).with_name("pocket-coffea")

SITE = {
    "name": "ours",
    "description": "the lab's pool, as a user describes it",
    "aliases": ["institute"],
    "batch": "htcondor",
    "hosts": ["lab.*"],
    "queues": {"directive": "+JobFlavour", "ladder": {"espresso": "20s", "workday": "480s"}},
    "container": {"runtime": "apptainer"},
    "shared": ["/shared", "/opt/venv", str(PROJECT)],
    "proxy": "shared",
    "scratch": "/scratch/$USER",
    "logs": "{outputdir}/condor_log",
    "environment": {"OUR_VARIABLE": "set by the site"},
    "prologue": ['test "$OUR_VARIABLE" = "set by the site"'],
    "directives": {"+ProjectName": '"cms"'},
    "executors": {
        "dask": {"scaleout": 2, "mem-per-worker": "1GB", "queue": "workday", "local-virtualenv": True}
    },
}


@pytest.fixture
def site_file(shared_folder):
    path = shared_folder / "ours.yaml"
    path.write_text(yaml.safe_dump(SITE, sort_keys=False))
    return path


@pytest.fixture
def config(shared_folder):
    spec = importlib.util.spec_from_file_location("demo", PROJECT / "ci" / "demo.py")
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    return demo.prepare(shared_folder, demo.make_samples(shared_folder / "samples", 0.05)) / "config.py"


def pocket_coffea(*words, code=0, folder=None):
    done = run([str(COMMAND), *map(str, words)], cwd=folder, timeout=240, check=False)
    assert done.returncode == code, done.stdout
    return done.stdout


def test_check_says_what_is_there(site_file):
    result = json.loads(pocket_coffea("sites", "check", "institute", "--site-file", site_file, "--json"))
    assert result["ready"] is True
    found = {check["what"]: check for check in result["checks"]}
    assert found["submit machine"]["found"] == "lab.site fits lab.*"
    assert found["condor_submit"]["state"] == found["grid proxy"]["state"] == "ok"
    shipped = json.loads(pocket_coffea("sites", "check", "T3_CH_PSI", "--json", code=3))
    missing = {check["what"] for check in shipped["checks"] if check["state"] == "missing"}
    assert {"submit machine", "shared folder /t3home"} <= missing
    assert "sbatch" not in missing


def test_the_site_runs(until, site_file, config):
    folder = config.parent
    words = ["run", "--cfg", config, "-c", "300", "--site-file", site_file]
    pocket_coffea(*words, "-o", folder / "here", "-e", "iterative", folder=folder)
    pocket_coffea(*words, "-o", folder / "there", "-e", "dask@institute", folder=folder)
    here, there = (load(folder / name / "output_all.coffea") for name in ("here", "there"))
    assert there["cutflow"] == here["cutflow"]
    assert there["sumw"] == here["sumw"]
    made = there["provenance"]
    origin = made["run_options"]["queue"]["origin"]
    assert origin.startswith(f"site file {site_file}:")
    assert origin.endswith("(dask@ours)")
    # the folder of the run is gone, the logs of its jobs are where the site says
    assert list((folder / "there" / "condor_log").iterdir())
    query = ["condor_history", "-limit", "20", "-af", "JobFlavour", "ProjectName", "Owner"]
    wanted = f"workday cms {os.environ.get('USER', 'physicist')}"
    until(lambda: wanted in run(query, check=False).stdout, 20)  # removed jobs come into it after a moment
