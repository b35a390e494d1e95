"""The grid proxy of physicist, with the commands that users are told to run."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ci.lab.process import run
from ci.lab.services.certificates import PROXY, USER_KEY


@pytest.fixture
def renewed(fault):
    """Leave a fresh proxy behind."""
    fault("proxy", "renew", off=("proxy", "renew"))


def seconds_left(path: Path = PROXY) -> int:
    return int(run(["voms-proxy-info", "-file", path, "-timeleft"]).stdout)


def test_the_proxy_is_where_programs_look_for_it(command):
    assert command("voms-proxy-info", "-path").strip() == str(PROXY)
    command("voms-proxy-info", "-exists", "-valid", "0:20")
    assert stat.S_IMODE(PROXY.stat().st_mode) == 0o600
    assert stat.S_IMODE(USER_KEY.stat().st_mode) == 0o400


def test_the_proxy_names_the_vo_and_its_groups(command):
    said = command("voms-proxy-info", "-all")
    assert "VO        : cms" in said
    assert "attribute : /cms/Role=NULL/Capability=NULL" in said
    assert command("voms-proxy-info", "-acexists", "cms") == ""


def test_a_user_renews_the_proxy_as_the_grid_tutorials_say(renewed, command):
    said = command("voms-proxy-init", "-voms", "cms", "-rfc", "--valid", "168:0")
    assert str(PROXY) in said
    assert 167 * 3600 < seconds_left() <= 168 * 3600
    assert "VO        : cms" in command("voms-proxy-info", "-all")


def test_a_renewed_proxy_goes_where_the_user_wants_it(renewed, command, tmp_path):
    target = tmp_path / "proxy"
    command("voms-proxy-init", "--voms=cms", "--valid", "2:00", "--out", target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert 3600 < seconds_left(target) <= 2 * 3600


def test_without_voms_the_real_command_makes_a_plain_proxy(command, tmp_path):
    command("voms-proxy-init", "-rfc", "-valid", "1:30", "-out", tmp_path / "plain")
    assert 3600 < seconds_left(tmp_path / "plain") <= 5400
    assert "VO" not in command("voms-proxy-info", "-all", "-file", tmp_path / "plain")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-voms", "atlas"], "VO atlas unknown; the lab has: cms"),
        (["-voms", "cms", "-valid", "soon"], "-valid 'soon': hours and minutes"),
        (["-voms", "cms", "-colour", "red"], "unknown option -colour"),
        (["-voms"], "-voms needs a value"),
        (["-voms", "cms", "-valid", "99999:0"], "HOURS from 1 to"),
    ],
)
def test_a_wrong_option_is_refused(words, said):
    done = run(["voms-proxy-init", *words], check=False)
    assert done.returncode == 1
    assert said in done.stdout
    assert "Traceback" not in done.stdout
