"""HTCondor's submit language and Slurm's batch scripts, each written through one escaping function.

What a language cannot express is refused with the name of the line it was meant for: nothing is written that
the batch system would read as something else.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NoReturn

from pocket_coffea.batch.states import Resources
from pocket_coffea.batch.tasks import JOB, Task, Template
from pocket_coffea.errors import InvalidValue

__all__ = [
    "condor_arguments",
    "condor_file_list",
    "condor_string",
    "condor_submit_text",
    "condor_value",
    "sbatch_directive",
    "sbatch_text",
]

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # a tab is none of them
_TOKEN = re.compile(r"[\w.@:+-]+", re.ASCII)
NOTHING = '""'
#: Directives whose value is a number of seconds and not the name of a queue.
_IN_SECONDS = re.compile(r"runtime|time", re.IGNORECASE)


def _refuse(name: str, value: str, why: str) -> NoReturn:
    msg = f"{name}: {value!r} cannot be written into a file for the batch system: {why}. Choose another name."
    raise InvalidValue(msg)


def condor_value(name: str, value: str) -> str:
    """Return ``value`` as it stands behind ``name =`` in a submit file: the one way text gets into one.

    Raises InvalidValue for what the language cannot express.
    """
    if found := _CONTROL.search(value):
        _refuse(name, value, f"HTCondor's submit language has no way to write the character {found[0]!r}")
    if value != value.strip():
        _refuse(name, value, "HTCondor drops spaces and tabs at its start and end")
    if value.endswith("\\"):
        _refuse(name, value, "a backslash at the end of a line joins it with the next one")
    if "$$" in value:
        _refuse(name, value, "HTCondor replaces $$ when it matches the job with a machine")
    return value.replace("$", "$(DOLLAR)")


def condor_arguments(name: str, arguments: Iterable[str]) -> str:
    """Return arguments, or NAME=VALUE of the environment, in HTCondor's quoted form without its outer quotes.

    Raises InvalidValue for what the language cannot express.
    """
    words = []
    for each in arguments:
        plain = each and not re.search(r"[\s'\\]", each)
        words.append(each if plain else "'" + each.replace("'", "''") + "'")
    return condor_value(name, " ".join(words).replace('"', '""'))


def condor_string(name: str, value: str) -> str:
    """Return a string of the job's ClassAd, with its quotes. Raises InvalidValue."""
    if "\\" in value:
        _refuse(name, value, "versions of HTCondor differ in what a backslash in a string means")
    return '"' + condor_value(name, value).replace('"', '\\"') + '"'


def condor_file_list(name: str, paths: Iterable[str]) -> str:
    """Return a list of files to transfer; ``{job}`` becomes the job's number. Raises InvalidValue."""
    parts = []
    for path in paths:
        if "," in path:
            _refuse(name, path, "a comma separates the files of a list")
        if not path:
            _refuse(name, path, "it is empty")
        parts.append(condor_value(name, path))
    return ", ".join(parts).replace(JOB, "$(job)")


def condor_submit_text(
    template: Template, tasks: Sequence[Task], attributes: Mapping[str, str] | None = None
) -> str:
    """Return the submit file that sends all ``tasks`` as one cluster, in their order.

    ``attributes`` are further strings of the job's ClassAd. Raises InvalidValue for what cannot be written.
    """
    table = _Table(tasks)
    lines = _condor_lines(template, attributes or {}, table)
    for name in ("memory", "disk"):
        if any(getattr(task.resources, f"{name}_mb") for task in tasks):
            lines.append(f"request_{name} = {table.say(name)}")
    lines += _queue_directive(template, tasks, table)
    lines += [f"{key} = {value}" for key, value in template.directives.items() if _is_line(key, value)]
    return "\n".join([*lines, *table.lines(), ""])


class _Table:
    """What differs between tasks, one line for each; what all of them have is said once, above it."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.columns = {"job": [str(task.job) for task in tasks]}
        self._shared: dict[str, str] = {}
        for name, column in _needs(tasks).items():
            if len(set(column)) == 1:
                self._shared[name] = column[0]
            else:
                self.columns[name] = column
        before, own, after = _split_arguments(tasks)
        if any(own):
            self.columns["args"] = own  # last: it takes the rest of the line, whatever is in it
        self.arguments = " ".join([*before, *(["$(args)"] if any(own) else []), *after])

    def say(self, name: str) -> str:
        """Return how a value is written above the table."""
        return self._shared.get(name, f"$({name})")

    def lines(self) -> list[str]:
        rows = [", ".join(row) for row in zip(*self.columns.values(), strict=True)]
        return [f"queue {','.join(self.columns)} from (", *rows, ")"]


def _needs(tasks: Sequence[Task]) -> dict[str, list[str]]:
    """Return the columns of what tasks need. Raises InvalidValue for what is not the name of a queue."""
    for task in tasks:
        queue = task.resources.queue
        if queue and not _TOKEN.fullmatch(queue):
            _refuse(f"queue of job {task.job}", queue, "a queue has letters, digits and . @ : + - _ alone")
    needs = [task.resources for task in tasks]
    return {
        "attempt": [str(task.attempt) for task in tasks],
        "queue": [need.queue or "-" for need in needs],
        "seconds": [str(need.seconds) for need in needs],
        "cpus": [str(need.cpus) for need in needs],
        "memory": [f"{need.memory_mb}MB" if need.memory_mb else "undefined" for need in needs],
        "disk": [f"{need.disk_mb}MB" if need.disk_mb else "undefined" for need in needs],
    }


def _split_arguments(tasks: Sequence[Task]) -> tuple[list[str], list[str], list[str]]:
    """Return the words that all tasks begin with, what each has of its own, and how all end.

    Words that differ by the job's number alone are shared, too. Raises InvalidValue.
    """
    rows = [
        [condor_arguments(f"arguments of job {task.job}", [word]) for word in task.arguments]
        for task in tasks
    ]
    if len({len(row) for row in rows}) > 1:
        return [], [" ".join(row) for row in rows], []
    jobs = [str(task.job) for task in tasks]
    shared = [_shared_word(jobs, column) for column in zip(*rows, strict=True)]
    before = list(takewhile(bool, shared))
    after = list(takewhile(bool, shared[: len(before) - 1 if before else None : -1]))[::-1]
    own = [" ".join(row[len(before) : len(row) - len(after)]) for row in rows]
    return before, own, after


def _shared_word(jobs: Sequence[str], words: Sequence[str]) -> str:
    """Return the word of all jobs, with ``$(job)`` where their numbers are; empty when they differ."""
    if len(set(words)) == 1:
        return words[0]
    # no $ of a word's own is followed by (job): condor_value wrote it in another way
    pattern = re.sub(rf"(?<!\d){jobs[0]}(?!\d)", "$(job)", words[0])
    same = all(pattern.replace("$(job)", job) == word for job, word in zip(jobs, words, strict=True))
    return pattern if same else ""


def _condor_lines(template: Template, attributes: Mapping[str, str], table: _Table) -> list[str]:
    logs = condor_value("logs", f"{template.logs}/job_")
    environment = [f"{key}={value}" for key, value in template.environment.items() if _is_name(key)]
    lines = [
        "universe = vanilla",
        f"executable = {condor_value('executable', str(template.executable))}",
        f"initialdir = {condor_value('jobs folder', str(template.folder))}",
        f"output = {logs}$(ClusterId).$(job).out",
        f"error = {logs}$(ClusterId).$(job).err",
        f"log = {logs}$(ClusterId).log",
        f'arguments = "{table.arguments}"',
        f'environment = "{condor_arguments("environment", environment)}"',
        f"should_transfer_files = {'YES' if template.transfer else 'NO'}",
        f"request_cpus = {table.say('cpus')}",
        f"batch_name = {condor_value('job name', template.name)}",
        "MY.PocketCoffeaJob = $(job)",
        f"MY.PocketCoffeaAttempt = {table.say('attempt')}",
    ]
    if template.transfer:
        lines.append("when_to_transfer_output = ON_EXIT")
        lines.append(f"transfer_input_files = {condor_file_list('transfer_input_files', template.inputs)}")
        outputs = condor_file_list("transfer_output_files", template.outputs)
        # an empty line would bring back whatever is new in the job's folder
        lines.append(f"transfer_output_files = {outputs or NOTHING}")
    if template.image:
        image = condor_string("worker-image", template.outside(template.image))
        lines.append(f"MY.SingularityImage = {image}")
    lines += _outside(template)
    lines += [f"MY.{key} = {condor_string(key, value)}" for key, value in attributes.items() if _is_name(key)]
    return [line.rstrip() for line in lines]


def _outside(template: Template) -> list[str]:
    """Return lines for a schedd that knows the jobs folder by another path than condor_submit does.

    condor_submit checks its own path, ``initialdir``; all paths that are not named here are relative to it.
    """
    folder = template.outside(template.folder)
    if folder == str(template.folder):
        return []
    log = condor_string("logs", f"{folder}/{template.logs}/job_").removesuffix('"')
    return [
        f"MY.Iwd = {condor_string('jobs folder', folder)}",
        f"MY.Cmd = {condor_string('executable', template.outside(template.executable))}",
        f'MY.UserLog = {log}$(ClusterId).log"',
    ]


def _queue_directive(template: Template, tasks: Sequence[Task], table: _Table) -> list[str]:
    if not template.queue_directive or not any(
        task.resources.queue or task.resources.seconds for task in tasks
    ):
        return []
    if not re.fullmatch(r"(\+|MY\.)?\w+", template.queue_directive, re.ASCII):
        _refuse("queue directive", template.queue_directive, "it is not the name of a line")
    in_seconds = _IN_SECONDS.search(template.queue_directive)
    value = table.say("seconds") if in_seconds else f'"{table.say("queue")}"'
    return [f"{template.queue_directive} = {value}"]


def _is_name(name: str) -> bool:
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        _refuse("environment", name, "a name has letters, digits and _ alone")
    return True


def _is_line(key: str, value: str) -> bool:
    """Refuse a site's own line that would not stay one line; its text is in the submit language already."""
    if not re.fullmatch(r"(\+|MY\.)?[\w.]+", key, re.ASCII) or _CONTROL.search(value) or value.endswith("\\"):
        _refuse(f"directive {key}", value, "it is not one line of a submit file")
    return True


def sbatch_directive(name: str, value: str) -> str:
    """Return one ``#SBATCH`` line: the one way text gets into the head of a batch script.

    Raises InvalidValue for what the line cannot hold.
    """
    if not re.fullmatch(r"[a-z][a-z-]*", name, re.ASCII):
        _refuse("option of sbatch", name, "an option has small letters and - alone")
    if found := _CONTROL.search(value):
        _refuse(name, value, f"an #SBATCH line has no way to write the character {found[0]!r}")
    if re.fullmatch(r"[\w./:,=@%+-]+", value, re.ASCII):
        return f"#SBATCH --{name}={value}"
    if "\\" in value or ("'" in value and '"' in value):
        _refuse(name, value, "an #SBATCH line cannot hold a backslash, or both kinds of quotes")
    quote = '"' if "'" in value else "'"
    return f"#SBATCH --{name}={quote}{value}{quote}"


def sbatch_pattern(value: str) -> str:
    """Return a path for --output in which ``%`` stands for itself."""
    return value.replace("%", "%%")


def sbatch_text(template: Template, tasks: Sequence[Task], name: str, *, is_array: bool = True) -> str:
    """Return the batch script of ``tasks``, which share their resources; task k of the array is ``tasks[k]``.

    ``name`` is what ``squeue`` shows and what finds them again. Raises InvalidValue as above.
    """
    stem = sbatch_pattern(str(template.folder / template.logs / "job_"))
    suffix = "%A_%a" if is_array else "%j"
    lines = [
        "#!/bin/bash",
        sbatch_directive("job-name", name),
        sbatch_directive("comment", template.name),
        sbatch_directive("chdir", str(template.folder)),
        sbatch_directive("output", f"{stem}{suffix}.out"),
        sbatch_directive("error", f"{stem}{suffix}.err"),
        "#SBATCH --no-requeue",  # what is sent again is decided in one place
        "#SBATCH --open-mode=append",
        *_sbatch_resources(template, tasks[0].resources),
    ]
    if is_array:
        at_once = f"%{template.max_running}" if template.max_running else ""
        lines.append(f"#SBATCH --array=0-{len(tasks) - 1}{at_once}")
    lines += [sbatch_directive(key, value) for key, value in template.directives.items()]
    lines += [
        f"export {key}={shell_word(key, value)}"
        for key, value in template.environment.items()
        if _is_name(key)
    ]
    return "\n".join([*lines, *_sbatch_body(template.executable, tasks), ""])


def _sbatch_resources(template: Template, need: Resources) -> list[str]:
    lines = [f"#SBATCH --cpus-per-task={need.cpus}", "#SBATCH --ntasks=1"]
    if need.memory_mb:
        lines.append(f"#SBATCH --mem={need.memory_mb}M")
    if need.queue and template.queue_directive:
        lines.append(sbatch_directive(template.queue_directive, need.queue))
    if need.seconds:
        lines.append(
            f"#SBATCH --time={max(1, need.seconds // 60)}"
        )  # in minutes; rounded down, as limits are
    return lines


def _sbatch_body(executable: Path, tasks: Sequence[Task]) -> list[str]:
    """Return shell lines that choose the arguments of the task and become the program."""
    lines = ['case "${SLURM_ARRAY_TASK_ID:-0}" in']
    for index, task in enumerate(tasks):
        words = " ".join(shell_word(f"arguments of job {task.job}", word) for word in task.arguments)
        variables = f"POCKET_COFFEA_JOB={task.job} POCKET_COFFEA_ATTEMPT={task.attempt}"
        lines.append(f"{index}) export {variables}; set -- {words} ;;")
    lines += ['*) echo "task ${SLURM_ARRAY_TASK_ID} is not in this script" >&2; exit 72 ;;', "esac"]
    return [*lines, f'exec {shell_word("executable", str(executable))} "$@"']


def shell_word(name: str, value: str) -> str:
    """Return one word for a shell. Raises InvalidValue for a NUL, which no program can be given."""
    if "\0" in value or any("\ud800" <= each <= "\udfff" for each in value):
        _refuse(name, value, "it holds a NUL or is not valid UTF-8")
    return shlex.quote(value)
