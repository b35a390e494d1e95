"""Order of the hooks, what they may rely on, and errors that say where they come from."""

from __future__ import annotations

import pickle

import awkward as ak
import cloudpickle
import numpy as np
import pytest
from coffea.nanoevents import NanoEventsFactory

from pocket_coffea.errors import InvalidType, InvalidValue, MissingBranch, ProcessingError
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.hist_manager import Axis, HistConf
from pocket_coffea.parameters.histograms import processing_metadata_hists
from pocket_coffea.workflows.base import BaseProcessorABC

HOOKS_BEFORE = ["load_metadata_extra", "process_extra_before_skim", "process_extra_after_skim"]
HOOKS_DEFINE = ["define_custom_axes_extra", "define_histograms_extra", "define_column_accumulators_extra"]
HOOKS_LOOP = [
    "process_extra_after_calibrators",
    "apply_object_preselection",
    "count_objects",
    "define_common_variables_before_presel",
    "process_extra_before_presel",
    "define_common_variables_after_presel",
    "process_extra_after_presel",
    "compute_weights_extra",
    "fill_histograms_extra",
    "fill_column_accumulators_extra",
]


class JetShift(Calibrator):
    """Jet pt up and down by 20 %."""

    name = "workflow_test_jet_shift"
    has_variations = True
    isMC_only = True
    calibrated_collections = ("Jet.pt",)

    def initialize(self, events):
        self._variations = ["shiftUp", "shiftDown"]

    def calibrate(self, events, events_original_collections, variation, already_applied_calibrators=None):
        factor = {"shiftUp": 1.2, "shiftDown": 0.8}.get(variation, 1.0)
        return {"Jet.pt": events.Jet.pt * factor}


SHAPES = {"shape": {"common": {"inclusive": [JetShift.name]}}}


def recording(base):
    """Return a workflow that writes down every hook call."""
    calls = []

    def make(name):
        def hook(self, **arguments):
            calls.append((name, arguments.get("variation")))
            return getattr(base, name)(self, **arguments)

        return hook

    names = [*HOOKS_BEFORE, *HOOKS_DEFINE, *HOOKS_LOOP]
    return type("Recording", (base,), {name: make(name) for name in names}), calls


def first_chunk(analysis, config, size=150):
    return next(iter(analysis.chunks(config, size)))


def test_hooks_run_in_the_documented_order_for_every_variation(make_config, analysis):
    workflow, calls = recording(analysis.SmallProcessor)
    config = make_config(workflow, calibrators=[JetShift], variations=SHAPES)
    config.processor_instance.process(first_chunk(analysis, config))
    expected = [(name, None) for name in [*HOOKS_BEFORE, *HOOKS_DEFINE]]
    for variation in ("nominal", "shiftUp", "shiftDown"):
        expected += [(name, variation) for name in HOOKS_LOOP]
    assert calls == expected


def test_workflow_without_a_mandatory_hook_is_refused_by_name(make_config):
    class Incomplete(BaseProcessorABC):
        def count_objects(self, variation):
            pass

    with pytest.raises(InvalidType, match=r"Incomplete.*apply_object_preselection"):
        Incomplete(None)
    with pytest.raises(TypeError):
        Incomplete(None)


def test_chunk_without_survivors_of_the_skim_stops_there(make_config, analysis):
    workflow, calls = recording(analysis.SmallProcessor)
    config = make_config(workflow, skim=[analysis.met_above(1e9)])
    output = config.processor_instance.process(first_chunk(analysis, config))
    assert calls == [(name, None) for name in HOOKS_BEFORE[:2]]
    assert output["cutflow"]["initial"] == {"DY_2018": 150}
    assert output["cutflow"]["skim"] == {"DY_2018": 0}
    assert output["cutflow"]["presel"] == {}
    assert output["sum_genweights"]["DY_2018"] != 0
    assert output["variables"] == {"met": {}}
    assert config.processor_instance.has_events is False


def test_pass_without_preselected_events_is_counted_and_skipped(make_config, analysis):
    workflow, calls = recording(analysis.SmallProcessor)
    config = make_config(workflow, preselections=[analysis.met_above(1e9)])
    output = config.processor_instance.process(first_chunk(analysis, config))
    assert output["cutflow"]["presel"] == {"DY_2018": {"nominal": 0}}
    assert output["cutflow"]["all"] == {}
    assert ("process_extra_before_presel", "nominal") in calls
    assert ("define_common_variables_after_presel", "nominal") not in calls
    assert output["variables"]["met"]["DY"]["DY_2018"].sum(flow=True).value == 0


def test_fields_before_the_preselection_persist_and_later_ones_do_not(make_config, analysis):
    seen = []

    class Fields(analysis.SmallProcessor):
        def process_extra_after_calibrators(self, variation):
            seen.append((variation, "early" in self.events.fields, "late" in self.events.fields))

        def process_extra_before_presel(self, variation):
            self.events["early"] = np.ones(self.nevents)

        def define_common_variables_after_presel(self, variation):
            self.events["late"] = np.ones(self.nevents)

    config = make_config(Fields, calibrators=[JetShift], variations=SHAPES)
    config.processor_instance.process(first_chunk(analysis, config))
    assert seen[0] == ("nominal", False, False)
    assert sorted(seen[1:]) == [("shiftDown", True, False), ("shiftUp", True, False)]


def test_debug_calibrators_logs_what_changed(make_config, analysis, caplog):
    options = {"debug_calibrators": True}
    config = make_config(calibrators=[JetShift], variations=SHAPES, workflow_options=options)
    events = first_chunk(analysis, config)
    with caplog.at_level("INFO"):
        config.processor_instance.process(events)
    lines = [record.getMessage() for record in caplog.records if "debug_calibrators" in record.getMessage()]
    assert [line.split("variation ")[1].split(":")[0] for line in lines] == [
        "nominal",
        "shiftUp",
        "shiftDown",
    ]
    after, before = (float(part.split()[-1]) for part in lines[1].rsplit(",", 1))
    assert "Jet.pt (by workflow_test_jet_shift)" in lines[1]
    assert after == pytest.approx(1.2 * before, rel=1e-4)


def test_events_given_by_the_caller_are_left_as_they_are(make_config, analysis):
    config = make_config(calibrators=[JetShift], variations=SHAPES)
    events = first_chunk(analysis, config)
    fields, pt = list(events.fields), ak.to_list(events.Jet.pt)
    config.processor_instance.process(events)
    assert list(events.fields) == fields
    assert ak.to_list(events.Jet.pt) == pt


def test_shape_variations_change_jets_and_are_put_back(make_config, analysis):
    config = make_config(
        calibrators=[JetShift],
        variations=SHAPES,
        preselections=[],
        variables={
            "njet": HistConf([Axis(coll="events", field="nJetGood", bins=10, start=0, stop=10, label="n")])
        },
    )
    events = first_chunk(analysis, config)
    output = config.processor_instance.process(events)
    counts = {}
    for variation, factor in (("nominal", 1.0), ("shiftUp", 1.2), ("shiftDown", 0.8)):
        jets = ak.sum(events.Jet.pt * np.float32(factor) > 30, axis=1)
        counts[variation] = int(ak.sum(jets >= 2))
        found = output["cutflow"]["2j"]["DY_2018"]["DY"][variation]
        assert abs(found - counts[variation]) <= 1  # float32 rounding at the threshold
    assert counts["shiftDown"] < counts["nominal"] < counts["shiftUp"]
    axis = output["variables"]["njet"]["DY"]["DY_2018"].axes["variation"]
    assert list(axis) == ["nominal", "shiftDown", "shiftUp"]


class Accumulating(BaseProcessorABC):
    """A workflow that changes itself in every chunk, as users do."""

    def __init__(self, cfg):
        super().__init__(cfg)
        self.notes = {"chunks": []}
        self.delayed_branches.register("late", lambda events: events.MET.pt * 2, default_value=-1.0)

    def apply_object_preselection(self, variation):
        self.events["JetGood"] = self.events.Jet[self.events.Jet.pt > 30]

    def count_objects(self, variation):
        self.events["nJetGood"] = ak.num(self.events.JetGood)

    def define_custom_axes_extra(self):
        self.custom_axes += [
            Axis(coll="metadata", field="year", bins=["2018"], type="strcat", name="year", label="y")
        ]
        self.notes["chunks"].append(len(self.custom_axes))

    def process_extra_after_presel(self, variation):
        self.custom_histogram_fields["twice"] = self.events.MET.pt * 2
        self.flag = getattr(self, "flag", 0) + 1

    def fill_histograms_extra(self, variation):
        self.output["flags"] = {
            "flag": self.flag,
            "axes": len(self.custom_axes),
            "notes": len(self.notes["chunks"]),
        }


def test_one_instance_for_all_chunks_gives_what_fresh_copies_give(make_config, analysis):
    config = make_config(
        Accumulating,
        variables={
            "met": analysis.met_hist(),
            "twice": HistConf([Axis(coll="custom", field="twice", bins=20, start=0, stop=400, label="t")]),
            "late": HistConf([Axis(coll="events", field="late", bins=20, start=0, stop=400, label="l")]),
        },
    )
    fresh = analysis.run(config, fresh=True, postprocess=False)
    reused = analysis.run(config, fresh=False, postprocess=False)
    assert fresh["flags"] == {"flag": 3, "axes": 3, "notes": 3}  # three chunks, one of each
    assert reused["flags"] == fresh["flags"]
    assert reused["cutflow"] == fresh["cutflow"]
    assert reused["sumw"] == fresh["sumw"]
    for name in ("met", "twice", "late"):
        assert reused["variables"][name]["DY"]["DY_2018"] == fresh["variables"][name]["DY"]["DY_2018"]


def test_processor_pickles_after_a_chunk_without_its_events(make_config, analysis):
    config = make_config(Accumulating)
    before = len(cloudpickle.dumps(config.processor_instance))
    config.processor_instance.process(first_chunk(analysis, config))
    copy = cloudpickle.loads(cloudpickle.dumps(config.processor_instance))
    assert copy.events is None
    assert copy.custom_axes == []
    assert len(cloudpickle.dumps(config.processor_instance)) < before * 1.2


def failing(base, hook, action):
    return type("Failing", (base,), {hook: lambda self, variation: action(self)})


@pytest.mark.parametrize(
    ("action", "suggestion"),
    [
        (lambda self: self.events.Muons, "'Muon'"),
        (lambda self: self.events["Muons"], "'Muon'"),
        (lambda self: self.events.Jet.ptt, "Jet"),
        (lambda self: self.events.Jet["btagDeepFlav"], "btagDeepFlavB"),
    ],
)
def test_missing_field_names_hook_file_and_nearest_fields(make_config, analysis, action, suggestion):
    config = make_config(failing(analysis.SmallProcessor, "count_objects", action))
    events = list(analysis.chunks(config))[1]
    with pytest.raises(MissingBranch) as caught:
        config.processor_instance.process(events)
    message = str(caught.value)
    assert "count_objects() , variation" not in message
    assert "count_objects(), variation 'nominal'" in message
    assert "dataset 'DY_2018'" in message
    assert str(events.metadata["filename"]) in message
    assert "entries 150-300" in message
    assert suggestion in message
    assert caught.value.__cause__ is not None


def test_any_other_error_keeps_its_cause_and_pickles(make_config, analysis):
    def action(self):
        return {}["nothing"]

    config = make_config(failing(analysis.SmallProcessor, "process_extra_after_presel", action))
    with pytest.raises(
        ProcessingError, match=r"KeyError: 'nothing'(.|\n)*process_extra_after_presel"
    ) as caught:
        config.processor_instance.process(first_chunk(analysis, config))
    assert isinstance(caught.value.__cause__, KeyError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is ProcessingError
    assert str(again) == str(caught.value)


def test_error_in_a_cut_says_which_cut(make_config, analysis):
    config = make_config(preselections=[analysis.at_least(1, field="nJetGod")])
    with pytest.raises(MissingBranch) as caught:
        config.processor_instance.process(first_chunk(analysis, config))
    assert "nJetGod_min1" in str(caught.value)
    assert "'nJetGood'" in str(caught.value)


def test_metadata_of_simulation_and_data(make_config, analysis):
    config = make_config(
        datasets={
            "DY_2018": ("DY", "dy", 400, {"part": "M50", "nano_version": "9"}),
            "D_2018": ("D", "data_singlemuon", 50, {}),
        }
    )
    simulated, *_, data = analysis.chunks(config, 400)
    processor = config.processor_instance
    processor.process(simulated)
    assert (processor._isMC, processor._era, processor._samplePart, processor._year) == (
        True,
        "MC",
        "M50",
        "2018",
    )
    assert processor.nano_version == 9
    assert isinstance(processor.nano_version, int)
    assert float(processor._xsec) > 0
    output = processor.process(data)
    assert (processor._isMC, processor._era, processor._xsec, processor._samplePart) == (
        False,
        "A",
        None,
        None,
    )
    assert output["sum_genweights"] == {}
    assert output["sumw"]["all"] == {}
    assert output["cutflow"]["all"]["D_2018"] == {"D": {"nominal": 50}}
    assert set(processor._metadata) == {
        *("year", "sample", "samplePart", "dataset", "isMC", "isSkim", "era", "nano_version")
    }


def test_data_without_era_is_refused(make_config, analysis):
    config = make_config(datasets={"D_2018": ("D", "data_singlemuon", 50, {})})
    events = first_chunk(analysis, config)
    del events.metadata["era"]
    with pytest.raises(InvalidValue, match=r"D_2018.*era"):
        config.processor_instance.process(events)


@pytest.mark.filterwarnings("ignore:Missing cross-reference:RuntimeWarning")
def test_only_the_branches_that_are_used_are_read(make_config, analysis):
    config = make_config(preselections=[analysis.at_least(1)], calibrators=[JetShift], variations=SHAPES)
    ((dataset, entry),) = config.filesets.items()
    log = []
    metadata = {**entry["metadata"], "dataset": dataset, "filename": entry["files"][0]}
    factory = NanoEventsFactory.from_root(
        {entry["files"][0]: "Events"}, mode="virtual", metadata=metadata, access_log=log
    )
    config.processor_instance.process(factory.events())
    read = {access.branch for access in log}
    assert {"Jet_pt", "MET_pt", "genWeight", "nJet"} <= read
    assert len(read) < 15, sorted(read)


def test_selection_of_all_events_is_not_a_copy(make_config, analysis):
    layouts = []

    class Layouts(analysis.SmallProcessor):
        def process_extra_after_skim(self):
            layouts.append(self.events.layout.content("MET"))

        def process_extra_after_presel(self, variation):
            layouts.append(self.events.layout.content("MET"))

    config = make_config(Layouts)
    config.processor_instance.process(first_chunk(analysis, config))
    assert layouts[0] is layouts[1]


class OneAxisForAll(Accumulating):
    """Custom axes of both kinds: one value per event, one per dataset."""

    def define_custom_axes_extra(self):
        super().define_custom_axes_extra()
        self.custom_axes.append(
            Axis(coll="custom", field="twice", bins=4, start=0, stop=400, name="twice", label="t")
        )


def test_histograms_about_the_processing_get_the_custom_axes_that_hold_for_a_chunk(make_config, analysis):
    config = make_config(
        OneAxisForAll, variables={"met": analysis.met_hist(), **processing_metadata_hists(["all"], 400)}
    )
    output = analysis.run(config)
    presel = output["processing_metadata"]["events_per_chunk_presel"]["DY"]["DY_2018"]
    assert list(presel.axes.name) == ["cat", "variation", "year", "nevents"]
    assert presel[{"cat": "all", "year": "2018"}].sum() == 3  # chunks
    assert list(output["variables"]["met"]["DY"]["DY_2018"].axes.name)[2:4] == ["year", "twice"]


def test_processing_metadata_count_the_preselected_events_of_the_nominal_pass(make_config, analysis):
    config = make_config(
        calibrators=[JetShift],
        variations=SHAPES,
        preselections=[analysis.at_least(1)],
        variables={"met": analysis.met_hist(), **processing_metadata_hists(["all"], 400)},
    )
    output = config.processor_instance.process(first_chunk(analysis, config, size=400))
    preselected = output["cutflow"]["presel"]["DY_2018"]
    assert preselected["shiftDown"] < preselected["nominal"] < preselected["shiftUp"]
    axis = output["processing_metadata"]["events_per_chunk_presel"]["DY"]["DY_2018"]
    filled = axis[{"cat": "all"}].values()
    assert filled.sum() == 1
    low, high = axis.axes[-1][int(filled.argmax())]
    assert low <= preselected["nominal"] < high
