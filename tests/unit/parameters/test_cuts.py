"""The cut that keeps everything."""

import awkward as ak

from pocket_coffea.lib.cut_functions import passthrough_f
from pocket_coffea.parameters.cuts import passthrough


def test_passthrough_keeps_every_event():
    events = ak.Array({"x": [1, 2, 3]})
    mask = passthrough.get_mask(events, {}, year="2018", sample="s", isMC=True)
    assert mask.tolist() == [True, True, True]
    assert passthrough.get_mask(events[:0], {}).tolist() == []


def test_passthrough_identity():
    assert passthrough.name == "passthrough"
    assert passthrough.params == {}
    assert passthrough.collection == "events"
    assert passthrough.function is passthrough_f
    assert passthrough.id.startswith("passthrough__")
