"""The script that every worker of a batch system starts with: ``worker.sh``.

It runs inside the image, prepares the worker, and then becomes the command of its arguments. It finds the
files of the run beside itself, so that it works where it was written and as a transferred copy. In the
arguments ``{here}`` becomes its folder and ``{scratch}`` the scratch folder of the worker.

=========  ===============================================================
exit code  means
=========  ===============================================================
70 - 72    wrong image, wrong Python, damaged expectation (images.check)
78         a preparing command failed; it is on stderr
=========  ===============================================================
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pocket_coffea.errors import ConfigurationError

__all__ = ["FAILED", "Preparation", "commands_of", "start_script"]

#: Exit code of a worker whose preparation failed.
FAILED = 78

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEAD = """\
#!/bin/bash
# Made by PocketCoffea for one run: prepares a worker, then becomes the command of the arguments.
worker_here=$(CDPATH= cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd) || exit 78
worker_command=("$@")
set --
worker_step="its first lines"
worker_text=
worker_stopped() {
    worker_code=$?
    trap - EXIT
    printf 'worker.sh on %s: %s failed with code %s\\n' "$(hostname)" "$worker_step" "$worker_code" >&2
    [ -z "$worker_text" ] || printf '%s\\n' "$worker_text" >&2
    exit 78
}
trap worker_stopped EXIT
"""
_SCRATCH = """\
worker_tmp=/tmp
for worker_word in "${{TMPDIR:-}}" "${{_CONDOR_SCRATCH_DIR:-}}"; do
    # the folder of the node may not be there inside the image
    if [ -d "$worker_word" ] && [ -w "$worker_word" ]; then worker_tmp=$worker_word; fi
done
[ -d "${{TMPDIR:-/tmp}}" ] || export TMPDIR="$worker_tmp"
worker_step="making the scratch folder"
worker_scratch={scratch}
mkdir -p -- "$worker_scratch" || exit
# numba needs a place for what it compiles
[ -n "${{NUMBA_CACHE_DIR:-}}" ] || [ -w "${{HOME:-/}}" ] || export NUMBA_CACHE_DIR="$worker_scratch/numba"
"""
_PROXY = """\
worker_step="finding the grid proxy"
export X509_USER_PROXY="$worker_here"/{name}
chmod 600 -- "$X509_USER_PROXY" || exit
"""
#: Files of the analysis came along: where resolve_data_file looks first.
_DATA = 'export POCKET_COFFEA_DATA="$worker_here${POCKET_COFFEA_DATA:+:$POCKET_COFFEA_DATA}"\n'
_TAIL = """\
trap - EXIT
set +eu
{check}for worker_index in "${{!worker_command[@]}}"; do
    worker_word=${{worker_command[worker_index]//'{{here}}'/"$worker_here"}}
    worker_command[worker_index]=${{worker_word//'{{scratch}}'/"$worker_scratch"}}
done
exec "${{worker_command[@]}}"
"""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a worker does first, in this order.

    variables: names and values. proxy, expectation: names of files beside the script, empty for none.
    data: whether payload files of the analysis are beside it, too.
    scratch: a folder in which ``$TMPDIR`` is the worker's. clean_python: whether variables that would change
    which Python code runs are removed. lines: (what they are, lines), a failing line stops the worker.
    lenient: lines of subclasses, where a failing one is said and no more. activation: lines that speak for
    themselves. python: the interpreter that checks the image.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    proxy: str = ""
    expectation: str = ""
    data: bool = False
    scratch: str = ""
    clean_python: bool = False
    lines: Sequence[tuple[str, Sequence[str]]] = ()
    lenient: Sequence[str] = ()
    activation: Sequence[str] = ()
    python: str = "python"


def commands_of(value: object) -> list[str]:
    """Return ``custom-setup-commands`` as commands: each item of a list is one, and each line of a text.

    Raises ConfigurationError for anything else.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [line for line in value.splitlines() if line.strip()]
    if isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        return [item for item in value if item.strip()]
    msg = f"run option custom-setup-commands: {value!r} is neither a text nor a list of texts."
    raise ConfigurationError(msg)


def start_script(preparation: Preparation) -> str:
    """Return the text of ``worker.sh``. Raises ConfigurationError for what no shell can say."""
    check = ""
    if preparation.expectation:
        file = f'"$worker_here"/{shlex.quote(preparation.expectation)}'
        check = f"{shlex.quote(preparation.python)} -m pocket_coffea.images.check {file} || exit $?\n"
    parts = [
        _HEAD,
        "unset PYTHONPATH PYTHONHOME PYTHONSTARTUP\n" if preparation.clean_python else "",
        *(_export(name, value) for name, value in preparation.variables.items()),
        _PROXY.format(name=shlex.quote(preparation.proxy)) if preparation.proxy else "",
        _DATA if preparation.data else "",
        # programs that start many threads need it; what is not allowed stays as it is
        'ulimit -S -u "$(ulimit -H -u)" 2>/dev/null || true\n',
        _SCRATCH.format(scratch=_scratch(preparation.scratch)),
        *(_strict(what, lines) for what, lines in preparation.lines),
        *(_lenient(line) for line in preparation.lenient),
        _activation(preparation.activation),
        _TAIL.format(check=check),
    ]
    text = "".join(parts)
    if "\0" in text:
        msg = "A variable or command of the workers has a zero byte in it, which no shell can hold."
        raise ConfigurationError(msg)
    return text


def _export(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        msg = f"{name!r} is no name of an environment variable; allowed are letters, digits and _."
        raise ConfigurationError(msg)
    return f"export {name}={shlex.quote(str(value))}\n"


def _scratch(folder: str) -> str:
    default = '"$worker_tmp"'
    parts = [shlex.quote(part) if part else "" for part in folder.split("$TMPDIR")]
    return default.join(parts) or default


def _strict(what: str, lines: Sequence[str]) -> str:
    return "".join(
        f"worker_step={shlex.quote(f'{what}, command {number} of {len(lines)},')}\n"
        f"worker_text={shlex.quote(line)}\n"
        f"eval {shlex.quote(line)} || exit\n"
        for number, line in enumerate(lines, start=1)
    )


def _lenient(line: str) -> str:
    said = shlex.quote(
        f"worker.sh: this line failed with code %s, and the worker goes on: {_escaped(line)}\\n"
    )
    return (
        f"worker_step={shlex.quote('a line of get_worker_env')}\nworker_text={shlex.quote(line)}\n"
        f'eval {shlex.quote(line)} || printf {said} "$?" >&2\n'
    )


def _escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("%", "%%")


def _activation(lines: Sequence[str]) -> str:
    return "trap - EXIT\n" + "".join(f"{line}\n" for line in lines) if lines else ""
