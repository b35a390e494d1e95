import json
import os

from pocket_coffea.datasets.cache import AnswerCache, cache_folder


def test_an_answer_is_kept_until_it_is_too_old(tmp_path):
    cache = AnswerCache(100, tmp_path)
    assert cache.get("rucio", "a") is None
    cache.put([1, {"b": 2}], "rucio", "a")
    assert cache.get("rucio", "a") == [1, {"b": 2}]
    assert cache.get("rucio", "b") is None
    (path,) = tmp_path.iterdir()
    kept = json.loads(path.read_text())
    kept["at"] -= 101
    path.write_text(json.dumps(kept))
    assert cache.get("rucio", "a") is None


def test_a_damaged_answer_is_none(tmp_path):
    cache = AnswerCache(100, tmp_path)
    cache.put(1, "q")
    for path in tmp_path.iterdir():
        path.write_text('{"at": 1')
    assert cache.get("q") is None


def test_age_zero_neither_reads_nor_writes(tmp_path):
    AnswerCache(100, tmp_path / "c").put(1, "q")
    assert AnswerCache(0, tmp_path / "c").get("q") is None
    AnswerCache(0, tmp_path / "d").put(1, "q")
    assert not (tmp_path / "d").exists()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    AnswerCache(100, tmp_path / "file").put(1, "q")
    assert "is not kept" in caplog.text


def test_the_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "pocket-coffea"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert os.fspath(cache_folder()) == f"{tmp_path}/.cache/pocket-coffea"
