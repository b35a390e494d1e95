"""The grid proxy: where it is looked for, and what is wrong with it, said before anything is submitted."""

from __future__ import annotations

import os
import re
import sys

import pytest

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors import proxy as proxy_module
from pocket_coffea.executors.proxy import RENEW, find_proxy, read_proxy
from tests.unit.executors.proxies import make_proxy

HOUR = 3600.0


@pytest.fixture(autouse=True)
def _no_other_proxy(monkeypatch, tmp_path):
    monkeypatch.delenv("X509_USER_PROXY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def refused(options: dict, needed: float | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        find_proxy(options, needed)
    assert "BEGIN" not in str(caught.value)
    return str(caught.value)


def test_the_option_comes_first_then_the_variable(tmp_path, monkeypatch):
    first, second = (
        make_proxy(tmp_path / "first", 24 * HOUR, 24 * HOUR),
        make_proxy(tmp_path / "second", HOUR, HOUR),
    )
    monkeypatch.setenv("X509_USER_PROXY", str(second))
    monkeypatch.setenv("WHERE", str(tmp_path))
    assert find_proxy({"voms-proxy": "$WHERE/first"}).path == first
    assert find_proxy({"voms-proxy": None}).path == second
    found = find_proxy({"voms-proxy": str(first)})
    assert found.subject == "/CN=physicist"
    assert found.voms
    assert 24 * HOUR - 60 < found.seconds_left() <= 24 * HOUR


def test_the_voms_command_is_asked_then_the_usual_place(tmp_path, monkeypatch):
    named = make_proxy(tmp_path / "named", 24 * HOUR, 24 * HOUR)
    tool = tmp_path / "bin" / "voms-proxy-info"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\n[ "$1" = -path ] && echo {named}\n')
    tool.chmod(0o755)
    assert find_proxy({}).path == named
    tool.write_text("#!/bin/sh\nexit 1\n")
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    assert "no grid proxy at /tmp/x509up_u987654 (where voms-proxy-init puts it)" in refused({})


def test_open_data_need_no_proxy(tmp_path):
    assert find_proxy({"ignore-grid-certificate": True, "voms-proxy": str(tmp_path / "none")}) is None


def test_none_is_there(tmp_path):
    said = refused({"voms-proxy": str(tmp_path / "none")})
    assert f"{tmp_path / 'none'} (run option voms-proxy): No such file" in said
    assert RENEW in said
    assert "ignore-grid-certificate: true" in said


def test_a_folder_is_no_proxy(tmp_path):
    assert "is no file" in refused({"voms-proxy": str(tmp_path)})


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604])
def test_a_proxy_that_others_can_read(tmp_path, mode):
    path = make_proxy(tmp_path / "proxy", HOUR)
    path.chmod(mode)
    said = refused({"voms-proxy": str(path)})
    assert f"has mode {mode:04o}" in said
    assert said.endswith(f"chmod 600 {path}")


def test_a_read_only_proxy_is_fine(tmp_path):
    path = make_proxy(tmp_path / "proxy", HOUR, HOUR)
    path.chmod(0o400)
    assert find_proxy({"voms-proxy": str(path)}) is not None


def test_a_proxy_of_somebody_else(tmp_path, monkeypatch):
    path = make_proxy(tmp_path / "proxy", HOUR)
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    assert f"belongs to user {path.stat().st_uid}, not to you (987654)" in refused({"voms-proxy": str(path)})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_file_without_a_certificate(tmp_path, content):
    path = tmp_path / "proxy"
    path.write_bytes(content)
    path.chmod(0o600)
    said = refused({"voms-proxy": str(path)})
    assert "no readable certificate" in said
    assert RENEW in said


def test_a_certificate_without_its_key(tmp_path):
    path = make_proxy(tmp_path / "proxy", HOUR, key=False)
    assert "a certificate but no key" in refused({"voms-proxy": str(path)})


@pytest.mark.parametrize(
    ("seconds", "said"), [(-90 * 60, "ended 1 h 30 min ago"), (19 * 60 + 30, "ends in 19 min")]
)
def test_less_than_twenty_minutes_are_an_error(tmp_path, seconds, said):
    path = make_proxy(tmp_path / "proxy", seconds, HOUR)
    message = refused({"voms-proxy": str(path)})
    assert said in message
    assert f"Renew it: {RENEW}" in message
    assert re.search(r"at \d{4}-\d\d-\d\d \d\d:\d\d UTC", message)


@pytest.mark.parametrize("part", ["attributes", "owner"])
def test_the_shortest_part_counts(tmp_path, part):
    path = make_proxy(tmp_path / "proxy", 24 * HOUR, **{"attributes": 24 * HOUR, part: 600})
    assert re.search(r"ends in (9|10) min", refused({"voms-proxy": str(path)}))


def test_a_job_that_may_run_longer_is_a_warning_with_the_command(tmp_path, caplog):
    path = make_proxy(tmp_path / "proxy", 5 * HOUR, 5 * HOUR)
    assert find_proxy({"voms-proxy": str(path), "walltime": "4:00:00"}) is not None
    assert caplog.text == ""
    find_proxy({"voms-proxy": str(path), "walltime": "6:00:00"})
    assert re.search(r"ends in 4 h 59 min, at .*may run for 6 h 00 min", caplog.text)
    assert RENEW in caplog.text
    caplog.clear()
    find_proxy({"voms-proxy": str(path)}, needed=24 * HOUR)
    assert "may run for 24 h 00 min" in caplog.text


def test_a_proxy_without_attributes_of_a_vo_is_a_warning(tmp_path, caplog):
    path = make_proxy(tmp_path / "proxy", 5 * HOUR)
    assert not find_proxy({"voms-proxy": str(path)}).voms
    assert "no attributes of a VO" in caplog.text
    assert RENEW in caplog.text


def test_without_cryptography_the_package_is_named(tmp_path, monkeypatch):
    path = make_proxy(tmp_path / "proxy", HOUR)
    monkeypatch.setitem(sys.modules, "cryptography.x509", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pocket-coffea\[dask\]'"):
        read_proxy(path)


def test_what_is_shown_of_a_proxy_has_no_key(tmp_path):
    found = read_proxy(make_proxy(tmp_path / "proxy", HOUR))
    assert "PRIVATE" not in repr(found)
    assert proxy_module.SHORTEST == 1200
