"""Another path to :class:`WeightsManager`."""

from pocket_coffea.lib.weights.weights_manager import WeightsManager

__all__ = ["WeightsManager"]
