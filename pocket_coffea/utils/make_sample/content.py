"""Turn simulated events into the branches of a NanoAOD flavour.

What an analysis cuts on gets physics; every other branch gets numbers of the right type and size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import awkward as ak
import numpy as np
import yaml

from pocket_coffea.utils.make_sample.detector import Jagged, Reconstruction
from pocket_coffea.utils.make_sample.objects import MEAN_COUNTS, flat_physics, object_physics
from pocket_coffea.utils.make_sample.processes import GeneratedEvents

__all__ = ["DTYPES", "FLAVOURS", "EventBlock", "branch_arrays", "flavour_content"]

FLAVOURS = ("v9", "v12", "v15")
DTYPES = {
    "f": "float32",
    "?": "bool",
    "b": "int8",
    "B": "uint8",
    "h": "int16",
    "H": "uint16",
    "i": "int32",
    "I": "uint32",
    "L": "uint64",
}
POOL_SIZE = 1 << 17

#: Left out first (in this order) when fewer branches are asked for than the flavour has.
DROP_ORDER = (
    *("boostedTau", "LowPtElectron", "Tau", "FsrPhoton", "IsoTrack", "SoftActivityJet", "GenProton"),
    *("SubJet", "Photon", "GenVisTau", "GenDressedLepton", "GenIsolatedPhoton", "SubGenJetAK8", "GenJetAK8"),
    *("FatJet", "SV", "OtherPV", "LHEPart", "LHEReweightingWeight", "LHEPdfWeight", "CorrT1METJet", "HTXS"),
    *("TrigObj", "ChsMET", "CaloMET", "TkMET", "DeepMETResolutionTune", "DeepMETResponseTune", "Generator"),
)


@dataclass
class EventBlock:
    """One block of simulated events. ``gen`` is None for collision data.

    event_number, lumi_block, run: (n,); triggers: {HLT name: (n,) bool}.
    """

    gen: GeneratedEvents | None
    reco: Reconstruction
    run: Any
    lumi_block: Any
    event_number: Any
    triggers: dict[str, Any]

    def __len__(self) -> int:
        return len(self.event_number)


@cache
def _tables() -> dict[str, Any]:
    text = files("pocket_coffea.utils.make_sample").joinpath("branches.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def _parse(text: str, forbidden: frozenset[str]) -> dict[str, str]:
    pairs = (item.rsplit(":", 1) for item in text.split())
    return {name: code for name, code in pairs if name not in forbidden}


def _trim(groups: dict[str, dict[str, str]], n_branches: int) -> dict[str, dict[str, str]]:
    """Drop whole groups in ``DROP_ORDER`` until at most ``n_branches`` branches are left."""
    total = sum(len(fields) + 1 for fields in groups.values())
    for name in DROP_ORDER:
        if total <= n_branches:
            break
        total -= len(groups.pop(name, {})) + 1
    return groups


@cache
def flavour_content(flavour: str, is_mc: bool, n_branches: int) -> tuple[dict, dict, tuple[str, ...]]:
    """Return ({collection: {field: type}}, {group: {field: type}}, HLT names) of a flavour.

    About ``n_branches`` branches in all: trigger names fill up, rarely used collections go first.
    """
    tables = _tables()
    absent = frozenset() if is_mc else frozenset(tables["simulation_only"].split())
    no_fields = frozenset() if is_mc else frozenset(tables["simulation_only_fields"].split())
    table = tables[flavour]
    jagged = {k: _parse(v, no_fields) for k, v in table["collections"].items() if k not in absent}
    flat = {k: _parse(v, no_fields) for k, v in table["flat"].items() if k not in absent}
    kept = _trim(jagged | flat, n_branches - 20)
    jagged = {k: v for k, v in jagged.items() if k in kept}
    flat = {k: v for k, v in flat.items() if k in kept}
    used = sum(len(v) + 1 for v in jagged.values()) + sum(len(v) for v in flat.values()) + 3
    names = tuple(tables["hlt_names"].split())
    return jagged, flat, names[: max(15, n_branches - used)]


class _Filler:
    """Numbers for branches that no analysis in this project looks at, drawn from one shared pool."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        # ten bits of mantissa, as NanoAOD keeps
        floats = rng.normal(0, 1, POOL_SIZE).astype("float32")
        self._floats = (floats.view("uint32") & np.uint32(0xFFFFE000)).view("float32")
        self._bits = rng.uniform(size=POOL_SIZE) < 0.2
        self._small = rng.poisson(1.5, POOL_SIZE)

    def _take(self, pool: Any, n: int) -> Any:
        start = int(self._rng.integers(POOL_SIZE))
        if start + n <= POOL_SIZE:
            return pool[start : start + n]
        return np.resize(np.concatenate([pool[start:], pool[:start]]), n)

    def values(self, code: str, n: int) -> Any:
        pool = {"f": self._floats, "?": self._bits}.get(code, self._small)
        return self._take(pool, n).astype(DTYPES[code], copy=False)

    def kinematic(self, name: str, n: int) -> Any:
        """Values for fields whose meaning every collection shares (pt, eta, phi, mass, indices)."""
        if name.lower().endswith("pt"):
            return 10 + 25 * np.abs(self._take(self._floats, n))
        if name.endswith("eta"):
            return np.clip(1.2 * self._take(self._floats, n), -4.7, 4.7)
        if name.lower().startswith("phi") or name.endswith("phi"):
            return np.pi * np.tanh(self._take(self._floats, n))
        if name.endswith("mass"):
            return 5 * np.abs(self._take(self._floats, n))
        if "Idx" in name:
            return np.full(n, -1)
        return None


def _group_values(filler: _Filler, fields: dict[str, str], known: dict[str, Any], n: int) -> dict[str, Any]:
    out = {}
    for name, code in fields.items():
        values = known.get(name)
        if values is None:
            values = filler.kinematic(name, n)
        if values is None:
            values = filler.values(code, n)
        out[name] = np.asarray(values).astype(DTYPES[code], copy=False)
    return out


def _record(jagged: Jagged, fields: dict[str, Any]) -> Any:
    offsets = ak.index.Index64(np.concatenate([[0], np.cumsum(jagged.counts)]))
    names = list(fields)
    if names == [""]:
        return ak.Array(ak.contents.ListOffsetArray(offsets, ak.contents.NumpyArray(fields[""])))
    contents = [ak.contents.NumpyArray(np.ascontiguousarray(fields[name])) for name in names]
    record = ak.contents.RecordArray(contents, names)
    return ak.Array(ak.contents.ListOffsetArray(offsets, record))


def _filler_collection(rng: np.random.Generator, name: str, n: int) -> Jagged:
    mean = MEAN_COUNTS.get(name, 0.7)
    counts = np.full(n, int(-mean)) if mean < 0 else rng.poisson(mean, n)
    return Jagged(n, np.repeat(np.arange(n), counts), {})


def branch_arrays(
    rng: np.random.Generator, block: EventBlock, flavour: str, n_branches: int
) -> dict[str, Any]:
    """Return {branch or collection: array} of one block, ready for ``uproot``'s ``extend``."""
    n = len(block)
    filler = _Filler(rng)
    jagged_fields, flat_fields, hlt_names = flavour_content(flavour, block.gen is not None, n_branches)
    out: dict[str, Any] = {
        "run": np.asarray(block.run, "uint32"),
        "luminosityBlock": np.asarray(block.lumi_block, "uint32"),
        "event": np.asarray(block.event_number, "uint64"),
    }
    known = object_physics(rng, block.gen, block.reco)
    for name, fields in jagged_fields.items():
        collection = known.get(name) or _filler_collection(rng, name, n)
        values = _group_values(filler, fields, collection.fields, len(collection))
        out[name] = _record(collection, values)
    physics = flat_physics(rng, block.gen, block.reco)
    for group, fields in flat_fields.items():
        prefixed = {name: physics.get(f"{group}_{name}" if name else group) for name in fields}
        values = _group_values(filler, fields, prefixed, n)
        out |= {(f"{group}_{name}" if name else group): array for name, array in values.items()}
    for name in hlt_names:
        bits = block.triggers.get(name)
        out[f"HLT_{name}"] = bits if bits is not None else filler.values("?", n) & filler.values("?", n)
    return out
