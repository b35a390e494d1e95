"""Merging of outputs, under its established name; see :mod:`pocket_coffea.run.merge`."""

from __future__ import annotations

from pocket_coffea.run.merge import MergeReport, MergeRequest, merge_outputs

__all__ = ["MergeReport", "MergeRequest", "merge_outputs"]
