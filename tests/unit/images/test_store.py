"""The store: whole images only, one builder at a time, damage told, leftovers removed."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from dataclasses import replace

import pytest

from pocket_coffea.errors import ConfigurationError, InputFileError
from pocket_coffea.images.store import Record, Store

CONTENT = b"an image"
RECORD = Record(
    site="lxplus",
    version="1.0",
    input_digest="1" * 64,
    image_digest=hashlib.sha256(CONTENT).hexdigest(),
    source_digest="3" * 64,
    base_digest="4" * 64,
    commit="5" * 40,
    size=len(CONTENT),
    built="2026-01-01T00:00:00+00:00",
    seconds=1.5,
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def put(store, record=RECORD, content=CONTENT):
    with store.working() as folder:
        (folder / "image.sif").write_bytes(content)
        return store.add(folder, record)


def test_the_place_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKET_COFFEA_IMAGES", str(tmp_path / "here"))
    assert Store().root == tmp_path / "here"
    monkeypatch.delenv("POCKET_COFFEA_IMAGES")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Store().root == tmp_path / "cache" / "pocket-coffea" / "images"


def test_what_is_added_is_found(store):
    path = put(store)
    assert path.read_bytes() == CONTENT
    assert store.find(RECORD.input_digest) == RECORD
    assert store.find("0" * 64) is None
    store.check(RECORD)


def test_a_flipped_byte_is_told(store):
    path = put(store)
    path.write_bytes(b"An image")
    with pytest.raises(InputFileError, match=r"was changed: its sha256 is .*rm -r"):
        store.check(RECORD)


def test_a_failing_build_leaves_nothing(store):
    def fail():
        with store.working() as folder:
            (folder / "image.sif").write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(store.root.iterdir()) == []


def test_the_first_of_two_equal_builds_stays(store):
    path = put(store)
    before = path.stat().st_ino
    assert put(store) == path
    assert path.stat().st_ino == before


@pytest.mark.parametrize("reference", ["lxplus", "111111", "sha256:" + RECORD.image_digest[:8]])
def test_an_image_is_selected_by_site_or_digest(store, reference):
    put(store)
    assert store.select(reference) == RECORD


def test_a_site_means_its_newest_image(store):
    put(store)
    newer = replace(RECORD, input_digest="6" * 64, built="2026-02-01T00:00:00+00:00")
    put(store, newer)
    assert store.select("lxplus") == newer
    with pytest.raises(ConfigurationError, match="2 images begin with"):
        store.select(RECORD.image_digest[:10])


def test_what_is_not_there_is_told_with_what_is(store):
    put(store)
    with pytest.raises(ConfigurationError, match=r"no image 'lxplusy'.*Did you mean 'lxplus'.*image build"):
        store.select("lxplusy")


def test_a_damaged_record_is_told(store):
    put(store).with_name("record.yaml").write_text("site: lxplus\n")
    with pytest.raises(InputFileError, match=r"record\.yaml is damaged"):
        store.find(RECORD.input_digest)


def _hold(root, ready, seconds):
    with Store(root).locked("9" * 64, print):
        ready.set()
        time.sleep(seconds)


def test_a_second_builder_is_told_and_waits(store):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(store.root, ready, 1.0))
    other.start()
    assert ready.wait(60)
    told = []
    with store.locked("9" * 64, told.append):
        assert told == [f"Another builder (process {other.pid}) is at it; waiting for it to end."]
    other.join()
    with store.locked("9" * 64, told.append):
        assert len(told) == 1


def test_collecting_keeps_what_is_current_or_young(store):
    old = put(store)
    current = put(store, replace(RECORD, input_digest="7" * 64))
    young = put(store, replace(RECORD, input_digest="8" * 64))
    leftover = store.root / ".build-x"
    leftover.mkdir()
    layer = store.layer("4" * 64)
    layer.parent.mkdir()
    layer.write_bytes(b"tar")
    long_ago = time.time() - 90 * 86400
    for path in (old, current, leftover, layer):
        os.utime(path, (long_ago, long_ago))
    removed = store.collect({"7" * 64}, 30)
    assert sorted(removed) == sorted([old.parent, leftover, layer])
    assert current.exists()
    assert young.exists()
    assert not old.exists()
