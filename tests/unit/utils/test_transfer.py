"""Delivery of files to folders and servers."""

from __future__ import annotations

import stat

import pytest

from pocket_coffea.errors import OutputError
from pocket_coffea.utils.transfer import deliver, is_remote, join


def test_file_moves_into_a_folder_that_is_made(tmp_path):
    local = tmp_path / "a.txt"
    local.write_text("x")
    target = str(tmp_path / "deep" / "er" / "b.txt")
    assert deliver(local, target) == target
    assert (tmp_path / "deep" / "er" / "b.txt").read_text() == "x"
    assert not local.exists()
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["b.txt"]


def test_destination_that_is_a_file_is_an_output_error(tmp_path):
    local = tmp_path / "a.txt"
    local.write_text("x")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file/b\.txt"):
        deliver(local, str(tmp_path / "file" / "b.txt"))
    assert local.exists()


def fake_xrdcp(tmp_path, monkeypatch, body):
    program = tmp_path / "bin" / "xrdcp"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_xrootd_address_is_copied_by_xrdcp(tmp_path, monkeypatch):
    fake_xrdcp(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/called')
    local = tmp_path / "a.root"
    local.write_text("x")
    address = join("root://server//store/user/", "DY", "a.root")
    assert is_remote(address)
    assert deliver(local, address) == "root://server//store/user/DY/a.root"
    assert (tmp_path / "called").read_text().split()[-2:] == [str(local), address]
    assert not local.exists()


def test_failed_copy_says_what_xrdcp_said(tmp_path, monkeypatch):
    fake_xrdcp(tmp_path, monkeypatch, 'echo "no route to host" >&2; exit 54')
    local = tmp_path / "a.root"
    local.write_text("x")
    with pytest.raises(OutputError, match=r"code 54(.|\n)*no route to host"):
        deliver(local, "root://server//a.root")
    assert local.exists()


def test_without_xrdcp_the_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match="xrdcp"):
        deliver(tmp_path / "a.root", "root://server//a.root")
