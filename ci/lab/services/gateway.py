"""Dask Gateway: the real server with its local backend, whose clusters run as physicist on this machine."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from ci.lab.errors import NotReadyError
from ci.lab.inside.service import Daemon, Service, folder, write
from ci.lab.layout import CVMFS, ETC, GATEWAY_VENV, IMAGES, PHYSICIST, PORTS, SCRATCH, SHARED, VENV
from ci.lab.services.dask import PRELOAD

ADDRESS = f"http://127.0.0.1:{PORTS['gateway']}"
PROXY_ADDRESS = f"gateway://127.0.0.1:{PORTS['gateway-tcp']}"
PASSWORD = "lab-gateway"
SETTINGS = ETC / "gateway" / "dask_gateway_config.py"
CLIENT_SETTINGS = Path("/etc/dask/lab-gateway.yaml")
CLUSTERS = SCRATCH / "gateway"
#: What workers in an image see of the machine; the certificates of a cluster are below CLUSTERS.
BINDS = f"{SHARED},{SCRATCH},{CVMFS},{IMAGES}:{IMAGES}:ro"


class Gateway(Service):
    name = "gateway"
    needs = ("node",)
    ports = (PORTS["gateway"], PORTS["gateway-api"], PORTS["gateway-tcp"])

    def prepare(self) -> None:
        """Write the settings of server and client; both hold the password, so they are physicist's alone."""
        folder(CLUSTERS, owner=PHYSICIST, mode=0o700)
        here = Path(__file__)
        values = {
            "address": f"127.0.0.1:{PORTS['gateway-api']}",
            "proxy": f"127.0.0.1:{PORTS['gateway']}",
            "proxy_tcp": f"127.0.0.1:{PORTS['gateway-tcp']}",
            "password": PASSWORD,
            "clusters": CLUSTERS,
            "dask": VENV / "bin" / "dask",
            "home": f"/home/{PHYSICIST}",
            "preload": PRELOAD,
            "binds": BINDS,
        }
        server = here.with_name("gateway_config.template").read_text()
        write(SETTINGS, server.format(**values), mode=0o600, owner=PHYSICIST)
        values = {"address": ADDRESS, "proxy": PROXY_ADDRESS, "password": PASSWORD}
        client = here.with_suffix(".yaml").read_text()
        write(CLIENT_SETTINGS, client.format(**values), mode=0o600, owner=PHYSICIST)

    def daemons(self) -> list[Daemon]:
        command = [str(GATEWAY_VENV / "bin" / "dask-gateway-server"), f"--config={SETTINGS}"]
        environment = {"PATH": f"{VENV}/bin:/usr/bin:/bin", "HOME": f"/home/{PHYSICIST}", "USER": PHYSICIST}
        return [
            Daemon("gateway", command, user=PHYSICIST, environment=environment, folder=str(CLUSTERS)),
        ]

    def check(self) -> str:
        """Ask, through the proxy, whether the server can start clusters."""
        url = f"{ADDRESS}/api/health"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                status = json.load(answer)["status"]
        except (OSError, ValueError, KeyError) as error:
            msg = f"{url} does not answer: {error}"
            raise NotReadyError(msg) from error
        if status != "pass":
            msg = f"{url} says {status!r}"
            raise NotReadyError(msg)
        return f"{ADDRESS}, schedulers at {PROXY_ADDRESS}"


SERVICE = Gateway()
