"""The one place where the lab starts processes: argument lists only, both streams kept for the error."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from ci.lab.errors import LabError


class CommandFailedError(LabError):
    """A command ended with an error; the message holds it, its exit code and the end of its output."""

    def __init__(self, command: Sequence[str], code: int | None, output: str) -> None:
        self.command, self.code, self.output = list(command), code, output
        end = "no exit code: it ran past its time limit" if code is None else f"exit code {code}"
        tail = "\n  ".join(output.strip().splitlines()[-15:]) or "(no output)"
        super().__init__(f"`{shlex.join(command)}` failed, {end}:\n  {tail}")


def run(
    command: Sequence[str | Path],
    *,
    timeout: float = 600,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stdin: str = "",
    output: IO[str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; stdout holds both streams unless they go to the file ``output``.

    Raises CommandFailedError when it cannot be started, times out (in s) or, with ``check``, exits non-zero.
    """
    argv = [str(part) for part in command]
    try:
        done = subprocess.run(
            argv,
            stdout=output if output is not None else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            input=stdin,
            text=True,
            errors="replace",
            timeout=timeout,
            env=None if env is None else dict(env),
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailedError(argv, None, _text(error.stdout)) from error
    except OSError as error:
        raise CommandFailedError(argv, 127, str(error)) from error
    if check and done.returncode:
        raise CommandFailedError(argv, done.returncode, done.stdout or "")
    return done


def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: str | Path = "/",
    user: str | None = None,
    keep: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a process of its own session that writes to the file ``log``; the caller owns its pid.

    It inherits the open file descriptors ``keep`` and no others.
    """
    argv = [str(part) for part in command]
    with log.open("ab") as stream:
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                pass_fds=tuple(keep),
                **_identity(user),
            )
        except OSError as error:
            raise CommandFailedError(argv, 127, str(error)) from error


def foreground(command: Sequence[str | Path]) -> int:
    """Run a command on the caller's terminal and return its exit code; an interrupt belongs to it alone."""
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.call([str(part) for part in command])
    except OSError as error:
        raise CommandFailedError([str(part) for part in command], 127, str(error)) from error
    finally:
        signal.signal(signal.SIGINT, previous)
    return 128 - code if code < 0 else code


def replace(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
    """Become the command; does not return. Raises CommandFailedError when it cannot be started."""
    argv = [str(part) for part in command]
    try:
        os.execvpe(argv[0], argv, dict(os.environ if env is None else env))
    except OSError as error:
        raise CommandFailedError(argv, 127, str(error)) from error


def _identity(user: str | None) -> dict:
    if user is None:
        return {}
    import grp
    import pwd

    entry = pwd.getpwnam(user)
    groups = [group.gr_gid for group in grp.getgrall() if user in group.gr_mem]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
