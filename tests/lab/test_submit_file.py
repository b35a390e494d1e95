"""The real condor_submit and sbatch read back what the escaping functions wrote."""

from __future__ import annotations

import os
import random

import pytest

from ci.lab.process import run
from pocket_coffea.batch.states import Resources
from pocket_coffea.batch.submit_file import condor_submit_text, sbatch_directive
from pocket_coffea.batch.tasks import Task, Template
from pocket_coffea.errors import InvalidValue
from tests.unit.batch.test_submit_file import NASTY

ALPHABET = "ab '\"\\$(),#=%ü`;{}[]<>|&*?~!:日"


def words(seed, number):
    chosen = random.Random(seed)
    made = ["".join(chosen.choices(ALPHABET, k=chosen.randrange(12))) for _ in range(number)]
    return [
        word for word in (*NASTY, *made) if not set(word) & set("\n\0\x1f\udce9\u2028") and "$$" not in word
    ]


def ads(text):
    """Return the attributes that `condor_submit -dry-run` prints for each job, of the first one inherited."""
    found, values = [], {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.isidentifier():
            values[name] = value
        elif line == ".":
            found.append({**(found[0] if found else {}), **values})
            values = {}
    return found


def string(value):
    """Return what a string of an ad stands for; only quotes are escaped in it."""
    assert value[0] == value[-1] == '"'
    return value[1:-1].replace('\\"', '"')


def split(arguments):
    """Split raw arguments of an ad: spaces separate, single quotes group, two of them within are one."""
    found, word, quoted, started, index = [], "", False, False, 0
    while index < len(arguments):
        char = arguments[index]
        if char == "'" and quoted and arguments[index + 1 : index + 2] == "'":
            word, index = word + "'", index + 1
        elif char == "'":
            quoted, started = not quoted, True
        elif char in " \t" and not quoted:
            found, word, started = ([*found, word] if started else found), "", False
        else:
            word, started = word + char, True
        index += 1
    return [*found, word] if started else found


def dry_run(folder, template, tasks):
    template.folder.mkdir(parents=True, exist_ok=True)
    template.executable.write_text("#!/bin/sh\n")
    template.executable.chmod(0o755)
    path = folder / "a 'submit' file.sub"
    path.write_text(condor_submit_text(template, tasks, {"PocketCoffeaSubmission": "c/jobs_all"}))
    said = run(["condor_submit", "-dry-run", "-", str(path)], cwd=folder, timeout=60).stdout
    return ads(said)


@pytest.mark.parametrize("seed", range(5))
def test_condor_submit_reads_arguments_back(shared_folder, seed):
    chosen = words(seed, 300)
    groups = [tuple(chosen[start : start + 7]) for start in range(0, len(chosen), 7)]
    tasks = [Task(job + 3, 1, group) for job, group in enumerate(groups)]
    found = dry_run(shared_folder, Template(shared_folder, shared_folder / "job.sh"), tasks)
    assert len(found) == len(groups)
    for ad, group, task in zip(found, groups, tasks, strict=True):
        assert split(string(ad["Arguments"])) == list(group)
        assert ad["PocketCoffeaJob"] == str(task.job)


def test_condor_submit_reads_paths_images_and_environment_back(shared_folder):
    image = "/images/an 'image' $(x), ü.sif"
    inputs = ("config_job_{job}.pkl", "a b 'c' \"d\" $x ü#.txt", "root://eos//a b")
    template = Template(
        shared_folder / "my 'jobs' $(Cluster), ü",
        shared_folder / 'a "job".sh',
        name='ana "v3", it\'s',
        logs="l o g s",
        inputs=inputs,
        image=image,
        environment={"A": "x 'y' \"z\" $HOME, ü", "B": ""},
        queue_directive="+JobFlavour",
    )
    tasks = [
        Task(5, 2, (), Resources("workday", 28800, 2, 3000, 1000)),
        Task(6, 1, (), Resources("tomorrow")),
    ]
    (template.folder / "l o g s").mkdir(parents=True)
    first, second = dry_run(shared_folder, template, tasks)
    assert string(first["Iwd"]) == str(template.folder)
    assert string(first["Cmd"]) == str(template.executable)
    assert string(first["SingularityImage"]) == image
    assert string(first["JobBatchName"]) == template.name
    assert string(first["UserLog"]) == f"{template.folder}/l o g s/job_1.log"
    assert string(second["Err"]) == "l o g s/job_1.6.err"
    assert string(first["TransferInput"]) == ",".join(path.replace("{job}", "5") for path in inputs)
    assert string(second["TransferInput"]).startswith("config_job_6.pkl,")
    assert split(string(first["Environment"])) == ["A=x 'y' \"z\" $HOME, ü", "B="]
    assert [string(ad["JobFlavour"]) for ad in (first, second)] == ["workday", "tomorrow"]
    assert (first["RequestCpus"], first["RequestMemory"]) == ("2", "3000")
    assert string(first["TransferOutput"]) == ""


@pytest.mark.parametrize(
    "name", ["plain", "two words", "it's", 'say "hi"', "a,b", "ü", "#x", "$HOME", "a;b", "100%"]
)
def test_sbatch_reads_a_directive_back(shared_folder, name, command):
    folder = shared_folder.with_name(f"{os.getpid()}-{name}")
    folder.mkdir()
    script = shared_folder / "script.slurm"
    script.write_text(f"#!/bin/bash\n{sbatch_directive('chdir', str(folder))}\n#SBATCH --hold\ntrue\n")
    job = command("sbatch", "--parsable", script).strip()
    try:
        shown = command("scontrol", "show", "job", job)
        assert f"WorkDir={folder}\n" in shown
    finally:
        command("scancel", job)
        folder.rmdir()


def test_what_sbatch_cannot_hold_is_refused():
    with pytest.raises(InvalidValue, match="backslash"):
        sbatch_directive("chdir", "a\\b")
