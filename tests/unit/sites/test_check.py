"""What of a site's needs is on this machine."""

from __future__ import annotations

import socket

import pytest

from pocket_coffea.errors import SiteError
from pocket_coffea.sites.check import DASK_PORT, check_site
from pocket_coffea.sites.hosts import is_submit_host, require_submit_host
from pocket_coffea.sites.read import read_site

HEAD = "name: here\ndescription: a place\nbatch: htcondor\n"


@pytest.fixture
def site(site_file):
    return lambda text="", batch="htcondor": read_site(site_file(HEAD.replace("htcondor", batch) + text))


@pytest.fixture
def machine(monkeypatch):
    """Be a machine of that name."""

    def be(*names):
        monkeypatch.setattr(socket, "getfqdn", lambda: names[0])
        monkeypatch.setattr(socket, "gethostname", lambda: names[-1])

    return be


def found(site):
    return {finding.what: finding for finding in check_site(site)}


@pytest.mark.parametrize(
    ("names", "pattern", "fits"),
    [
        (["lxplus912.cern.ch"], "*lxplus*", True),
        (["LXPLUS912"], "*lxplus*", True),
        (["login1.psi.ch", "login1"], "*.psi.ch", True),
        (["login1"], "*.psi.ch", True),  # it does not know its domain
        (["login1"], "*lxplus*", False),
        (["lab.site", "lab"], "*.psi.ch", False),
    ],
)
def test_submit_machines(site, machine, names, pattern, fits):
    machine(*names)
    assert is_submit_host(site(f'hosts: ["{pattern}"]\n')) is fits


def test_another_machine_is_refused_with_the_way_out(site, machine):
    machine("laptop.home")
    require_submit_host(site(), "dask@here")
    with pytest.raises(SiteError) as caught:
        require_submit_host(site('hosts: ["*.here.org", there]\n'), "dask@here")
    message = str(caught.value)
    for part in ("dask@here", "*.here.org or there", "laptop.home", "submit-hosts", "sites check here"):
        assert part in message


def test_batch_commands(site, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("condor_submit", "condor_q", "condor_rm"):
        (tmp_path / name).touch(mode=0o755)
    findings = found(site("image: lxplus\n"))
    assert findings["condor_submit"].state == "ok"
    assert findings["condor_submit"].found == str(tmp_path / "condor_submit")
    assert findings["condor_history"].state == "missing"
    assert "of the image lxplus" in findings["condor_history"].todo
    assert {"sbatch", "squeue", "scancel", "sacct"} <= set(found(site(batch="slurm")))
    assert found(site(batch="none"))["apptainer"].state == "missing"
    assert "apptainer" not in found(site(batch="scheduler"))


def test_packages(site):
    findings = found(site("executors: {dask: {}, parsl: {}}\n"))
    assert findings["Python package distributed"].state == "ok"
    assert {"Python package dask-jobqueue", "Python package parsl"} <= set(findings)
    assert "Python package dask-gateway" in found(site("executors: {dask: {}}\n", "gateway"))


def test_folders(site, tmp_path):
    text = f"shared: [{tmp_path}, {tmp_path}/gone]\nproxy: {{way: shared, folder: {tmp_path}}}\n"
    findings = found(site(text))
    assert findings[f"shared folder {tmp_path}"].state == "ok"
    gone = findings[f"shared folder {tmp_path}/gone"]
    assert gone.state == "missing"
    assert "shared-folders" in gone.todo
    assert findings[f"folder for the proxy {tmp_path}"].state == "ok"
    findings = found(site("proxy: {way: shared, folder: /nowhere}\n"))
    assert findings["folder for the proxy /nowhere"].state == "missing"


def test_cvmfs(site):
    text = "container: {runtime: apptainer, binds: [/cvmfs]}\nenvironment: {X: /cvmfs/no.such.place/here}\n"
    findings = found(site(text))
    assert "/cvmfs/cms.cern.ch" in findings
    assert findings["/cvmfs/no.such.place/here"].state == "missing"
    assert "--bind /cvmfs" in findings["/cvmfs/no.such.place/here"].todo
    assert found(site(text, "none"))["/cvmfs/no.such.place/here"].state == "note"


def test_a_busy_port_is_a_note(site):
    what = f"port {DASK_PORT} for the Dask scheduler"
    with socket.socket() as other:
        try:
            other.bind(("", DASK_PORT))
            other.listen()
        except OSError:
            pass  # somebody else has it, which serves as well
        finding = found(site("executors: {dask: {}}\n"))[what]
    assert finding.state == "note"
    assert "--dask-scheduler-port" in finding.todo
    assert what not in found(site())
    assert what not in found(site("executors: {dask: {}}\n", "gateway"))
