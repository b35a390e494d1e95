"""The line to a lab's first process: one JSON request and one JSON answer over a local socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from ci.lab.errors import LabError, NotReadyError


def ask(path: Path, verb: str, *arguments: str, timeout: float = 120) -> dict:
    """Send a request and return the answer.

    Raises NotReadyError when nobody listens, LabError when the request is refused or times out (in s).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout)
        _connect(line, path)
        try:
            line.sendall(json.dumps({"verb": verb, "arguments": list(arguments)}).encode() + b"\n")
            answer = json.loads(b"".join(iter(lambda: line.recv(65536), b"")) or b"{}")
        except TimeoutError as error:
            msg = f"The lab did not answer `{verb}` within {timeout:.0f} s."
            raise LabError(msg) from error
        except (OSError, json.JSONDecodeError) as error:
            msg = f"The lab hung up on `{verb}`: {error}"
            raise NotReadyError(msg) from error
    if "error" in answer:
        raise LabError(answer["error"])
    return answer


def _connect(line: socket.socket, path: Path) -> None:
    """Connect by way of the folder's descriptor: a socket's address holds about 100 characters."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        msg = f"no lab at {path.parent}"
        raise NotReadyError(msg) from error
    try:
        line.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError as error:
        msg = f"the lab at {path} does not listen: {error}"
        raise NotReadyError(msg) from error
    finally:
        os.close(folder)
