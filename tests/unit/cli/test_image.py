"""``pocket-coffea image``: messages and exit codes of what needs no build."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.images.store import Record, Store

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def call(store):
    def call(*arguments):
        return CliRunner().invoke(main, ["image", *arguments, "--store", str(store.root)])

    return call


def put(store, content=b"content"):
    digest = hashlib.sha256(content).hexdigest()
    record = Record("lab", "1.0", "a" * 64, digest, "b" * 64, "c" * 64, "", len(content), "2026-01-01", 1.0)
    with store.working() as folder:
        (folder / "image.sif").write_bytes(content)
        store.add(folder, record)
    return record


def test_the_list_of_an_empty_store_says_how_to_fill_it(call, store):
    done = call("list")
    assert done.exit_code == 4
    assert f"The store {store.root} is empty. Build an image" in done.output


def test_list_and_show_name_the_digests(call, store):
    record = put(store)
    listed = call("list")
    assert listed.exit_code == 0
    assert record.image_digest[:12] in listed.output
    shown = call("show", "lab", "--check")
    assert shown.exit_code == 0
    assert record.image_digest in shown.output
    assert str(store.image(record.input_digest)) in shown.output


def test_show_checks_every_byte_when_asked(call, store):
    record = put(store)
    store.image(record.input_digest).write_bytes(b"CONTENT")
    assert call("show", "lab").exit_code == 0
    done = call("show", "lab", "--check")
    assert done.exit_code == 3
    assert "was changed: its sha256 is" in done.output


def test_an_unknown_reference_is_told(call, store):
    put(store)
    done = call("show", "lap")
    assert done.exit_code == 1
    assert "Did you mean 'lab'?" in done.output


def test_an_unknown_site_is_told_before_anything_is_built(call):
    done = call("build", "lxpuls", "--source", str(ROOT), "--allow-dirty")
    assert done.exit_code == 1
    assert "Did you mean 'lxplus'?" in done.output


def test_verify_without_an_image_has_nothing_to_do(call):
    done = call("verify", "lab", "--source", str(ROOT), "--allow-dirty")
    assert done.exit_code == 4
    assert "pocket-coffea image build lab" in done.output


def test_a_folder_that_is_no_checkout_uses_the_package_of_this_program(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("verify", "lab", "--allow-dirty")
    assert done.exit_code == 4


def test_a_shell_needs_apptainer(call, store, monkeypatch, tmp_path):
    put(store)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(main, ["image", "shell", "--store", str(store.root), "lab"])
    assert done.exit_code == 3
    assert "has no Apptainer" in done.output
