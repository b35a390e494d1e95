"""Signing a copy of an image with the real Apptainer, and running in one without the lab's help."""

from __future__ import annotations

import shutil

import pytest

from ci.lab.process import CommandFailedError
from ci.lab.services.apptainer import IMAGE
from pocket_coffea.errors import CommandFailed, ConfigurationError, PocketCoffeaError
from pocket_coffea.images.apptainer import apptainer_for
from pocket_coffea.images.sif import file_sha256
from pocket_coffea.images.sign import _require_same_objects, sign_copy


@pytest.fixture
def keys(command, tmp_path):
    """Return a private and the public key."""
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    command("openssl", "genpkey", "-algorithm", "ed25519", "-out", private)
    command("openssl", "pkey", "-in", private, "-pubout", "-out", public)
    return private, public


def test_the_copy_is_signed_and_the_image_keeps_its_bytes(command, keys, tmp_path):
    private, public = keys
    before, signed = file_sha256(IMAGE), tmp_path / "signed.sif"
    sign_copy(IMAGE, signed, private)
    assert file_sha256(IMAGE) == before
    assert "Objects verified" in command("apptainer", "verify", "--key", public, signed)
    broken = tmp_path / "broken.sif"
    shutil.copy(signed, broken)
    with broken.open("r+b") as file:
        file.seek(40_000)
        byte = file.read(1)
        file.seek(40_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(CommandFailedError, match="integrity"):
        command("apptainer", "verify", "--key", public, broken)
    with pytest.raises(PocketCoffeaError, match="did more"):
        _require_same_objects(IMAGE, broken)


def test_nothing_is_left_when_it_cannot_be_signed(keys, tmp_path):
    target = tmp_path / "signed.sif"
    with pytest.raises(CommandFailed, match="ended with code"):
        sign_copy(IMAGE, target, keys[1])
    assert sorted(tmp_path.iterdir()) == sorted(keys)
    target.write_text("something")
    with pytest.raises(ConfigurationError, match="is there already"):
        sign_copy(IMAGE, target, keys[0])
    assert target.read_text() == "something"


def test_a_machine_with_apptainer_uses_its_own(tmp_path):
    said: list[str] = []
    with apptainer_for(IMAGE.parent, said.append) as apptainer, apptainer.scratch("test") as folder:
        bind = ("--bind", f"{folder}:/mnt")
        printed = apptainer.run(IMAGE, ["sh", "-c", "echo here > /mnt/file; echo done"], *bind, limit=60)
        with open(f"{folder}/file") as file:
            assert file.read() == "here\n"
    assert printed.splitlines()[-1] == "done"
    assert said == ["Apptainer: /usr/bin/apptainer"]
