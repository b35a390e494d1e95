import json
import logging

import pytest

from pocket_coffea.config.datasets import check_filesets, limit_files, read_filesets
from pocket_coffea.errors import ConfigurationError, DataFileNotFound, InvalidType

MC = {"sample": "DY", "year": "2018", "isMC": "True", "xsec": "1.0"}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def entry(files=("a.root",), **metadata):
    return {"files": list(files), "metadata": {**MC, **metadata}}


def test_files_are_read_in_order_and_the_later_dataset_counts(tmp_path):
    one = write(tmp_path / "one.json", {"A": entry(["a.root"]), "B": entry(["b.root"])})
    two = write(tmp_path / "two.json", {"C": entry(["c.root"]), "A": entry(["new.root"])})
    filesets, known = read_filesets({"jsons": [one, two]})
    assert list(filesets) == ["A", "B", "C"]
    assert filesets["A"]["files"] == ["new.root"]
    assert known == {"DY"}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, ["A", "B", "C"]),
        ({"samples": ["DY"]}, ["A", "C"]),
        ({"samples": "DY"}, ["A", "C"]),
        ({"samples_exclude": ["DY"]}, ["B"]),
        ({"year": ["2018"]}, ["A", "B"]),
        ({"year": [2018]}, ["A", "B"]),
        ({"year": 2017}, ["C"]),
        ({"samples": ["DY", "TT"], "samples_exclude": ["TT"], "year": ["2018"]}, ["A"]),
        ({"samples": None, "year": None}, ["A", "B", "C"]),
    ],
)
def test_filter(tmp_path, selection, expected):
    content = {"A": entry(), "B": entry(sample="TT"), "C": entry(year=2017)}
    config = {"jsons": write(tmp_path / "d.json", content), "filter": selection}
    assert list(read_filesets(config)[0]) == expected


def test_years_are_matched_whole(tmp_path):
    path = write(tmp_path / "d.json", {"A": entry(year="2016_PreVFP")})
    with pytest.raises(ConfigurationError, match="Wrong filesets configuration"):
        read_filesets({"jsons": [path], "filter": {"year": ["2016"]}})


def test_nothing_kept_lists_what_was_asked_and_what_there_is(tmp_path):
    path = write(tmp_path / "d.json", {"A": entry(sample="DYto2Mu"), "B": entry(sample="TTbar", year="2017")})
    with pytest.raises(ConfigurationError) as error:
        read_filesets({"jsons": [path], "filter": {"samples": ["DYto2Muu"], "year": ["2018"]}})
    for part in (
        "Wrong filesets configuration",
        "DYto2Muu",
        "years 2018",
        "DYto2Mu (2018)",
        "TTbar (2017)",
        "Did you mean",
    ):
        assert part in str(error.value)


def test_a_sample_that_is_not_there_is_warned_about(tmp_path, caplog):
    path = write(tmp_path / "d.json", {"A": entry(sample="DYto2Mu")})
    read_filesets({"jsons": [path], "filter": {"samples": ["DYto2Mu", "DYto2M"], "year": ["2018", "2019"]}})
    assert "no dataset has 'DYto2M', so it selects nothing. Did you mean 'DYto2Mu'?" in caplog.text
    assert "no dataset has '2019'" in caplog.text


def test_a_misspelt_key_is_warned_about(tmp_path, caplog):
    path = write(tmp_path / "d.json", {"A": entry()})
    read_filesets({"jsons": [path], "filters": {}, "filter": {"years": ["2017"]}})
    assert "the key 'filters' has no meaning" in caplog.text
    assert "'years' has no meaning and is ignored. Did you mean 'year'?" in caplog.text


def test_a_file_that_does_not_exist(tmp_path):
    write(tmp_path / "datasets_2018.json", {})
    with pytest.raises(DataFileNotFound, match=r"datasets_2081\.json.*Did you mean 'datasets_2018\.json'"):
        read_filesets({"jsons": [str(tmp_path / "datasets_2081.json")]})
    with pytest.raises(FileNotFoundError, match="the folder does not exist either"):
        read_filesets({"jsons": [str(tmp_path / "no" / "d.json")]})


def test_malformed_json_names_file_and_line(tmp_path):
    path = write(tmp_path / "d.json", '{"A": {\n  "files": [,]\n}}')
    with pytest.raises(ConfigurationError, match=r"d\.json, line 2, column 13: this is not valid JSON"):
        read_filesets({"jsons": [path]})
    with pytest.raises(ConfigurationError, match="not a list"):
        read_filesets({"jsons": [write(tmp_path / "l.json", "[]")]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"A": {"files": ["x"]}}, r"d\.json: dataset 'A' has no \"metadata\" dictionary \(it has: files\)"),
        ({"A": ["x"]}, 'has no "metadata"'),
        ({"A": {"files": ["x"], "metadata": {"year": 1}}}, "dataset 'A' has no 'sample' in its metadata"),
        ({"A": {"files": [], "metadata": MC}}, "dataset 'A' has no files: \"files\" is an empty list"),
        ({"A": {"metadata": MC}}, '"files" is None'),
        ({"A": entry(isMC=None)}, "dataset 'A', metadata has no 'isMC'"),
        ({"A": entry(["x", "y", "x"])}, "lists the file x more than once"),
        (
            {"A": entry(), "B": entry(isMC="False", era="A")},
            "'DY' is simulation in one dataset and data in another",
        ),
    ],
)
def test_incomplete_datasets(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message):
        read_filesets({"jsons": [write(tmp_path / "d.json", content)]})


def test_an_incomplete_dataset_that_is_not_selected_does_not_matter(tmp_path, caplog):
    path = write(
        tmp_path / "d.json", {"A": entry(), "B": {"files": [], "metadata": {"sample": "X", "year": "2018"}}}
    )
    with caplog.at_level(logging.WARNING):
        assert list(read_filesets({"jsons": [path], "filter": {"samples": ["DY"]}})[0]) == ["A"]
    assert not caplog.records


def test_files_must_be_paths():
    with pytest.raises(InvalidType, match="must list paths, not 3"):
        check_filesets({"A": {"files": [3], "metadata": MC}})


def test_check_copies():
    given = {"A": {"files": ["a.root"], "metadata": {**MC, "year": 2018}, "extra": 1}}
    clean = check_filesets(given)
    clean["A"]["files"].append("b")
    assert given["A"]["files"] == ["a.root"]
    assert given["A"]["metadata"]["year"] == 2018
    assert clean["A"]["metadata"]["year"] == "2018"
    assert clean["A"]["extra"] == 1


def test_limit_files_scales_the_number_of_events():
    filesets = {
        "A": entry(["1", "2", "3"], nevents="100"),
        "B": entry(["1", "2", "3"], nevents=100),
        "C": entry(["1"], nevents="5"),
        "D": entry(["1", "2", "3"]),
    }
    limited = limit_files(filesets, 2)
    assert [len(item["files"]) for item in limited.values()] == [2, 2, 1, 2]
    assert [item["metadata"].get("nevents") for item in limited.values()] == ["66", 66, "5", None]
    assert filesets["A"]["metadata"]["nevents"] == "100"
    with pytest.raises(ConfigurationError, match="at least 1, not 0"):
        limit_files(filesets, 0)


def test_parts_of_files_are_kept():
    part = {"object_path": "Events", "steps": [[0, 5], [10, 20]]}
    fileset = {"A": {"files": {"a.root": part}, "metadata": MC}}
    assert check_filesets(fileset)["A"]["files"] == {"a.root": part}
    assert limit_files(check_filesets(fileset), 1)["A"]["files"] == {"a.root": part}


@pytest.mark.parametrize("part", ["Events", {"object_path": "Events"}, {"steps": [[5, 1]]}, {"steps": [[1]]}])
def test_parts_of_files_are_ranges(part):
    fileset = {"A": {"files": {"a.root": part}, "metadata": MC}}
    with pytest.raises(ConfigurationError, match=r"file a\.root must be \{.object_path.: tree"):
        check_filesets(fileset)
