"""Delayed branches in the event loop."""

from __future__ import annotations

import awkward as ak
import numpy as np

from pocket_coffea.lib.hist_manager import Axis, HistConf
from pocket_coffea.workflows.base import BaseProcessorABC


class Delayed(BaseProcessorABC):
    """Registers a branch and remembers for which events it was computed."""

    computed: list = []  # noqa: RUF012  shared by the copies, on purpose

    def __init__(self, cfg):
        super().__init__(cfg)
        self.delayed_branches.register("score", self.compute, default_value=-1.0)

    def compute(self, events):
        type(self).computed.extend(np.asarray(events.event).tolist())
        return events.MET.pt * 2

    def apply_object_preselection(self, variation):
        self.events["JetGood"] = self.events.Jet[self.events.Jet.pt > 30]

    def count_objects(self, variation):
        self.events["nJetGood"] = ak.num(self.events.JetGood)


def test_branch_is_computed_once_for_events_in_a_category(make_config, analysis):
    Delayed.computed.clear()
    axis = Axis(coll="events", field="score", bins=25, start=-10, stop=490, label="score")
    config = make_config(
        Delayed,
        preselections=[analysis.met_above(10)],
        categories={"2j": [analysis.at_least(2)], "3j": [analysis.at_least(3)]},
        variables={"score": HistConf([axis])},
    )
    (events,) = analysis.chunks(config, 400)
    output = config.processor_instance.process(events)
    met = np.asarray(events.MET.pt)
    inside = (np.asarray(ak.sum(events.Jet.pt > 30, axis=1)) >= 2) & (met > 10)
    assert 0 < inside.sum() < 400
    assert sorted(Delayed.computed) == sorted(np.asarray(events.event)[inside].tolist())
    histogram = output["variables"]["score"]["DY"]["DY_2018"][{"cat": "2j", "variation": "nominal"}]
    expected, _ = np.histogram(
        met[inside] * 2, bins=25, range=(-10, 490), weights=np.asarray(events.genWeight)[inside]
    )
    np.testing.assert_allclose(histogram.values(), expected, rtol=1e-6)
