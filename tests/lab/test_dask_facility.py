"""Dask where a facility starts the workers, and on this machine: casa, swan, infn-af, purdue-af, local."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dask_gateway import Gateway
from distributed import Client

from ci.lab.layout import PORTS
from ci.lab.services.gateway import ADDRESS, PROXY_ADDRESS
from tests.lab.dask_runs import leaves_nothing, newest_image
from tests.lab.parsl_runs import content, provenance

URL = f"tls://localhost:{PORTS['dask-scheduler']}"
#: The lab's workers run in its own environment and not in an image.
GIVEN = {"allow-unpinned-image": True, "tree-reduction": 4}
GATEWAY = {
    **GIVEN,
    "gateway-address": ADDRESS,
    "gateway-proxy-address": PROXY_ADDRESS,
    "submit-hosts": ["lab.site"],
    "scaleout": 2,
}


@pytest.mark.parametrize("site", ["casa", "swan"])
def test_an_existing_scheduler_with_tls(site, analysis, expected, shared_folder):
    output = shared_folder / "out"
    address = {} if site == "casa" else {"sched-url": URL}
    analysis.run(f"dask@{site}", output, {**GIVEN, **address, "performance-report": True})
    assert content(output) == expected()
    found = provenance(output)["workers"]
    assert (found["site"], found["scheduler"], found["pinned"]) == (site, URL, False)
    assert "Dask Performance Report" in (output / "dask-report.html").read_text()
    with Client(URL, timeout=20) as client:  # it goes on, with the workers that it had
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2


def test_the_address_is_needed(analysis, shared_folder):
    said = analysis.run("dask@swan", shared_folder / "out", GIVEN, code=1)
    assert "dask@swan needs the run option sched-url" in said


def test_no_scheduler_at_the_address(analysis, shared_folder):
    said = analysis.run(
        "dask@swan", shared_folder / "out", {**GIVEN, "sched-url": "tcp://localhost:1"}, code=1
    )
    assert "no connection to a Dask scheduler" in said


def test_workers_that_run_in_no_image_are_refused(analysis, shared_folder):
    options = {"worker-image": "/shared/images/busybox.sif", "allow-code-mismatch": True}
    said = analysis.run("dask@casa", shared_folder / "out", options, code=1)
    assert "A worker of casa cannot take part" in said
    assert "runs in no image" in said


def test_the_proxy_travels_to_the_workers_and_is_gone_afterwards(tmp_path):
    from pocket_coffea.executors.dask_plugin import FacilityPlugin

    def look(dask_worker):
        path = Path(os.environ.get("X509_USER_PROXY", "/none"))
        inside = path.is_relative_to(dask_worker.local_directory)
        return inside, path.exists() and path.stat().st_mode & 0o777, os.environ.get("XRD_MARK")

    def left(dask_worker):
        return [path.name for path in Path(dask_worker.local_directory).glob("x509up*")]

    with Client(URL, timeout=20) as client:
        client.register_plugin(FacilityPlugin(None, b"a proxy", {"XRD_MARK": "7"}))
        assert set(client.run(look).values()) == {(True, 0o600, "7")}
        client.unregister_worker_plugin(FacilityPlugin.name)
        assert list(client.run(left).values()) == [[], []]
        assert {mark for *_, mark in client.run(look).values()} == {None}


def test_a_gateway(analysis, expected, shared_folder):
    output = shared_folder / "out"
    said = analysis.run("dask@purdue-af", output, GATEWAY)
    assert content(output) == expected()
    assert f"You can connect to the Dask viewer at {ADDRESS}/clusters/" in said
    assert provenance(output)["workers"]["gateway"] == ADDRESS
    assert "Traceback" not in said
    assert Gateway().list_clusters() == []


def test_a_gateway_whose_users_choose_the_image(analysis, expected, shared_folder):
    output = shared_folder / "out"
    options = {key: value for key, value in GATEWAY.items() if key != "allow-unpinned-image"}
    image = {"worker-image": str(newest_image()), "allow-code-mismatch": True}
    analysis.run("dask@purdue-af", output, options | image)
    assert content(output) == expected()
    found = provenance(output)["workers"]
    assert (found["kind"], found["image"]["pinned"]) == ("image", True)
    assert Gateway().list_clusters() == []
    assert leaves_nothing(output)


def test_a_gateway_that_is_not_there(analysis, shared_folder):
    options = {**GATEWAY, "gateway-address": "http://127.0.0.1:1"}
    said = analysis.run("dask@purdue-af", shared_folder / "out", options, code=1)
    assert "Dask Gateway at http://127.0.0.1:1 made no cluster" in said


def test_this_machine_needs_no_batch_system(analysis, expected, shared_folder):
    output = shared_folder / "out"
    analysis.run("dask@local", output, {"local-virtualenv": True, "scaleout": 2, "tree-reduction": 4})
    assert content(output) == expected()
    assert provenance(output)["workers"]["batch"] == "none"
    assert len(list(output.glob("dask_log/worker-*.err"))) == 2
    assert leaves_nothing(output)


def test_this_machine_with_the_pinned_image(analysis, expected, shared_folder):
    output = shared_folder / "out"
    options = {
        "worker-image": str(newest_image()),
        "allow-code-mismatch": True,
        "scaleout": 2,
        "tree-reduction": 4,
    }
    analysis.run("dask@local", output, options)
    assert content(output) == expected()
    assert provenance(output)["workers"]["kind"] == "image"
    assert leaves_nothing(output)
