"""Submit files and batch scripts: whatever a name holds is read back as it was, or refused by name.

tests/lab/test_submit_file.py gives the same words to the real condor_submit and sbatch.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.batch.states import Resources
from pocket_coffea.batch.submit_file import (
    condor_arguments,
    condor_file_list,
    condor_string,
    condor_submit_text,
    condor_value,
    sbatch_directive,
    sbatch_text,
)
from pocket_coffea.batch.tasks import Task, Template
from pocket_coffea.errors import InvalidValue

NASTY = [
    "plain",
    "two words",
    "it's",
    'say "hi"',
    "a,b",
    "ümläut/日本",
    "$HOME $(job) ${x}",
    "`id`; rm -rf $(pwd) && #",
    "back\\slash",
    "ends\\",
    "#comment",
    "=",
    "'",
    '"',
    "''\"\"'",
    "(",
    ")",
    "...",
    "%A",
    "",
    "\t",
    "a\nb",
    "\0",
    "\x1f",
    "$$(Name)",
    " lead",
    "trail ",
    "\u2028",
    "\udce9",
]
TEXTS = st.one_of(
    st.sampled_from(NASTY), st.text(alphabet="ab '\"\\$(),#=%ü\n\t;`", max_size=12), st.text(max_size=8)
)


def written(name, function, *args):
    """Return what is written; None when it is refused with that name."""
    refusal = ""
    try:
        return function(*args)
    except InvalidValue as error:
        refusal = str(error)
    assert name in refusal
    return None


def macros(text):
    """Expand a value as condor_submit does."""
    assert not re.search(
        r"\$(?!\((DOLLAR|job|args|ClusterId|queue|seconds|cpus|memory|disk|attempt)\))", text
    )
    return text.replace("$(DOLLAR)", "$")


def condor_split(text):
    """Split the inside of a quoted argument string as HTCondor's manual says."""
    text = macros(text).replace('""', '"')
    words, word, quoted, started, index = [], "", False, False, 0
    while index < len(text):
        char = text[index]
        if char == "'":
            if quoted and text[index + 1 : index + 2] == "'":
                word, index = word + "'", index + 1
            else:
                quoted = not quoted
            started = True
        elif char in " \t" and not quoted:
            words, word, started = ([*words, word] if started else words), "", False
        else:
            word, started = word + char, True
        index += 1
    assert not quoted
    return [*words, word] if started else words


@given(st.lists(TEXTS, max_size=5))
def test_arguments_are_read_back_or_refused(words):
    text = written("arguments: ", condor_arguments, "arguments", words)
    if text is None:
        return
    assert "\n" not in text
    assert condor_split(text) == words


@given(TEXTS)
def test_a_value_is_read_back_or_refused(value):
    text = written(repr(value), condor_value, "log", value)
    if text is None:
        return
    assert macros(text) == value == value.strip()
    assert not set(text) & set("\n\r\0\x1f")
    assert not text.endswith("\\")


@given(TEXTS)
def test_a_string_is_read_back_or_refused(value):
    text = written("worker-image", condor_string, "worker-image", value)
    if text is None:
        return
    assert text[0] == text[-1] == '"'
    assert macros(text[1:-1]).replace('\\"', '"') == value


@given(st.lists(TEXTS, max_size=4))
def test_a_list_of_files_is_read_back_or_refused(paths):
    text = written("transfer_input_files", condor_file_list, "transfer_input_files", paths)
    if text is None:
        return
    assert (macros(text).split(", ") if text else []) == paths


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=4))
def test_no_argument_changes_the_number_of_jobs(first, second):
    template = Template(Path("/jobs"), Path("/jobs/job.sh"), inputs=("config_job_{job}.pkl",))
    tasks = [Task(3, 1, tuple(first)), Task(7, 2, tuple(second))]
    try:
        text = condor_submit_text(template, tasks)
    except InvalidValue:
        return
    lines = text.split("\n")
    place = next(index for index, line in enumerate(lines) if line.startswith("queue "))
    assert [line.split(",")[0] for line in lines[place + 1 :]] == ["3", "7", ")", ""]


@given(st.lists(TEXTS, max_size=4))
def test_a_shell_gets_the_arguments_of_its_task_or_they_are_refused(words):
    template = Template(Path("/jobs"), Path("/jobs/job.sh"))
    text = written(
        "arguments of job 7",
        sbatch_text,
        template,
        [Task(3, 1, ("other",)), Task(7, 2, tuple(words))],
        "name",
    )
    if text is None:
        return
    body = text[text.index("case ") :]
    assert words == shlex.split(body[body.index("1) export") :].split("set --", 1)[1].split(" ;;\n")[0])


@pytest.mark.parametrize(
    "words", [[word] for word in NASTY if "\0" not in word and "\udce9" not in word] + [NASTY[:8]]
)
def test_bash_itself_reads_the_arguments_back(tmp_path, words):
    tool = tmp_path / "a 'tool'"
    tool.write_text('#!/bin/bash\nprintf "%s\\0" "$POCKET_COFFEA_JOB" "$A" "$@"\n')
    tool.chmod(0o755)
    template = Template(tmp_path, tool, environment={"A": "x 'y' $z"})
    script = tmp_path / "s"
    script.write_text(sbatch_text(template, [Task(1, 1, ()), Task(7, 2, tuple(words))], "name"))
    env = {"SLURM_ARRAY_TASK_ID": "1", "PATH": "/usr/bin:/bin"}
    said = subprocess.run(["bash", script], env=env, capture_output=True, check=True).stdout.decode()
    assert said.split("\0")[:-1] == ["7", "x 'y' $z", *words]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("output", "/a/b_%A.out", "#SBATCH --output=/a/b_%A.out"),
        ("chdir", "/two words", "#SBATCH --chdir='/two words'"),
        ("chdir", "/it's", '#SBATCH --chdir="/it\'s"'),
    ],
)
def test_a_directive_is_quoted_where_needed(name, value, line):
    assert sbatch_directive(name, value) == line


@pytest.mark.parametrize("value", ["a\nb", "a\\b", "'\"", "a\rb"])
def test_a_directive_that_cannot_be_written_is_refused(value):
    with pytest.raises(InvalidValue, match="chdir"):
        sbatch_directive("chdir", value)


def test_each_job_asks_for_its_own_resources():
    template = Template(Path("/jobs"), Path("/jobs/job.sh"), queue_directive="+MaxRuntime", image="/i.sif")
    tasks = [
        Task(0, 1, (), Resources("21600", 21600, 2, 4000)),
        Task(1, 1, (), Resources("3600", 3600, 1, 2000)),
    ]
    text = condor_submit_text(template, tasks, {"PocketCoffeaSubmission": "a/b"})
    assert "+MaxRuntime = $(seconds)" in text
    assert 'MY.SingularityImage = "/i.sif"' in text
    assert 'MY.PocketCoffeaSubmission = "a/b"' in text
    assert text.endswith(
        "queue job,queue,seconds,cpus,memory from (\n"
        "0, 21600, 21600, 2, 4000MB\n1, 3600, 3600, 1, 2000MB\n)\n"
    )
    assert "request_disk" not in text


def test_what_all_jobs_have_is_written_once():
    template = Template(Path("/jobs"), Path("/jobs/job.sh"), queue_directive="+JobFlavour")
    need = Resources("workday", 28800, 2, 4000)
    tasks = [Task(job, 1, (f"config_job_{job}.pkl", f"digest {job * 7}", "60", "$x"), need) for job in (3, 4)]
    text = condor_submit_text(template, tasks)
    for line in (
        '+JobFlavour = "workday"',
        "request_cpus = 2",
        "request_memory = 4000MB",
        "MY.PocketCoffeaAttempt = 1",
        'arguments = "config_job_$(job).pkl $(args) 60 $(DOLLAR)x"',
    ):
        assert line in text.splitlines()
    assert text.endswith("queue job,args from (\n3, 'digest 21'\n4, 'digest 28'\n)\n")


@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_every_job_has_its_own_arguments_or_they_are_refused(rows):
    tasks = [Task(job, 1, (f"{job}", f"a{job}b", *row, "end")) for job, row in enumerate(rows, start=9)]
    try:
        text = condor_submit_text(Template(Path("/jobs"), Path("/jobs/job.sh")), tasks)
    except InvalidValue:
        return
    lines = text.split("\n")
    shared = next(line for line in lines if line.startswith("arguments = "))[len('arguments = "') : -1]
    place = next(index for index, line in enumerate(lines) if line.startswith("queue "))
    for task, line in zip(tasks, lines[place + 1 :], strict=False):
        job, _, own = line.partition(", ")
        assert job == str(task.job)
        assert tuple(condor_split(shared.replace("$(args)", own).replace("$(job)", job))) == task.arguments


@pytest.mark.parametrize("key", ["a b", "queue 5\nx", "", "+x y"])
def test_a_site_cannot_write_more_than_lines(key):
    template = Template(Path("/jobs"), Path("/jobs/job.sh"), directives={key: "1"})
    with pytest.raises(InvalidValue, match="directive"):
        condor_submit_text(template, [Task(0, 1, ())])


def test_a_template_survives_a_file():
    template = Template(Path("/jobs"), Path("job.sh"), inputs=("a", "b"), directives={"x": "y"})
    values = template.as_mapping()
    values["inputs"] = list(values["inputs"])
    assert Template.from_mapping({**values, "of a later version": 1}) == template
