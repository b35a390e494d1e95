"""Weights of Run 2 (ultra-legacy) samples; add those you use to ``weights_classes``."""

from __future__ import annotations

import numpy as np

from pocket_coffea.errors import WeightError
from pocket_coffea.lib.weights.common.inputs import elements
from pocket_coffea.lib.weights.common.unavailable import NamedVariations
from pocket_coffea.lib.weights.weights import WeightData, WeightWrapper
from pocket_coffea.types import Array, FloatArray

__all__ = ["SF_QCD_factor_scale", "SF_QCD_renorm_scale", "SF_ele_trigger"]

#: Entry of ``LHEScaleWeight`` (nine entries) with both scales at their nominal values.
_CENTRAL = 4


class SF_ele_trigger(NamedVariations):
    """Electron trigger scale factor from a map of the analysis.

    Its name is ``sf_ele_trigger_run2``: ``sf_ele_trigger`` is the weight of ``common_weights``.
    """

    name = "sf_ele_trigger_run2"
    missing = "the electron trigger scale factor of Run 2"
    variations_key = "sf_ele_trigger"


def _scale_ratios(weight: WeightWrapper, events: Array, up: int, down: int) -> tuple[FloatArray, FloatArray]:
    raised, lowered, central = elements(
        weight, events, "LHEScaleWeight", (up, down, _CENTRAL), length=9, exactly=True
    )
    zero = int(np.count_nonzero(central == 0))
    if zero:
        msg = (
            f"weight {weight.name!r}: the nominal entry LHEScaleWeight[{_CENTRAL}] is 0 in {zero} of "
            f"{len(central)} events, so that there is no ratio to it. Remove the weight from this sample."
        )
        raise WeightError(msg)
    return raised / central, lowered / central


class SF_QCD_renorm_scale(WeightWrapper):
    """Renormalisation scale times 2 and 1/2: nominal 1, up and down entries 7 and 1 of ``LHEScaleWeight``."""

    name = "sf_qcd_renorm_scale"
    has_variations = True

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Read the variations in the nominal pass only."""
        nominal = np.ones(size)
        if shape_variation != "nominal":
            return WeightData(self.name, nominal)
        return WeightData(self.name, nominal, *_scale_ratios(self, events, 7, 1))


class SF_QCD_factor_scale(WeightWrapper):
    """Factorisation scale times 2 and 1/2: nominal 1, up and down entries 5 and 3 of ``LHEScaleWeight``."""

    name = "sf_qcd_factor_scale"
    has_variations = True

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Read the variations in the nominal pass only."""
        nominal = np.ones(size)
        if shape_variation != "nominal":
            return WeightData(self.name, nominal)
        return WeightData(self.name, nominal, *_scale_ratios(self, events, 5, 3))
