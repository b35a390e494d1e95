"""``pocket-coffea run`` from end to end, with the analysis of ``make-config`` on generated events."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import hist
import pytest
from click.testing import CliRunner
from coffea.util import load

from pocket_coffea.cli.main import main
from pocket_coffea.cli.make_config import write_template
from pocket_coffea.config.load import load_config

FILES = {
    "DYJetsToLL_2018": [("dy", 600, 1), ("dy", 400, 2)],
    "DATA_SingleMuon_2018_EraA": [("data_singlemuon", 500, 3)],
}


@pytest.fixture
def analysis(tmp_path, sample_file, monkeypatch):
    """The folder of a new analysis whose datasets are small generated files."""
    folder = tmp_path / "analysis"
    write_template(folder)
    datasets = folder / "datasets" / "datasets.json"
    content = json.loads(datasets.read_text())
    for name, files in FILES.items():
        content[name]["files"] = [
            str(sample_file(kind=kind, n_events=n, seed=seed).path) for kind, n, seed in files
        ]
        content[name]["metadata"]["nevents"] = str(sum(n for _, n, _ in files))
    datasets.write_text(json.dumps(content))
    # a run on local files must not look for a grid proxy
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "no_proxy"))
    monkeypatch.chdir(tmp_path)
    return folder


class Run:
    def __init__(self, folder):
        self.folder = folder
        self.outputdir = folder / "output"

    def __call__(self, *options, code=0, outputdir=None, name="all"):
        self.outputdir = Path(outputdir or self.folder / "output")
        arguments = [
            "run",
            "--cfg",
            str(self.folder / "analysis_config.py"),
            "-o",
            str(self.outputdir),
            *options,
        ]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, f"exit code {result.exit_code}\n{result.output}\n{result.stderr}"
        assert "Traceback" not in result.output
        self.text = result.output
        return self.output(name) if code == 0 else None

    def output(self, name="all"):
        return load(str(self.outputdir / f"output_{name}.coffea"))


@pytest.fixture
def run(analysis):
    return Run(analysis)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def comparable(output):
    """Everything that must be equal in two runs of one plan, histograms as bytes."""
    skip = ("provenance", "processing_metadata")

    def plain(value):
        if isinstance(value, dict):
            return [(key, plain(item)) for key, item in value.items()]
        return value.view(flow=True).tobytes() if isinstance(value, hist.Hist) else value

    return [(key, plain(value)) for key, value in output.items() if key not in skip]


# -- what a run gives


def test_a_new_analysis_runs_as_it_is(run):
    output = run("--test")
    assert output["cutflow"]["initial"] == {"DYJetsToLL_2018": 1000, "DATA_SingleMuon_2018_EraA": 500}
    passed = output["cutflow"]["inclusive"]["DYJetsToLL_2018"]["DYJetsToLL"]["nominal"]
    assert passed > 20
    masses = output["variables"]["mll"]["DYJetsToLL"]["DYJetsToLL_2018"]
    assert masses[{"cat": "inclusive", "variation": "nominal"}].values().sum() > 0
    written = {path.name for path in run.outputdir.iterdir()}
    assert written == {
        "output_all.coffea",
        "logfile.log",
        "config.json",
        "parameters_dump.yaml",
        "configurator.pkl",
    }
    assert "Running PocketCoffea version" in run.text
    assert "events/s" in run.text
    assert "all, wall clock" in run.text
    assert "2/2 chunks" not in run.text
    assert "3/3 chunks" in run.text
    ledger = output["ledger"]
    assert sorted(entry["ranges"] for entry in ledger["DYJetsToLL_2018"].values()) == [[[0, 400]], [[0, 600]]]
    provenance = output["provenance"]
    assert provenance["executor"] == "iterative"
    assert provenance["run_options"]["limit-chunks"] == {"value": 2, "origin": "--test"}
    assert len(provenance["digests"]["configuration"]) == 64
    speed = provenance["throughput"]["DYJetsToLL_2018"]
    assert (speed["events"], speed["chunks"]) == (1000, 2)
    assert speed["seconds"] > 0
    assert "Output saved" in (run.outputdir / "logfile.log").read_text()


def test_the_saved_configuration_runs_and_gives_the_same(run, analysis):
    first = run("-c", "200")
    result = CliRunner().invoke(
        main,
        ["run", "--cfg", str(run.outputdir / "configurator.pkl"), "-o", str(analysis / "again"), "-c", "200"],
    )
    assert result.exit_code == 0, result.output
    second = load(str(analysis / "again" / "output_all.coffea"))
    assert comparable(first) == comparable(second)
    assert first["provenance"]["digests"] == second["provenance"]["digests"]


#: Seven chunks, merged on three levels.
SEVEN_CHUNKS = ("-c", "200", "--tree-reduction=2")


@pytest.fixture
def iterative(run):
    """The output of the iterative executor."""
    return comparable(run(*SEVEN_CHUNKS))


def test_futures_give_the_bits_of_iterative(run, iterative):
    options = (*SEVEN_CHUNKS, "-e", "futures", "-s", "2")
    futures = run(*options, outputdir=run.folder / "futures")
    assert "7/7 chunks" in run.text
    assert iterative == comparable(futures)
    again = run(*options, outputdir=run.folder / "futures")
    assert iterative == comparable(again)


@pytest.mark.slow
def test_dask_gives_the_bits_of_iterative(run, iterative):
    pytest.importorskip("distributed")
    dask = run(*SEVEN_CHUNKS, "-e", "dask", "-s", "2", outputdir=run.folder / "dask")
    assert "7/7 chunks" in run.text
    assert iterative == comparable(dask)


def test_limits_and_chunks(run, analysis):
    output = run("--limit-files", "1", "-c", "150", "-lc", "2")
    assert output["cutflow"]["initial"] == {"DYJetsToLL_2018": 300, "DATA_SingleMuon_2018_EraA": 334}
    options = analysis / "options.yaml"
    options.write_text("limit-files: 1\nchunksize: {default: 100000, DYJetsToLL: 100}\n")
    output = run("-ro", str(options))
    assert output["cutflow"]["initial"] == {"DYJetsToLL_2018": 600, "DATA_SingleMuon_2018_EraA": 500}
    assert output["provenance"]["run_options"]["limit-files"]["value"] == 1


def test_filters(run):
    output = run("--filter-samples", "DYJetsToLL", "--filter-years", "2018")
    assert list(output["cutflow"]["initial"]) == ["DYJetsToLL_2018"]
    run("--filter-datasets", "DYJetsToLL_2017", code=4)
    assert "there is no 'DYJetsToLL_2017'. Did you mean 'DYJetsToLL_2018'" in run.text


def test_the_configuration_beside_the_outputs_keeps_the_datasets_that_a_run_left_out(run, analysis):
    run("-ps", name="DYJetsToLL_2018")
    run("-ps", "--filter-samples", "DYJetsToLL", "--limit-files", "1", name="DYJetsToLL_2018")
    saved = load_config(run.outputdir / "configurator.pkl", save_config=False)
    assert {name: len(entry["files"]) for name, entry in saved.filesets.items()} == {
        "DYJetsToLL_2018": 2,
        "DATA_SingleMuon_2018_EraA": 1,
    }
    inputs = [str(run.outputdir / f"output_{name}.coffea") for name in saved.filesets]
    words = ["merge-outputs", *inputs, "-o", str(analysis / "all.coffea")]
    merged = CliRunner().invoke(main, [*words, "-cfg", str(run.outputdir / "configurator.pkl")])
    assert merged.exit_code == 0, merged.output
    assert "limited by limit-files" in merged.output


def test_separate_and_grouped(run, analysis):
    run("-ps", name="DYJetsToLL_2018")
    for dataset in FILES:
        output = run.output(dataset)
        assert list(output["cutflow"]["initial"]) == [dataset]
        assert set(output["datasets_metadata"]["by_dataset"]) == {dataset}
    options = analysis / "options.yaml"
    options.write_text("group-samples:\n  both: [DYJetsToLL, DATA_SingleMuon]\n")
    output = run("-ps", "-ro", str(options), outputdir=analysis / "grouped", name="both")
    assert list(output["cutflow"]["initial"]) == list(FILES)
    assert not (run.outputdir / ".resume").exists()


def test_a_run_into_a_folder_with_results_replaces_them_when_it_is_complete(run, analysis):
    run("--filter-samples", "DYJetsToLL")
    before = (run.outputdir / "output_all.coffea").read_bytes()
    edit(analysis / "custom_cuts.py", "events.ll.charge == 0", "events.ll.chargge == 0")
    run(code=3)
    assert (run.outputdir / "output_all.coffea").read_bytes() == before
    edit(analysis / "custom_cuts.py", "chargge", "charge")
    assert len(run()["cutflow"]["initial"]) == 2
    assert not (run.outputdir / "error").exists()


# -- failures


def truncate(analysis, dataset="DATA_SingleMuon_2018_EraA"):
    datasets = analysis / "datasets" / "datasets.json"
    content = json.loads(datasets.read_text())
    good = Path(content[dataset]["files"][0])
    bad = analysis / "truncated.root"
    bad.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    content[dataset]["files"][0] = str(bad)
    datasets.write_text(json.dumps(content))
    return bad, good


def test_a_truncated_file_ends_the_run_and_is_named(run, analysis):
    bad, _ = truncate(analysis)
    run(code=3)
    assert str(bad) in run.text
    assert "truncated" in run.text
    assert "Traceback" in (run.outputdir / "error" / "run_all.err").read_text()
    assert not (run.outputdir / "output_all.coffea").exists()


def test_bad_files_can_be_skipped_and_are_listed(run, analysis):
    bad, _ = truncate(analysis, "DYJetsToLL_2018")
    run("--skip-bad-files", code=3)
    output = run.output()
    assert output["cutflow"]["initial"] == {"DYJetsToLL_2018": 400, "DATA_SingleMuon_2018_EraA": 500}
    hole = output["ledger"]["DYJetsToLL_2018"][str(bad)]["skipped"][0]
    assert hole["range"] in (None, [0, 600])
    assert str(bad) in hole["reason"]
    assert "1 input(s) could not be read" in run.text
    assert str(bad) in run.text


def test_failed_datasets_are_recorded_and_run_again(run, analysis):
    bad, good = truncate(analysis)
    run("-ps", code=3)
    failed = run.outputdir / "failed_jobs.json"
    assert json.loads(failed.read_text()) == ["DATA_SingleMuon_2018_EraA"]
    assert "1 job(s) failed. Failed jobs saved to" in run.text
    assert "Traceback" in (run.outputdir / "error" / "run_DATA_SingleMuon_2018_EraA.err").read_text()
    other = run.outputdir / "output_DYJetsToLL_2018.coffea"
    before = other.stat().st_mtime_ns
    run("-ps", "--resubmit-failed", code=3)
    assert "Resubmitting 1 failed jobs: ['DATA_SingleMuon_2018_EraA']" in run.text
    # runs that leave the failed dataset out do not make it a good one
    run("-ps", "--filter-samples", "DYJetsToLL", name="DYJetsToLL_2018")
    assert "DATA_SingleMuon_2018_EraA failed earlier, not part of this run" in run.text.replace("\n", " ")
    run("--filter-samples", "DYJetsToLL")
    assert json.loads(failed.read_text()) == ["DATA_SingleMuon_2018_EraA"]
    before = other.stat().st_mtime_ns
    bad.write_bytes(good.read_bytes())
    run("-ps", "--resubmit-failed", name="DATA_SingleMuon_2018_EraA")
    assert other.stat().st_mtime_ns == before
    assert not failed.exists()
    assert not (run.outputdir / "error").exists()
    run("-ps", "--resubmit-failed", code=1)
    assert "failed_jobs.json" in run.text


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--resubmit-failed"], 1, "--process-separately"),
        (["--chunk-size=3"], 1, "Did you mean --chunksize"),
        (["--filter-sample=x"], 1, "--filter-samples"),
        (["--filter-samples", ""], 4, "--filter-samples is empty"),
        (["--limit-files", "0"], 1, "limit-files = 0 is not allowed"),
        (["--tree-reduction=many"], 1, "tree-reduction = 'many' is not allowed"),
        (["-e", "futuers"], 1, "Did you mean 'futures'"),
        (["-e", "condor@lxplus"], 1, "condor@lxplus runs on a machine of lxplus"),
        (["-ro", "none.yaml"], 1, "none.yaml"),
        (["--executor-custom-setup", "none.py"], 1, "there is no file 'none.py'"),
        (["-ll", "LOUD"], 2, "LOUD"),
        (["stray"], 1, "'stray' is not an option"),
    ],
)
def test_wrong_options(run, options, code, message):
    run(*options, code=code)
    assert message in run.text.replace("\n", " ")


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "messages"),
    [
        ("analysis_config.py", "cfg = Conf", "config = Conf", 1, ["cfg"]),
        ("analysis_config.py", '"genWeight", "lumi"', '"genWeigth", "lumi"', 1, ["genWeigth", "genWeight"]),
        ("analysis_config.py", '"DYJetsToLL", "DATA_SingleMuon"', '"DYJetsToL"', 1, ["DYJetsToLL"]),
        ("analysis_config.py", "categories={", "categoris={", 1, ["categoris"]),
        ("analysis_config.py", 'field="mass"', 'field="masss"', 3, ["masss"]),
        (
            "workflow.py",
            "self.events.MuonGood)",
            "self.events.MuonGoood)",
            3,
            ["MuonGoood", "MuonGood", "DYJets"],
        ),
        ("custom_cuts.py", "events.ll.charge == 0", "(events.ll.charge == 0)[1:]", 3, ["opposite_sign"]),
        (
            "custom_cuts.py",
            "events.ll.charge == 0",
            "not_there == 0",
            3,
            ["NameError", "custom_cuts.py, line 8, in charges_cancel", "return not_there == 0", "DYJets"],
        ),
        ("params/triggers.yaml", "IsoMu24", "IsoMu24: [", 1, ["triggers.yaml"]),
    ],
)
def test_mistakes_of_the_configuration(run, analysis, file, old, new, code, messages):
    edit(analysis / file, old, new)
    run(code=code)
    for message in messages:
        assert message in run.text


def test_a_missing_configuration(run, analysis):
    (analysis / "analysis_config.py").rename(analysis / "analysis_confg.py")
    run(code=1)
    assert "does not exist" in run.text
    assert "Did you mean 'analysis_confg.py'" in run.text


def test_a_weight_that_is_not_finite(run, analysis):
    edit(
        analysis / "analysis_config.py",
        "weights_classes=common_weights,",
        "weights_classes=[*common_weights, WeightLambda.wrap_func("
        'name="broken", function=lambda params, metadata, events, size, variation: np.full(size, np.nan))],',
    )
    edit(
        analysis / "analysis_config.py",
        "import os\n",
        "import os\nimport numpy as np\nfrom pocket_coffea.lib.weights.weights import WeightLambda\n",
    )
    edit(analysis / "analysis_config.py", '"genWeight", "lumi"', '"genWeight", "broken", "lumi"')
    run(code=3)
    assert "broken" in run.text
    assert "DYJetsToLL_2018" in run.text


def test_debugging_shows_the_traceback(analysis):
    edit(analysis / "custom_cuts.py", "events.ll.charge", "events.ll.chargge")
    result = CliRunner().invoke(
        main,
        [
            "run",
            "--cfg",
            str(analysis / "analysis_config.py"),
            "-o",
            str(analysis / "output"),
            "-ll",
            "DEBUG",
        ],
    )
    assert result.exit_code == 3
    assert "Traceback" in result.output
    assert "the run ended with" in (analysis / "output" / "logfile.log").read_text()


CUSTOM = """
from .executors_base import IterativeExecutorFactory

RUN_OPTIONS = {"my-partition": "short", "my-cores": 1}


class Mine(IterativeExecutorFactory):
    def get(self):
        assert (self.run_options["my-partition"], self.run_options["my-cores"]) == ("long", 4)
        return super().get()


def get_executor_factory(executor_name, **kwargs):
    return Mine(**kwargs)
"""


def test_an_executor_of_the_user_with_its_own_options(run, analysis):
    module = analysis / "my_executor.py"
    module.write_text(CUSTOM)
    (analysis / "options.yaml").write_text("my-partition: long\n")
    options = ["-e", "mine", "--executor-custom-setup", str(module), "-ro", str(analysis / "options.yaml")]
    output = run(*options, "--my-cores=4")
    assert output["provenance"]["run_options"]["my-cores"]["value"] == 4
    run(*options, "--my-core=4", code=1)
    assert "my-core" in run.text


# -- interrupted runs

SLOW = """
    def process_extra_after_skim(self):
        import os, time, pathlib
        name = "{{dataset}}-{{entrystart}}-{{entrystop}}".format(**self.events.metadata)
        mark = pathlib.Path({marks!r}) / name
        mark.write_text(mark.read_text() + "x" if mark.exists() else "x")
        time.sleep(0.1)

    def apply_object_preselection"""


def calls(marks):
    """Return how many chunks were processed, each counted as often as it was."""
    return sum(len(path.read_text()) for path in marks.iterdir())


def ended(session, seconds=30):
    """Return whether all processes of a session (a run and all its workers) end in time."""
    limit = time.monotonic() + seconds
    while _alive(session) and time.monotonic() < limit:
        time.sleep(0.05)
    return not _alive(session)


@pytest.mark.parametrize("executor", ["iterative", "futures", "dask"])
def test_a_run_that_was_killed_goes_on_from_its_completed_chunks(run, analysis, tmp_path, executor):
    marks = tmp_path / "marks"
    marks.mkdir()
    edit(analysis / "workflow.py", "\n    def apply_object_preselection", SLOW.format(marks=str(marks)))
    # entry ranges tell the chunks apart, also those of the two DY files
    options = ["-c", "125", "--tree-reduction=2", "-e", executor, "-s", "2"]
    reference = run(*options, outputdir=analysis / "reference")
    n_chunks = len(list(marks.iterdir()))
    assert calls(marks) == n_chunks
    for path in marks.iterdir():
        path.unlink()
    command = [
        sys.executable,
        "-m",
        "pocket_coffea.cli.main",
        "run",
        "--cfg",
        str(analysis / "analysis_config.py"),
    ]
    process = subprocess.Popen(
        [*command, "-o", str(analysis / "output"), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    limit = time.monotonic() + 120
    while len(list(marks.iterdir())) < n_chunks // 2 and time.monotonic() < limit:
        time.sleep(0.02)
    process.kill()
    process.wait(timeout=30)
    # the workers finish and keep the chunk that they are at
    assert ended(process.pid), "no process of the run is left"
    assert not (analysis / "output" / "output_all.coffea").exists()
    before = calls(marks)
    output = run(*options, "--resume")
    assert comparable(output) == comparable(reference)
    kept = int(re.search(rf"--resume: (\d+) of {n_chunks} chunks are completed already", run.text)[1])
    # how many are kept depends on the speed of disk and processors
    assert 0 < kept < n_chunks
    assert calls(marks) - before == n_chunks - kept, "what was kept is not processed again, all else once"
    assert not (analysis / "output" / ".resume").exists()


@pytest.fixture
def never_ending(analysis, tmp_path):
    """Return the command of a run that stays in its first chunk, and the file that says when it is there."""
    started = tmp_path / "started"
    edit(
        analysis / "workflow.py",
        "\n    def apply_object_preselection",
        "\n    def process_extra_after_skim(self):\n        import pathlib, time\n"
        f"        pathlib.Path({str(started)!r}).touch()\n        time.sleep(1000)\n"
        "\n    def apply_object_preselection",
    )
    words = [sys.executable, "-m", "pocket_coffea.cli.main", "run"]
    words += ["--cfg", str(analysis / "analysis_config.py"), "-o", str(analysis / "output")]
    return words, started


def wait_for(started):
    limit = time.monotonic() + 60
    while not started.exists() and time.monotonic() < limit:
        time.sleep(0.05)
    assert started.exists()


def test_a_polite_end_closes_everything(never_ending):
    command, started = never_ending
    process = subprocess.Popen(
        [*command, "-e", "futures", "-s", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # whoever started us in the background may ignore interrupts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )
    wait_for(started)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Interrupted. Run again with --resume" in errors
    assert "Traceback" not in errors
    assert ended(process.pid), "no process of the run is left"


@pytest.mark.parametrize("executor", ["iterative", "futures", "dask"])
def test_an_interrupt_that_a_library_swallows_is_not_lost(analysis, executor):
    """As a bare ``except`` around an optional import does."""
    config = analysis / "analysis_config.py"
    swallow = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
except:
    pass
"""
    config.write_text(swallow + config.read_text())
    words = ["--cfg", str(config), "-o", str(analysis / "output"), "-e", executor]
    done = subprocess.run(
        [sys.executable, "-m", "pocket_coffea.cli.main", "run", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.returncode == 130, done.stderr
    assert "Interrupted. Run again with --resume" in done.stderr
    assert "planned in" not in done.stderr
    assert not (analysis / "output" / "output_all.coffea").exists()


@pytest.mark.parametrize("executor", ["futures", "dask"])
def test_a_terminal_that_is_closed_closes_everything(never_ending, executor):
    command, started = never_ending
    terminal, inside = pty.openpty()

    def own_terminal():
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*command, "-e", executor],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=own_terminal,  # noqa: PLW1509 - no threads here
    )
    os.close(inside)
    reader = threading.Thread(target=_read_until_closed, args=(terminal, started))
    reader.start()
    wait_for(started)
    reader.join()
    assert process.wait(timeout=60) == 130
    assert ended(process.pid), "no process of the run is left"


def _read_until_closed(terminal, started):
    """Be the window of a terminal until the run works, and close it."""
    while not started.exists():
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 65536)
    os.close(terminal)


def _alive(session):
    """Return the processes of a session that have not ended."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, _group, sid = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(sid) == session and state != "Z":
            alive.append(stat.parent.name)
    return alive


def test_resume_says_what_changed_and_does_not_mix(run, analysis):
    edit(analysis / "custom_cuts.py", "return", "assert events.metadata['entrystart'] < 300\n    return")
    run("-c", "100", code=3)
    edit(analysis / "custom_cuts.py", "assert events.metadata['entrystart'] < 300\n    ", "")
    edit(analysis / "analysis_config.py", "stop=120", "stop=130")
    resumed = run("-c", "100", "--resume")
    assert "of another run are not used, because these changed: configuration;" in run.text
    assert comparable(resumed) == comparable(run("-c", "100"))
    assert not (run.outputdir / ".resume").exists()


def test_resume_of_separate_jobs_keeps_complete_outputs(run, analysis):
    bad, good = truncate(analysis)
    run("-ps", code=3)
    other = run.outputdir / "output_DYJetsToLL_2018.coffea"
    before = other.stat().st_mtime_ns
    bad.write_bytes(good.read_bytes())
    run("-ps", "--resume", name="DYJetsToLL_2018")
    assert "--resume: DYJetsToLL_2018 is complete already" in run.text
    assert other.stat().st_mtime_ns == before
    assert (run.outputdir / "output_DATA_SingleMuon_2018_EraA.coffea").exists()
    assert not (run.outputdir / "failed_jobs.json").exists()
    assert not (run.outputdir / ".resume").exists()


# -- skims


def test_a_skim_is_described_for_all_datasets_also_when_separate(run, analysis):
    edit(
        analysis / "analysis_config.py",
        "    # calibrators that",
        f"    save_skimmed_files={str(analysis / 'skim')!r},\n    # calibrators that",
    )
    run("-ps", "-c", "600", name="DYJetsToLL_2018")
    definition = json.loads((run.outputdir / "skimmed_dataset_definition.json").read_text())
    assert list(definition) == list(FILES)
    for entry in definition.values():
        assert entry["metadata"]["isSkim"] == "True"
        assert all(Path(file).is_file() for file in entry["files"])
    together = run.folder / "together"
    run("-c", "600", outputdir=together)
    other = json.loads((together / "skimmed_dataset_definition.json").read_text())
    assert {name: entry["metadata"] for name, entry in other.items()} == {
        name: entry["metadata"] for name, entry in definition.items()
    }


def test_a_relative_folder_of_skims_is_below_the_current_one_and_found_from_everywhere(
    run, analysis, monkeypatch
):
    here = analysis / "hère it is"
    here.mkdir()
    monkeypatch.chdir(here)
    edit(
        analysis / "analysis_config.py",
        "    # calibrators that",
        '    save_skimmed_files="my skims",\n    # calibrators that',
    )
    run("--filter-samples", "DYJetsToLL")
    definition = json.loads((run.outputdir / "skimmed_dataset_definition.json").read_text())
    files = [Path(file) for file in definition["DYJetsToLL_2018"]["files"]]
    assert {file.parent for file in files} == {here / "my skims" / "DYJetsToLL_2018"}
    assert all(file.is_file() for file in files)
