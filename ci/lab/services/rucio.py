"""Rucio: the real server on SQLite, with CMS-like names and the lab's files at both sites.

A client is known by its grid proxy, as in CMS, or by a password. Files next to this one: rucio_files.
"""

from __future__ import annotations

import json
import secrets
import ssl
import urllib.request
from pathlib import Path

from ci.lab.errors import NotReadyError
from ci.lab.inside.service import Daemon, Service, folder, write
from ci.lab.layout import ETC, PHYSICIST, PORTS, RUCIO_VENV, VENV
from ci.lab.process import run
from ci.lab.services.certificates import CA_FOLDER, HOST_CERT, HOST_KEY, USER_NAME
from ci.lab.services.data import CATALOGUE
from ci.lab.services.xrootd import SITES

FILES = Path(__file__).with_name("rucio_files")
ADDRESS = f"https://rucio.site:{PORTS['rucio']}"
SERVER_USER = "www-data"
PRIVATE = Path("/run/rucio")  # in memory: of the server alone, with root's password, database and key
SERVER, ADMIN, DATABASE = PRIVATE / "server.cfg", PRIVATE / "admin.cfg", PRIVATE / "rucio.db"
ALEMBIC, KEY = PRIVATE / "alembic.ini", PRIVATE / "key.pem"
CLIENT = ETC / "rucio" / "rucio.cfg"
PASSWORD = "lab-rucio"


class Rucio(Service):
    name = "rucio"
    needs = ("certificates",)
    settle_needs = ("data",)
    ports = (PORTS["rucio"],)

    def prepare(self) -> None:
        """Write the settings and make an empty database."""
        folder(PRIVATE, owner=SERVER_USER, mode=0o700)
        values = {
            "address": ADDRESS,
            "account": PHYSICIST,
            "authorities": CA_FOLDER,
            "folder": PRIVATE,
            "venv": RUCIO_VENV,
            "database": DATABASE,
            "alembic": ALEMBIC,
            "password": secrets.token_hex(),
        }
        for path, user in ((SERVER, SERVER_USER), (ALEMBIC, SERVER_USER), (ADMIN, "root")):
            text = (FILES / path.name).read_text()
            write(path, text.format(**values), mode=0o600, owner=user)
        write(CLIENT, (FILES / "client.cfg").read_text().format(**values))
        write(KEY, HOST_KEY.read_text(), mode=0o400, owner=SERVER_USER)
        self._bootstrap()

    def _bootstrap(self) -> None:
        """Make the tables and the account root, with the program that Rucio ships for it."""
        user = ["setpriv", f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--clear-groups"]
        program = [RUCIO_VENV / "bin" / "python", RUCIO_VENV / "rucio" / "tools" / "bootstrap.py"]
        run([*user, *program], env=self._server_environment(), cwd=PRIVATE, timeout=60)

    def daemons(self) -> list[Daemon]:
        command = [str(RUCIO_VENV / "bin" / "gunicorn"), f"--config={FILES / 'serve.py'}"]
        return [Daemon("rucio", command, SERVER_USER, self._server_environment(), str(PRIVATE))]

    def _server_environment(self) -> dict[str, str]:
        return {
            "PATH": f"{RUCIO_VENV}/bin:/usr/bin:/bin",
            "HOME": str(PRIVATE),
            "PYTHONPATH": str(FILES),
            "PYTHONDONTWRITEBYTECODE": "1",
            "RUCIO_CONFIG": str(SERVER),
            "X509_CERT_DIR": str(CA_FOLDER),
            "LAB_RUCIO_BIND": f"127.0.0.1:{PORTS['rucio']}",
            "LAB_RUCIO_CERTIFICATE": str(HOST_CERT),
            "LAB_RUCIO_KEY": str(KEY),
        }

    def check(self) -> str:
        url = f"{ADDRESS}/ping"
        try:
            context = ssl.create_default_context(capath=str(CA_FOLDER))
            with urllib.request.urlopen(url, timeout=4, context=context) as answer:
                version = json.load(answer)["version"]
        except (OSError, ValueError, KeyError) as error:
            msg = f"{url} does not answer: {error}"
            raise NotReadyError(msg) from error
        return f"{ADDRESS}, Rucio {version}"

    def settle(self) -> None:
        """Register the account of physicist, both sites and every file of the lab's catalogue."""
        storage = {
            site.rse: {"hostname": host, "port": int(port), "prefix": f"/{site.prefix}"}
            for site in SITES.values()
            for host, _, port in [site.address.partition(":")]
        }
        what = {"account": PHYSICIST, "password": PASSWORD, "dn": USER_NAME, "storage": storage}
        command = [VENV / "bin" / "python", FILES / "seed.py", CATALOGUE]
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/root",
            "RUCIO_CONFIG": str(ADMIN),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        run(command, env=env, stdin=json.dumps(what), timeout=60)

    def environment(self) -> dict[str, str]:
        return {"RUCIO_CONFIG": str(CLIENT)}


SERVICE = Rucio()
