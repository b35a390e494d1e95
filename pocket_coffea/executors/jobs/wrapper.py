"""``job.sh``: what the batch system starts for each job.

It sets the flags of the job, gets into the image where the site uses ``apptainer exec``, starts the job by
way of ``worker.sh``, passes on the request to end, and ends with the code of the job.

=========  ===============================================================
exit code  means
=========  ===============================================================
0          done: the output is delivered
70 - 78    as ``worker.sh`` and ``pocket_coffea.run.job`` end
75         also: asked to end before the job itself had begun
77         also: the kernel killed it because of its memory
=========  ===============================================================
"""

from __future__ import annotations

from collections.abc import Sequence

from pocket_coffea.batch.submit_file import shell_word
from pocket_coffea.executors.jobs.facts import FACTS_NAME, transfer_outputs
from pocket_coffea.executors.setup import SCRIPT

__all__ = ["JOB_SCRIPT", "job_script"]

JOB_SCRIPT = "job.sh"

_HEAD = """\
#!/bin/bash
# Made by PocketCoffea: runs one job. Arguments: number, slice, its sha256, chunksize, attempt, seconds, cpus.
if [ "$#" -ne 7 ]; then
    printf 'job.sh: 7 arguments are needed, %s were given\\n' "$#" >&2
    exit 72
fi
job=$1
attempt=$5
case "$job$attempt" in
*[!0-9]*)
    printf 'job.sh: %s and %s are no numbers of a job and an attempt\\n' "$job" "$attempt" >&2
    exit 72
    ;;
esac
folder={folder}
here=$PWD
[ -r "$here/{script}" ] || here=$folder
asked=0
child=
export POCKET_COFFEA_BEGAN=$(date +%s)
"""
_FLAGS = """\
flag() {
    [ -n "$folder" ] || return 0
    for other in idle running timeout failed done; do
        if [ "$other" != "$1" ] && [ -e "$folder/job_$job.$other" ]; then
            mv -f -- "$folder/job_$job.$other" "$folder/job_$job.$1" 2>/dev/null
        fi
    done
    touch -- "$folder/job_$job.$1" 2>/dev/null ||
        printf 'job.sh: the flag %s cannot be set\\n' "$folder/job_$job.$1" >&2
}
"""
_STOP = """\
oom_kills() {
    sed -n 's/^oom_kill //p' "/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/memory.events" 2>/dev/null
}
stop() {
    asked=$((asked + 1))
    [ -z "$child" ] || end_child
}
end_child() {
    commands=
    # a shell that prepares the job would leave its command behind
    if [ "$(cat "/proc/$child/comm" 2>/dev/null)" = bash ]; then
        commands=$(cat "/proc/$child/task/$child/children" 2>/dev/null)
    fi
    for each in "$child" $commands; do kill -TERM "$each" 2>/dev/null; done
}
trap stop TERM INT
flag running
printf 'job %s, attempt %s, on %s, %s\\n' "$job" "$attempt" "$(hostname)" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
oom_before=$(oom_kills)
"""
_TAIL = """\
child=$!
[ "$asked" -eq 0 ] || end_child
code=
while :; do
    asked_before=$asked
    wait "$child"
    ended=$?
    # 127: it was waited for already, a signal came right then
    if [ "$ended" -ne 127 ] || [ -z "$code" ]; then code=$ended; fi
    [ "$asked" -ne "$asked_before" ] || break
done
if [ "$asked" -ne 0 ]; then
    case "$code" in 130 | 137 | 143) code=75 ;; esac
elif [ "$code" -eq 137 ] && [ "$(oom_kills)" != "$oom_before" ]; then
    printf 'job.sh: the kernel killed the job because of its memory\\n' >&2
    code=77
fi
"""
_END = """\
case "$code" in
0) flag done ;;
75) flag timeout ;;
*) flag failed ;;
esac
exit "$code"
"""


def job_script(
    *, folder: str = "", prefix: Sequence[str] = (), python: str = "python", transferred: bool = False
) -> str:
    """Return the text of ``job.sh``.

    folder: the jobs folder as workers see it, "" where they do not. prefix: the words that start a command in
    the image on a node, ``WorkerEnvironment.prefix``; none where the batch system starts the image. python:
    the interpreter there. transferred: the batch system brings the files of ``transfer_outputs`` back, which
    have to exist. Raises InvalidValue for what no shell can say.
    """
    words = [shell_word("image of the workers", word) for word in prefix]
    if words[:2] == ["apptainer", "exec"]:
        # what was transferred is in the folder of the job, which the image has to show
        words[2:2] = ["--bind", '"$PWD"', "--pwd", '"$PWD"']
    words += ["bash", f'"$here/{SCRIPT}"', shell_word("worker-python", python), "-m", "pocket_coffea.run.job"]
    words += [f"'{{here}}'/{FACTS_NAME}", "'{scratch}'", '"$PWD"', '"$@"']
    parts = [
        _HEAD.format(folder=shell_word("jobs folder", folder), script=SCRIPT),
        _FLAGS,
        _STOP,
        " ".join(words) + " &\n",
        _TAIL,
        _returned() if transferred else "",
        _END,
    ]
    return "".join(parts)


def _returned() -> str:
    """Return lines that make what the batch system fetches; it holds jobs of which a file is missing."""
    names = " ".join(f'"{name}"' for name in transfer_outputs("${job}"))
    return f'for name in {names}; do [ -e "$name" ] || : > "$name"; done\n'
