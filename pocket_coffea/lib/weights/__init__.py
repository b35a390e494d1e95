"""Event weights: how to define one (:mod:`weights`), how they are multiplied (:mod:`weights_manager`).

The catalogue of ready-made weights is in :mod:`pocket_coffea.lib.weights.common`.
"""

from pocket_coffea.lib.weights.weights import (
    WeightData,
    WeightDataMultiVariation,
    WeightLambda,
    WeightWrapper,
)
from pocket_coffea.lib.weights.weights_manager import WeightsManager

__all__ = ["WeightData", "WeightDataMultiVariation", "WeightLambda", "WeightWrapper", "WeightsManager"]
