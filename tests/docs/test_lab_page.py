"""docs/lab.md names every service, command and fault of the lab."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

import ci.lab.faults
from ci.lab.errors import LabError
from ci.lab.host import cli
from ci.lab.inside.supervisor import Supervisor, all_services, with_needs

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "lab.md").read_text()


@pytest.mark.parametrize("name", sorted(all_services()))
def test_every_service_is_explained(name):
    assert re.search(rf"\b{name}\b", PAGE)


@pytest.mark.parametrize("name", [each.name for each in pkgutil.iter_modules(ci.lab.faults.__path__)])
def test_every_fault_is_in_the_table_and_in_the_help(name):
    name = name.replace("_", "-")
    assert re.search(rf"^\| `{name}\b", PAGE, re.MULTILINE)
    assert re.search(rf"^ +{name}\b", cli.FAULTS, re.MULTILINE)


@pytest.mark.parametrize(
    "command", ["check", "build", "up", "status", "exec", "logs", "fault", "test", "down", "clean"]
)
def test_every_command_is_explained(command):
    assert f"ci/lab/lab {command}" in PAGE


def test_services_come_with_what_they_need():
    services = all_services()
    assert set(with_needs(["slurm"], services)) >= {"slurm", "slurmdbd", "mariadb", "munge"}
    assert "condor" not in with_needs(["slurm"], services)
    assert set(with_needs([], services)) == set(services)
    with pytest.raises(LabError, match="unknown service 'volcano'; there are: apptainer"):
        with_needs(["volcano"], services)


def test_an_unknown_fault_names_those_that_are():
    with pytest.raises(LabError, match=r"unknown fault 'volcano'; there are: .*condor.*xrootd"):
        ci.lab.faults.switch(Supervisor({}), ["volcano"])
