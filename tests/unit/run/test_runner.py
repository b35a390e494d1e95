from __future__ import annotations

import pickle
from pathlib import Path

import awkward as ak
import hist
import pytest
from coffea.nanoevents import NanoAODSchema
from coffea.processor import ProcessorABC
from coffea.processor import Runner as CoffeaRunner

from pocket_coffea.errors import InputFileError, MissingBranch, NothingToDo, ProcessingError
from pocket_coffea.executors.local import DaskExecutor, FuturesExecutor, IterativeExecutor
from pocket_coffea.executors.worker_pool import WorkerPool
from pocket_coffea.run.resume import CheckpointStore
from pocket_coffea.run.runner import PocketRunner


class MuonPt(ProcessorABC):
    """Fills muon pt with weights that make the order of the sum visible."""

    def __init__(self, fail_at=None):
        self.fail_at = fail_at

    def process(self, events):
        metadata = events.metadata
        if self.fail_at is not None and metadata["entrystart"] == self.fail_at:
            raise KeyError("made to fail")
        pt = ak.to_numpy(ak.flatten(events.Muon.pt))
        histogram = hist.Hist(hist.axis.Regular(20, 0, 200, name="pt"), storage="weight")
        histogram.fill(pt=pt, weight=1.0 / (pt + 0.1))
        return {
            "variables": {metadata["sample"]: {metadata["dataset"]: histogram}},
            "events": {metadata["dataset"]: len(events)},
        }

    def postprocess(self, accumulator):
        accumulator["postprocessed"] = accumulator.get("postprocessed", 0) + 1
        return accumulator


class NoSuchField(MuonPt):
    def process(self, events):
        return {"n": ak.sum(events.Muon.no_such_thing)}


class ReturnsNothing(MuonPt):
    def process(self, events):
        return None


@pytest.fixture(scope="module")
def filesets(sample_file):
    def entry(sample, *files):
        return {
            "files": [str(info.path) for info in files],
            "metadata": {"sample": sample, "year": "2018", "isMC": "True"},
        }

    return {
        "DY_2018": entry("DY", sample_file(seed=1, n_events=300), sample_file(seed=2, n_events=200)),
        "TT_2018": entry("TT", sample_file(kind="ttbar", seed=3, n_events=250)),
    }


@pytest.fixture(scope="module")
def pool():
    pool = WorkerPool(2, preload=["coffea.processor", "coffea.nanoevents"])
    yield pool
    pool.close()


def runner(executor=None, **options):
    options.setdefault("chunksize", 60)
    return PocketRunner(
        executor=executor or IterativeExecutor(treereduction=3),
        schema=NanoAODSchema,
        format="root",
        **options,
    )


def run(filesets, processor=None, **options):
    made = runner(**options)
    return made(filesets, treename="Events", processor_instance=processor or MuonPt()), made


def bits(output):
    return {
        dataset: histogram.view(flow=True).tobytes()
        for by_dataset in output["variables"].values()
        for dataset, histogram in by_dataset.items()
    }


def test_every_executor_gives_the_same_bits(filesets, pool):
    distributed = pytest.importorskip("distributed")
    reference, _ = run(filesets)
    again, _ = run(filesets)
    futures, _ = run(filesets, executor=FuturesExecutor(processes=pool, workers=2, treereduction=3))
    with distributed.Client(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as client:
        dask, _ = run(filesets, executor=DaskExecutor(client=client, treereduction=3))
    assert bits(reference) == bits(again) == bits(futures) == bits(dask)
    assert reference["events"] == futures["events"] == dask["events"] == {"DY_2018": 500, "TT_2018": 250}
    assert reference["postprocessed"] == futures["postprocessed"] == dask["postprocessed"] == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
def test_the_output_is_that_of_the_runner_of_coffea(filesets):
    from coffea.processor import IterativeExecutor as Plain

    ours, _ = run(filesets)
    coffea = CoffeaRunner(executor=Plain(status=False), chunksize=60, schema=NanoAODSchema)
    theirs = coffea(filesets, treename="Events", processor_instance=MuonPt())
    assert theirs["events"] == ours["events"]
    for sample, by_dataset in theirs["variables"].items():
        for dataset, histogram in by_dataset.items():
            assert ours["variables"][sample][dataset].values(flow=True) == pytest.approx(
                histogram.values(flow=True), rel=1e-12
            )


def test_the_ledger_covers_every_entry(filesets):
    _, made = run(filesets)
    ledger = made.ledger
    assert list(ledger) == ["DY_2018", "TT_2018"]
    for dataset, fileset in filesets.items():
        assert set(ledger[dataset]) == set(fileset["files"])
        for entry in ledger[dataset].values():
            assert entry["ranges"] == [[0, entry["entries"]]]
            assert entry["treename"] == "Events"
            assert len(entry["uuid"]) == 36
            assert "skipped" not in entry
    assert made.throughput["DY_2018"]["events"] == 500
    assert made.throughput["DY_2018"]["chunks"] == 8


def test_limits_of_chunks_are_per_dataset(filesets):
    output, made = run(filesets, maxchunks=2)
    assert output["events"] == {"DY_2018": 120, "TT_2018": 126}
    assert len(made.plan.files) == 3, "one file of each dataset may not hold two chunks"
    assert [len(entry["ranges"]) for entry in made.ledger["DY_2018"].values()] == [1]


def test_chunks_by_sample(filesets):
    sizes = {"DY": 100, "TT": 250}
    _, made = run(filesets, chunksize=lambda metadata: sizes[metadata["sample"]])
    assert [len(chunk) for chunk in made.plan.chunks] == [100, 100, 100, 100, 100, 250]


def truncated(path, tmp_path):
    data = Path(path).read_bytes()
    bad = tmp_path / "truncated.root"
    bad.write_bytes(data[: len(data) // 2])
    return str(bad)


@pytest.mark.parametrize("how", ["missing", "truncated", "text", "empty", "no tree"])
def test_a_bad_file_is_an_error_that_names_it(filesets, tmp_path, how):
    good = filesets["DY_2018"]["files"][0]
    bad = {
        "missing": str(tmp_path / "missing.root"),
        "truncated": truncated(good, tmp_path),
        "text": str(tmp_path / "text.root"),
        "empty": str(tmp_path / "empty.root"),
        "no tree": good,
    }[how]
    if how == "text":
        Path(bad).write_text("not a ROOT file")
    if how == "empty":
        Path(bad).touch()
    broken = {"DY_2018": {**filesets["DY_2018"], "files": [good, bad]}}
    if how == "no tree":
        with pytest.raises(InputFileError, match="no tree 'Evens'"):
            runner()(broken, treename="Evens", processor_instance=MuonPt())
        return
    reason = {"missing": "does not exist", "empty": "is empty"}.get(how, "truncated")
    with pytest.raises(InputFileError, match=rf"{Path(bad).name}: it .*{reason}.*\(dataset DY_2018\)"):
        run(broken)
    output, made = run(broken, skipbadfiles=True)
    assert output["events"] == {"DY_2018": 300}
    entry = made.ledger["DY_2018"][bad]
    assert entry["ranges"] == []
    assert entry["entries"] is None
    assert entry["skipped"][0]["range"] is None
    assert Path(bad).name in entry["skipped"][0]["reason"]


def damaged_in_the_middle(path, tmp_path):
    """A file that opens, and whose baskets cannot be decompressed."""
    import uproot

    bad = tmp_path / "damaged.root"
    bad.write_bytes(Path(path).read_bytes())
    with uproot.open(path) as file:
        branch = file["Events"]["Muon_pt"]
        places = [
            (branch.member("fBasketSeek")[i], branch.member("fBasketBytes")[i])
            for i in range(branch.num_baskets)
        ]
    with bad.open("r+b") as stream:
        seek, size = places[-1]
        stream.seek(seek + size // 2)
        stream.write(b"\xff" * (size // 2))
    return str(bad)


def test_damaged_entries_are_left_out_and_recorded(filesets, tmp_path, pool):
    bad = damaged_in_the_middle(filesets["DY_2018"]["files"][0], tmp_path)
    broken = {"DY_2018": {**filesets["DY_2018"], "files": [bad]}, "TT_2018": filesets["TT_2018"]}
    with pytest.raises(InputFileError, match=r"damaged\.root.*Muon_pt|Muon_pt.*damaged\.root"):
        run(broken)
    for executor in (None, FuturesExecutor(processes=pool, workers=2, treereduction=3)):
        output, made = run(broken, skipbadfiles=True, executor=executor)
        entry = made.ledger["DY_2018"][bad]
        lost = [hole["range"] for hole in entry["skipped"]]
        assert lost
        covered = sorted([*entry["ranges"], *lost])
        assert covered[0][0] == 0
        assert covered[-1][1] == 300
        assert sum(stop - start for start, stop in covered) == 300
        assert output["events"]["DY_2018"] == 300 - sum(stop - start for start, stop in lost)
        assert output["events"]["TT_2018"] == 250


def test_nothing_readable_is_an_error_even_when_skipping(filesets, tmp_path):
    broken = {"DY_2018": {**filesets["DY_2018"], "files": [str(tmp_path / "missing.root")]}}
    with pytest.raises(InputFileError, match=r"The only file cannot be read.*missing\.root"):
        run(broken, skipbadfiles=True)


def test_no_files_is_nothing_to_do():
    with pytest.raises(NothingToDo):
        run({"DY_2018": {"files": [], "metadata": {"sample": "DY", "year": "2018", "isMC": "True"}}})


def test_errors_of_user_code_name_the_chunk_and_are_not_retried(filesets, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _s: pytest.fail("user errors must not be retried"))
    with pytest.raises(ProcessingError, match=r"(?s)KeyError: 'made to fail'.*DY_2018.*entries 60-120"):
        run(filesets, MuonPt(fail_at=60))


def test_a_processor_that_returns_nothing(filesets):
    with pytest.raises(ProcessingError, match=r"ReturnsNothing\.process\(\) returned None"):
        run(filesets, ReturnsNothing())


class FailsAtTheEnd(MuonPt):
    def postprocess(self, accumulator):
        return accumulator["no such entry"]


def test_errors_of_user_code_show_its_line(filesets):
    line = r"test_runner\.py, line \d+, in process:\n    raise KeyError"
    with pytest.raises(ProcessingError, match=line):
        run(filesets, MuonPt(fail_at=0))
    with pytest.raises(
        ProcessingError,
        match=r"(?s)in postprocess:\n    return accumulator.*postprocess\(\) of FailsAtTheEnd",
    ):
        run(filesets, FailsAtTheEnd(), maxchunks=1)


def test_a_field_that_does_not_exist(filesets):
    with pytest.raises(ProcessingError, match="no_such_thing"):
        run(filesets, NoSuchField())
    assert issubclass(MissingBranch, ProcessingError)


def test_an_interrupted_run_goes_on_and_gives_the_same_bits(filesets, tmp_path, pool):
    reference, _ = run(filesets)
    first = runner()
    chunks = first.make_plan(filesets).chunks
    first.store = CheckpointStore(tmp_path / "kept", 3, chunks)
    with pytest.raises(ProcessingError):
        first(chunks, treename="Events", processor_instance=MuonPt(fail_at=180))
    kept = CheckpointStore(tmp_path / "kept", 3, chunks).count()
    assert 0 < kept < len(chunks)
    for executor in (None, FuturesExecutor(processes=pool, workers=2, treereduction=3)):
        seen = []
        store = CheckpointStore(tmp_path / "kept", 3, chunks)
        output, made = run(
            filesets,
            executor=executor,
            store=store,
            observer=lambda chunk, summary: seen.append(bool(summary.get("stored"))),  # noqa: B023
        )
        assert bits(output) == bits(reference)
        assert len(seen) == len(chunks)
        assert sum(seen) >= kept
        assert made.ledger["TT_2018"]


def test_a_damaged_checkpoint_is_processed_again(filesets, tmp_path, caplog):
    reference, _ = run(filesets)
    made = runner()
    chunks = made.make_plan(filesets).chunks
    store = CheckpointStore(tmp_path / "kept", 3, chunks)
    store.save_node(0, 0, b"half of a")
    output, _ = run(filesets, store=store)
    assert bits(output) == bits(reference)
    assert "processed again" in caplog.text


def test_foreign_executors_keep_chunks_too(filesets, tmp_path):
    from coffea.processor import IterativeExecutor as Plain

    made = runner(Plain(status=False))
    chunks = made.make_plan(filesets).chunks
    made.store = CheckpointStore(tmp_path / "kept", 20, chunks)
    output = made(chunks, treename="Events", processor_instance=MuonPt())
    assert made.store.count() == len(chunks)
    output_again, _ = run(filesets, executor=Plain(status=False), store=made.store)
    assert bits(output) == bits(output_again)


def test_outputs_can_be_pickled(filesets):
    output, made = run(filesets)
    assert bits(pickle.loads(pickle.dumps(output))) == bits(output)
    assert pickle.loads(pickle.dumps(made.ledger)) == made.ledger


def test_many_files_are_planned_without_parsing_their_branches(sample_file, tmp_path, monkeypatch):
    source = sample_file(seed=1, n_events=300).path
    files = [tmp_path / f"{i}.root" for i in range(9)]
    for file in files:
        file.hardlink_to(source)
    fileset = {"DY": {"files": [*map(str, files)], "metadata": {"sample": "DY"}}}
    reference = [
        runner().make_plan({"DY": {**fileset["DY"], "files": [name]}}).chunks for name in map(str, files)
    ]
    monkeypatch.setattr("pocket_coffea.run.plan.file_summary", lambda *_: pytest.fail("branches were parsed"))
    assert runner().make_plan(fileset).chunks == [chunk for chunks in reference for chunk in chunks]
