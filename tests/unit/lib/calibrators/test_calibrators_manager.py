"""Applying calibrators, their variations, and undoing them exactly."""

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from pocket_coffea.errors import MissingBranch, PhysicsNotAvailable, ProcessingError
from pocket_coffea.lib.calibrators import Calibrator, CalibratorsManager, ShapeVariation
from pocket_coffea.lib.calibrators.common import JetsCalibrator, default_calibrators_sequence

METADATA = {"isMC": True, "year": "2018", "sample": "TT"}


@pytest.fixture
def events():
    return ak.Array(
        {
            "event": [1, 2, 3],
            "Jet": ak.Array(
                [[{"pt": 10.0, "eta": 1.0}], [], [{"pt": 20.0, "eta": 0.0}, {"pt": 5.0, "eta": 2.0}]]
            ),
            "MET": ak.Array([{"pt": 1.0, "phi": 0.1}, {"pt": 2.0, "phi": 0.2}, {"pt": 3.0, "phi": 0.3}]),
        }
    )


class Named(Calibrator):
    """Adds nothing; base of those below, so that they need only calibrate()."""

    def initialize(self, events):
        pass


class JetScale(Named):
    name = "tm_jets"
    has_variations = True
    _variations = ("jetsUp", "jetsDown")
    calibrated_collections = ("Jet",)

    def calibrate(self, events, originals, variation, already_applied_calibrators=None):
        factor = {"jetsUp": 3.0, "jetsDown": 1.5}.get(variation, 2.0)
        jets = events["Jet"][:]
        jets["pt"] = jets["pt"] * factor
        jets["factor"] = ak.full_like(jets["pt"], factor)
        return {"Jet": jets}


class MetFromJets(Named):
    """Depends on the calibrated jets and the original ones, and makes a new field and a new collection."""

    name = "tm_met"
    has_variations = True
    _variations = ("metUp", "metDown")
    calibrated_collections = ("MET.pt", "MET.pt_original", "Shift")

    def calibrate(self, events, originals, variation, already_applied_calibrators=None):
        assert already_applied_calibrators == ["tm_jets"]
        moved = ak.sum(events["Jet"]["pt"], axis=1) - ak.sum(originals["Jet"]["pt"], axis=1)
        extra = {"metUp": 100.0, "metDown": -100.0}.get(variation, 0.0)
        return {
            "MET.pt": events["MET"]["pt"] + moved + extra,
            "MET.pt_original": events["MET"]["pt"],
            "Shift": moved,
        }


class OnlyMC(Named):
    name = "tm_only_mc"
    isMC_only = True
    calibrated_collections = ("event",)

    def calibrate(self, events, originals, variation, already_applied_calibrators=None):
        return {"event": events["event"] + 100}


def manager(events, *calibrators, **options):
    return CalibratorsManager(
        list(calibrators), events, {}, METADATA | options.pop("metadata", {}), **options
    )


def snapshot(events):
    return {field: ak.to_list(events[field]) for field in events.fields}


def test_order_of_calibrators_and_of_variations(events):
    made = manager(events, JetScale, MetFromJets, OnlyMC)
    assert [c.name for c in made.calibrator_sequence] == ["tm_jets", "tm_met", "tm_only_mc"]
    assert made.available_variations == ["nominal", "jetsUp", "jetsDown", "metUp", "metDown"]
    assert made.get_available_variations("tm_met") == ["metUp", "metDown"]
    assert made.get_available_variations("tm_only_mc") == made.get_available_variations("unknown") == []
    assert list(made.calibrated_collections) == ["Jet", "MET.pt", "MET.pt_original", "Shift", "event"]
    assert [c.name for c in made.calibrated_collections["Jet"]] == ["tm_jets"]


def test_later_calibrators_see_calibrated_objects_in_every_variation(events):
    made = manager(events, JetScale, MetFromJets)
    seen = {
        name: (ak.to_list(ev["Jet"]["pt"]), ak.to_list(ev["MET"]["pt"]))
        for name, ev in made.calibration_loop(events)
    }
    assert list(seen) == ["nominal", "jetsUp", "jetsDown", "metUp", "metDown"]
    assert seen["nominal"] == ([[20], [], [40, 10]], [11, 2, 28])
    assert seen["jetsUp"] == ([[30], [], [60, 15]], [21, 2, 53])
    assert seen["metDown"] == ([[20], [], [40, 10]], [-89, -98, -72])


def test_the_loop_restores_exactly(events):
    before, fields = snapshot(events), list(events.fields)
    made = manager(events, JetScale, MetFromJets, OnlyMC)
    for variation, same in made.calibration_loop(events):
        assert same is events
        assert "factor" in events["Jet"].fields
        assert "pt_original" in events["MET"].fields
        assert "Shift" in events.fields
        events["JetGood"] = events["Jet"][events["Jet"]["pt"] > 12]
        assert variation in made.available_variations
    assert snapshot(events["JetGood"][:1]) is not None
    assert list(events.fields) == [*fields, "JetGood"]  # what hooks add stays
    assert {field: ak.to_list(events[field]) for field in fields} == before
    assert events["Jet"].fields == ["pt", "eta"]
    assert events["MET"].fields == ["pt", "phi"]


def test_originals_by_key(events):
    made = manager(events, JetScale, MetFromJets)
    jets, met = ak.to_list(events["Jet"]), ak.to_list(events["MET"]["pt"])
    made.calibrate(events, "jetsUp")
    assert set(made.original_coll) == {"Jet", "MET.pt"}
    assert ak.to_list(made.original_coll["Jet"]) == jets
    assert ak.to_list(made.original_coll["MET.pt"]) == met


def test_calibrating_twice_compounds_and_reset_restores(events):
    made = manager(events, JetScale)
    made.calibrate(events)
    made.calibrate(events)
    assert ak.to_list(events["Jet"]["pt"]) == [[40], [], [80, 20]]
    assert made.reset_events_to_original(events) is events
    assert ak.to_list(events["Jet"]["pt"]) == [[10], [], [20, 5]]


def test_fields_added_by_hooks_survive_where_only_fields_are_calibrated(events):
    class MetOnly(Named):
        name = "tm_met_only"
        calibrated_collections = ("MET.pt",)

        def calibrate(self, events, originals, variation, already_applied_calibrators=None):
            return {"MET.pt": events["MET"]["pt"] * 2}

    made = manager(events, MetOnly)
    original = events["MET"]
    for _ in made.calibration_loop(events):
        events["MET", "signif"] = np.array([7.0, 8.0, 9.0])
    assert events["MET"].fields == ["pt", "phi", "signif"]
    assert ak.to_list(events["MET"]["pt"]) == [1, 2, 3]
    assert ak.to_list(events["MET"]["signif"]) == [7, 8, 9]
    assert original.fields == ["pt", "phi"]


def test_leaving_the_loop_early_or_by_an_error_restores(events):
    made = manager(events, JetScale)
    loop = made.calibration_loop(events)
    next(loop)
    assert ak.to_list(events["Jet"]["pt"])[0] == [20]
    loop.close()
    assert ak.to_list(events["Jet"]["pt"])[0] == [10]


def test_choosing_variations(events):
    made = manager(events, JetScale, MetFromJets)

    def names(**options):
        return [variation for variation, _ in made.calibration_loop(events, **options)]

    assert names(variations=["metDown", "jetsUp"]) == ["nominal", "jetsUp", "metDown"]
    assert names(variations=[]) == names(variations_for_calibrators=[]) == ["nominal"]
    assert names(variations_for_calibrators=["tm_met"]) == ["nominal", "metUp", "metDown"]
    assert names(variations=["jetsUp"], variations_for_calibrators=["tm_met"]) == [
        *("nominal", "jetsUp", "metUp", "metDown"),
    ]
    with pytest.raises(ValueError, match=r"'jetUp' is unknown. Did you mean 'jetsUp'"):
        names(variations=["jetUp"])
    with pytest.raises(ValueError, match="'JER' is unknown"):
        made.calibrate(events, "JER")


def test_only_requested_variations(events):
    made = manager(events, JetScale, MetFromJets, requested_calibrator_variations=["tm_met"])
    assert [c.do_variations for c in made.calibrator_sequence] == [False, True]
    assert made.available_variations == ["nominal", "metUp", "metDown"]


def test_a_restricted_request(events):
    class Jets(Named):
        name = "tm_restricted"
        has_variations = True
        _variations = ("AK4_JES_TotalUp", "AK4_JES_TotalDown", "AK4_JERUp", "AK4_JERDown")

        def calibrate(self, events, originals, variation, already_applied_calibrators=None):
            return {}

    only = ShapeVariation("JER", "tm_restricted", "JER")
    made = manager(events, Jets, requested_calibrator_variations=[only])
    assert made.get_available_variations(only) == ["AK4_JERUp", "AK4_JERDown"]
    loop = made.calibration_loop(events, variations_for_calibrators=[only])
    assert [variation for variation, _ in loop] == ["nominal", "AK4_JERUp", "AK4_JERDown"]


def test_two_calibrators_with_the_same_variation_both_get_it(events):
    class SameName(Named):
        name = "tm_same_name"
        has_variations = True
        _variations = ("jetsUp", "otherUp")
        calibrated_collections = ("MET.phi",)

        def calibrate(self, events, originals, variation, already_applied_calibrators=None):
            return {"MET.phi": events["MET"]["phi"] + (10 if variation == "jetsUp" else 0)}

    made = manager(events, JetScale, SameName)
    assert made.available_variations == ["nominal", "jetsUp", "jetsDown", "otherUp"]
    assert made.get_available_variations("tm_same_name") == ["jetsUp", "otherUp"]
    made.calibrate(events, "jetsUp")
    assert ak.to_list(events["MET"]["phi"]) == [10.1, 10.2, 10.3]
    assert ak.to_list(events["Jet"]["pt"])[0] == [30]


def test_data_and_extra_arguments(events):
    class Extra(OnlyMC):
        name = "tm_extra"
        isMC_only = False

        def __init__(self, params, metadata, do_variations=True, factory=None, **kwargs):
            super().__init__(params, metadata, do_variations, **kwargs)
            self.factory = factory

    made = manager(events, OnlyMC, Extra, metadata={"isMC": "False"}, factory="jme")
    assert [(c.name, c.factory) for c in made.calibrator_sequence] == [("tm_extra", "jme")]


def test_initialize_may_declare_and_sees_uncalibrated_events(events):
    class Late(Calibrator):
        name = "tm_late"
        has_variations = True

        def initialize(self, events):
            self.first_pt = ak.to_list(events["Jet"]["pt"])[0]
            self._variations = ["lateUp"]
            self.calibrated_collections = ["MET"]

        def calibrate(self, events, originals, variation, already_applied_calibrators=None):
            return {"MET": ak.zip({"pt": events["MET"]["pt"] * 0})}

    made = manager(events, JetScale, Late)
    assert made.calibrator_sequence[1].first_pt == [10]
    made.calibrate(events, "lateUp")
    assert events["MET"].fields == ["pt"]
    made.reset_events_to_original(events)
    assert events["MET"].fields == ["pt", "phi"]


@pytest.mark.parametrize(
    ("returned", "error", "match"),
    [
        (
            {"Muon": 1},
            ValueError,
            "returned 'Muon', which is not in its calibrated_collections: MET, Nothing.pt",
        ),
        ({"MET": np.ones(2)}, ProcessingError, "returned 'MET' with 2 entries for 3 events"),
        ({"MET": 1.0}, ProcessingError, "'MET' with no .float. entries"),
        ({"Nothing.pt": np.ones(3)}, MissingBranch, "no collection 'Nothing'. Allowed: Jet, MET, event"),
        (None, TypeError, "returned a NoneType, not a dictionary"),
    ],
)
def test_wrong_results(events, returned, error, match):
    class Wrong(Named):
        name = "tm_wrong"
        calibrated_collections = ("MET", "Nothing.pt")

        def calibrate(self, events, originals, variation, already_applied_calibrators=None):
            return returned

    with pytest.raises(error, match=match):
        manager(events, Wrong).calibrate(events)


def test_values_for_other_objects(events):
    class Dropped(Named):
        name = "tm_dropped"
        calibrated_collections = ("Jet.pt",)

        def calibrate(self, events, originals, variation, already_applied_calibrators=None):
            return {"Jet.pt": events["Jet"]["pt"][events["Jet"]["pt"] > 7]}

    before = snapshot(events)
    made = manager(events, Dropped)
    with pytest.raises(ProcessingError, match=r"'tm_dropped' returned 'Jet.pt', which does not fit.*whole"):
        made.calibrate(events)
    made.reset_events_to_original(events)
    assert snapshot(events) == before


def test_calibrate_must_not_modify_the_events(events):
    class InPlace(Named):
        name = "tm_in_place"

        def calibrate(self, events, originals, variation, already_applied_calibrators=None):
            events["Jet", "pt"] = events["Jet"]["pt"] * 2
            return {}

    with pytest.raises(ValueError, match=r"'tm_in_place' modified the events"):
        manager(events, InPlace).calibrate(events)


@pytest.mark.parametrize("method", ["initialize", "calibrate"])
def test_errors_say_which_calibrator(events, method):
    class Failing(Named):
        name = "tm_failing"

        def calibrate(self, events, originals, variation, already_applied_calibrators=None):
            return {}

    def fail(*args):
        raise KeyError("2018")

    broken = type(Calibrator)("Broken", (Failing,), {method: fail})
    with pytest.raises(KeyError) as caught:
        manager(events, broken).calibrate(events)
    assert "'tm_failing'" in caught.value.__notes__[0]


def test_a_constructor_that_does_not_take_the_arguments_is_named(events):
    class Short(OnlyMC):
        name = "tm_short"

        def __init__(self, params, metadata):
            super().__init__(params, metadata)

    with pytest.raises(TypeError, match="do_variations") as caught:
        manager(events, Short)
    assert "calibrator 'tm_short' (Short(params, metadata, do_variations=...))" in caught.value.__notes__[0]


def test_no_calibrators(events):
    before = snapshot(events)
    made = manager(events)
    assert [(variation, snapshot(ev)) for variation, ev in made.calibration_loop(events)] == [
        ("nominal", before)
    ]


# --- calibrators that come later


def test_the_default_sequence_is_skipped_with_one_warning(events, caplog):
    from pocket_coffea.lib.calibrators import availability

    availability._warned.clear()
    made = CalibratorsManager(None, events, {}, METADATA)
    CalibratorsManager(default_calibrators_sequence, events, {}, METADATA)
    assert made.calibrator_sequence == []
    assert made.available_variations == ["nominal"]
    assert made.not_applied == [
        *(
            "jet_calibration",
            "electron_scale_and_smearing",
            "muons_scale_and_resolution",
            "met_type1_calibration",
        ),
    ]
    assert len(caplog.records) == 1
    assert "keep the calibration of the NanoAOD production. Set calibrators=[]" in caplog.text


def test_the_default_sequence_with_one_of_the_analysis(events):
    made = CalibratorsManager([*default_calibrators_sequence, JetScale], events, {}, METADATA)
    assert [c.name for c in made.calibrator_sequence] == ["tm_jets"]
    assert len(made.not_applied) == 4


def test_asking_for_one_that_comes_later_is_an_error(events):
    with pytest.raises(
        PhysicsNotAvailable, match=r"'jet_calibration': the calibration of jets .* is not in this"
    ):
        CalibratorsManager([JetsCalibrator], events, {}, METADATA)
    with pytest.raises(PhysicsNotAvailable, match="Remove its variations from"):
        CalibratorsManager(None, events, {}, METADATA, requested_calibrator_variations=["jet_calibration"])


# --- real NanoAOD events, read from the file only when they are used


class VirtualMet(Named):
    name = "tm_virtual"
    calibrated_collections = ("MET.pt", "Jet", "New")

    def calibrate(self, events, originals, variation, already_applied_calibrators=None):
        size = len(events)
        return {"MET.pt": np.zeros(size), "Jet": events["Electron"], "New": np.ones(size)}


@pytest.mark.filterwarnings("ignore:Missing cross-reference:RuntimeWarning")
def test_reset_reads_nothing_from_the_file(sample_file):
    accessed = []
    factory = NanoEventsFactory.from_root(
        {str(sample_file("v9").path): "Events"},
        schemaclass=NanoAODSchema,
        mode="virtual",
        access_log=accessed,
    )
    events = factory.events()
    fields, jet_fields = list(events.fields), events["Jet"].fields
    made = manager(events, VirtualMet)
    made.calibrate(events)
    assert "New" in events.fields
    read = len(accessed)
    made.reset_events_to_original(events)
    assert len(accessed) == read
    assert sorted(events.fields) == sorted(fields)
    branches = {str(access) for access in accessed}
    assert not any("Jet_" in access for access in branches), branches
    assert not events["Jet"].layout.is_any_materialized
    assert ak.max(events["MET"]["pt"]) > 0
    assert events["Jet"].fields == jet_fields
    assert "btagDeepFlavB" in jet_fields
