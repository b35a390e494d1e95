import os
import stat

import pytest

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.utils.network import get_proxy_path


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Put a voms-proxy-info on PATH that prints a number and ends with a code."""

    def install(seconds, code=0):
        script = tmp_path / "bin" / "voms-proxy-info"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\necho {seconds}\nexit {code}\n")
        script.chmod(script.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")

    return install


@pytest.fixture
def proxy(tmp_path, monkeypatch):
    path = tmp_path / "proxy.pem"
    path.write_text("proxy")
    monkeypatch.setenv("X509_USER_PROXY", str(path))
    return path


def test_a_valid_proxy(tool, proxy):
    tool(3600)
    assert get_proxy_path() == str(proxy)


def test_an_expired_proxy(tool, proxy):
    tool(0)
    with pytest.raises(ConfigurationError, match=r"expired.*voms-proxy-init"):
        get_proxy_path()


def test_a_file_that_is_no_proxy(tool, proxy):
    tool("bad", code=1)
    with pytest.raises(ConfigurationError, match="ended with code 1"):
        get_proxy_path()


def test_no_proxy(tmp_path, monkeypatch):
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="no readable VOMS proxy"):
        get_proxy_path()


def test_nothing_to_check_it_with(proxy, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="neither voms-proxy-info nor openssl"):
        get_proxy_path()
