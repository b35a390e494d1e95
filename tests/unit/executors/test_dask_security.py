from __future__ import annotations

import ssl
import sys

import pytest
from distributed import Client, LocalCluster, Security

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.dask_security import KEY_FILE, make_certificates
from pocket_coffea.executors.dask_tls_errors import forget_tls_errors


def test_keys_are_never_shown():
    certificates = make_certificates()
    shown = repr(certificates) + repr(certificates.security())
    assert "PRIVATE" not in shown
    assert b"PRIVATE KEY" in certificates.worker_files()[KEY_FILE]


def test_each_run_has_its_own_authority():
    assert make_certificates().authority != make_certificates().authority


def test_python_accepts_the_chain_with_all_its_checks(tmp_path):
    certificates = make_certificates()
    for name, content in certificates.worker_files().items():
        (tmp_path / name).write_bytes(content)
    context = ssl.create_default_context(cadata=certificates.authority)
    context.load_cert_chain(tmp_path / "dask-worker.pem", tmp_path / KEY_FILE)
    assert context.get_ca_certs()[0]["subject"] == context.get_ca_certs()[0]["issuer"]


@pytest.mark.slow
def test_only_the_certificates_of_the_run_are_let_in():
    security = make_certificates().security()
    with LocalCluster(
        n_workers=0, processes=False, protocol="tls://", security=security, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        with Client(address, security=security, timeout=5) as client:
            assert client.scheduler_info()["workers"] == {}
        for stranger in (make_certificates().security(), Security.temporary()):
            with pytest.raises(OSError, match=r"certificate|Timed out"):
                Client(address, security=stranger, timeout=2)
        with pytest.raises(OSError, match="tcp://"):
            Client(address.replace("tls://", "tcp://"), timeout=2)


def test_without_cryptography(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(ConfigurationError, match="pip install"):
        make_certificates()


def test_errors_of_openssl_are_forgotten_where_it_lets_us():
    assert forget_tls_errors()
    assert forget_tls_errors()  # a second time changes nothing
