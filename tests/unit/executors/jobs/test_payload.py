"""One pickled configuration for all jobs, and the slices that select from it."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.config.digests import configuration_digests
from pocket_coffea.errors import InputFileError, InvalidType
from pocket_coffea.executors.jobs.payload import (
    PAYLOAD_NAME,
    load_slice,
    read_slice,
    rewrite_slice,
    sha256_of,
    write_payload,
    write_slice,
)
from pocket_coffea.utils.utils import load_config

DY = "DYJetsToLL_2018"


@pytest.fixture
def job(tmp_path, config):
    """Return the slice of a job with one of the files of DY."""
    folder = tmp_path / "jobs folder"
    filesets = {DY: {**config.filesets[DY], "files": config.filesets[DY]["files"][1:2]}}
    write_slice(folder, 4, filesets, write_payload(folder, config))
    return folder / "config_job_4.pkl"


def test_a_slice_is_the_configuration_with_its_files_alone(job, config, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with job.open("rb") as stream:
        plain = cloudpickle.load(stream)
    for found in (plain, load_slice(job), load_config(job)):
        found.load()
        assert list(found.filesets) == [DY]
        assert found.filesets[DY]["files"] == ["root://server//store/DYJetsToLL_2018/1.root"]
        assert not found.do_postprocessing
        mine, whole = configuration_digests(found), configuration_digests(config)
        assert mine["configuration"] == whole["configuration"]
        assert mine["parameters"] == whole["parameters"]
    assert job.stat().st_size < 1000


def test_the_configuration_itself_stays_as_it_was(job, config):
    assert config.do_postprocessing
    assert len(config.filesets) == 2


def test_inspect_job_shows_a_slice(job):
    result = CliRunner().invoke(main, ["inspect-job", "-f", str(job)])
    assert result.exit_code == 0, result.output
    assert "store/DYJetsToLL_2018/1.root" in result.output
    assert "EraA" not in result.output


@pytest.mark.parametrize("place", ["beside", "working folder"])
def test_a_folder_that_was_moved_is_found(job, tmp_path, monkeypatch, place):
    worker = tmp_path / "worker"
    worker.mkdir()
    moved = shutil.copy(job, worker)
    monkeypatch.chdir(worker if place == "working folder" else tmp_path)
    shutil.move(job.parent / PAYLOAD_NAME, worker / PAYLOAD_NAME)
    if place == "beside":
        assert load_slice(Path(moved)).datasets == [DY]
        assert load_config(moved).datasets == [DY]
    else:
        assert load_slice(job).datasets == [DY]


def test_another_configuration_is_refused_before_it_is_unpickled(job):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    (job.parent / PAYLOAD_NAME).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(
        InputFileError, match=r"is not the configuration that job 4 was made with: its sha256"
    ):
        load_slice(job)


def test_a_missing_configuration_is_looked_for(job, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (job.parent / PAYLOAD_NAME).unlink()
    with pytest.raises(InputFileError, match=rf"job 4 needs configurator.pkl .* in none of: .*{tmp_path}"):
        load_slice(job)


def test_reading_a_slice_runs_nothing_of_it(tmp_path):
    bad = tmp_path / "config_job_0.pkl"

    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    bad.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(
        InputFileError, match="is not the slice of a job, or is damaged: UnpicklingError: it n"
    ):
        read_slice(bad)


@pytest.mark.parametrize("content", [b"", b"\x80", pickle.dumps({"filesets": 1}.items().__len__())])
def test_damaged_slices_are_named(tmp_path, content):
    bad = tmp_path / "config_job_0.pkl"
    bad.write_bytes(content)
    with pytest.raises(InputFileError, match=r"config_job_0\.pkl is not the slice of a job, or is damaged"):
        read_slice(bad)


def test_a_slice_is_rewritten_with_its_digest(job):
    before = read_slice(job)

    def other(filesets):
        filesets[DY]["files"] = [name.replace("server", "other") for name in filesets[DY]["files"]]
        return filesets

    digest = rewrite_slice(job, other)
    assert digest == sha256_of(job)
    after = read_slice(job)
    assert after["filesets"][DY]["files"] == ["root://other//store/DYJetsToLL_2018/1.root"]
    assert {**after, "filesets": None} == {**before, "filesets": None}
    assert load_slice(job).filesets[DY]["files"] == after["filesets"][DY]["files"]


def test_parts_of_files_and_replicas_travel(job, config):
    part = {"object_path": "Events", "steps": [[100, 300]]}
    entry = {
        "files": {"a b,'ü.root": part},
        "metadata": {**config.filesets[DY]["metadata"], "weight": np.float64(2.5)},
        "replicas": {"a b,'ü.root": ["root://x//a"]},
    }
    write_slice(job.parent, 4, {DY: entry}, read_slice(job)["payload_sha256"])
    found = load_slice(job).filesets[DY]
    assert found["files"] == {"a b,'ü.root": part}
    assert found["replicas"] == {"a b,'ü.root": ["root://x//a"]}
    assert found["metadata"]["weight"] == 2.5


def test_metadata_that_is_no_plain_data_is_named(tmp_path):
    with pytest.raises(InvalidType, match=r"metadata of a dataset: .*set.* cannot be written down"):
        write_slice(tmp_path, 0, {"A": {"files": ["x"], "metadata": {"odd": {1, 2}}}}, "0")
