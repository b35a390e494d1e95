"""Faults of a data server, seen by a client that has time limits; each is off again after its test."""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from ci.lab.control import ask
from ci.lab.errors import LabError
from ci.lab.layout import CONTROL
from ci.lab.process import run
from ci.lab.services.data import catalogue
from ci.lab.services.xrootd import CLIENT_LIMITS, REDIRECTOR, SITES, SLOW_RATE

CONNECTION_ERROR, TIMED_OUT, CHECKSUM_ERROR = 51, 52, 53  # exit codes of xrdcp
READ_ALL = """
import sys, uproot
events = uproot.open(sys.argv[1])["Events"]
bad = 0
for name in events.keys():
    try:
        events[name].array()
    except Exception:
        bad += 1
print(bad, len(events.keys()))
"""


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    for name, value in CLIENT_LIMITS.items():
        monkeypatch.setenv(name, value)


def everywhere() -> dict:
    return next(file for file in catalogue() if len(file["sites"]) == len(SITES))


def url(site: str, file: dict) -> str:
    return f"root://{SITES[site].address}/{file['lfn']}"


def copy(source: str, target: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Copy within 20 s, else exit code 124: a client that was sent to a dying server may never end."""
    return run(["timeout", "20", "xrdcp", "-s", "-f", *options, source, target], check=False)


def seconds_to_copy(folder: Path) -> float:
    started = time.monotonic()
    done = copy(url("fnal", everywhere()), folder / "copy")
    assert done.returncode == 0, done.stdout
    return time.monotonic() - started


def state() -> tuple[str, str, list[str]]:
    """Return state and note of the service, and the faults that are on."""
    status = ask(CONTROL, "status", "now")
    service = next(row for row in status["services"] if row["name"] == "xrootd")
    return service["state"], service["note"], status["faults"]


def must_be_well(tmp_path: Path) -> None:
    """Every copy of every file can be read, and the status says that nothing is wrong."""
    for site in SITES:
        done = copy(url(site, everywhere()), tmp_path / "well", "--cksum", "adler32")
        assert done.returncode == 0, done.stdout
    found, _, faults = state()
    assert found == "healthy"
    assert not [text for text in faults if text.startswith(tuple(SITES))]


@pytest.mark.parametrize("site", list(SITES))
def test_a_server_that_is_down(site, fault, until, tmp_path):
    other = next(name for name in SITES if name != site)
    fault("xrootd", site, "down", off=("xrootd", site, "up"))
    fault("xrootd", site, "down")
    done = copy(url(site, everywhere()), tmp_path / "copy")
    assert done.returncode == CONNECTION_ERROR
    assert "Connection error" in done.stdout
    assert state()[:2] == ("failed", f"{site} is down: it refuses connections")
    assert copy(url(other, everywhere()), tmp_path / "copy").returncode == 0
    federated = f"root://{REDIRECTOR}/{everywhere()['lfn']}"
    until(lambda: copy(federated, tmp_path / "copy").returncode == 0, 20)
    fault("xrootd", site, "up")
    must_be_well(tmp_path)


def test_a_file_of_a_site_that_is_down(fault, until, tmp_path):
    file = next(file for file in catalogue() if file["sites"] == [SITES["fnal"].rse])
    fault("xrootd", "fnal", "down", off=("xrootd", "fnal", "up"))
    federated = f"root://{REDIRECTOR}/{file['lfn']}"
    until(lambda: "No servers are available" in copy(federated, tmp_path / "copy").stdout, 20)
    fault("xrootd", "fnal", "up")
    until(lambda: copy(federated, tmp_path / "copy").returncode == 0, 20)


def test_a_server_that_is_frozen(fault, tmp_path):
    fault("xrootd", "kit", "frozen", off=("xrootd", "kit", "up"))
    done = copy(url("kit", everywhere()), tmp_path / "copy")
    assert done.returncode in (CONNECTION_ERROR, TIMED_OUT), done.stdout
    assert state()[:2] == ("failed", "kit is frozen: it accepts connections and never answers")
    fault("xrootd", "kit", "up")
    must_be_well(tmp_path)


def test_a_server_that_is_slow(fault, monkeypatch, tmp_path):
    monkeypatch.setenv("XRD_REQUESTTIMEOUT", "30")
    monkeypatch.setenv("XRD_STREAMTIMEOUT", "30")
    fault("xrootd", "fnal", "slow", off=("xrootd", "fnal", "up"))
    fault("xrootd", "fnal", "slow")
    assert seconds_to_copy(tmp_path) > everywhere()["bytes"] / (2 * SLOW_RATE)
    assert zlib.adler32((tmp_path / "copy").read_bytes()) == int(everywhere()["adler32"], 16)
    found, _, faults = state()
    assert found == "healthy"
    assert [text for text in faults if "fnal is slow" in text]
    fault("xrootd", "fnal", "up")
    assert seconds_to_copy(tmp_path) < everywhere()["bytes"] / (2 * SLOW_RATE)
    must_be_well(tmp_path)


def test_a_copy_that_is_corrupt(fault, tmp_path):
    file = everywhere()
    fault("xrootd", "kit", "corrupt", file["lfn"], off=("xrootd", "kit", "up"))
    fault("xrootd", "kit", "corrupt", file["lfn"])
    done = copy(url("kit", file), tmp_path / "copy", "--cksum", f"adler32:{file['adler32']}")
    assert done.returncode == CHECKSUM_ERROR
    assert (
        file["adler32"] not in run(["xrdfs", SITES["kit"].address, "query", "checksum", file["lfn"]]).stdout
    )
    assert copy(url("fnal", file), tmp_path / "copy", "--cksum", f"adler32:{file['adler32']}").returncode == 0
    assert [text for text in state()[2] if text == f"kit has a corrupt {file['lfn']}"]
    fault("xrootd", "kit", "up")
    assert file["adler32"] in run(["xrdfs", SITES["kit"].address, "query", "checksum", file["lfn"]]).stdout
    must_be_well(tmp_path)


def test_a_corrupt_file_opens_and_some_of_its_branches_do_not(fault, command):
    fault("xrootd", "fnal", "corrupt", everywhere()["lfn"], off=("xrootd", "fnal", "up"))
    bad, branches = map(int, command(sys.executable, "-c", READ_ALL, url("fnal", everywhere())).split()[-2:])
    assert 0 < bad < branches


def test_faults_of_both_sites_end_one_by_one(fault, tmp_path):
    fault("xrootd", "kit", "down", off=("xrootd", "kit", "up"))
    fault("xrootd", "fnal", "frozen", off=("xrootd", "fnal", "up"))
    assert len(state()[2]) == 2
    fault("xrootd", "kit", "up")
    assert copy(url("kit", everywhere()), tmp_path / "copy").returncode == 0
    assert state()[0] == "failed"
    fault("xrootd", "fnal", "up")
    must_be_well(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["cern", "down"],
        ["kit"],
        ["kit", "broken"],
        ["kit", "corrupt"],
        ["fnal", "corrupt", "/store/none.root"],
    ],
)
def test_words_that_are_not_known_are_refused(words):
    with pytest.raises(LabError, match="usage: xrootd SITE"):
        ask(CONTROL, "fault", "xrootd", *words)
