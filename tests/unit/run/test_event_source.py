"""Events come without opening a file twice, and read errors name file and branch."""

from __future__ import annotations

import shutil
from pathlib import Path

import awkward as ak
import pytest
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from pocket_coffea.errors import InputFileError
from pocket_coffea.run import event_source
from pocket_coffea.run.event_source import check_identity, close_all, file_summary, open_events


@pytest.fixture(autouse=True)
def _no_open_files():
    close_all()
    yield
    close_all()


@pytest.fixture
def opened(monkeypatch):
    """Names of the files that uproot really opened, in order."""
    names: list[str] = []
    real = uproot.open

    def spy(path, *args, **kwargs):
        names.extend(str(name) for name in path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(event_source.uproot, "open", spy)
    return names


@pytest.mark.filterwarnings("ignore:Missing cross-reference:RuntimeWarning")
def test_equal_to_coffeas_own_factory(sample_file):
    path = sample_file("v9", "ttbar").path
    ours = open_events(path, "Events", 100, 250, {"dataset": "tt"})
    theirs = NanoEventsFactory.from_root(
        {path: "Events"}, schemaclass=NanoAODSchema, mode="virtual", entry_start=100, entry_stop=250
    ).events()
    assert len(ours) == 150
    for collection, field in (("Jet", "pt"), ("Muon", "tightId"), ("GenPart", "pdgId"), ("MET", "phi")):
        assert ak.array_equal(ours[collection][field], theirs[collection][field])
    assert ak.array_equal(ours.GenPart.parent.pdgId, theirs.GenPart.parent.pdgId, equal_nan=True)
    assert ours.metadata == {"dataset": "tt"}


def test_one_open_for_all_chunks_and_own_metadata(sample_file, opened):
    path = sample_file("v9", "dy").path
    summary = file_summary(path)
    chunks = [
        open_events(path, "Events", start, start + 100, {"entrystart": start}) for start in (0, 100, 200)
    ]
    assert opened == [path]
    assert summary.num_entries == 400
    assert summary.clusters == (0, 100, 200, 300, 400)
    assert [chunk.metadata["entrystart"] for chunk in chunks] == [0, 100, 200]
    assert ak.to_list(chunks[1].event) == list(range(101, 201))


def test_files_with_the_same_branches_share_a_form(sample_file):
    one, two = (sample_file("v9", "dy", seed=seed).path for seed in (1, 2))
    other = sample_file("v12", "dy").path
    for path in (one, two, other):
        open_events(path)
    assert len(event_source._schemas) == 2


def test_a_replaced_file_is_opened_again(sample_file, tmp_path):
    path = tmp_path / "events.root"
    shutil.copy(sample_file("v9", "dy", n_events=40).path, path)
    assert file_summary(str(path)).num_entries == 40
    shutil.copy(sample_file("v9", "dy", n_events=400).path, path)
    assert file_summary(str(path)).num_entries == 400


def test_the_number_of_open_files_is_bounded(sample_file, tmp_path):
    source = sample_file("v9", "dy", n_events=40).path
    for i in range(event_source.MAX_OPEN_FILES + 3):
        path = tmp_path / f"{i}.root"
        shutil.copy(source, path)
        assert len(open_events(str(path))) == 40
    assert len(event_source._trees) == event_source.MAX_OPEN_FILES


def test_missing_file(tmp_path):
    with pytest.raises(InputFileError, match=r"nowhere\.root: it does not exist.*--skip-bad-files"):
        open_events(str(tmp_path / "nowhere.root"))


def test_not_a_root_file(tmp_path):
    path = tmp_path / "text.root"
    path.write_text("nothing to see here" * 100)
    with pytest.raises(InputFileError, match=r"text\.root: it is truncated, damaged or not a ROOT file"):
        file_summary(str(path))


def test_wrong_tree(sample_file):
    path = sample_file("v9", "dy").path
    with pytest.raises(InputFileError, match=r"no tree 'Evts'; it holds: Events, LuminosityBlocks, Runs"):
        open_events(path, "Evts")


def test_damaged_column_names_file_and_branch(sample_file, tmp_path):
    source = sample_file("v9", "dy").path
    damaged = bytearray(Path(source).read_bytes())
    branch = uproot.open(source)["Events"]["Muon_pt"]
    for position, size in zip(branch.member("fBasketSeek"), branch.member("fBasketBytes"), strict=True):
        damaged[position + 100 : position + size] = bytes(max(0, size - 100))
    path = tmp_path / "damaged.root"
    path.write_bytes(bytes(damaged))
    events = open_events(str(path))
    assert ak.all(ak.num(events.Muon) >= 0)  # the other branches can be read
    with pytest.raises(InputFileError, match=r"branch 'Muon_pt', entries 0-400, of .*damaged\.root"):
        ak.sum(events.Muon.pt)


def test_truncated_file_names_the_file(sample_file, tmp_path):
    whole = Path(sample_file("v9", "dy").path).read_bytes()
    path = tmp_path / "truncated.root"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputFileError, match=r"truncated\.root"):
        ak.sum(open_events(str(path)).Muon.pt)


@pytest.mark.parametrize("name", ["nano_dy.root", "nano_tt_v12.root", "nano_dimuon.root"])
def test_real_samples(real_sample, name):
    events = open_events(str(real_sample(name)))
    assert len(events) == file_summary(str(real_sample(name))).num_entries
    assert ak.all(events.Jet.pt > 0)


@pytest.mark.parametrize("flavour", ["v9", "v12", "v15"])
@pytest.mark.parametrize("treename", ["Events", "Runs"])
def test_entries_are_counted_without_looking_at_the_branches(sample_file, monkeypatch, flavour, treename):
    path = str(sample_file(flavour=flavour, n_events=300).path)
    summary = event_source.file_summary(path, treename)
    event_source.close_all()
    monkeypatch.setattr(event_source, "file_summary", lambda *_: pytest.fail("the branches were parsed"))
    assert event_source.entry_count(path, treename) == (summary.num_entries, summary.uuid)
    assert not event_source._trees


@pytest.mark.parametrize("name", ["nano_dy.root", "nano_tt_v12.root"])
def test_entries_of_real_files(real_sample, name):
    path = str(real_sample(name))
    summary = event_source.file_summary(path)
    assert event_source.entry_count(path) == (summary.num_entries, summary.uuid)


def test_entries_of_what_cannot_be_counted_quickly(sample_file, tmp_path):
    good = str(sample_file(n_events=300).path)
    with pytest.raises(InputFileError, match=r"has no tree 'Evens'"):
        event_source.entry_count(good, "Evens")
    bad = tmp_path / "bad.root"
    bad.write_bytes(Path(good).read_bytes()[:5000])
    with pytest.raises(InputFileError, match=r"bad\.root: it is truncated"):
        event_source.entry_count(str(bad))


def test_another_file_in_place_of_the_planned_one_is_refused(sample_file, tmp_path):
    path = str(tmp_path / "events.root")
    shutil.copy(sample_file("v9", "dy", n_events=400).path, path)
    planned = file_summary(path)
    assert check_identity(path, "Events", planned.uuid, 400) == 400
    shutil.copy(sample_file("v9", "dy", n_events=40).path, path)
    with pytest.raises(InputFileError, match=r"events\.root is not what was planned: another file is there"):
        check_identity(path, "Events", planned.uuid, 400)
    with pytest.raises(InputFileError, match="it has only 40 entries"):
        check_identity(path, "Events", b"", 400)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "Failed to submit <bound method File.open of <XRootD.client.file.File object at 0x7f>> request",
            r"its server does not answer \(Failed to submit File.open request\)",
        ),
        ("[FATAL] Connection error", "its server does not answer"),
        (
            "Failed to open file: [FATAL] Auth failed: No protocols left to try",
            "the server does not let us in",
        ),
        ("not a ROOT file: first four bytes are b'text'", "it is truncated, damaged or not a ROOT file"),
    ],
)
def test_a_server_that_is_away_is_not_taken_for_a_damaged_file(monkeypatch, said, reason):
    def refuse(*_args, **_kwargs):
        raise OSError(said)

    monkeypatch.setattr(uproot, "open", refuse)
    with pytest.raises(InputFileError, match=reason):
        event_source.entry_count("root://a.site//store/a.root", "Events")
