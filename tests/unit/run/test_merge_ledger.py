"""What several ledgers say together: overlaps, gaps, replicas, copies, holes that are filled."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.run.merge_ledger import LedgerBook

UUID = "00000000-0000-0000-0000-00000000000{}"


def entry(ranges, number=1, entries=100, **more):
    return {
        "uuid": UUID.format(number) if number else None,
        "treename": "Events",
        "entries": entries,
        "ranges": ranges,
        **more,
    }


def book(*ledgers, planned=None):
    made = LedgerBook(planned)
    for number, ledger in enumerate(ledgers):
        made.add({"D": ledger}, f"output_{number}")
    return made


def test_parts_of_a_file_add_up():
    made = book({"a.root": entry([[50, 100]])}, {"a.root": entry([[0, 50]])})
    assert made.overlaps() == []
    assert made.gaps() == []
    assert made.united() == {"D": {"a.root": entry([[0, 100]])}}


def test_what_is_there_twice_is_named():
    (overlap,) = book({"a.root": entry([[0, 60]])}, {"a.root": entry([[50, 100]])}).overlaps()
    assert str(overlap) == "D: entries 50-60 of a.root are in output_0 and in output_1"


def test_another_replica_is_the_same_file():
    first = {"root://one//store/mc/a.root": entry([[0, 100]])}
    second = {"root://two//eos/cms/store/mc/a.root": entry([[0, 100]])}
    (overlap,) = book(first, second).overlaps()
    assert overlap.files == (*first, *second)
    assert "(the same file as root://two//eos/cms/store/mc/a.root)" in str(overlap)
    # without UUIDs the name that both have in common tells
    for ledger in (first, second):
        next(iter(ledger.values()))["uuid"] = None
    assert len(book(first, second).overlaps()) == 1


def test_a_copy_with_another_name_is_refused_unless_it_was_asked_for():
    copies = {"a.root": entry([[0, 100]])}, {"copy.root": entry([[0, 100]])}
    assert len(book(*copies).overlaps()) == 1
    planned = {"D": {"a.root": None, "copy.root": None}}
    made = book(*copies, planned=planned)
    assert made.overlaps() == made.gaps() == made.unplanned() == []
    # one run that read both was asked for both
    assert book({**copies[0], **copies[1]}).overlaps() == []


def test_other_datasets_and_trees_are_apart():
    made = LedgerBook()
    made.add({"D": {"a.root": entry([[0, 100]])}, "E": {"a.root": entry([[0, 100]])}}, "one")
    made.add({"D": {"a.root": {**entry([[0, 10]], entries=10), "treename": "Runs"}}}, "two")
    assert made.overlaps() == []


def test_gaps_against_the_files_themselves():
    made = book({"a.root": entry([[0, 20], [30, 90]])})
    assert [str(gap) for gap in made.gaps()] == [
        "D: a.root: entries 20-30: not processed",
        "D: a.root: entries 90-100: not processed",
    ]


def test_gaps_against_a_plan():
    planned = {
        "D": {
            "root://one//store/a.root": None,
            "b.root": [[0, 10], [40, 60]],
            "c.root": None,
            "d.root": [[5, 6]],
        }
    }
    made = book(
        {"root://other//store/a.root": entry([[0, 100]], 1)},
        {"b.root": entry([[0, 10], [40, 50]], 2)},
        planned=planned,
    )
    assert [(gap.filename, gap.start, gap.stop) for gap in made.gaps()] == [
        ("b.root", 50, 60),
        ("c.root", None, None),
        ("d.root", 5, 6),
    ]
    assert made.unplanned() == []


def test_a_replica_at_a_place_without_store_is_found_by_its_uuid_or_base_name():
    planned = {"D": {"root://one//store/x/a.root": None, "root://one//store/x/b.root": None}}
    made = book(
        {"root://one//store/x/a.root": entry([[0, 50]], 1)},
        {"/copies/renamed.root": entry([[50, 100]], 1)},
        {"/copies/b.root": entry([[0, 100]], 2)},
        planned=planned,
    )
    assert made.gaps() == made.overlaps() == made.unplanned() == []


def test_what_nobody_asked_for():
    made = book({"z.root": entry([[0, 100]])}, planned={"D": {"a.root": None}})
    assert made.unplanned() == [("D", "z.root", "output_0")]
    assert len(made.gaps()) == 1


def test_skipped_parts_are_no_gaps_and_another_output_may_fill_them():
    hole = {"range": [40, 100], "reason": "cannot be read"}
    first = {"a.root": entry([[0, 40]], skipped=[hole])}
    made = book(first)
    assert made.gaps() == []
    assert [str(gap) for gap in made.skipped()] == ["D: a.root: entries 40-100: cannot be read"]
    made = book(first, {"a.root": entry([[60, 100]])})
    assert [(gap.start, gap.stop) for gap in made.skipped()] == [(40, 60)]
    assert made.gaps() == []
    made = book(first, {"a.root": entry([[40, 100]])})
    assert made.skipped() == []
    assert "skipped" not in made.united()["D"]["a.root"]


def test_a_file_that_was_never_opened():
    whole = {"range": None, "reason": "does not exist"}
    made = book({"a.root": entry([], None, entries=None, skipped=[whole])})
    assert made.gaps() == []
    assert str(made.skipped()[0]) == "D: a.root: the whole file: does not exist"
    filled = book(
        {"a.root": entry([], None, entries=None, skipped=[whole])}, {"a.root": entry([[0, 100]], None)}
    )
    assert filled.skipped() == filled.gaps() == []
    assert filled.united()["D"]["a.root"]["entries"] == 100


@given(
    st.lists(st.integers(1, 99), max_size=8), st.lists(st.integers(0, 2), min_size=9, max_size=9), st.data()
)
def test_any_cutting_of_a_file_into_outputs_adds_up(cuts, owners, data):
    edges = sorted({0, 100, *cuts})
    spans = [list(span) for span in itertools.pairwise(edges)]
    ledgers = [
        {"a.root": entry([s for s, o in zip(spans, owners, strict=False) if o == k])} for k in range(3)
    ]
    made = book(*ledgers)
    assert made.overlaps() == made.gaps() == []
    assert made.united()["D"]["a.root"]["ranges"] == [[0, 100]]
    lost = data.draw(st.sampled_from(spans))
    less = [{"a.root": entry([s for s in each["a.root"]["ranges"] if s != lost])} for each in ledgers]
    assert sum(gap.stop - gap.start for gap in book(*less).gaps()) == lost[1] - lost[0]
    again = book(*ledgers, {"a.root": entry([lost])})
    assert sum(o.stop - o.start for o in again.overlaps()) == lost[1] - lost[0]
