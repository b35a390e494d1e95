"""Evaluators of lepton MVAs: importable, not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable

__all__ = ["ElectronMVAEvaluator", "MuonMVAEvaluator"]


def _not_available(name: str) -> NoReturn:
    msg = (
        f"pocket_coffea.lib.xgboost_evaluator.{name}: lepton MVAs are not evaluated by this version. "
        "Use the score of the NanoAOD (mvaTTH), e.g. lepton_selection_promptMVA(..., mva_var='mvaTTH')."
    )
    raise PhysicsNotAvailable(msg)


class ElectronMVAEvaluator:
    """Raise PhysicsNotAvailable when constructed."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        _not_available("ElectronMVAEvaluator")


class MuonMVAEvaluator:
    """Raise PhysicsNotAvailable when constructed."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        _not_available("MuonMVAEvaluator")
