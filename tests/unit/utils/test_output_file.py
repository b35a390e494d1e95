"""Outputs on disk: both formats, reading in parts, damaged files."""

from __future__ import annotations

import json
import zipfile
from collections import defaultdict

import hist
import lz4.frame
import numpy as np
import pytest
from coffea.processor import column_accumulator
from coffea.util import load, save

from pocket_coffea.errors import InputFileError, OptionError, UnknownName
from pocket_coffea.utils.output_file import format_of, load_output, save_output
from pocket_coffea.utils.output_zip import ZipOutput


def histogram(seed):
    made = hist.Hist(
        hist.axis.StrCategory(["a", "b"], name="cat"), hist.axis.Regular(10, 0, 1, name="x"), storage="weight"
    )
    values = np.random.default_rng(seed).random(100)
    made.fill("a", values, weight=values)
    return made


@pytest.fixture
def output():
    variables = {"mll": defaultdict(dict), "a/b c ü": defaultdict(dict)}
    for seed, content in enumerate(variables.values()):
        content["DY"]["DY_2018"] = histogram(seed)
    return {
        "sum_genweights": {"DY_2018": 1.5},
        "cutflow": {"initial": {"DY_2018": 100}},
        "variables": variables,
        "columns": {"DY": {"DY_2018": {"a": {"pt": column_accumulator(np.arange(3.0))}}}},
        "datasets_metadata": {"by_dataset": {"DY_2018": {"year": "2018"}}},
        "of_a_hook": [1, 2],
    }


@pytest.mark.parametrize("name", ["out.coffea", "out.coffea.zip"])
def test_both_formats_give_back_the_same(output, tmp_path, name):
    path = save_output(output, tmp_path / name)
    found = load_output(path)
    assert list(found) == list(output)
    assert list(found["variables"]) == list(output["variables"])
    assert type(found["variables"]["mll"]) is defaultdict
    for key, content in output["variables"].items():
        assert found["variables"][key]["DY"]["DY_2018"] == content["DY"]["DY_2018"]
    assert found["columns"]["DY"]["DY_2018"]["a"]["pt"].value.tolist() == [0, 1, 2]
    for key in ("sum_genweights", "cutflow", "datasets_metadata", "of_a_hook"):
        assert found[key] == output[key]
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.coffea", "out.coffea.zip"])
def test_some_histograms_only(output, tmp_path, name):
    path = save_output(output, tmp_path / name)
    found = load_output(path, ["mll"], columns=False)
    assert list(found["variables"]) == ["mll"]
    assert found["columns"] == {}
    assert found["cutflow"] == output["cutflow"]
    assert load_output(path, [])["variables"] == {}
    with pytest.raises(UnknownName, match=r"has no histogram 'mlll'\. Did you mean 'mll'"):
        load_output(path, ["mlll"])
    with pytest.raises(UnknownName, match=r"must be a list, \['mll'\]"):
        load_output(path, "mll")


def test_a_zip_file_says_what_is_in_it_and_reads_only_what_is_asked_for(output, tmp_path):
    path = save_output(output, tmp_path / "out.coffea.zip")
    with ZipOutput(path) as archive:
        assert archive.variables["mll"] == {
            "member": "variables/mll.pkl.lz4",
            "samples": {"DY": ["DY_2018"]},
            "axes": ["cat", "x"],
        }
    # the other member is damaged: who does not need it does not see it
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        other = archive.getinfo("variables/a%2Fb%20c%20%C3%BC.pkl.lz4")
    start = other.header_offset + 150
    data[start : start + 10] = bytes(255 - byte for byte in data[start : start + 10])
    path.write_bytes(data)
    assert (
        load_output(path, ["mll"])["variables"]["mll"]["DY"]["DY_2018"]
        == output["variables"]["mll"]["DY"]["DY_2018"]
    )
    with pytest.raises(InputFileError, match=r"out\.coffea\.zip/variables/.*cannot be read"):
        load_output(path)


def test_equal_outputs_are_equal_zip_files(output, tmp_path, monkeypatch):
    first = save_output(output, tmp_path / "1.coffea.zip").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert save_output(output, tmp_path / "2.coffea.zip").read_bytes() == first


def test_coffea_reads_ours_and_we_read_those_of_coffea(output, tmp_path):
    assert load(str(save_output(output, tmp_path / "ours.coffea")))["cutflow"] == output["cutflow"]
    save(output, str(tmp_path / "theirs.coffea"))
    assert load_output(tmp_path / "theirs.coffea")["cutflow"] == output["cutflow"]
    save(output, str(tmp_path / "plain.coffea"), compression=None)
    assert load_output(tmp_path / "plain.coffea")["cutflow"] == output["cutflow"]


@pytest.mark.parametrize("name", ["out.coffea", "out.coffea.zip"])
def test_every_cut_and_every_changed_byte_is_found(output, tmp_path, name):
    path = save_output(output, tmp_path / name)
    whole = path.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 50)):
        path.write_bytes(whole[:size])
        with pytest.raises(InputFileError):
            load_output(path)
    if name.endswith(".coffea"):  # a zip file has bytes that say nothing
        for place in range(4, len(whole), max(1, len(whole) // 50)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
            with pytest.raises(InputFileError, match="cannot be read"):
                load_output(path)


def test_what_is_no_output(tmp_path):
    path = tmp_path / "x.coffea"
    with pytest.raises(InputFileError, match="No such file"):
        load_output(path)
    path.write_text("text")
    with pytest.raises(InputFileError, match="is not an output: it starts with b'text'"):
        load_output(path)
    save([1], str(path))
    with pytest.raises(InputFileError, match="holds a list"):
        load_output(path)
    path.write_bytes(lz4.frame.compress(b"no pickle"))
    with pytest.raises(InputFileError):
        load_output(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(InputFileError, match="is a zip file, but not an output"):
        load_output(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.json", json.dumps({"format": "pocket-coffea output", "version": 99}))
    with pytest.raises(InputFileError, match="version 99; this version of PocketCoffea reads"):
        load_output(path)


def test_the_name_says_the_format():
    assert format_of("a.coffea") == "coffea"
    assert format_of("a.coffea.zip", "zip") == "zip"
    with pytest.raises(OptionError, match=r"such a file is named \*.coffea.zip, not a.coffea"):
        format_of("a.coffea", "zip")
