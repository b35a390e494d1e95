"""skim -> hadd-skimmed-files -> run, compared with the run over the original files."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import uproot
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.errors import InputFileError
from pocket_coffea.run.session import RunRequest, run_analysis
from pocket_coffea.scripts.hadd_skimmed_files import do_hadd
from pocket_coffea.utils.output_file import load_output, save_output
from tests.unit.run.campaign import FILES, write_analysis

DY, DATA = FILES


EVENTS = {DY: (30, 20, 0, 40, 25, 10, 60, 5), DATA: (7, 8)}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return an output that describes small skimmed files, which are there."""
    folder = tmp_path_factory.mktemp("small")
    output = {"skimmed_files": {}, "nskimmed_events": {}, "cutflow": {"initial": {}}}
    output["datasets_metadata"] = {"by_dataset": {}}
    output["sum_genweights"], output["sum_genweights_skimmed"] = {DY: 400.0}, {DY: 190.0}
    for dataset, numbers in EVENTS.items():
        files = []
        for number, n in enumerate(numbers):
            if not n:
                continue
            files.append(f"{folder}/{dataset}_{number}.root")
            branches = {"event": np.arange(n), "genWeight": np.ones(n)}
            with uproot.recreate(files[-1]) as file:
                file.mktree("Events", {name: values.dtype for name, values in branches.items()}).extend(
                    branches
                )
        output["skimmed_files"][dataset] = files
        output["nskimmed_events"][dataset] = list(numbers)
        output["cutflow"]["initial"][dataset] = 400
        is_mc = dataset == DY
        metadata = {
            "sample": dataset.removesuffix("_2018"),
            "year": "2018",
            "isMC": str(is_mc),
            "size": "1000",
        }
        output["datasets_metadata"]["by_dataset"][dataset] = metadata
    return output


@pytest.fixture
def hadd(small, tmp_path, monkeypatch):
    """Return ``hadd("-f", "2", ...)``: run the command in an empty folder, return what it printed."""
    monkeypatch.chdir(tmp_path)
    save_output(small, Path("skim.coffea"))

    def call(*options, code=0, output="skim.coffea"):
        arguments = ["hadd-skimmed-files", "-fl", output, "-o", "merged", "-s", "1", *options]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, result.output
        return result.output

    return call


def weights(files):
    """Sum of genWeight x skimRescaleGenWeight."""
    total = []
    for path in files:
        tree = uproot.open(path)["Events"].arrays(["genWeight", "skimRescaleGenWeight"], library="np")
        total.append(math.fsum(tree["genWeight"].astype(float) * tree["skimRescaleGenWeight"]))
    return math.fsum(total)


def test_running_on_merged_skims_gives_the_same(hadd, tmp_path, sample_file, monkeypatch):
    monkeypatch.setenv("X509_USER_PROXY", "no proxy")
    skim = write_analysis(tmp_path / "skim", sample_file, save_skimmed_files=f'"{tmp_path / "skims"}"')
    run_analysis(RunRequest(cfg=str(skim), outputdir="skim_run", flags={"chunksize": 150}))
    hadd("--files", "3", "--scaleout", "2", output="skim_run/output_all.coffea")
    definition = json.loads(Path("skimmed_dataset_definition_hadd.json").read_text())
    before = load_output(Path("skim_run/output_all.coffea"))
    files = definition[DY]["files"]
    assert files == [f"{tmp_path}/merged/{DY}/{DY}_{n}.root" for n in range(1, len(files) + 1)]
    assert len(before["skimmed_files"][DY]) > len(files) > 1
    metadata = definition[DY]["metadata"]
    assert math.isclose(weights(files), before["sum_genweights"][DY], rel_tol=1e-9)
    assert metadata["sum_genweights"] == before["sum_genweights"][DY]
    expected = before["sum_genweights"][DY] / before["sum_genweights_skimmed"][DY]
    assert math.isclose(metadata["skim_rescale_genweights"], expected, rel_tol=1e-12)
    assert "skim_rescale_genweights" not in definition[DATA]["metadata"]
    assert metadata["nevents"] == str(sum(before["nskimmed_events"][DY]))
    assert metadata["size"] == str(sum(Path(path).stat().st_size for path in files))

    config = write_analysis(tmp_path / "analysis", sample_file)
    run_analysis(RunRequest(cfg=str(config), outputdir="direct"))
    (tmp_path / "analysis" / "datasets" / "datasets.json").write_text(json.dumps(definition))
    run_analysis(RunRequest(cfg=str(config), outputdir="merged_run"))
    direct, merged = (load_output(Path(name) / "output_all.coffea") for name in ("direct", "merged_run"))
    assert math.isclose(merged["sum_genweights"][DY], direct["sum_genweights"][DY], rel_tol=1e-9)
    compared = 0
    for name, samples in direct["variables"].items():
        for sample, datasets in samples.items():
            for dataset, histogram in datasets.items():
                other = merged["variables"][name][sample][dataset]
                assert np.allclose(other.values(), histogram.values(), rtol=1e-9, atol=1e-12), name
                assert np.allclose(other.variances(), histogram.variances(), rtol=1e-9, atol=1e-12), name
                compared += histogram.values().any()
    assert compared > 4
    categories = [name for name in direct["cutflow"] if name not in ("initial", "skim")]
    assert categories
    for name in categories:
        assert merged["cutflow"][name] == direct["cutflow"][name]


def test_groups_by_events(hadd):
    hadd("-e", "90", "--dry", "-fd", DY)
    plan = json.loads(Path("hadd.json").read_text())
    files = load_output(Path("skim.coffea"))
    events = dict(
        zip(files["skimmed_files"][DY], [n for n in files["nskimmed_events"][DY] if n], strict=True)
    )
    assert list(plan) == [DY]
    assert [path for group in plan[DY]["files"].values() for path in group] == list(events)
    for output, group in plan[DY]["files"].items():
        total = sum(events[path] for path in group)
        assert plan[DY]["nevents_per_outfile"][output] == total
        assert total <= 90 or len(group) == 1
    assert not Path("merged").exists()
    assert list(json.loads(Path("skimmed_dataset_definition_hadd.json").read_text())) == [DY]


def test_a_second_call_continues_and_keeps_what_is_whole(hadd):
    hadd("-f", "2", "-fs", "DYJetsToLL")
    plan = json.loads(Path("hadd.json").read_text())
    first, *others = plan[DY]["files"]
    stamps = {path: Path(path).stat().st_mtime_ns for path in others}
    Path(first).unlink()
    assert f"1 file merged, {len(others)} were there, 0 failed" in hadd("-f", "2", "-fs", "DYJetsToLL")
    assert stamps == {path: Path(path).stat().st_mtime_ns for path in others}
    assert sorted(Path("merged", DY).iterdir()) == sorted(
        Path(p).relative_to(Path.cwd()) for p in plan[DY]["files"]
    )


def test_files_of_another_merge_are_not_mixed_in(hadd):
    hadd("-f", "4", "-fd", DY)
    assert "from another merge" in hadd("-f", "3", "-fd", DY, code=6)
    hadd("-f", "3", "-fd", DY, "--overwrite")
    assert "look healthy" in hadd("-f", "3", "-fd", DY, "--check")


def test_check_tells_what_is_not_healthy(hadd):
    hadd("-f", "2", "-fd", DY)
    assert "All output files are present and look healthy." in hadd("-f", "2", "-fd", DY, "--check")
    outputs = list(json.loads(Path("hadd.json").read_text())[DY]["files"])
    assert len(outputs) >= 3
    Path(outputs[0]).unlink()
    Path(outputs[1]).write_bytes(b"nothing")
    do_hadd((outputs[2], [outputs[-1], outputs[-1]]), overwrite=True)
    text = hadd("-f", "2", "-fd", DY, "--check", code=3)
    assert all(f"{state}: 1" in text for state in ("missing", "unreadable", "wrong_nevents"))
    lines = [line.split("\t") for line in Path("hadd_failed.txt").read_text().splitlines()]
    assert [line[:3] for line in lines] == [
        ["missing", DY, outputs[0]],
        ["unreadable", DY, outputs[1]],
        ["wrong_nevents", DY, outputs[2]],
    ]
    assert list(json.loads(Path("hadd_failed.json").read_text())[DY]["files"]) == outputs[:3]


def test_a_lost_input_fails_its_dataset_only(hadd, tmp_path):
    output = load_output(Path("skim.coffea"))
    output["skimmed_files"][DY][0] = str(tmp_path / "lost.root")
    save_output(output, Path("lost.coffea"))
    text = hadd(code=3, output="lost.coffea")
    assert "lost.root cannot be read" in text
    assert f"Not in the definition: {DY}" in text
    assert list(json.loads(Path("skimmed_dataset_definition_hadd.json").read_text())) == [DATA]
    assert list(Path("merged", DY).iterdir()) == []


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["-fd", "DY"], 1, "has no 'DY'"),
        (["-fs", "Nothing"], 1, "has no 'Nothing'"),
        (["-f", "0"], 1, "--files: 0 is no limit"),
        (["--queue=workday"], 1, "--queue: has no effect without --executor"),
        (["--overwrit"], 1, "Did you mean --overwrite"),
        (["-f", "501", "--dry"], 0, "--files: 501 are too many, at most 500"),
    ],
)
def test_wrong_options(hadd, options, code, message):
    assert message in hadd(*options, code=code)


def test_a_folder_that_cannot_be_made(hadd):
    Path("file").touch()
    said = hadd("-o", "file/merged", code=3)
    assert "cannot be written: " in said
    assert "[Errno" not in said
    assert not Path("skimmed_dataset_definition_hadd.json").exists()


def test_an_output_that_is_no_skim(hadd):
    save_output({"cutflow": {}}, Path("plain.coffea"))
    assert "save_skimmed_files" in hadd(code=6, output="plain.coffea")
    assert "none.coffea" in hadd(code=3, output="none.coffea")


def test_do_hadd_for_programs(small, tmp_path):
    files = small["skimmed_files"][DY][:2]
    target = tmp_path / "a" / "merged.root"
    assert do_hadd((str(target), files)) == 0
    stamp = target.stat().st_mtime_ns
    assert do_hadd((str(target), files)) == 0
    assert target.stat().st_mtime_ns == stamp
    with pytest.raises(InputFileError, match="none"):
        do_hadd((str(target), [*files, str(tmp_path / "none.root")]))


@pytest.fixture
def jobs(hadd, tmp_path):
    """Return ``jobs(..., code=0)``: hadd-skimmed-files by processes of this machine, without --scaleout."""

    def call(*options, code=0):
        words = ["hadd-skimmed-files", "-fl", "skim.coffea", "-o", "merged", "--executor", "jobs@local"]
        result = CliRunner().invoke(main, [*words, *options])
        assert result.exit_code == code, result.output
        return result.output

    return call


def check_jobs(*options, code=0):
    result = CliRunner().invoke(main, ["check-jobs", "-j", "merged", "--interval", "0.5", *options])
    assert result.exit_code == code, result.output
    return result.output


def test_jobs_merge_what_the_command_merges(jobs, hadd, small, tmp_path):
    output = load_output(Path("skim.coffea"))
    for name, files in output["skimmed_files"].items():  # relative, as runs write them
        output["skimmed_files"][name] = [os.path.relpath(path) for path in files]
    save_output(output, Path("skim.coffea"))
    said = jobs("-f", "2", "--overwrite")
    plan = json.loads(Path("hadd.json").read_text())
    outputs = [output for entry in plan.values() for output in entry["files"]]
    assert f"Submitted {len(outputs)} jobs with jobs@local" in said
    assert not Path("skimmed_dataset_definition_hadd.json").exists()
    assert "check-jobs" in jobs("-f", "2", code=1)
    said = check_jobs("--resubmit")
    assert "All jobs are completed" in said
    assert "hadd-skimmed-files" in said
    assert f"{len(outputs)} of {len(outputs)} merged files are there" in jobs("-f", "2")
    assert "look healthy" in hadd("-f", "2", "--check")
    assert sorted(map(str, (tmp_path / "merged").glob("*/*.root"))) == sorted(outputs)
    by_jobs = Path("skimmed_dataset_definition_hadd.json").read_text()
    before = {path: uproot.open(path)["Events"].arrays(library="np") for path in outputs}
    hadd("-f", "2", "--overwrite")
    assert Path("skimmed_dataset_definition_hadd.json").read_text() == by_jobs
    for path, arrays in before.items():
        again = uproot.open(path)["Events"].arrays(library="np")
        assert all((arrays[name] == again[name]).all() for name in again)
        assert set(arrays) == set(again) == {"event", "genWeight"}


def test_jobs_that_cannot_read_or_do_not_fit_say_so(jobs, small, tmp_path):
    output = load_output(Path("skim.coffea"))
    output["skimmed_files"][DY][0] = str(tmp_path / "lost.root")
    output["nskimmed_events"][DATA] = [7, 9]
    save_output(output, Path("skim.coffea"))
    options = Path("options.yaml")
    options.write_text("job-name: again\nmem-per-worker: 1GB\n")
    jobs("-f", "4", "-ro", str(options))
    said = check_jobs("--resubmit", "--max-resubmit", "1", "--backoff", "0", code=3)
    assert "lost.root cannot be read" in said
    assert "have 15 events, not 16" in said
    reports = [json.loads(path.read_text()) for path in Path("merged/again/logs").glob("job_*.json")]
    lost = [report for report in reports if report["exit_code"] == 73]
    assert {tuple(report["unreadable"]) for report in lost} == {(str(tmp_path / "lost.root"),)}
    assert [report["reason"] for report in reports if report["exit_code"] == 76]
    merged = sorted(path.name for path in Path("merged").glob("*/*.root"))
    assert merged == [f"{DY}_2.root"]


def test_jobs_are_prepared_only(jobs):
    said = jobs("--dry", "--job-name=hadd", "--mem-per-worker", "3GB")
    record = json.loads(Path("merged/hadd/campaign.json").read_text())
    assert record["resources"]["memory_mb"] == 2862
    assert "Dry run, not submitting jobs" in said
    names = {path.name for path in Path("merged/hadd").iterdir()}
    assert {"campaign.json", "job.sh", "config_job_0.pkl", "job_1.idle"} <= names
    assert not names & {"configurator.pkl", "jobs_config.yaml"}
    result = CliRunner().invoke(main, ["inspect-job", "merged/hadd/config_job_0.pkl"])
    assert "merges skimmed files" in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scaleout", "2"], "--scaleout: has no effect with --executor"),
        (["--check"], "--check: has no effect with --executor"),
        (["--executor", "dask@lxplus"], "files are merged by batch jobs"),
        (["--executor", "jobs@nowhere"], "nowhere"),
        (["--executor", "condor@lxplus"], "lxplus"),
        (["--mem-per-worker=much"], "command line (--mem-per-worker)"),
        (["--job-nam=x"], "there is no option --job-nam. Did you mean --job-name"),
    ],
)
def test_wrong_options_of_jobs(jobs, options, message):
    assert message in jobs(*options, code=1)
    assert not Path("hadd.json").exists()


def test_ctrl_c_ends_the_processes_quietly_and_leaves_nothing(hadd):
    command = ["hadd-skimmed-files", "-fl", "skim.coffea", "-o", "merged", "-f", "1", "-s", "2"]
    argv = [sys.executable, "-m", "pocket_coffea.cli.main", *command]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the plan, after which its processes start
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        said = process.stdout.read()
    assert process.returncode == 130, said
    assert said.split() == ["Interrupted."]
    assert not [path for path in Path("merged").rglob("*") if path.name.startswith(".hadd_")]
