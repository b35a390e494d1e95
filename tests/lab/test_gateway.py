"""Dask Gateway, as a user of an analysis facility meets it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from aiohttp import ClientResponseError
from dask_gateway import BasicAuth, Gateway, GatewayCluster

from ci.lab.layout import PHYSICIST
from ci.lab.services.gateway import ADDRESS, CLUSTERS, PROXY_ADDRESS


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """Return the gateway; whatever a failed test left running ends."""
    with Gateway() as found:
        yield found
        for report in found.list_clusters():
            found.stop_cluster(report.name)


@pytest.fixture(scope="module")
def cluster(gateway: Gateway) -> Iterator[GatewayCluster]:
    """Return a cluster with two workers."""
    with gateway.new_cluster() as found:
        found.scale(2)
        with found.get_client() as client:
            client.wait_for_workers(2, timeout=60)
        yield found


def test_the_gateway_needs_no_arguments(gateway):
    assert gateway.address == ADDRESS
    assert gateway.proxy_address == PROXY_ADDRESS


def test_a_cluster_computes(cluster):
    with cluster.get_client() as client:
        assert client.gather(client.map(lambda x: x * x, range(50))) == [x * x for x in range(50)]


def test_workers_run_as_physicist_and_import_the_project(cluster):
    def who():
        import os

        import pocket_coffea

        return os.getuid(), os.environ["HOME"], pocket_coffea.__file__.split("/")[1]

    with cluster.get_client() as client:
        answers = set(client.run(who).values())
    assert answers == {(os.getuid(), f"/home/{PHYSICIST}", "project")}


def test_a_worker_that_dies_is_replaced(cluster, until):
    with cluster.get_client() as client:
        before = client.run(os.getpid)
        address, pid = min(before.items())
        os.kill(pid, signal.SIGKILL)

        def replaced() -> bool:
            now = client.scheduler_info(n_workers=-1)["workers"]
            return len(now) == 2 and address not in now

        until(replaced, 40)
        assert client.submit(sum, [1, 2, 3]).result(timeout=30) == 6


def test_a_cluster_is_scaled_down_and_ended(gateway, until):
    with gateway.new_cluster(shutdown_on_close=True) as cluster:
        name = cluster.name
        cluster.scale(1)
        with cluster.get_client() as client:
            client.wait_for_workers(1, timeout=60)
            cluster.scale(0)
            until(lambda: not client.scheduler_info(n_workers=-1)["workers"], 30)
        assert name in {report.name for report in gateway.list_clusters()}
    until(lambda: name not in {report.name for report in gateway.list_clusters()}, 20)
    until(lambda: not (CLUSTERS / name).exists(), 20)


def test_a_wrong_password_is_refused():
    with (
        Gateway(auth=BasicAuth(PHYSICIST, "guessed")) as stranger,
        pytest.raises(ClientResponseError, match="401"),
    ):
        stranger.list_clusters()
