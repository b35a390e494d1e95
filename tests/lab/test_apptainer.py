"""Apptainer as an unprivileged user: what every image test and every batch job in an image rests on."""

from __future__ import annotations

from ci.lab.services.apptainer import IMAGE


def test_a_command_runs_in_an_image_as_the_user_who_asked(command):
    said = command("apptainer", "exec", "--containall", IMAGE, "id", "-u")
    assert said.splitlines()[-1] == "1000"


def test_the_image_is_mounted_not_unpacked(command):
    """squashfuse through /dev/fuse: unpacking would leave no squashfuse process and take ten times longer."""
    said = command("apptainer", "--debug", "exec", IMAGE, "true", timeout=60)
    assert "squashfuse" in said


def test_a_user_builds_an_image_without_being_root(command, tmp_path):
    definition = tmp_path / "small.def"
    definition.write_text(f"Bootstrap: localimage\nFrom: {IMAGE}\n%post\n    echo built > /built\n")
    command("apptainer", "build", "--fakeroot", tmp_path / "small.sif", definition, timeout=120)
    assert command("apptainer", "exec", tmp_path / "small.sif", "cat", "/built").endswith("built\n")
