"""Provenance and run options, for people."""

from __future__ import annotations

from pocket_coffea.report.facts import facts_of, options_of, shown, warnings_of
from tests.unit.report.outputs import make_output


def test_the_provenance_is_in_groups():
    groups = dict(facts_of(make_output()["provenance"]))
    assert ["commit", "abc"] in groups["Code"]
    assert ["differs from the commit", "no"] in groups["Code"]
    assert groups["Image"] == [["digest", "sha256:1234"]]
    assert ["executor", "futures"] in groups["Where and when"]


def test_parts_that_do_not_agree_are_alternatives():
    provenance = {"code": {"mixed": [{"version": "1", "commit": "a"}, {"version": "1", "commit": "b"}]}}
    assert dict(facts_of(provenance))["Code"] == [["PocketCoffea", "1"], ["commit", "a or b"]]


def test_no_image_is_said_aloud():
    provenance = make_output()["provenance"] | {"image": None}
    assert dict(facts_of(provenance))["Image"] == [["image", "none: this run was not in a pinned image"]]


def test_options_have_their_origin():
    assert options_of(make_output()["provenance"]) == [
        ["chunksize", "1000", "run.yaml:3"],
        ["limit-files", "–", "defaults"],
    ]
    assert options_of({"run_options": {"queue": {"mixed": [{"value": 1}, {"value": 2}]}}}) == [
        ["queue", '{"value": 1} or {"value": 2}', "differs between the merged outputs"]
    ]


def test_warnings():
    provenance = make_output()["provenance"]
    assert warnings_of(provenance) == []
    provenance["code"]["modified"] = True
    provenance["calibrations_not_applied"] = ["jets", "met"]
    provenance["run_options"]["limit-files"]["value"] = 2
    provenance["image"] = {"mixed": [{"digest": "a"}, {"digest": "b"}]}
    provenance["host"] = {"mixed": ["a", "b"]}
    assert warnings_of(provenance) == [
        "The code differs from the commit that is recorded.",
        "Calibrations not applied: jets, met.",
        "Files or chunks were left out on purpose: limit-files.",
        "The merged outputs were not made alike: image.",
    ]
    assert "no provenance" in warnings_of({})[0]


def test_values_are_shown_as_people_write_them():
    assert [shown(value) for value in (True, None, [1, "a"], [], {"a": 1}, 2.5)] == [
        "yes",
        "–",
        "1, a",
        "–",
        '{"a": 1}',
        "2.5",
    ]
