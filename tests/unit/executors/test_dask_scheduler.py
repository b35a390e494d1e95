from __future__ import annotations

import socket

import pytest

from pocket_coffea.errors import ConfigurationError, OptionError
from pocket_coffea.executors import dask_scheduler
from pocket_coffea.executors.dask_scheduler import dashboard_address, free_port, scheduler_options, started


@pytest.fixture
def busy():
    """A port that is taken, and the next one free."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_busy_port_is_skipped_and_said(busy, caplog):
    caplog.set_level("INFO")
    found = free_port(busy, "127.0.0.1")
    assert found > busy
    assert f"port {busy} is busy: {found} is taken" in caplog.text


def test_no_port_is_free(busy, monkeypatch):
    monkeypatch.setattr(dask_scheduler, "_TRIES", 1)
    with pytest.raises(ConfigurationError, match="dask-scheduler-port"):
        free_port(busy, "127.0.0.1")


def cluster_on(ports):
    distributed = pytest.importorskip("distributed")
    return distributed.LocalCluster(
        n_workers=0,
        host="127.0.0.1",
        scheduler_port=next(ports),
        dashboard_address=None,
        silence_logs=50,
    )


def test_a_port_that_somebody_took_in_the_same_moment(busy):
    ports = iter([busy, busy, 0])
    with started(lambda: cluster_on(ports)) as cluster:
        assert cluster.scheduler.port not in (0, busy)


def test_a_port_that_stays_taken(busy):
    ports = iter([busy] * 10)
    with pytest.raises(ConfigurationError, match=r"cannot be started: .*in use"):
        started(lambda: cluster_on(ports))
    assert len(list(ports)) == 5


def test_what_else_keeps_a_scheduler_from_starting_is_told_at_once(busy):
    calls = []

    def make():
        calls.append(1)
        msg = "Cluster failed to start"
        raise RuntimeError(msg) from OSError("no such interface")

    with pytest.raises(ConfigurationError, match="cannot be started: no such interface"):
        started(make)
    assert len(calls) == 1


def test_any_port():
    assert free_port(0, "127.0.0.1") == 0


def test_the_dashboard_is_on_the_loopback_beside_the_scheduler():
    host, _, port = dashboard_address(8787).partition(":")
    assert host == "127.0.0.1"
    assert int(port) > 8787


def test_the_host_of_the_user():
    found = scheduler_options({"dask-scheduler-host": "localhost", "dask-scheduler-port": 0})
    assert (found["host"], found["port"]) == ("127.0.0.1", 0)
    with pytest.raises(OptionError, match=r"dask-scheduler-host = 'none.invalid': it has no address"):
        scheduler_options({"dask-scheduler-host": "none.invalid"})


def test_a_name_of_another_machine_is_where_workers_are_sent():
    found = scheduler_options({"dask-scheduler-host": "192.0.2.7", "dask-scheduler-port": 20123})
    assert found["contact_address"] == f"tls://192.0.2.7:{found['port']}"
    assert "host" not in found
    with pytest.raises(OptionError, match="can only forward a port that is known"):
        scheduler_options({"dask-scheduler-host": "192.0.2.7", "dask-scheduler-port": 0})
