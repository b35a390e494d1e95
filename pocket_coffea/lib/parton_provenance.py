"""Where the partons of ttH, tt + bb and tt events come from.

Labels: 1 Higgs (in tt + bb the additional b pair), 2 b of a top whose W decayed to quarks, 3 b of a top whose
W decayed to leptons, 4 radiation, 5 quark of a W, -1 none. A W+ is an up-type quark with a down-type
antiquark, a W- the opposite. Where more quarks fit, the later ones win, because decay products follow
radiation in the event record; for the same reason the last b of each sign is the one of the top.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.lib.flat import Flat
from pocket_coffea.lib.kernels import compiled
from pocket_coffea.types import Array

__all__ = [
    "get_partons_provenance_tt5F",
    "get_partons_provenance_ttHbb",
    "get_partons_provenance_ttbb4F",
]


def _fill(pdg_ids: Array, array_builder: Any, higgs: bool, extra_bb: bool) -> Any:
    flat = Flat(ak.materialize(pdg_ids), "pdgIds")
    ids = flat.values().astype(np.int64)
    labels = np.full(len(ids), -1, dtype=np.int64)
    loops = compiled()
    loops.ttbar_partons(flat.offsets, ids, higgs, extra_bb, labels)
    return loops.fill_builder(flat.offsets, labels, array_builder)


def get_partons_provenance_ttHbb(pdgIds: Array, array_builder: ak.ArrayBuilder) -> ak.ArrayBuilder:
    """Label outgoing partons of ttH(bb); the last two of each event are the quarks of the Higgs.

    pdgIds: integers, (n_events, var). Appends one list of labels per event to ``array_builder`` and returns
    it.
    """
    return _fill(pdgIds, array_builder, higgs=True, extra_bb=False)


def get_partons_provenance_ttbb4F(pdgIds: Array, array_builder: ak.ArrayBuilder) -> ak.ArrayBuilder:
    """Label outgoing partons of tt + bb (four-flavour scheme); the first b of each sign belongs to the extra
    pair.

    pdgIds: integers, (n_events, var). Appends one list of labels per event to ``array_builder`` and returns
    it.
    """
    return _fill(pdgIds, array_builder, higgs=False, extra_bb=True)


def get_partons_provenance_tt5F(pdgIds: Array, array_builder: ak.ArrayBuilder) -> ak.ArrayBuilder:
    """Label outgoing partons of tt (five-flavour scheme).

    pdgIds: integers, (n_events, var). Appends one list of labels per event to ``array_builder`` and returns
    it.
    """
    return _fill(pdgIds, array_builder, higgs=False, extra_bb=False)
