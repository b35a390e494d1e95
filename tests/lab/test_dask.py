"""The Dask scheduler with TLS, as a user of `sched-url` meets it."""

from __future__ import annotations

import json
import os
import socket
import ssl
import urllib.request

import pytest
from distributed import Client, LocalCluster, Security

from ci.lab.layout import PORTS
from ci.lab.services.dask import CA, CLIENT_SETTINGS, FILES, USER, WORKERS

PORT = PORTS["dask-scheduler"]
ADDRESS = f"tls://localhost:{PORT}"


def test_a_client_needs_nothing_but_the_address():
    with Client(ADDRESS, timeout=20) as client:
        assert client.submit(sum, [20, 22]).result(timeout=30) == 42
        assert set(client.run(os.getuid).values()) == {os.getuid()}


def test_the_workers_are_two_with_one_thread_and_limited_memory_each():
    with Client(ADDRESS, timeout=20) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        folders = client.run(lambda dask_worker: dask_worker.local_directory)
    assert [worker["nthreads"] for worker in workers] == [1] * WORKERS
    assert {worker["memory_limit"] for worker in workers} == {2 * 1024**3}
    assert all(folder.startswith("/scratch/") for folder in folders.values())


def test_a_worker_imports_the_project():
    def version():
        import pocket_coffea

        return pocket_coffea.__file__

    with Client(ADDRESS, timeout=20) as client:
        assert client.submit(version).result(timeout=30).startswith("/project/")


def test_keys_and_settings_are_the_users_alone():
    for path in [CLIENT_SETTINGS, *FILES.iterdir()]:
        assert path.stat().st_mode & 0o777 == 0o600, path
        assert path.stat().st_uid == os.getuid(), path


def test_without_tls_the_scheduler_refuses():
    with pytest.raises(OSError, match=r"Connection reset by peer|Timed out"):
        Client(f"tcp://localhost:{PORT}", timeout=3)


def test_without_a_certificate_the_scheduler_hangs_up():
    context = ssl.create_default_context(cafile=CA)
    with (
        socket.create_connection(("127.0.0.1", PORT), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as line,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
    ):
        line.recv(1)


def test_a_stranger_with_another_authority_is_refused(tmp_path):
    """Right CA to trust the scheduler, but a certificate that this CA did not sign."""
    stranger = Security.temporary()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_text(stranger.tls_client_cert)
    key.write_text(stranger.tls_client_key)
    security = Security(tls_ca_file=str(CA), tls_client_cert=str(certificate), tls_client_key=str(key))
    with pytest.raises(OSError, match=r"(?i)unknown.ca|broken pipe|reset|EOF|timed out"):
        Client(ADDRESS, security=security, timeout=3)


def test_peers_that_hang_up_early_break_nobody_elses_connection():
    """With Python 3.13 and OpenSSL 3.5 they do, without ci/lab/services/dask_files."""
    with Client(ADDRESS, timeout=20) as client:
        for number in range(15):
            _hang_up_after_the_handshake()
            assert client.submit(abs, -number, pure=False).result(timeout=30) == number


def _hang_up_after_the_handshake() -> None:
    context = ssl.create_default_context(cafile=CA)
    context.load_cert_chain(f"{USER}.pem", f"{USER}.key")
    with (
        socket.create_connection(("127.0.0.1", PORT), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost"),
    ):
        pass


def test_a_users_own_certificates_come_before_the_labs_settings():
    security = Security(
        tls_ca_file=str(CA),
        tls_client_cert=f"{USER}.pem",
        tls_client_key=f"{USER}.key",
        require_encryption=True,
    )
    with Client(ADDRESS, security=security, timeout=20) as client:
        assert client.submit(len, "abc").result(timeout=30) == 3


def test_clusters_of_a_users_own_are_not_disturbed():
    """The settings in /etc/dask name a certificate; a cluster without TLS must not care."""
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        assert client.submit(sum, [1, 2]).result(timeout=30) == 3


def test_the_status_page_is_on_loopback():
    url = f"http://127.0.0.1:{PORTS['dask-dashboard']}/json/counts.json"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert json.load(answer)["workers"] == WORKERS
    listening = {line.split()[3] for line in _listeners() if f":{PORTS['dask-dashboard']}" in line}
    assert listening == {f"127.0.0.1:{PORTS['dask-dashboard']}"}


def _listeners() -> list[str]:
    from ci.lab.process import run

    return run(["ss", "-ltnH"]).stdout.splitlines()
