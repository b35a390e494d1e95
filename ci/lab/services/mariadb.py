"""MariaDB: the storage of Slurm's accounting; reached over a local socket, without passwords."""

from __future__ import annotations

import shutil
from pathlib import Path

from ci.lab.errors import NotReadyError
from ci.lab.inside.service import Daemon, Service, folder, write
from ci.lab.layout import ETC
from ci.lab.process import CommandFailedError, run

DATA = Path("/run/mariadb")  # in memory, 50 MB: making it on a disk takes five times longer
SOCKET = Path("/run/mysqld/mysqld.sock")
TEMPLATE = Path(__file__).with_suffix(".cnf")
CONFIGURATION = ETC / "mariadb.cnf"
# the operating system vouches for the user slurm, so there is no password to keep
GRANTS = (
    "FLUSH PRIVILEGES;\nCREATE USER slurm@localhost IDENTIFIED VIA unix_socket;\n"
    "GRANT ALL ON slurm_acct_db.* TO slurm@localhost;\n"
)
AS_MYSQL = ("setpriv", "--reuid=mysql", "--regid=mysql", "--clear-groups")


class MariaDB(Service):
    name = "mariadb"

    def prepare(self) -> None:
        write(CONFIGURATION, TEMPLATE.read_text().format(data=DATA, socket=SOCKET))
        folder(SOCKET.parent, owner="mysql")
        shutil.rmtree(DATA, ignore_errors=True)
        folder(DATA, owner="mysql", mode=0o700)
        grants = write(ETC / "mariadb-grants.sql", GRANTS)
        command = [*AS_MYSQL, "mariadb-install-db", f"--defaults-file={CONFIGURATION}", "--skip-test-db"]
        run([*command, f"--extra-file={grants}"], timeout=60)

    def daemons(self) -> list[Daemon]:
        return [Daemon("mariadbd", ("mariadbd", f"--defaults-file={CONFIGURATION}"), user="mysql")]

    def check(self) -> str:
        command = ["mariadb", "--no-defaults", f"--socket={SOCKET}", "--batch", "--skip-column-names"]
        try:
            version = run([*command, "--execute=SELECT version()"], timeout=5).stdout.strip()
        except CommandFailedError as error:
            raise NotReadyError(str(error)) from error
        return f"{version} at {SOCKET}"


SERVICE = MariaDB()
