"""What is said where no image can be run."""

from __future__ import annotations

import pytest

from pocket_coffea.images import apptainer
from pocket_coffea.images.apptainer import NoApptainer, apptainer_for, machine_apptainer


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """No program on PATH, no checkout around the package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(apptainer, "_CHECKOUT", tmp_path)
    return tmp_path


def enter(folder):
    with apptainer_for(folder, print):
        pytest.fail("there is none")


def test_an_installed_package_has_no_lab(nothing):
    with pytest.raises(NoApptainer, match="no checkout with the lab"):
        enter(nothing)
    with pytest.raises(NoApptainer, match="ci/lab/lab exec"):
        machine_apptainer()


def test_why_the_lab_cannot_run_is_said(nothing):
    (nothing / "containers").mkdir()
    lab = nothing / "ci" / "lab" / "lab"
    lab.parent.mkdir(parents=True)
    lab.write_text("#!/bin/sh\necho 'the lab needs root'\nexit 1\n")
    lab.chmod(0o755)
    with pytest.raises(NoApptainer, match="cannot host the lab, which has one: the lab needs root"):
        enter(nothing)


def test_the_apptainer_of_the_machine_comes_first(nothing):
    program = nothing / "apptainer"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    image = nothing / "images" / "a.sif"
    image.parent.mkdir()
    image.touch()
    with apptainer_for(image.parent, print) as found:
        assert found.test(image).split() == ["test", "--no-home", "--cleanenv", str(image)]
        said = found.run(image, ["python", "x y"], "--bind", "/a:/b", limit=9)
        assert said.split()[-4:] == [str(image), "python", "x", "y"]
