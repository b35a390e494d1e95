"""The catalogue of ready-made weights: ``weights_classes=common_weights + [...]``."""

from pocket_coffea.lib.weights.common.common import common_weights

__all__ = ["common_weights"]
