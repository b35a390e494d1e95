"""A job from ``bash job.sh ...`` to its output, flags and report."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import uproot
from click.testing import CliRunner
from coffea.util import load

from pocket_coffea.cli.main import main
from pocket_coffea.executors.jobs.packing import collect
from pocket_coffea.executors.jobs.payload import sha256_of
from pocket_coffea.images.check import Expectation
from tests.unit.cli.test_run import FILES, comparable
from tests.unit.run.jobs import Jobs, ask_to_end, wait_for, write_analysis

CHUNKS = 7


@pytest.fixture(scope="module")
def analysis(tmp_path_factory, sample_file):
    files = {
        name: [sample_file(kind=kind, n_events=n, seed=seed) for kind, n, seed in samples]
        for name, samples in FILES.items()
    }
    return write_analysis(tmp_path_factory.mktemp("job") / "analysis", files)


def variant(analysis, name, text):
    """Return another configuration beside that of the analysis."""
    path = analysis.with_name(f"{name}_config.py")
    path.write_text(analysis.read_text() + text)
    return path


@pytest.fixture(scope="module")
def whole(analysis):
    """The output of ``pocket-coffea run``, as it is before the normalisation."""
    config = variant(analysis, "plain", "\ncfg.do_postprocessing = False\n")
    folder = analysis.parent / "whole"
    words = ["run", "--cfg", str(config), "-o", str(folder), "-c", "200", "--tree-reduction=2"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    return load(str(folder / "output_all.coffea"))


@pytest.fixture
def jobs(analysis, tmp_path):
    made = Jobs(analysis, tmp_path / "my job" / "job")
    made.add(0)
    return made


def result_of(jobs, name="output_job_0.coffea"):
    return load(str(jobs.output / name))


def is_failure(ended, code):
    """Whether a job failed as it should, and told it in every way."""
    flag = "timeout" if code == 75 else "failed"
    return (ended.code, ended.report["exit_code"], ended.flags, ended.report["outputs"]) == (
        *(code, code, [flag]),
        [],
    )


def without_files(output):
    return [(key, value) for key, value in comparable(output) if key != "ledger"]


# -- what a job gives


def test_a_job_gives_what_a_run_gives(jobs, whole):
    ended = jobs.run(0)
    assert ended.code == 0, ended.text
    assert ended.flags == ["done"]
    output = result_of(jobs)
    assert comparable(output) == comparable(whole)
    assert output["provenance"]["executor"] == "condor@lab"
    report = ended.report
    assert (report["exit_code"], report["events"], report["campaign"]) == (0, 1500, "c1")
    assert report["datasets"]["DYJetsToLL_2018"]["events"] == 1000
    [about] = report["outputs"]
    assert about["path"] == str(jobs.output / "output_job_0.coffea")
    assert about["size"] == (jobs.output / "output_job_0.coffea").stat().st_size
    assert jobs.left() == ["output_job_0.coffea"]
    assert not jobs.kept(0)


def test_jobs_with_parts_of_files_give_the_same_together(jobs, whole):
    slices = [{}, {}]
    for dataset, fileset in jobs.config.filesets.items():
        halves = [{}, {}]
        for name in fileset["files"]:
            with uproot.open(name) as file:
                entries = file["Events"].num_entries
            for half, steps in zip(halves, ([0, 150], [150, entries]), strict=True):
                half[name] = {"object_path": "Events", "steps": [steps]}
        for part, half in zip(slices, halves, strict=True):
            part[dataset] = {**fileset, "files": half}
    for job, part in enumerate(slices):
        jobs.add(job, part)
        ended = jobs.run(job, cpus=job + 1)
        assert ended.code == 0, ended.text
    outputs = [result_of(jobs, f"output_job_{job}.coffea") for job in (0, 1)]
    for dataset, events in whole["cutflow"]["initial"].items():
        assert sum(output["cutflow"]["initial"][dataset] for output in outputs) == events
    ranges = [entry["ranges"] for entry in outputs[0]["ledger"]["DYJetsToLL_2018"].values()]
    assert ranges == [[[0, 150]], [[0, 150]]]
    [mll, first, second] = [
        output["variables"]["mll"]["DYJetsToLL"]["DYJetsToLL_2018"].values(flow=True)
        for output in (whole, *outputs)
    ]
    assert mll == pytest.approx(first + second, rel=1e-12)


def test_columns_and_blocks_of_categories_come_back(analysis, tmp_path, whole):
    columns = tmp_path / "columns"
    text = (
        f"\ncfg.workflow_options = {{'dump_columns_as_arrays_per_chunk': {str(columns)!r}}}\n"
        'cfg.columns_cfg = {"common": {"inclusive": [ColOut("MuonGood", ["pt"], flatten=False)]}}\n'
    )
    jobs = Jobs(variant(analysis, "columns", text), tmp_path / "campaign" / "job", split_by_category=True)
    jobs.add(0)
    ended = jobs.run(0)
    assert ended.code == 0, ended.text
    assert jobs.left() == ["output_category1_job_0.coffea"]
    block = result_of(jobs, "output_category1_job_0.coffea")
    assert block["cutflow"]["1jet"] == whole["cutflow"]["1jet"]
    files = sorted(columns.rglob("*"))
    parquet = [path for path in files if path.suffix == ".parquet"]
    assert {path.parent.relative_to(columns).parts[0] for path in parquet} == set(jobs.config.filesets)
    assert {str(path) for path in files if path.is_file()} == {str(path) for path in parquet}
    told = {each["path"] for each in ended.report["outputs"]}
    assert told == {str(path) for path in (*parquet, jobs.output / "output_category1_job_0.coffea")}


# -- what it was given


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["configurator.pkl", "config_job_0.pkl"])
def test_a_flipped_byte_is_noticed_before_anything_is_read(jobs, name):
    digest = sha256_of(jobs.folder / "config_job_0.pkl")
    flip(jobs.folder / name)
    ended = jobs.run(0, sha256=digest)
    assert is_failure(ended, 72), ended.text
    assert name in ended.report["reason"]
    assert "sha256" in ended.report["reason"]
    assert jobs.left() == []


@pytest.mark.parametrize(("code", "changes"), [(70, {"pinned": True}), (71, {"python": "3.9"})])
def test_a_wrong_image_or_python_stops_it(jobs, code, changes):
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    expected = {"reference": "lab", "kind": "sif", "pinned": False, "digest": "sha256:00"}
    expected |= {"input_digest": "", "source_digest": "", "code": "", "python": version, **changes}
    jobs.write(expectation=Expectation(**expected).to_json())
    ended = jobs.run(0)
    assert ended.code == code, ended.text
    assert ended.flags == ["failed"]
    assert not ended.report


# -- what it reads


def with_address(jobs, address, replicas):
    """Return the filesets with another first address of one file, and its replicas."""
    filesets = {name: dict(fileset) for name, fileset in jobs.config.filesets.items()}
    fileset = filesets["DATA_SingleMuon_2018_EraA"]
    [real] = fileset["files"]
    fileset["files"] = [address]
    fileset["replicas"] = {address: [each or real for each in replicas]}
    return filesets


def test_what_cannot_be_read_is_named(jobs, tmp_path):
    broken = tmp_path / "broken.root"
    [real] = jobs.config.filesets["DATA_SingleMuon_2018_EraA"]["files"]
    broken.write_bytes(Path(real).read_bytes()[:20000])
    jobs.add(0, with_address(jobs, str(broken), [str(tmp_path / "nothing.root")]))
    ended = jobs.run(0)
    assert is_failure(ended, 73), ended.text
    assert ended.report["unreadable"] == [str(broken), str(tmp_path / "nothing.root")]
    assert jobs.left() == []
    jobs.write(options="skip-bad-files: true\n")
    ended = jobs.run(0, attempt=2)
    assert ended.code == 0, ended.text
    [[dataset, name, reason]] = ended.report["skipped"]
    assert (dataset, name) == ("DATA_SingleMuon_2018_EraA", str(broken))
    assert "nothing.root" in reason


def test_another_replica_is_read(jobs, tmp_path, whole):
    jobs.add(0, with_address(jobs, str(tmp_path / "nothing.root"), [None]))
    ended = jobs.run(0)
    assert ended.code == 0, ended.text
    assert ended.report["unreadable"] == [str(tmp_path / "nothing.root")]
    assert without_files(result_of(jobs)) == without_files(whole)


# -- what goes wrong inside


@pytest.mark.parametrize(("what", "code", "word"), [("raise", 76, "no such thing"), ("memory", 77, "Memory")])
def test_errors_of_the_analysis_have_their_codes(jobs, what, code, word):
    ended = jobs.run(0, cpus=1 + (what == "memory"), TEST_DO=what)
    assert is_failure(ended, code), ended.text
    assert word in ended.report["reason"]
    assert "workflow.py" in ended.text
    assert "Traceback" in ended.text
    assert jobs.left() == []


# -- where the output goes


@pytest.mark.parametrize("what", ["missing", "full"])
def test_what_cannot_be_delivered_leaves_nothing_half_written(jobs, what):
    if what == "missing":
        jobs.write(target=str(jobs.output / "not there"))
    else:
        (jobs.output / ".output_job_0.coffea.part").symlink_to("/dev/full")
    ended = jobs.run(0)
    assert is_failure(ended, 74), ended.text
    assert str(jobs.facts.target) in ended.report["reason"]
    assert jobs.left() == []
    assert ended.report["chunks_kept"] == CHUNKS
    if what == "full":
        return
    jobs.write(target=str(jobs.output))
    ended = jobs.run(0, attempt=2, TEST_DO="raise")  # no chunk is processed again
    assert ended.code == 0, ended.text
    assert ended.flags == ["done"]


def test_the_batch_system_can_carry_everything(analysis, tmp_path, whole):
    jobs = Jobs(analysis, tmp_path / "job", folder="", way="transfer")
    jobs.add(0)
    process = jobs.start(0, TEST_DO="0.2", TEST_LOG=str(tmp_path / "log"))
    wait_for(lambda: (tmp_path / "log").exists() and len(chunks_of(tmp_path / "log")) > 2, process)
    ask_to_end(process)
    assert jobs.end(process, 0).code == 75
    record = type("Record", (), {"folder": jobs.folder})
    collect(record, 0, 1)
    archive = jobs.folder / "checkpoints" / "job_0_checkpoints.tar"
    kept = json.loads((jobs.folder / "logs" / "job_0.1.json").read_text())["chunks_kept"]
    assert 0 < kept < CHUNKS
    (jobs.folder / archive.name).write_bytes(archive.read_bytes())
    ended = jobs.run(0, attempt=2, TEST_LOG=str(tmp_path / "second"))
    assert ended.code == 0, ended.text
    assert len(chunks_of(tmp_path / "second")) == CHUNKS - kept
    assert not list(jobs.output.iterdir())
    collect(record, 0, 2)
    assert comparable(result_of(jobs)) == comparable(whole)
    assert (jobs.folder / "logs" / "job_0.2.json").exists()
    assert not list(jobs.folder.glob("job_0_*"))


# -- when it has to end


def chunks_of(log):
    return log.read_text().splitlines()


def test_a_job_that_has_to_end_keeps_its_chunks_and_the_next_does_the_rest(jobs, whole, tmp_path):
    process = jobs.start(0, cpus=2, TEST_DO="0.3", TEST_LOG=str(tmp_path / "log"))
    wait_for(lambda: len(jobs.kept(0)) >= 1, process)
    ask_to_end(process)
    ended = jobs.end(process, 0)
    assert is_failure(ended, 75), ended.text
    assert "SIGTERM" in ended.report["reason"]
    kept = ended.report["chunks_kept"]
    assert 0 < kept < CHUNKS
    assert jobs.left() == []
    ended = jobs.run(0, attempt=2, TEST_LOG=str(tmp_path / "second"))
    assert ended.code == 0, ended.text
    assert len(chunks_of(tmp_path / "second")) == CHUNKS - kept
    assert comparable(result_of(jobs)) == comparable(whole)
    assert ended.report["events"] == 1500
    assert not jobs.kept(0)


def test_a_job_stops_by_itself_before_its_time_limit(jobs, tmp_path):
    jobs.write(margin=990.0)  # of 1000 s: ten are left, which are over after a few chunks
    ended = jobs.run(0, seconds=1000, TEST_DO="2", TEST_LOG=str(tmp_path / "log"))
    assert is_failure(ended, 75), ended.text
    assert "time limit of 1000 s" in ended.report["reason"]
    assert ended.report["chunks_kept"] == len(chunks_of(tmp_path / "log")) < CHUNKS


def test_a_job_that_hangs_is_ended_before_the_batch_system_does_it(jobs, tmp_path):
    jobs.write(grace=1.0)
    process = jobs.start(0, TEST_DO="600", TEST_LOG=str(tmp_path / "log"))
    wait_for((tmp_path / "log").exists, process)
    ask_to_end(process)
    ended = jobs.end(process, 0)
    assert is_failure(ended, 75), ended.text
    assert ended.report["chunks_kept"] == 0


def test_the_preparation_can_be_ended_too(jobs):
    jobs.write(prologue=f"touch {str(jobs.output / 'begun')!r}; sleep 60")
    process = jobs.start(0)
    wait_for((jobs.output / "begun").exists, process)
    assert (jobs.folder / "job_0.running").exists()
    ask_to_end(process)
    ended = jobs.end(process, 0)
    assert (ended.code, ended.flags) == (75, ["timeout"]), ended.text


def test_a_job_that_is_killed_says_so(jobs, tmp_path):
    process = jobs.start(0, TEST_DO="600", TEST_LOG=str(tmp_path / "log"))
    wait_for((tmp_path / "log").exists, process)
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    ended = jobs.end(process, 0)
    assert (ended.code, ended.flags, ended.report) == (137, ["failed"], {}), ended.text


@pytest.fixture
def skimming(analysis, tmp_path):
    """A job that skims; its chunks take a moment with TEST_DO."""
    text = (
        f"\ncfg.save_skimmed_files, cfg.save_skimmed_files_folder = True, {str(tmp_path / 'skims')!r}\n"
        'cfg.workflow_options["skim_mode"] = "presel_any_variation"\n'
    )
    made = Jobs(variant(analysis, "skims", text), tmp_path / "campaign" / "job")
    made.add(0)
    return made


def test_skims_appear_when_all_of_them_are_there_also_after_an_end_before_that(skimming, tmp_path):
    jobs, skims = skimming, tmp_path / "skims"
    nothing = {"DYJetsToLL_2018": {**jobs.config.filesets["DYJetsToLL_2018"], "files": ["/nothing.root"]}}
    jobs.add(1, {**jobs.config.filesets, **nothing})
    assert is_failure(jobs.run(1), 73)
    process = jobs.start(0, TEST_DO="0.3")
    wait_for(lambda: jobs.kept(0), process)
    ask_to_end(process)
    ended = jobs.end(process, 0)
    assert is_failure(ended, 75), ended.text
    assert 0 < ended.report["chunks_kept"] < CHUNKS
    assert not skims.exists()
    again = jobs.run(0, attempt=2)
    assert again.code == 0, again.text
    assert f"{ended.report['chunks_kept']} of {CHUNKS} chunks are completed already" in again.text
    assert_skimmed_once(jobs, skims)


def test_skims_of_a_job_that_is_killed_are_kept(skimming, tmp_path):
    jobs, skims = skimming, tmp_path / "skims"
    kill_after_a_chunk(jobs)
    kept = len({path.name for path in jobs.kept(0)})
    assert kept
    again = jobs.run(0, attempt=2, TEST_LOG=str(tmp_path / "second"))
    assert again.code == 0, again.text
    assert 0 < len(set(chunks_of(tmp_path / "second"))) < CHUNKS
    assert_skimmed_once(jobs, skims)
    assert not jobs.kept(0)


def test_skims_that_got_lost_are_made_again(skimming, tmp_path):
    jobs, skims = skimming, tmp_path / "skims"
    kill_after_a_chunk(jobs)
    stage = next((jobs.folder / "checkpoints" / "job_0").rglob("files"))
    for path in stage.iterdir():
        path.unlink()
    second = jobs.run(0, attempt=2)
    assert is_failure(second, 74), second.text
    assert "processes all chunks again" in second.report["reason"]
    assert not skims.exists()
    assert jobs.run(0, attempt=3).code == 0
    assert_skimmed_once(jobs, skims)


def kill_after_a_chunk(jobs):
    process = jobs.start(0, TEST_DO="0.5")
    wait_for(lambda: jobs.kept(0), process)
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    ended = jobs.end(process, 0)
    assert (ended.code, ended.flags, ended.report) == (137, ["failed"], {}), ended.text


def assert_skimmed_once(jobs, skims):
    files = {str(path) for path in skims.rglob("*") if path.is_file()}
    output = result_of(jobs)
    assert {name for names in output["skimmed_files"].values() for name in names} == files
    assert len(files) == CHUNKS
    entries = 0
    for name in files:
        with uproot.open(name) as file:
            entries += file["Events"].num_entries
    assert entries == sum(sum(each) for each in output["nskimmed_events"].values())
