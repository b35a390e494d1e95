from __future__ import annotations

import pytest
from coffea.processor.executor import FileMeta
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import ConfigurationError, InputFileError
from pocket_coffea.run.ledger import build_ledger, join_ranges, skipped_files
from pocket_coffea.run.plan import FileInfo, Plan, Skipped, make_chunks, plan_digest, work_files


def metas(entries_by_dataset):
    files, infos = [], {}
    for dataset, sizes in entries_by_dataset.items():
        for i, size in enumerate(sizes):
            name = f"{dataset}_{i}.root"
            files.append(FileMeta(dataset, name, "Events", {"sample": dataset}))
            infos[name, "Events"] = FileInfo(name.encode().ljust(16)[:16], size)
    return files, infos


sizes = st.dictionaries(
    st.sampled_from(["A", "B", "C"]), st.lists(st.integers(0, 500), max_size=4), min_size=1
)


@given(sizes, st.integers(1, 200))
def test_every_entry_is_in_one_chunk(entries, chunksize):
    files, infos = metas(entries)
    plan = make_chunks(files, infos, lambda _m: chunksize)
    ledger = build_ledger(plan.chunks, [], infos)
    for file in files:
        entry = ledger[file.dataset][file.filename]
        assert entry["ranges"] == [[0, infos[file.filename, "Events"].entries]]
    assert sum(map(len, plan.chunks)) == sum(map(sum, entries.values()))
    assert all(len(chunk) <= 1.5 * chunksize + 1 for chunk in plan.chunks)


@given(sizes, st.integers(1, 200), st.integers(1, 4))
def test_the_limit_holds_for_each_dataset(entries, chunksize, limit):
    files, infos = metas(entries)
    full = make_chunks(files, infos, lambda _m: chunksize).chunks
    limited = make_chunks(files, infos, lambda _m: chunksize, limit).chunks
    for dataset in entries:
        mine = [chunk for chunk in full if chunk.dataset == dataset]
        assert [chunk for chunk in limited if chunk.dataset == dataset] == mine[:limit]


def test_unreadable_files_are_recorded():
    files, infos = metas({"A": [10, 10]})
    infos["A_0.root", "Events"] = FileInfo(problem="A_0.root is truncated")
    plan = make_chunks(files, infos, lambda _m: 100)
    assert [chunk.filename for chunk in plan.chunks] == ["A_1.root"]
    assert plan.skipped == [Skipped("A", "A_0.root", "Events", "A_0.root is truncated")]
    ledger = build_ledger(plan.chunks, plan.skipped, plan.files)
    assert skipped_files(ledger) == [("A", "A_0.root", "A_0.root is truncated")]
    assert ledger["A"]["A_0.root"]["uuid"] is None


def test_the_digest_follows_content_not_place():
    files, infos = metas({"A": [100]})
    chunks = make_chunks(files, infos, lambda _m: 50).chunks
    moved = [FileMeta("A", "root://other//A.root", "Events", {"sample": "A"})]
    moved_infos = {("root://other//A.root", "Events"): infos["A_0.root", "Events"]}
    elsewhere = make_chunks(moved, moved_infos, lambda _m: 50).chunks
    digest = plan_digest(chunks, {"configuration": "x"})
    assert plan_digest(elsewhere, {"configuration": "x"}) == digest
    assert plan_digest(chunks, {"configuration": "y"}) != digest
    assert plan_digest(make_chunks(files, infos, lambda _m: 60).chunks, {"configuration": "x"}) == digest
    assert plan_digest(make_chunks(files, infos, lambda _m: 100).chunks, {"configuration": "x"}) != digest


def test_what_is_no_fileset_is_refused():
    with pytest.raises(ConfigurationError, match="fileset"):
        list(work_files({"A": 3}, "Events"))
    with pytest.raises(ConfigurationError, match="filename"):
        list(work_files({"A": {"files": ["a.root"], "metadata": {"filename": "x"}}}, "Events"))


ranges = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)).map(lambda p: [p[0], p[0] + p[1]]))


@given(ranges)
def test_joining_neighbours_changes_no_count(some):
    joined = join_ranges(some)
    assert sum(stop - start for start, stop in joined) == sum(stop - start for start, stop in some)
    assert joined == sorted(joined)


def test_a_file_with_more_entries_than_planned_stops_the_run():
    info = FileInfo(b"u" * 16, entries=100)
    plan = Plan(files={("a.root", "Events"): info}, inspected=True)
    plan.check_sizes({("a.root", "Events", 100)})
    with pytest.raises(InputFileError, match=r"a\.root has 120 entries, but 100 were planned.*not written"):
        plan.check_sizes({("a.root", "Events", 120)})
    Plan(files=plan.files).check_sizes({("a.root", "Events", 120)})  # given chunks may be a part of a file
