"""Data over XRootD as a physicist reads and writes it: redirector, two sites, with and without a proxy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from ci.lab.process import run
from ci.lab.services.certificates import HOST_KEY, PRIVATE, XROOTD_KEY
from ci.lab.services.data import catalogue
from ci.lab.services.xrootd import CLIENT_LIMITS, REDIRECTOR, SITES

AUTH_FAILED, SERVER_ERROR, CHECKSUM_ERROR = 52, 54, 53  # exit codes of xrdcp
KIT, FNAL = (f"root://{SITES[name].address}/" for name in ("kit", "fnal"))
FEDERATION = f"root://{REDIRECTOR}/"
OWN = "/store/user/physicist"
ENTRIES = "import sys, uproot; print(uproot.open(sys.argv[1])['Events'].num_entries)"


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    for name, value in CLIENT_LIMITS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def no_proxy(monkeypatch, tmp_path):
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "no-proxy"))


def file_at(*sites: str) -> dict:
    """Return a file of the catalogue that is at exactly these sites."""
    wanted = sorted(SITES[site].rse for site in sites)
    return next(file for file in catalogue() if sorted(file["sites"]) == wanted)


def copy(source: str | Path, target: str | Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(["xrdcp", "--silent", "--force", *options, source, target], check=False, timeout=30)


def adler32(path: Path) -> str:
    return f"{zlib.adler32(path.read_bytes()):08x}"


@pytest.mark.parametrize("sites", [("kit",), ("fnal",), ("kit", "fnal")], ids="+".join)
def test_the_redirector_finds_a_file_wherever_it_is(sites, tmp_path):
    file = file_at(*sites)
    assert copy(FEDERATION + file["lfn"], tmp_path / "copy.root", "--cksum", "adler32").returncode == 0
    assert adler32(tmp_path / "copy.root") == file["adler32"]


def test_uproot_reads_through_the_redirector(command):
    file = file_at("kit")
    assert int(command(sys.executable, "-c", ENTRIES, FEDERATION + file["lfn"])) == file["events"]


@pytest.mark.parametrize("site", list(SITES))
def test_each_site_has_a_prefix_of_its_own(site, tmp_path):
    file = file_at("kit", "fnal")
    source = f"root://{SITES[site].address}/{SITES[site].prefix}{file['lfn']}"
    assert copy(source, tmp_path / "copy.root").returncode == 0
    assert adler32(tmp_path / "copy.root") == file["adler32"]


def test_the_protected_server_refuses_who_has_no_proxy(no_proxy, tmp_path):
    done = copy(KIT + file_at("kit")["lfn"], tmp_path / "copy.root")
    assert done.returncode == AUTH_FAILED
    assert "Auth failed: No protocols left to try" in done.stdout


def test_the_protected_server_refuses_a_proxy_without_attributes_of_the_vo(command, monkeypatch, tmp_path):
    plain = tmp_path / "plain"
    command("voms-proxy-init", "-rfc", "-quiet", "-out", plain)
    monkeypatch.setenv("X509_USER_PROXY", str(plain))
    assert copy(KIT + file_at("kit")["lfn"], tmp_path / "copy.root").returncode == AUTH_FAILED


def test_the_open_server_takes_everybody(no_proxy, tmp_path):
    file = file_at("fnal")
    for server in (FNAL, FEDERATION):
        assert copy(server + file["lfn"], tmp_path / "copy.root").returncode == 0


def test_without_a_proxy_the_redirector_does_not_lead_to_a_protected_file(no_proxy):
    """The client of the virtual environment gives up, by either text; xrdcp 5.8.1 waits for ever."""
    done = run([sys.executable, "-c", ENTRIES, FEDERATION + file_at("kit")["lfn"]], check=False, timeout=60)
    assert done.returncode == 1
    assert "OSError" in done.stdout
    assert re.search("No servers are available|Redirect limit has been reached", done.stdout)


@pytest.mark.parametrize("base", ["", SITES["kit"].prefix], ids=["store", "prefix"])
def test_physicist_writes_to_a_folder_of_their_own(base, command, tmp_path):
    source = tmp_path / "histograms.root"
    source.write_bytes(os.urandom(100_000))
    target = f"{base}{OWN}/{tmp_path.name}/deeper/histograms.root"
    try:
        assert copy(source, KIT + target).returncode == 0
        assert adler32(source) in command("xrdfs", KIT, "query", "checksum", target)
        assert copy(FEDERATION + target.removeprefix(base), tmp_path / "back").returncode == 0
        assert (tmp_path / "back").read_bytes() == source.read_bytes()
    finally:
        command("xrdfs", KIT, "rm", target)
        for folder in (Path(target).parent, Path(target).parent.parent):
            command("xrdfs", KIT, "rmdir", folder)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (KIT + "/store/user/somebody/file", "permission denied"),
        (KIT + "/store/mc/file", "permission denied"),
        (KIT + f"{SITES['kit'].prefix}/store/mc/file", "permission denied"),
        (FNAL + f"{OWN}/file", "read/only"),
    ],
)
def test_nobody_writes_elsewhere(target, said, tmp_path):
    (tmp_path / "file").write_text("text")
    done = copy(tmp_path / "file", target)
    assert done.returncode == SERVER_ERROR
    assert said in done.stdout


@pytest.mark.parametrize("server", [KIT, FNAL], ids=list(SITES))
def test_servers_sum_a_file_as_the_catalogue_does(server, command):
    file = file_at("kit", "fnal")
    assert command("xrdfs", server, "query", "checksum", file["lfn"]).split() == ["adler32", file["adler32"]]


def test_a_copy_with_another_checksum_is_an_error(tmp_path):
    done = copy(FNAL + file_at("fnal")["lfn"], tmp_path / "copy.root", "--cksum", "adler32:00000001")
    assert done.returncode == CHECKSUM_ERROR


def test_a_file_that_nobody_has(tmp_path):
    done = copy(FEDERATION + "/store/mc/no/such/file.root", tmp_path / "copy.root")
    assert done.returncode == SERVER_ERROR
    assert "No servers are available to read the file" in done.stdout


@pytest.mark.parametrize("path", [PRIVATE, HOST_KEY, XROOTD_KEY], ids=str)
def test_keys_of_the_site_are_not_for_its_users(path):
    assert not os.access(path, os.R_OK)
