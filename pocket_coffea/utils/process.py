"""The one door through which other programs are started: argument list, time limit, both streams kept."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, Any

from pocket_coffea.errors import CommandFailed

__all__ = ["Process", "run_command", "start_command"]


#: A program that was started and goes on.
Process = subprocess.Popen[bytes]


def run_command(
    argv: Sequence[str],
    *,
    timeout: float | None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    stdin: IO[Any] | None = None,
    attached: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return exit code, stdout and stderr as text. No shell is involved.

    timeout in seconds, None for a program that a person ends. ``env`` replaces the whole environment, ``cwd``
    is where it runs, ``stdin`` an open file that it reads. ``attached`` leaves its streams on the terminal;
    stdout and stderr are then not kept. Raises CommandFailed, naming the command and what it printed, when
    the program cannot be started, does not end in time or, with ``check``, ends with a code other than 0.
    """
    shown = shlex.join(argv)
    try:
        done = subprocess.run(
            list(argv),
            capture_output=not attached,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=stdin,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"{shown} did not end within {timeout or 0:g} s."
        raise CommandFailed(msg) from error
    except OSError as error:
        msg = f"{shown} cannot be started: {error.strerror or error}."
        raise CommandFailed(msg) from error
    if check and done.returncode:
        streams = [(text or "").strip() for text in (done.stdout, done.stderr)]
        printed = "\n".join(text for text in streams if text)
        msg = f"{shown} ended with code {done.returncode}.\n{printed}".rstrip()
        raise CommandFailed(msg)
    return done


def start_command(
    argv: Sequence[str],
    *,
    stdout: IO[Any] | int,
    stderr: IO[Any] | int,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Process:
    """Start a program as leader of a session of its own, and do not wait for it. No shell is involved.

    It reads nothing and writes to the open files ``stdout`` and ``stderr``; it outlives this process, and a
    signal to the process group of its number reaches all that it starts. Raises CommandFailed when it
    cannot be started.
    """
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        msg = f"{shlex.join(argv)} cannot be started: {error.strerror or error}."
        raise CommandFailed(msg) from error
