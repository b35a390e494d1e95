"""``pocket-coffea sites`` and what ``run`` does with sites."""

from __future__ import annotations

import json
import shutil
import socket

import pytest
import yaml
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.sites.book import SITES_VARIABLE, SiteBook

MINE = """\
name: mine
description: our own
batch: none
executors:
  dask:
    scaleout: 2
    worker-image: null
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    monkeypatch.delenv(SITES_VARIABLE, raising=False)
    monkeypatch.setenv("POCKET_COFFEA_IMAGES", str(tmp_path / "images"))
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "no_proxy"))
    for name in ("getfqdn", "gethostname"):
        monkeypatch.setattr(socket, name, lambda: "laptop.home")
    (tmp_path / "mine.yaml").write_text(MINE)
    monkeypatch.chdir(tmp_path)


def invoke(*arguments, code=0):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    return result.output


def test_list():
    lines = invoke("sites", "list", "--site-file", "mine.yaml").splitlines()
    assert lines[0].split() == ["site", "batch", "executors", "description"]
    assert len(lines) == 1 + len(SiteBook()) + 1
    assert any("DESY (DESY_NAF)" in line and "parsl" in line for line in lines)
    assert any(line.startswith("mine") and "mine.yaml]" in line for line in lines)
    assert [site["name"] for site in json.loads(invoke("sites", "list", "--json"))] == SiteBook().names()


def test_show_is_the_site_as_its_file_has_it():
    shown = yaml.safe_load(invoke("sites", "show", "DESY_NAF"))
    assert shown["name"] == "DESY"
    assert shown["executors"]["parsl"]["scaleout"] == 10
    assert json.loads(invoke("sites", "show", "DESY", "--json")) == shown
    assert "Did you mean 'DESY'" in invoke("sites", "show", "DESSY", code=1)


def test_show_can_be_read_again(tmp_path):
    for site in SiteBook():
        shown = yaml.safe_load(invoke("sites", "show", site.name))
        del shown["file"]
        if not shown["proxy"]["folder"]:
            del shown["proxy"]["folder"]
        copy = tmp_path / f"{site.name}.yaml"
        copy.write_text(yaml.safe_dump(shown))
        again = SiteBook([copy]).get(site.name)
        for field in ("image", "hosts", "container", "queues", "storage", "executors", "directives"):
            assert getattr(again, field) == getattr(site, field)


def test_check_says_what_is_missing_and_what_to_do(monkeypatch, tmp_path):
    (tmp_path / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tmp_path))
    text = invoke("sites", "check", "lxplus", code=3)
    for part in (
        "laptop.home does not fit *lxplus*",
        "condor_submit",
        "pocket-coffea image build lxplus",
        "voms-proxy-init",
        "lxplus: ",
    ):
        assert part in text
    result = json.loads(invoke("sites", "check", "lxplus", "--json", code=3))
    assert result["ready"] is False
    assert all(check["todo"] for check in result["checks"] if check["state"] == "missing")


def test_check_ends_with_zero_when_all_is_there(monkeypatch, tmp_path):
    (tmp_path / "apptainer").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert invoke("sites", "check", "mine", "--site-file", "mine.yaml").endswith("mine: ready\n")


def test_a_wrong_site_file_ends_with_one():
    with open("mine.yaml", "a") as file:
        file.write("quueues: {}\n")
    assert "mine.yaml:8: there is no key 'quueues'" in invoke(
        "sites", "list", "--site-file", "mine.yaml", code=1
    )
    assert "mine.yaml:8" in invoke("run", "--print-run-options", "--site-file", "mine.yaml", code=1)


# ---- run options


def test_print_run_options_needs_nothing_else(tmp_path):
    text = invoke("run", "--print-run-options", "-e", "dask@mine", "--site-file", "mine.yaml", "-c", "5")
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in text.splitlines()}
    assert rows["scaleout"] == ["2", f"site file {tmp_path}/mine.yaml:6 (dask@mine)"]
    assert rows["chunksize"] == ["5", "command line (--chunksize)"]
    assert rows["retries"][1].startswith("defaults (general), executor_options_defaults.yaml:")
    assert rows["checkpoint"] == ["true", "schema default"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_print_run_options_refuses_what_a_run_would_refuse():
    assert "does not read queue" in invoke("run", "--print-run-options", "-q", "x", code=1)
    assert "There is no executor 'daks'" in invoke("run", "--print-run-options", "-e", "daks", code=1)
    assert "There is no site 'nowhere'" in invoke("run", "--print-run-options", "-e", "dask@nowhere", code=1)


def test_jobs_are_submitted_from_the_machines_of_the_site_only():
    text = invoke("run", "--cfg", "x.py", "-o", "out", "-e", "dask@lxplus", code=1)
    assert "lxplus, whose name is like *lxplus*; this one is laptop.home" in text
    text = invoke("run", "--cfg", "x.py", "-o", "out", "-e", "dask@lxplus", "--submit-hosts=*.home", code=1)
    assert "x.py" in text
    assert "x.py" in invoke("run", "--cfg", "x.py", "-o", "out", "-e", "iterative@lxplus", code=1)


def test_without_it_cfg_and_output_are_needed():
    assert "Missing option '--cfg'" in invoke("run", code=2)
    assert "Missing option '-o'" in invoke("run", "--cfg", "x.py", code=2)


def test_the_variable_is_another_way(monkeypatch):
    monkeypatch.setenv(SITES_VARIABLE, "mine.yaml")
    assert "(dask@mine)" in invoke("run", "--print-run-options", "-e", "dask@mine")
