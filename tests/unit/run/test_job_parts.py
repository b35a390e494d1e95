"""Parts of a job that need no process of their own: its clock, replicas, archives and script."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest
from coffea.processor.executor import WorkItem

from pocket_coffea.errors import InputFileError, OutputError, ProcessingError
from pocket_coffea.executors.jobs.facts import JobFacts
from pocket_coffea.executors.jobs.packing import (
    adler32_of,
    collect,
    pack_folder,
    pack_outputs,
    prepare_transfer,
    unpack_folder,
)
from pocket_coffea.executors.jobs.wrapper import job_script
from pocket_coffea.executors.worker_pool import RemoteTraceback
from pocket_coffea.run.job_clock import JobClock, TimeUp
from pocket_coffea.run.job_delivery import Parcel, deliver_all
from pocket_coffea.run.job_processing import is_on_device_of
from pocket_coffea.run.job_reading import Replicas, WithReplicas
from pocket_coffea.run.job_report import WrongPayload, exit_code_of, reason_of
from pocket_coffea.run.plan import FileInfo, Skipped
from pocket_coffea.run.read_limit import READ_SECONDS, limited_read
from pocket_coffea.utils.transfer import STAGE, deliver, staged

# -- the clock


@pytest.mark.parametrize(
    ("gone", "chunk", "is_up"),
    [(0, 1, False), (50, 1, False), (95, 1, True), (50, 48, True), (40, 48, False)],
)
def test_a_job_stops_when_another_chunk_would_not_fit(gone, chunk, is_up):
    clock = JobClock(time.time() - gone, 100, 10, 1, lambda _reason: None)
    clock._longest = chunk
    if not is_up:
        clock.check()
        return
    with pytest.raises(TimeUp, match="time limit of 100 s"):
        clock.check()


def test_without_a_limit_there_is_no_end():
    JobClock(0.0, 0, 120, 1, lambda _reason: None).check()


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_who_does_not_stop_is_ended_after_the_grace():
    late = []
    clock = JobClock(time.time(), 1000, 10, 0.2, late.append)
    clock.start()
    os.kill(os.getpid(), signal.SIGTERM)
    end = time.monotonic() + 30
    while not late and time.monotonic() < end:
        time.sleep(0.02)
    clock.close()
    assert late == ["asked to end by SIGTERM"]
    with pytest.raises(TimeUp, match="SIGTERM"):
        clock.check()


# -- reading


@pytest.fixture
def replicas(tmp_path):
    return Replicas({"a": ["b", "c"]}, tmp_path / "bad")


def chunk(name):
    return WorkItem("DY", name, "Events", 0, 10, b"u" * 16)


def reader(good):
    def read(item):
        if item.filename != good:
            msg = f"cannot open {item.filename}"
            raise InputFileError(msg)
        return {"out": 1, "processed": {item}, "sizes": {(item.filename, "Events", 10)}}

    return read


def test_the_answer_speaks_of_the_first_address(replicas):
    result = WithReplicas(reader("c"), replicas)(chunk("a"))
    assert result["processed"] == {chunk("a")}
    assert result["sizes"] == {("a", "Events", 10)}
    assert replicas.unreadable() == ["a", "b"]
    assert replicas.order("a") == ["c", "a", "b"]


def test_when_no_replica_does_the_last_error_is_raised(replicas):
    with pytest.raises(InputFileError, match="open c"):
        WithReplicas(reader("d"), replicas)(chunk("a"))
    assert replicas.unreadable() == ["a", "b", "c"]


def test_what_is_skipped_is_looked_for_elsewhere(replicas):
    def skipping(item):
        if item.filename == "b":
            return {"out": 1, "processed": {item}}
        return {
            "out": {},
            "processed": set(),
            "skipped": [Skipped("DY", item.filename, "Events", "bad", 0, 10)],
        }

    assert "skipped" not in WithReplicas(skipping, replicas)(chunk("a"))
    only = Replicas({"x": ["y"]}, replicas.bad)
    [hole] = WithReplicas(skipping, only)(chunk("x"))["skipped"]
    assert hole.filename == "x"


def test_an_inspection_is_renamed_too(replicas):
    def look(item):
        return {item: FileInfo(b"u", 5) if item[0] == "b" else FileInfo(problem="bad")}

    assert WithReplicas(look, replicas)(("a", "Events")) == {("a", "Events"): FileInfo(b"u", 5)}


def test_a_read_has_an_end(monkeypatch):
    monkeypatch.setenv(READ_SECONDS, "0.2")
    with pytest.raises(TimeoutError, match=r"0\.2 s"), limited_read():
        time.sleep(30)
    with limited_read():
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


# -- exit codes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongPayload("x"), 72),
        (InputFileError("x"), 73),
        (OutputError("x"), 74),
        (TimeUp("x"), 75),
        (ValueError("x"), 76),
        (ProcessingError("x"), 76),
        (MemoryError(), 77),
        (ProcessingError("the worker process died 3 times: killed by SIGKILL"), 77),
    ],
)
def test_every_error_has_its_code(error, code):
    assert exit_code_of(error) == code


def test_a_worker_process_without_memory_is_recognised():
    error = ProcessingError("MemoryError: ")
    error.__cause__ = RemoteTraceback("Traceback\n ...\nMemoryError")
    assert exit_code_of(error) == 77


def test_a_reason_is_one_line():
    assert reason_of(ValueError("a\n  b")) == "ValueError: a b"
    assert len(reason_of(ProcessingError("x" * 1000))) == 400


# -- files


def facts(target, **more):
    values = {"campaign": "c", "executor": "condor@lab", "way": "copy", "payload_sha256": "", **more}
    return JobFacts(target=str(target), delivery_retries=0, **values)


def test_all_files_or_none(tmp_path):
    files = [tmp_path / name for name in ("one", "two")]
    for file in files:
        file.write_text(file.name)
    (tmp_path / "out").mkdir()
    parcels = [Parcel.of(files[0], str(tmp_path / "out" / "one")), Parcel.of(files[1], "/proc/nowhere/two")]
    with pytest.raises(OutputError, match="/proc/nowhere/two"):
        deliver_all(parcels, facts(tmp_path / "out"), tmp_path, 0)
    assert not list((tmp_path / "out").iterdir())


def test_what_is_not_mounted_is_not_made(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    parcel = Parcel.of(file, "/no-such-mount/user/file")
    with pytest.raises(OutputError, match="is not there"):
        deliver_all([parcel], facts(tmp_path), tmp_path, 0)
    storage = [("/no-such-mount", "root://localhost:1/")]
    with pytest.raises(OutputError, match="root://localhost:1//no-such-mount/user/file"):
        deliver_all([parcel], facts(tmp_path, storage=storage), tmp_path, 0)


def test_a_delivery_is_tried_again(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    waits = []

    def wait(seconds):
        waits.append(seconds)
        (tmp_path / "later").mkdir(exist_ok=True)

    target = tmp_path / "later"
    settings = facts(target)
    settings = JobFacts(**{**json.loads(settings.to_text()), "delivery_retries": 2})
    deliver_all([Parcel.of(file, str(target / "file"))], settings, tmp_path, 0, wait)
    assert ((target / "file").read_text(), waits) == ("x", [5.0])


def test_a_delivery_after_one_that_was_killed(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    files = [tmp_path / name for name in ("output_job_3.coffea", "skim.root")]
    for file in files:
        file.write_text(f"all of {file.name}")
    (out / ".output_job_3.coffea.part").write_text("half")
    (out / ".skim.root.part").hardlink_to(files[1])
    deliver_all([Parcel.of(file, str(out / file.name)) for file in files], facts(out), tmp_path, 3)
    assert sorted(path.name for path in out.iterdir()) == ["output_job_3.coffea", "skim.root"]
    for file in files:
        assert (out / file.name).read_text() == file.read_text() == f"all of {file.name}"


def test_the_file_system_of_a_place_is_known(tmp_path):
    assert is_on_device_of(str(tmp_path / "not" / "yet"), tmp_path)
    assert not is_on_device_of("/proc/self/skims", tmp_path)
    for other in ("/nothing/of/this/name", "root://server//store/skims", "relative/skims"):
        assert not is_on_device_of(other, tmp_path)


def test_files_wait_in_the_stage(tmp_path, monkeypatch):
    monkeypatch.setenv(STAGE, str(tmp_path / "stage"))
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
        assert deliver(tmp_path / name, f"root://host//{name}") == f"root://host//{name}"
    found = [(file.read_text(), destination) for file, destination in staged(tmp_path / "stage")]
    assert found == [("a", "root://host//a"), ("b", "root://host//b")]


def test_completed_chunks_travel(tmp_path):
    folder = tmp_path / "chunks"
    (folder / "digest").mkdir(parents=True)
    (folder / "digest" / "0-1.node").write_text("x")
    (folder / "digest" / "0-2.part").write_text("half")
    archive = tmp_path / "a.tar"
    pack_folder(folder, archive)
    unpack_folder(archive, tmp_path / "again")
    assert [path.name for path in (tmp_path / "again" / "digest").iterdir()] == ["0-1.node"]
    archive.write_bytes(archive.read_bytes()[:700])
    unpack_folder(archive, tmp_path / "broken")
    unpack_folder(tmp_path / "nothing", tmp_path / "broken")
    assert not (tmp_path / "broken").exists()


@pytest.fixture
def brought(tmp_path):
    """A jobs folder into which the batch system has brought the end of an attempt."""
    folder = tmp_path / "job"
    folder.mkdir()
    file = tmp_path / "file"
    file.write_text("content")
    about = {"path": str(tmp_path / "out" / "file"), "size": 7, "adler32": adler32_of(file)}
    pack_outputs(folder / "job_3_outputs.tar", [(file, about)])
    report = {"job": 3, "attempt": 2, "exit_code": 0}
    (folder / "job_3_report.json").write_text(json.dumps(report))
    (folder / "job_3_checkpoints.tar").write_text("")
    prepare_transfer(folder, 3)
    return SimpleNamespace(folder=folder, out=tmp_path / "out")


def test_what_was_brought_is_put_into_place(brought):
    collect(brought, 3, 1)  # of another attempt
    assert not brought.out.exists()
    for _ in range(2):
        collect(brought, 3, 2)
        assert [path.read_text() for path in brought.out.iterdir()] == ["content"]
    left = {str(path.relative_to(brought.folder)) for path in brought.folder.rglob("*") if path.is_file()}
    assert left == {"checkpoints/job_3_checkpoints.tar", "logs/job_3.2.json"}


def test_a_damaged_archive_gives_nothing(brought):
    archive = brought.folder / "job_3_outputs.tar"
    data = archive.read_bytes()
    archive.write_bytes(data.replace(b"content", b"CONTENT"))
    with pytest.raises(OutputError, match="checksum"):
        collect(brought, 3, 2)
    assert not list(brought.out.iterdir())
    assert (brought.folder / "job_3_report.json").exists()


# -- job.sh


@pytest.mark.parametrize("words", [[], ["0"] * 6, ["x", "s", "d", "1", "1", "0", "1"]])
def test_the_script_wants_its_arguments(tmp_path, words):
    script = tmp_path / "job.sh"
    script.write_text(job_script(folder=str(tmp_path)))
    done = subprocess.run(["bash", str(script), *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (72, "")
    assert "job.sh" in done.stderr


def test_the_script_makes_what_the_batch_system_fetches(tmp_path):
    (tmp_path / "worker.sh").write_text("exit 71\n")
    (tmp_path / "job.sh").write_text(job_script(transferred=True))
    argv = ["bash", "job.sh", "4", "slice", "digest", "1", "1", "0", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 71
    made = {path.name for path in tmp_path.glob("job_4_*")}
    assert made == {"job_4_report.json", "job_4_outputs.tar", "job_4_checkpoints.tar"}


def test_the_script_gets_into_the_image(tmp_path):
    folder = tmp_path / 'a folder\'s "jobs"'
    folder.mkdir()
    (folder / "worker.sh").write_text('printf "%s|" "$@"\n')
    tools = tmp_path / "bin"
    tools.mkdir()
    fake = tools / "apptainer"  # says how it was called, and becomes the command behind the image
    fake.write_text('#!/bin/bash\nprintf "%s|" "${@:1:5}" >&2\nshift 6\nexec "$@"\n')
    fake.chmod(0o755)
    prefix = ["apptainer", "exec", "/images/a b.sif"]
    (folder / "job.sh").write_text(job_script(folder=str(folder), prefix=prefix, python="/opt/py thon"))
    argv = ["bash", str(folder / "job.sh"), "4", "slice", "digest", "1", "1", "0", "1"]
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    assert done.returncode == 0
    assert done.stderr == f"exec|--bind|{tmp_path}|--pwd|{tmp_path}|"
    said = done.stdout.splitlines()[1]
    words = ["/opt/py thon", "-m", "pocket_coffea.run.job", "{here}/job.json", "{scratch}", str(tmp_path)]
    assert said == "|".join([*words, *argv[2:], ""])
    assert (folder / "job_4.done").exists()
