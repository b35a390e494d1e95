from __future__ import annotations

import pickle

import pytest

from pocket_coffea.executors.reduction import pack, unpack
from pocket_coffea.run.resume import CheckpointStore, DamagedCheckpoint


def test_a_group_replaces_its_members(tmp_path):
    store = CheckpointStore(tmp_path / ".resume" / "abc", 3)
    for i in range(4):
        store.save_node(0, i, pack({"i": i}))
    assert store.count() == 4
    store.save_node(1, 0, lambda: pack({"i": 3}))
    assert sorted(path.name for path in store.folder.iterdir()) == ["0-3.node", "1-0.node"]
    assert store.count() == 4
    assert unpack(store.load_node(1, 0)) == {"i": 3}
    store.clear()
    assert not (tmp_path / ".resume").exists()


def test_what_is_not_whole_is_removed(tmp_path):
    store = CheckpointStore(tmp_path, 3)
    store.save_node(0, 1, pack({"i": 1})[:-3])
    with pytest.raises(DamagedCheckpoint, match="processed again"):
        store.load_node(0, 1)
    assert not store.has(0, 1)


def test_a_full_disk_ends_the_keeping_and_not_the_run(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    store = CheckpointStore(tmp_path / "file" / "kept", 3)
    store.save_node(0, 0, b"x")
    assert "not kept any more" in caplog.text
    assert not store.wants(0)
    assert not store.wants(1)


def test_keeping_has_a_budget(tmp_path):
    store = CheckpointStore(tmp_path, 3)
    assert store.wants(0)
    store._spent = 100.0
    assert not store.wants(0)
    assert store.wants(1)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.wants(0), "every worker has its own clock"
    assert copy.folder == store.folder
