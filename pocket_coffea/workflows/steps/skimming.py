"""Write the skimmed events of a chunk instead of analysing them."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pocket_coffea.types import Array, BoolArray
from pocket_coffea.utils.skim import original_branches, write_skim
from pocket_coffea.utils.transfer import deliver, join
from pocket_coffea.workflows.steps.counting import SKIM_RESCALE, SKIM_RESCALE_SIGN, generator_sums

__all__ = ["any_variation_mask", "export_skimmed_chunk", "skim_mode", "source_mask"]

log = logging.getLogger(__name__)

_MODES = ("skim", "presel_any_variation")


def skim_mode(processor: Any) -> str | None:
    """Return how to skim, or None for normal processing (with a warning when the mode is not known)."""
    asked = processor.workflow_options.get("skim_mode")
    if not processor.cfg.save_skimmed_files:
        if asked is not None:
            log.warning("skim_mode %r has no effect without save_skimmed_files.", asked)
        return None
    mode = asked or "skim"
    if mode not in _MODES:
        log.warning("skim_mode %r is not known (%s): no skimmed files are written.", mode, ", ".join(_MODES))
        return None
    return str(mode)


def any_variation_mask(processor: Any) -> BoolArray:
    """Run the hooks up to the preselection in every variation; return (n_events,): passed in any of them."""
    passed = np.zeros(processor.nevents, dtype=bool)
    for variation in processor._guarded_variations():
        processor.prepare_preselection(variation)
        passed |= np.asarray(processor.get_preselection_mask(variation=variation), dtype=bool)
    return passed


def source_mask(processor: Any, passed: BoolArray | None) -> BoolArray:
    """Return over the events of the file: survived the skim, and ``passed`` (of the survivors) if given."""
    mask: BoolArray = processor._skim_mask.copy()
    if passed is not None:
        mask[mask] = passed
    return mask


def export_skimmed_chunk(processor: Any, mask: BoolArray) -> None:
    """Write the events of the file that pass ``mask``, with their original branches, and record the file.

    MC files get the factors that restore the sums of generator weights of the chunk.
    """
    dataset, output = processor._dataset, processor.output
    survivors = int(np.count_nonzero(mask))
    output["cutflow"]["skim"][dataset] = survivors
    output["skimmed_files"] = {dataset: []}
    output["nskimmed_events"] = {dataset: [survivors]}
    events = processor._source if mask.all() else processor._source[mask]
    extra = _rescale_branches(processor, events)
    if survivors == 0:
        return
    name = "__".join(str(processor._source.metadata[key]) for key in ("fileuuid", "entrystart", "entrystop"))
    file_name = f"{dataset}__{name}.root"
    with tempfile.TemporaryDirectory(prefix="pocket_coffea_skim_") as folder:
        local = Path(folder) / file_name
        write_skim(local, events, extra, original_branches(processor._source))
        destination = join(str(processor.cfg.save_skimmed_files_folder), dataset, file_name)
        output["skimmed_files"][dataset].append(deliver(local, destination))


def _rescale_branches(processor: Any, events: Array) -> dict[str, Any]:
    if not processor._isMC:
        return {}
    after = generator_sums(events, is_skim=False)
    processor.output["sum_genweights_skimmed"] = {processor._dataset: after[0]}
    before = (
        processor.output["sum_genweights"][processor._dataset],
        processor.output["sum_signOf_genweights"][processor._dataset],
    )
    factors = [total / kept if kept else 0.0 for total, kept in zip(before, after, strict=True)]
    return {
        name: np.full(len(events), factor)
        for name, factor in zip((SKIM_RESCALE, SKIM_RESCALE_SIGN), factors, strict=True)
    }
