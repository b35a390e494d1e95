import pytest

from pocket_coffea.errors import UnknownName
from pocket_coffea.utils import cutflow_utils
from pocket_coffea.utils.cutflow_utils import (
    aggregate_by_sample,
    format_cutflow_summary,
    print_cutflow_summary,
)

METADATA = {
    "DY_2017": {"sample": "DY", "year": "2017"},
    "DY_2018": {"sample": "DY", "year": "2018"},
    "TT_2018": {"sample": "TT", "year": "2018"},
}
CUTFLOW = {
    "2jets": {
        "DY_2017": {"DY": {"nominal": 3, "JERUp": 9}, "DY__b": {"nominal": 1}},
        "DY_2018": {"DY": {"nominal": 4}, "DY__b": {"nominal": 2}},
        "TT_2018": {"TT": {"nominal": 8}},
    },
    "initial": {"DY_2017": 100, "DY_2018": 200, "TT_2018": 300},
    "skim": {"DY_2017": 50, "DY_2018": 60, "TT_2018": 70},
    "presel": {"DY_2017": {"nominal": 5, "JERUp": 50}, "DY_2018": {"nominal": 6}, "TT_2018": {"nominal": 7}},
}
OUTPUT = {"cutflow": CUTFLOW, "datasets_metadata": {"by_dataset": METADATA}}


def test_sums_by_sample():
    result = aggregate_by_sample(CUTFLOW, ["initial", "presel", "2jets"], METADATA)
    assert result == {
        "DY": {"initial": 300, "presel": 11, "2jets": 7},
        "TT": {"initial": 300, "presel": 7, "2jets": 8},
        "DY__b": {"2jets": 3},
    }
    assert aggregate_by_sample(CUTFLOW, ["2jets"], OUTPUT["datasets_metadata"], only_samples=["TT"]) == {
        "TT": {"2jets": 8}
    }


def test_years_apart():
    result = aggregate_by_sample(CUTFLOW, ["2jets"], METADATA, only_samples=["DY"], separate_years=True)
    assert result["DY_2017"] == {"2jets": 3}
    assert result["DY__b_2018"] == {"2jets": 2}


def test_an_unknown_category():
    with pytest.raises(UnknownName, match="Did you mean '2jets'"):
        aggregate_by_sample(CUTFLOW, ["2jet"], METADATA)


def test_the_table(capsys):
    print_cutflow_summary(OUTPUT)
    table = capsys.readouterr().out
    assert table == format_cutflow_summary(OUTPUT) + "\n"
    lines = table.splitlines()
    assert lines[0].split() == ["sample", "initial", "skim", "presel", "2jets"]
    assert lines[2].split() == ["DY", "300", "110", "11", "7"]
    # the steps before the categories are not counted by subsample: no number, and not zero events
    assert lines[3].split() == ["DY__b", "-", "-", "-", "3"]
    assert len(lines) == 5
    assert "skim" not in format_cutflow_summary(OUTPUT, exclude_categories=["skim"])


def test_pictures_of_cutflows(tmp_path):
    sample = cutflow_utils.plot_sample_cutflow("DY", {"initial": 4, "skim": 2}, output_dir=tmp_path)
    assert [path.name for path in sample] == ["cutflow_DY.png"]
    paths = cutflow_utils.plot_cutflow_from_output(
        OUTPUT, tmp_path, ["skim"], ["TT"], (4, 3), output_format="svg"
    )
    assert [path.name for path in paths] == ["cutflow_TT.svg", "cutflow_all.svg"]
    assert all(path.read_bytes() for path in paths)
