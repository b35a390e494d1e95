from __future__ import annotations

import json
import resource
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from coffea.util import load

from pocket_coffea.errors import OptionError, OutputError
from pocket_coffea.run.outputs import OutputFolder


def test_an_output_can_be_loaded_with_coffea(tmp_path):
    folder = OutputFolder(tmp_path / "new" / "output")
    path = folder.save({"x": np.arange(3)}, "all")
    assert path == tmp_path / "new" / "output" / "output_all.coffea"
    assert load(str(path))["x"].tolist() == [0, 1, 2]
    assert [file.name for file in folder.path.iterdir()] == ["output_all.coffea"]
    assert path.stat().st_mode & 0o044, "as readable as other files"


def test_a_disk_that_is_full_keeps_the_old_output(tmp_path):
    """The limit of file size stands for the disk: the kernel refuses to write on, in the middle."""
    script = textwrap.dedent(
        """
        import resource, sys
        import numpy as np
        from pocket_coffea.errors import OutputError
        from pocket_coffea.run.outputs import OutputFolder
        folder = OutputFolder(sys.argv[1])
        folder.save({"x": "old"}, "all")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            folder.save({"x": np.random.default_rng(1).random(200_000)}, "all")
        except OutputError as exc:
            print(exc)
        """
    )
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert (
        "output_all.coffea cannot be written: File too large. The older output there is kept." in done.stdout
    )
    assert load(str(tmp_path / "output_all.coffea")) == {"x": "old"}
    assert [file.name for file in tmp_path.iterdir()] == ["output_all.coffea"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made: Not a directory"):
        OutputFolder(tmp_path / "file" / "output")
    with pytest.raises(OutputError, match="mounted file system"):
        OutputFolder("root://eos//output")


def test_failed_jobs_come_and_go(tmp_path):
    folder = OutputFolder(tmp_path)
    with pytest.raises(OptionError, match=r"there is no .*failed_jobs\.json"):
        folder.read_failed()
    folder.write_failed(["dataset_A", "group_XYZ"])
    assert json.loads((tmp_path / "failed_jobs.json").read_text()) == ["dataset_A", "group_XYZ"]
    assert folder.read_failed() == ["dataset_A", "group_XYZ"]
    folder.write_failed([])
    assert not (tmp_path / "failed_jobs.json").exists()
    (tmp_path / "failed_jobs.json").write_text("{")
    with pytest.raises(OptionError, match="cannot be read"):
        folder.read_failed()


def test_the_record_of_an_error(tmp_path):
    folder = OutputFolder(tmp_path)
    try:
        raise ValueError("wrong")
    except ValueError as exc:
        path = folder.write_error("DY/2018", exc)
    assert path == tmp_path / "error" / "run_DY_2018.err"
    assert "Traceback" in path.read_text()
    assert "ValueError: wrong" in path.read_text()
    folder.clear_error("DY/2018")
    assert not (tmp_path / "error").exists()
