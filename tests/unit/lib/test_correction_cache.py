import json
import os
import pickle

import pytest

from pocket_coffea.errors import ConfigurationError, DataFileNotFound
from pocket_coffea.lib.correction_cache import clear_cache, get_correction, load_correction_set


def write(path, value):
    correction = {
        "name": "sf",
        "version": 1,
        "inputs": [],
        "output": {"name": "w", "type": "real"},
        "data": value,
    }
    path.write_text(json.dumps({"schema_version": 2, "corrections": [correction]}))
    return path


@pytest.fixture(autouse=True)
def fresh_cache():
    clear_cache()


def test_a_file_is_read_once_until_it_changes(tmp_path):
    path = write(tmp_path / "a.json", 1.5)
    first = load_correction_set(str(path))
    assert load_correction_set(str(path)) is first
    assert get_correction(str(path), "sf").evaluate() == 1.5
    write(path, 2.25)
    os.utime(path, ns=(1, 1))
    assert get_correction(str(path), "sf").evaluate() == 2.25


def test_files_are_found_below_the_data_directories(tmp_path, monkeypatch):
    write(tmp_path / "mine.json", 3.0)
    monkeypatch.setenv("POCKET_COFFEA_DATA", str(tmp_path))
    assert get_correction("mine.json", "sf").evaluate() == 3.0


def test_errors(tmp_path):
    path = write(tmp_path / "a.json", 1.0)
    with pytest.raises(ConfigurationError, match="Did you mean 'sf'"):
        get_correction(str(path), "sff")
    path.write_text("no json")
    with pytest.raises(ConfigurationError, match="not a readable correctionlib file") as caught:
        load_correction_set(str(path))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(DataFileNotFound, match=r"missing\.json"):
        load_correction_set(str(tmp_path / "missing.json"))
