"""Answer requests on the lab's control socket: status, environment, fault."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

from ci.lab.errors import LabError
from ci.lab.layout import CONTROL

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervisor


def listen(supervisor: Supervisor) -> None:
    """Serve requests in a thread. Everybody in the lab may ask: it is a test bed of one person."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    CONTROL.unlink(missing_ok=True)
    server.bind(str(CONTROL))
    CONTROL.chmod(0o666)
    server.listen(16)
    threading.Thread(target=_serve, args=(server, supervisor), daemon=True).start()


def _serve(server: socket.socket, supervisor: Supervisor) -> None:
    while True:
        line, _ = server.accept()
        threading.Thread(target=_answer, args=(line, supervisor), daemon=True).start()


def _answer(line: socket.socket, supervisor: Supervisor) -> None:
    with line:
        try:
            request = json.loads(line.makefile("rb").readline())
            answer = _do(supervisor, request["verb"], request["arguments"])
        except LabError as error:
            answer = {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - a defect of one request must not end the lab
            answer = {"error": f"defect of the lab: {error!r}"}
        try:
            line.sendall(json.dumps(answer).encode())
        except OSError:
            return  # the one who asked has gone


def _do(supervisor: Supervisor, verb: str, arguments: list[str]) -> dict:
    if verb == "status":
        return supervisor.status(now="now" in arguments)
    if verb == "environment":
        return {"environment": supervisor.environment(*arguments)}
    if verb == "fault":
        from ci.lab.faults import switch

        return {"text": switch(supervisor, arguments)}
    msg = f"unknown request {verb!r}"
    raise LabError(msg)
