"""A plain Dask scheduler that speaks TLS, with two workers: what `sched-url` executors connect to.

The settings that a client needs are in /etc/dask, where Dask looks by itself, and not in environment
variables: variables follow a user into batch jobs and images, where the certificates are missing, and Dask
then refuses to start even a cluster that does not use TLS. A certificate that a user names comes before them.
"""

from __future__ import annotations

import json
import socket
import ssl
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from ci.lab.errors import NotReadyError
from ci.lab.inside.service import Daemon, Service, folder, write
from ci.lab.layout import ETC, HOST_NAME, PHYSICIST, PORTS, PROJECT, SCRATCH, VENV
from ci.lab.process import run

FILES = ETC / "dask"
CA, NODE, USER = FILES / "ca.pem", FILES / "node", FILES / "user"  # .pem and .key of the last two
PRELOAD = PROJECT / "ci/lab/services/dask_files/forget_ssl_errors.py"
CLIENT_SETTINGS = Path("/etc/dask/lab-tls.yaml")
ADDRESS = f"tls://127.0.0.1:{PORTS['dask-scheduler']}"
WORKERS = 2
WORKER_MEMORY = "2 GiB"
ALWAYS = ("-not_before", "20200101000000Z", "-not_after", "20991231000000Z")  # whatever a clock shows


class Dask(Service):
    name = "dask"
    needs = ("node",)
    ports = (PORTS["dask-scheduler"], PORTS["dask-dashboard"])

    def prepare(self) -> None:
        folder(FILES, owner=PHYSICIST, mode=0o700)
        folder(SCRATCH / "dask", owner=PHYSICIST, mode=0o700)
        make_certificates()
        text = Path(__file__).with_suffix(".yaml").read_text()
        write(CLIENT_SETTINGS, text.format(ca=CA, user=USER), mode=0o600, owner=PHYSICIST)

    def daemons(self) -> list[Daemon]:
        dask = VENV / "bin" / "dask"
        tls = [f"--tls-ca-file={CA}", f"--tls-cert={NODE}.pem", f"--tls-key={NODE}.key"]
        scheduler = [
            *(str(dask), "scheduler", "--protocol=tls", "--host=127.0.0.1"),
            f"--port={PORTS['dask-scheduler']}",
            f"--preload={PRELOAD}",
            f"--dashboard-address=127.0.0.1:{PORTS['dask-dashboard']}",
            *tls,
        ]
        worker = [
            *(str(dask), "worker", ADDRESS, "--host=127.0.0.1", "--no-dashboard"),
            *(f"--nworkers={WORKERS}", "--nthreads=1", f"--memory-limit={WORKER_MEMORY}"),
            f"--local-directory={SCRATCH / 'dask'}",
            *(f"--preload={PRELOAD}", f"--preload-nanny={PRELOAD}"),
            *tls,
        ]
        return [self._daemon("dask-scheduler", scheduler), self._daemon("dask-worker", worker)]

    def _daemon(self, name: str, command: list[str]) -> Daemon:
        environment = {
            "PATH": f"{VENV}/bin:/usr/bin:/bin",
            "HOME": f"/home/{PHYSICIST}",
            "USER": PHYSICIST,
        }
        return Daemon(name, command, user=PHYSICIST, environment=environment, folder=str(SCRATCH / "dask"))

    def check(self) -> str:
        """Greet the scheduler with the user's certificate and count the workers that it knows."""
        _greet()
        workers = _workers()
        if workers < WORKERS:
            msg = f"{workers} of {WORKERS} workers have registered"
            raise NotReadyError(msg)
        return f"{ADDRESS} with {workers} workers"


def make_certificates() -> None:
    """Make an authority, and certificates for the scheduler with its workers and for the user."""
    authority = FILES / "authority.key"
    ours = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    _certificate("Lab Dask CA", CA, authority, ours)
    signed = ("-CA", CA, "-CAkey", authority)
    theirs = ("basicConstraints=critical,CA:FALSE",)
    names = (f"subjectAltName=DNS:localhost,DNS:{HOST_NAME},IP:127.0.0.1",)
    _certificate("scheduler", Path(f"{NODE}.pem"), Path(f"{NODE}.key"), theirs + names, signed)
    _certificate(PHYSICIST, Path(f"{USER}.pem"), Path(f"{USER}.key"), theirs, signed)
    authority.unlink()  # nothing else is ever signed
    for path in FILES.iterdir():
        write(path, path.read_text(), mode=0o600, owner=PHYSICIST)


def _certificate(
    name: str, out: Path, key: Path, extensions: Sequence[str], signed: Sequence[str | Path] = ()
) -> None:
    command: list[str | Path] = ["openssl", "req", "-x509", "-noenc", *ALWAYS, *signed]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-subj", f"/O=Lab/CN={name}", "-keyout", key, "-out", out]
    for extension in extensions:
        command += ["-addext", extension]
    run(command, timeout=30)


def _greet() -> None:
    """Do what a client does first; a scheduler that does not like our certificate hangs up."""
    try:
        context = ssl.create_default_context(cafile=str(CA))
        context.load_cert_chain(f"{USER}.pem", f"{USER}.key")
        with (
            socket.create_connection(("127.0.0.1", PORTS["dask-scheduler"]), timeout=2) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as line,
        ):
            answer = line.recv(1)
    except OSError as error:
        msg = f"the scheduler at {ADDRESS} does not accept a client: {error}"
        raise NotReadyError(msg) from error
    if not answer:
        msg = f"the scheduler at {ADDRESS} hung up on a client"
        raise NotReadyError(msg)


def _workers() -> int:
    url = f"http://127.0.0.1:{PORTS['dask-dashboard']}/json/counts.json"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return int(json.load(answer)["workers"])
    except (OSError, ValueError, KeyError) as error:
        msg = f"the scheduler does not say how many workers it has ({url}): {error}"
        raise NotReadyError(msg) from error


SERVICE = Dask()
