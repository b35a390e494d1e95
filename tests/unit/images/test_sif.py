"""The image file: equal content gives equal bytes, and a damaged file is told."""

from __future__ import annotations

import hashlib
import os
import struct

import pytest

from pocket_coffea.errors import InputFileError, OutputError
from pocket_coffea.images.sif import DEFINITION, INSPECT, PARTITION, SBOM, SifObject, read_sif, write_sif

EPOCH = 1_700_000_000


@pytest.fixture
def objects(tmp_path):
    contents = {
        "a.def": (DEFINITION, b"Bootstrap: localimage\n"),
        "inspect": (INSPECT, b"{}"),
        "root.squashfs": (PARTITION, b"hsqs" + bytes(5000)),
        "sbom": (SBOM, b'{"bomFormat": "CycloneDX"}'),
    }
    made = []
    for name, (kind, data) in contents.items():
        (tmp_path / name).write_bytes(data)
        made.append(SifObject(kind, name, tmp_path / name))
    return made


def test_what_is_written_is_read(tmp_path, objects):
    digest = write_sif(tmp_path / "x.sif", objects, EPOCH)
    assert digest == hashlib.sha256((tmp_path / "x.sif").read_bytes()).hexdigest()
    back = read_sif(tmp_path / "x.sif")
    assert [(item.kind, item.name, item.read()) for item in back] == [
        (item.kind, item.name, item.path.read_bytes()) for item in objects
    ]
    assert back[2].offset % 4096 == 0


def test_equal_content_gives_equal_bytes(tmp_path, objects):
    first = write_sif(tmp_path / "one" / "x.sif", objects, EPOCH)
    for item in objects:
        os.utime(item.path, (1, 1))
    before = os.umask(0o077)
    try:
        assert write_sif(tmp_path / "two" / "y.sif", objects, EPOCH) == first
    finally:
        os.umask(before)
    assert write_sif(tmp_path / "z.sif", objects, EPOCH + 1) != first


def test_the_header_has_no_identifier_and_the_given_times(tmp_path, objects):
    write_sif(tmp_path / "x.sif", objects, EPOCH)
    head = (tmp_path / "x.sif").read_bytes()[:128]
    assert head.startswith(b"#!/usr/bin/env run-singularity\n")
    assert head[48:64] == bytes(16)
    created, modified, free, total, table = struct.unpack_from("<5q", head, 64)
    assert (created, modified, free, total, table) == (EPOCH, EPOCH, 44, 48, 4096)


def test_what_is_no_image_is_told(tmp_path):
    (tmp_path / "x.sif").write_bytes(b"PK" + bytes(500))
    with pytest.raises(InputFileError, match="no Singularity image"):
        read_sif(tmp_path / "x.sif")
    with pytest.raises(InputFileError, match=r"nowhere\.sif cannot be read: No such file"):
        read_sif(tmp_path / "nowhere.sif")


def test_an_image_that_is_cut_short_is_told(tmp_path, objects):
    path = tmp_path / "x.sif"
    write_sif(path, objects, EPOCH)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputFileError, match="cut short"):
        read_sif(path)


def test_a_full_disk_leaves_nothing(tmp_path, objects, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="No space left"):
        write_sif(tmp_path / "out" / "x.sif", objects, EPOCH)
    assert list((tmp_path / "out").iterdir()) == []
