"""Definitions of calibrators, random seeds."""

import hashlib

import pytest

from pocket_coffea.lib.calibrators import Calibrator, get_random_seed

METADATA = {"isMC": "True", "year": "2018"}


class Scale(Calibrator):
    name = "tc_scale"
    has_variations = True
    _variations = ("scaleUp", "scaleDown")
    calibrated_collections = ("Jet.pt",)

    def initialize(self, events):
        self._variations.append("extraUp")
        self.calibrated_collections.append("Jet")

    def calibrate(self, events, orig, variation, already_applied_calibrators=None):
        return {}


def test_what_an_instance_changes_stays_in_the_instance():
    first = Scale({"a": 1}, METADATA)
    first.initialize(None)
    assert first.variations == ["scaleUp", "scaleDown", "extraUp"]
    assert first.calibrated_collections == ["Jet.pt", "Jet"]
    assert Scale(None, METADATA).variations == ["scaleUp", "scaleDown"]
    assert (first.params, first.isMC, first.year, first.do_variations) == ({"a": 1}, True, "2018", True)


@pytest.mark.parametrize("metadata", [None, {}, {"isMC": True}, {"year": "2018"}])
def test_metadata_is_needed(metadata):
    with pytest.raises(ValueError, match=r"'tc_scale' needs isMC and year .* no (isMC|year)"):
        Scale({}, metadata)


def test_data_spelled_as_a_string():
    assert Scale({}, {"isMC": "False", "year": "2018"}).isMC is False


def test_serialize_describes_the_class():
    described = Scale.serialize()
    assert described["class"] == {"name": "Scale", "module": Scale.__module__, "src_file": __file__}
    assert described["name"] == "tc_scale"
    assert described["variations"] == ["scaleUp", "scaleDown"]
    assert described["calibrated_collections"] == ["Jet.pt"]
    assert described == Scale(None, METADATA).serialize()


def test_abstract_methods():
    incomplete = type(Calibrator)("Incomplete", (Calibrator,), {"name": "tc_incomplete"})
    with pytest.raises(TypeError, match="abstract"):
        incomplete({}, METADATA)


def test_a_name_twice_raises():
    with pytest.raises(ValueError, match="calibrator 'tc_scale' is defined twice"):

        class Other(Scale.__base__):
            name = "tc_scale"

    assert Calibrator.calibrator_classes["tc_scale"] is Scale


def test_random_seed():
    metadata = {"fileuuid": "abc-def", "entrystart": 0, "entrystop": 100, "dataset": "TT"}
    expected = int(hashlib.sha256(b"abc-def-0-100-jer").hexdigest()[:8], 16)
    assert get_random_seed(metadata, "jer") == expected
    assert get_random_seed(metadata, "jer") != get_random_seed(metadata, "muon")
    assert get_random_seed(metadata | {"entrystop": 101}, "jer") != expected
    with pytest.raises(ValueError, match=r"no entrystop: pass events.metadata"):
        get_random_seed({"fileuuid": "a", "entrystart": 0})
