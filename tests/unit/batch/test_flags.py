"""Flag files: what is read where several exist, and what a reader meets while they change."""

from __future__ import annotations

import os

import pytest

from pocket_coffea.batch.flags import FLAGS, end_flags, read_flags, requeue_flag, set_flag, start_flag
from pocket_coffea.batch.states import State
from pocket_coffea.errors import OutputError


def make(folder, *names, age=0.0):
    for name in names:
        path = folder / name
        path.touch()
        os.utime(path, (1_000_000 - age, 1_000_000 - age))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_flag_of_each_kind_is_read_and_other_files_are_not(tmp_path):
    make(tmp_path, *(f"job_{i}.{state.value}" for i, state in enumerate(FLAGS)))
    make(tmp_path, "job_9.sub", "job_x.done", "job_7.done.tmp", "config_job_8.pkl", "jobs_config.yaml")
    assert {job: flag.state for job, flag in read_flags(tmp_path).items()} == dict(enumerate(FLAGS))


@pytest.mark.parametrize("newer", FLAGS)
@pytest.mark.parametrize("older", FLAGS)
def test_of_two_flags_the_newer_one_counts(tmp_path, newer, older):
    make(tmp_path, f"job_3.{older.value}", age=10)
    make(tmp_path, f"job_3.{newer.value}")
    assert read_flags(tmp_path)[3].state is newer


def test_of_equally_old_flags_the_later_in_life_counts(tmp_path):
    make(tmp_path, *(f"job_0.{state.value}" for state in FLAGS))
    flag = read_flags(tmp_path)[0]
    assert (flag.state, set(flag.stale)) == (State.DONE, set(FLAGS) - {State.DONE})


def test_a_flag_that_is_set_is_the_only_one(tmp_path):
    make(tmp_path, "job_1.idle", "job_1.running", "job_2.idle")
    set_flag(tmp_path, 1, State.FAILED)
    assert names(tmp_path) == ["job_1.failed", "job_2.idle"]
    set_flag(tmp_path, 5, State.IDLE)
    assert read_flags(tmp_path)[5].state is State.IDLE


def test_a_requeued_flag_never_hides_what_the_new_instance_says(tmp_path):
    make(tmp_path, "job_1.failed", age=100)
    old = end_flags(tmp_path, 1)
    make(tmp_path, "job_1.running")  # the new instance is faster than the submitter
    requeue_flag(tmp_path, 1, old)
    assert names(tmp_path) == ["job_1.idle", "job_1.running"]
    assert read_flags(tmp_path)[1].state is State.RUNNING


def test_only_an_idle_flag_is_turned_into_running(tmp_path):
    make(tmp_path, "job_1.idle", "job_2.done")
    start_flag(tmp_path, 1)
    start_flag(tmp_path, 2)
    assert names(tmp_path) == ["job_1.running", "job_2.done"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match="nowhere cannot be read"):
        read_flags(tmp_path / "nowhere")
    with pytest.raises(OutputError, match=r"nowhere/job_1.done cannot be written"):
        set_flag(tmp_path / "nowhere", 1, State.DONE)
