"""What is known about the chunk before its events are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pocket_coffea.errors import InvalidValue, did_you_mean
from pocket_coffea.lib.nano import get_nano_version
from pocket_coffea.utils.metadata import to_bool

__all__ = ["calibrator_metadata", "load", "weights_metadata"]

_REQUIRED = ("dataset", "sample", "year", "isMC")


def load(processor: Any) -> None:
    """Set ``_dataset, _sample, _year, _isMC, ...`` from the metadata of the events.

    Raises InvalidValue when a required key is missing or has an impossible value.
    """
    meta = processor.events.metadata
    missing = [key for key in _REQUIRED if meta.get(key) is None]
    if missing:
        msg = (
            f"The metadata of dataset {meta.get('dataset', '?')!r} lack {', '.join(missing)}. "
            f"Required: {', '.join(_REQUIRED[1:])}; found: {', '.join(sorted(map(str, meta)))}."
        )
        raise InvalidValue(msg)
    processor._dataset = meta["dataset"]
    processor._sample = meta["sample"]
    processor._samplePart = meta.get("part")
    processor._year = str(meta["year"])
    processor._isMC = to_bool(meta["isMC"])
    processor._isSkim = to_bool(meta.get("isSkim"), False)
    processor._era = "MC" if processor._isMC else _data_era(meta)
    processor._xsec = meta.get("xsec") if processor._isMC else None
    processor.nano_version = get_nano_version(processor.events, processor.params, processor._year)
    processor._hasSubsamples = _known_sample(processor, processor.cfg.has_subsamples)
    processor._metadata = calibrator_metadata(processor)


def calibrator_metadata(processor: Any) -> dict[str, Any]:
    """Return the metadata that calibrators receive."""
    return {
        "year": processor._year,
        "sample": processor._sample,
        "samplePart": processor._samplePart,
        "dataset": processor._dataset,
        "isMC": processor._isMC,
        "isSkim": processor._isSkim,
        "era": processor._era,
        "nano_version": processor.nano_version,
    }


def weights_metadata(processor: Any) -> dict[str, Any]:
    """Return the metadata that weights receive."""
    return {
        "year": processor._year,
        "sample": processor._sample,
        "dataset": processor._dataset,
        "part": processor._samplePart,
        "xsec": processor._xsec,
        "isMC": processor._isMC,
    }


def _data_era(meta: Mapping[str, Any]) -> str:
    if meta.get("era") is None:
        msg = f"The metadata of data dataset {meta['dataset']!r} have no 'era'. Add it to the dataset JSON."
        raise InvalidValue(msg)
    return str(meta["era"])


def _known_sample(processor: Any, by_sample: Mapping[str, bool]) -> bool:
    if processor._sample not in by_sample:
        msg = (
            f"Sample {processor._sample!r} of dataset {processor._dataset!r} is not in the configuration. "
            f"{did_you_mean(processor._sample, by_sample)}"
        )
        raise InvalidValue(msg)
    return bool(by_sample[processor._sample])
