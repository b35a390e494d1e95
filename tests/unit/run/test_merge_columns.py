"""merge-columns on parquet files that a real run wrote."""

from __future__ import annotations

import awkward as ak
import pyarrow.parquet as pq
import pytest

from pocket_coffea.errors import InputFileError, NothingToDo, OptionError, ResultsRefused
from pocket_coffea.run.merge_columns import merge_columns
from pocket_coffea.run.session import RunRequest, run_analysis
from tests.unit.run.campaign import FILES, write_analysis

DY, DATA = FILES


@pytest.fixture
def columns(tmp_path, sample_file, monkeypatch):
    monkeypatch.setenv("X509_USER_PROXY", "no proxy")
    folder = tmp_path / "columns"
    config = write_analysis(
        tmp_path / "analysis",
        sample_file,
        workflow_options=f'{{"dump_columns_as_arrays_per_chunk": "{folder}"}}',
        columns='{"common": {"inclusive": [ColOut("MuonGood", ["pt", "eta"], flatten=False)]}}',
    )
    run_analysis(RunRequest(cfg=str(config), outputdir=str(tmp_path / "out"), flags={"chunksize": 100}))
    return folder


def test_columns_of_a_run(columns):
    before = {
        leaf.relative_to(columns).as_posix(): sum(
            len(ak.from_parquet(file)) for file in leaf.glob("*.parquet")
        )
        for leaf in {file.parent for file in columns.rglob("*.parquet")}
    }
    merged = merge_columns(columns, jobs=2)
    root = columns.with_name("columns_merged")
    assert {path.relative_to(root).as_posix(): rows for path, (_, rows) in merged.items()} == {
        f"{leaf}.parquet": rows for leaf, rows in before.items()
    }
    path = root / DY / "inclusive" / "nominal.parquet"
    files = sorted((columns / DY / "inclusive" / "nominal").glob("*.parquet"))
    assert len(files) > 5
    array = ak.from_parquet(path)
    assert pq.ParquetFile(path).num_row_groups == len(files)
    assert set(ak.fields(array)) >= {"MuonGood_pt", "MuonGood_eta", "weight"}
    total = sum(float(ak.sum(ak.from_parquet(file)["MuonGood_pt"])) for file in files)
    assert float(ak.sum(array["MuonGood_pt"])) == pytest.approx(total)
    assert [file.name for file in path.parent.iterdir()] == ["nominal.parquet"]
    content = path.read_bytes()
    with pytest.raises(ResultsRefused, match=r"already exists\. Use -f"):
        merge_columns(columns)
    merge_columns(columns, force=True)
    assert path.read_bytes() == content

    # chunks of another run, a damaged file, other columns: nothing is replaced
    leaf = columns / DY / "inclusive" / "nominal"
    copied = files[0].with_name(files[0].name.replace("_0-100", "_50-150"))
    assert copied != files[0]
    copied.write_bytes(files[0].read_bytes())
    with pytest.raises(ResultsRefused, match=r"entries 50-100 are in .*_0-100\.parquet and in .*_50-150"):
        merge_columns(columns, force=True)
    copied.unlink()
    ak.to_parquet(ak.Array([{"other": 1}]), leaf / "zzz.parquet")
    with pytest.raises(ResultsRefused, match=r"zzz\.parquet has other columns than"):
        merge_columns(columns, force=True)
    (leaf / "zzz.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputFileError, match=r"zzz\.parquet cannot be read"):
        merge_columns(columns, force=True)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["nominal.parquet"]


def test_folders_without_columns(tmp_path):
    with pytest.raises(OptionError, match="There is no folder"):
        merge_columns(tmp_path / "nothing")
    with pytest.raises(NothingToDo, match="no parquet files"):
        merge_columns(tmp_path)
    with pytest.raises(OptionError, match="-j 0"):
        merge_columns(tmp_path, jobs=0)
