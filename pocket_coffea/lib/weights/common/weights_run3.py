"""Weights of Run 3 samples."""

from pocket_coffea.lib.weights.common.common import SF_ele_trigger

__all__ = ["SF_ele_trigger"]
