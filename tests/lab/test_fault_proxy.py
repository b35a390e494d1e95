"""An expired proxy and a wrong clock, as a physicist meets them."""

from __future__ import annotations

import stat
import subprocess
import time
from pathlib import Path

import pytest

from ci.lab.control import ask
from ci.lab.errors import LabError
from ci.lab.layout import CONTROL
from ci.lab.process import run
from ci.lab.services.certificates import PROXY
from ci.lab.services.data import catalogue
from ci.lab.services.xrootd import CLIENT_LIMITS, SITES

AUTH_FAILED = 52
DAYS = 24 * 3600  # s


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    for name, value in CLIENT_LIMITS.items():
        monkeypatch.setenv(name, value)


def copy(site: str, target: Path) -> subprocess.CompletedProcess[str]:
    lfn = next(file["lfn"] for file in catalogue() if len(file["sites"]) == len(SITES))
    return run(["xrdcp", "-s", "-f", f"root://{SITES[site].address}/{lfn}", target], check=False, timeout=30)


def faults_on() -> list[str]:
    return ask(CONTROL, "status")["faults"]


def test_an_expired_proxy_opens_no_protected_server(fault, tmp_path):
    fault("proxy", "expire", off=("proxy", "renew"))
    assert run(["voms-proxy-info", "-exists", "-valid", "0:20"], check=False).returncode == 1
    assert run(["voms-proxy-info", "-timeleft"]).stdout.strip() == "0"
    assert stat.S_IMODE(PROXY.stat().st_mode) == 0o600
    assert "proxy expired" in faults_on()
    assert copy("kit", tmp_path / "copy").returncode == AUTH_FAILED
    assert copy("fnal", tmp_path / "copy").returncode == 0
    fault("proxy", "renew", "3")
    assert 2 * 3600 < int(run(["voms-proxy-info", "-timeleft"]).stdout) <= 3 * 3600
    assert copy("kit", tmp_path / "copy").returncode == 0
    assert "proxy expired" not in faults_on()


def test_a_user_cures_an_expired_proxy(fault, command, tmp_path):
    fault("proxy", "expire", off=("proxy", "renew"))
    command("voms-proxy-init", "-voms", "cms", "-rfc", "--valid", "168:0")
    assert copy("kit", tmp_path / "copy").returncode == 0


def test_the_proxy_is_replaced_at_once(fault):
    """A job that reads the file while it is renewed finds the old proxy or the new one, never a part."""
    before = PROXY.open("rb")
    with before:
        fault("proxy", "renew", off=("proxy", "renew"))
        assert before.read().count(b"BEGIN CERTIFICATE") == 2
    assert not list(PROXY.parent.glob(f".{PROXY.name}.*"))


@pytest.mark.parametrize("seconds", [2 * DAYS, -2 * DAYS], ids=["ahead", "behind"])
def test_a_server_with_a_wrong_clock_refuses_a_valid_proxy(seconds, fault, tmp_path):
    fault("clock-skew", str(seconds), off=("clock-skew", "off"))
    fault("clock-skew", str(seconds))
    assert copy("kit", tmp_path / "copy").returncode == AUTH_FAILED
    assert copy("fnal", tmp_path / "copy").returncode == 0
    assert run(["voms-proxy-info", "-exists", "-valid", "0:20"], check=False).returncode == 0
    assert any("the clock of kit" in text for text in faults_on())
    fault("clock-skew", "off")
    assert copy("kit", tmp_path / "copy").returncode == 0
    assert not any("clock" in text for text in faults_on())


def test_a_small_skew_is_forgiven(fault, tmp_path):
    fault("clock-skew", "120", off=("clock-skew", "off"))
    assert copy("kit", tmp_path / "copy").returncode == 0


def test_jobs_see_the_wrong_clock_of_their_worker(fault, command, until, shared_folder):
    if "condor" not in [service["name"] for service in ask(CONTROL, "status")["services"]]:
        pytest.skip("HTCondor does not run in this lab")
    fault("clock-skew", str(2 * DAYS), off=("clock-skew", "off"))
    output = shared_folder / "date.out"
    text = (
        f"executable = /bin/date\narguments = +%s\noutput = {output}\nlog = {shared_folder}/date.log\nqueue\n"
    )
    (shared_folder / "date.sub").write_text(text)
    command("condor_submit", shared_folder / "date.sub")
    seen = until(lambda: output.exists() and output.read_text().strip(), 40)
    assert abs(int(seen) - time.time() - 2 * DAYS) < 60


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["proxy"], "proxy expire | proxy renew"),
        (["proxy", "renew", "0"], "HOURS from 1 to"),
        (["proxy", "renew", "1.5"], "whole hours"),
        (["clock-skew", "tomorrow"], "clock-skew SECONDS"),
        (["clock-skew", "0"], "not 0"),
    ],
)
def test_words_that_are_not_known_are_refused(words, said):
    with pytest.raises(LabError, match=r"usage|there are") as error:
        ask(CONTROL, "fault", *words)
    assert said in str(error.value)
