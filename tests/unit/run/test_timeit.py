"""``run --timeit`` on samples: files of timings, and nothing else."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.executors.jobs.timing import read_timings
from tests.unit.run.jobs import write_analysis

DY, DATA = "DYJetsToLL_2018", "DATA_SingleMuon_2018_EraA"


@pytest.fixture
def analysis(tmp_path, sample_file, monkeypatch):
    """DY has three files with 300 events each, data one with 200."""
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "no_proxy"))
    monkeypatch.chdir(tmp_path)
    dy = [sample_file(kind="dy", n_events=300, seed=seed) for seed in (1, 2, 3)]
    return write_analysis(
        tmp_path / "analysis", {DY: dy, DATA: [sample_file(kind="data_singlemuon", n_events=200)]}
    )


def run(analysis, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["run", "--cfg", str(analysis), "-o", "out", "--timeit", *words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def test_what_is_measured(analysis, tmp_path, monkeypatch):
    chunks = tmp_path / "chunks.txt"
    monkeypatch.setenv("TEST_LOG", str(chunks))
    monkeypatch.setenv("TEST_DO", "0.2")  # seconds that each chunk takes at least
    said = run(analysis, "-c", "100")
    found = read_timings(analysis.parent / "timeit", [DY, DATA])
    assert {name: (each.events, each.chunks, each.chunksize) for name, each in found.items()} == {
        DY: (200, 2, 100),
        DATA: (200, 2, 100),
    }
    assert all(0 < each.rate < 500 for each in found.values())  # 100 events in 0.2 s or more
    assert {each.sample for each in found.values()} == {"DYJetsToLL", "DATA_SingleMuon"}
    done = [line.split() for line in chunks.read_text().splitlines()]
    assert [dataset for dataset, *_ in done] == [DY, DY, DY, DATA, DATA]  # the first one warms up
    assert len({uuid for dataset, uuid, _ in done if dataset == DY}) == 2  # of different files
    assert "Throughput" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["logfile.log"]


def test_a_forecast_is_shown_at_once(analysis, tmp_path):
    run(analysis, "-lc", "1", "-e", "condor@lxplus", "--scaleout", "2", "-q", "auto")
    log = (tmp_path / "out" / "logfile.log").read_text()
    assert "of its time" in log
    assert "espresso" in log
    assert not (tmp_path / "out" / "job").exists()
    assert read_timings(analysis.parent / "timeit", [DATA])[DATA].chunks == 1


def test_what_cannot_be_read_is_left_out(analysis, tmp_path):
    datasets = analysis.parent / "datasets" / "datasets.json"
    content = json.loads(datasets.read_text())
    broken = tmp_path / "broken.root"
    broken.write_bytes(b"no ROOT file")
    content[DATA]["files"] = [str(broken)]
    datasets.write_text(json.dumps(content))
    run(analysis, "--timeit-dir", str(tmp_path / "kept here"))
    assert list(read_timings(tmp_path / "kept here", [DY, DATA])) == [DY]
    assert f"{DATA} is not measured" in (tmp_path / "out" / "logfile.log").read_text()


def test_errors_of_the_analysis_end_it(analysis, monkeypatch):
    monkeypatch.setenv("TEST_DO", "raise")
    assert "no such thing" in run(analysis, code=3)
    assert not (analysis.parent / "timeit").exists()


def test_it_writes_no_output(analysis):
    assert "--resume is not for --timeit" in run(analysis, "--resume", code=1)
