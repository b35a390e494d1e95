"""Generate blocks of events and write them as the clusters of one ROOT file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.errors import InvalidValue, did_you_mean
from pocket_coffea.utils.make_sample.content import FLAVOURS, EventBlock, branch_arrays
from pocket_coffea.utils.make_sample.detector import Reconstruction, reconstruct
from pocket_coffea.utils.make_sample.objects import trigger_bits
from pocket_coffea.utils.make_sample.processes import CROSS_SECTIONS, generate

__all__ = ["KINDS", "SampleInfo", "make_sample", "write_golden_json"]

#: kind -> trigger that selects the events of a primary dataset (None: simulation)
KINDS: dict[str, str | None] = {
    "dy": None,
    "ttbar": None,
    "data_singlemuon": "IsoMu24",
    "data_singleelectron": "Ele32_WPTight_Gsf",
}
FIRST_RUN = {"v9": 315257, "v12": 355862, "v15": 380001}
LUMI_BLOCKS = 60
DATA_BATCH = 20_000


@dataclass
class SampleInfo:
    """What was written: xsec in pb (0 for data), lumi_pb the luminosity that the data stand for (0 for
    simulation), lumi_blocks {run: last luminosity block}."""

    path: str
    flavour: str
    kind: str
    n_events: int
    seed: int
    is_mc: bool
    xsec: float
    lumi_pb: float
    sum_genweights: float
    lumi_blocks: dict[int, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


def _mix(rng: np.random.Generator, n: int) -> Reconstruction:
    """``n`` collision events: every known process in proportion to its cross section."""
    total = sum(CROSS_SECTIONS.values())
    counts = rng.multinomial(n, [xsec / total for xsec in CROSS_SECTIONS.values()])
    parts = [
        reconstruct(rng, generate(rng, process, count), process)
        for process, count in zip(CROSS_SECTIONS, counts, strict=True)
        if count
    ]
    return Reconstruction.concatenate(parts, rng.permutation(n))


def _data_block(
    rng: np.random.Generator, kind: str, flavour: str, first: int, n: int
) -> tuple[EventBlock, float]:
    """A block of triggered events and the luminosity [1/pb] it stands for."""
    trigger = KINDS[kind]
    recos: list[Reconstruction] = []
    bits: list[dict[str, Any]] = []
    while sum(len(reco) for reco in recos) < n:
        reco = _mix(rng, DATA_BATCH)
        fired = trigger_bits(rng, reco)
        keep = fired[str(trigger)]
        recos.append(reco.select_events(keep))
        bits.append({name: value[keep] for name, value in fired.items()})
    joined = Reconstruction.concatenate(recos)
    first_n = np.arange(len(joined)) < n
    generated = DATA_BATCH * len(recos) * n / len(joined)
    numbers = first + np.arange(n)
    block = EventBlock(
        gen=None,
        reco=joined.select_events(first_n),
        run=np.sort(FIRST_RUN[flavour] + rng.integers(0, 4, n)),
        lumi_block=rng.integers(1, LUMI_BLOCKS + 1, n),
        event_number=1000 + numbers,
        triggers={name: np.concatenate([b[name] for b in bits])[first_n] for name in bits[0]},
    )
    return block, generated / sum(CROSS_SECTIONS.values())


def _simulated_block(rng: np.random.Generator, kind: str, first: int, n: int) -> EventBlock:
    gen = generate(rng, kind, n)
    reco = reconstruct(rng, gen, kind)
    numbers = first + np.arange(n)
    return EventBlock(
        gen=gen,
        reco=reco,
        run=np.ones(n, int),
        lumi_block=1 + numbers // 500,
        event_number=1 + numbers,
        triggers=trigger_bits(rng, reco),
    )


def _blocks(
    info: SampleInfo, cluster_size: int, n_branches: int, seeds: np.random.SeedSequence
) -> Iterator[dict[str, Any]]:
    """Yield the branch arrays of each cluster and add up the totals in ``info``."""
    starts = range(0, info.n_events, cluster_size)
    for start, seed in zip(starts, seeds.spawn(len(starts)), strict=True):
        rng = np.random.default_rng(seed)
        n = min(cluster_size, info.n_events - start)
        if info.is_mc:
            block = _simulated_block(rng, info.kind, start, n)
            assert block.gen is not None
            info.sum_genweights += float(block.gen.weight.sum())
        else:
            block, lumi = _data_block(rng, info.kind, info.flavour, start, n)
            info.lumi_pb += lumi
        for run in np.unique(block.run):
            last = int(block.lumi_block[block.run == run].max())
            info.lumi_blocks[int(run)] = max(last, info.lumi_blocks.get(int(run), 0))
        yield branch_arrays(rng, block, info.flavour, n_branches)


def _tree_type(array: Any) -> Any:
    return array.type.content if isinstance(array, ak.Array) else array.dtype


def _bookkeeping(file: Any, info: SampleInfo) -> None:
    """Write the ``Runs`` and ``LuminosityBlocks`` trees."""
    runs = np.array(sorted(info.lumi_blocks), dtype="uint32")
    content = {"run": runs}
    if info.is_mc:
        content["genEventCount"] = np.full(len(runs), info.n_events, dtype="int64")
        content["genEventSumw"] = np.full(len(runs), info.sum_genweights, dtype="float64")
        content["genEventSumw2"] = np.full(len(runs), info.sum_genweights**2 / info.n_events, dtype="float64")
    _write_tree(file, "Runs", content)
    pairs = [(run, block + 1) for run in runs for block in range(info.lumi_blocks[int(run)])]
    run_column, block_column = np.array(pairs, dtype="uint32").reshape(-1, 2).T
    _write_tree(file, "LuminosityBlocks", {"run": run_column, "luminosityBlock": block_column})


def _write_tree(file: Any, name: str, content: dict[str, Any]) -> None:
    tree = file.mktree(name, {key: value.dtype for key, value in content.items()}, title=name)
    tree.extend({key: np.ascontiguousarray(value) for key, value in content.items()})


def _write(path: Path, info: SampleInfo, blocks: Iterator[dict[str, Any]]) -> None:
    """Write the blocks as clusters of ``Events``, then the trees that sum up."""
    import uproot

    with uproot.recreate(path, compression=uproot.ZSTD(5)) as file:
        first = next(blocks)
        types = {name: _tree_type(array) for name, array in first.items()}
        tree = file.mktree("Events", types, title="Events", initial_basket_capacity=64)
        for arrays in chain([first], blocks):
            tree.extend(arrays)
        _bookkeeping(file, info)


def _check(flavour: str, kind: str, n_events: int) -> None:
    if flavour not in FLAVOURS:
        msg = f"make_sample: unknown flavour {flavour!r}. {did_you_mean(flavour, FLAVOURS)}"
        raise InvalidValue(msg)
    if kind not in KINDS:
        msg = f"make_sample: unknown kind {kind!r}. {did_you_mean(kind, KINDS)}"
        raise InvalidValue(msg)
    if n_events < 1:
        msg = f"make_sample: {n_events} events asked for; give at least 1."
        raise InvalidValue(msg)


def make_sample(
    path: str | os.PathLike[str],
    flavour: str = "v9",
    kind: str = "dy",
    *,
    n_events: int = 1000,
    seed: int = 1,
    n_branches: int = 650,
    cluster_size: int | None = None,
) -> SampleInfo:
    """Write a NanoAOD-like file with the trees ``Events``, ``Runs`` and ``LuminosityBlocks``.

    flavour: "v9", "v12" or "v15" (branch names and types of that NanoAOD release).
    kind: "dy" (Z/gamma* -> ll), "ttbar", "data_singlemuon" or "data_singleelectron" (the mix of both
    processes by cross section that passes the trigger). The same arguments give the same events.
    n_branches: about this many branches, at least the 320 or so that carry physics.
    cluster_size: events per cluster (default: four clusters). The file appears whole or not at all.
    Raises InvalidValue for an unknown flavour or kind.
    """
    _check(flavour, kind, n_events)
    is_mc = KINDS[kind] is None
    target = Path(path)
    info = SampleInfo(
        path=str(target),
        flavour=flavour,
        kind=kind,
        n_events=n_events,
        seed=seed,
        is_mc=is_mc,
        xsec=CROSS_SECTIONS.get(kind, 0.0),
        lumi_pb=0.0,
        sum_genweights=0.0,
    )
    size = cluster_size or max(1, -(-n_events // 4))
    kind_number = list(KINDS).index(kind)
    seeds = np.random.SeedSequence([seed, kind_number, FLAVOURS.index(flavour)])
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _write(partial, info, _blocks(info, size, n_branches, seeds))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return info


def write_golden_json(
    path: str | os.PathLike[str], samples: list[SampleInfo], certified: float = 1.0
) -> float:
    """Write a certification file for data samples; return the certified luminosity in 1/pb.

    certified: fraction of the luminosity blocks (the first ones of each run) that is certified.
    """
    blocks: dict[int, int] = {}
    for sample in samples:
        for run, last in sample.lumi_blocks.items():
            blocks[run] = max(last, blocks.get(run, 0))
    last_certified = max(1, round(LUMI_BLOCKS * certified))
    content = {str(run): [[1, min(last, last_certified)]] for run, last in sorted(blocks.items())}
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    partial.replace(target)
    return sum(sample.lumi_pb for sample in samples) * last_certified / LUMI_BLOCKS
