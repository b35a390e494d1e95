"""What is importable for compatibility says at use what is missing and what to do instead."""

import pickle

import pytest

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.lib import xgboost_evaluator
from pocket_coffea.scripts import update_cvmfs_corrections
from pocket_coffea.utils.stat import combine

PLACEHOLDERS = [
    (module, name)
    for module in (
        *(xgboost_evaluator, update_cvmfs_corrections),
        combine,
    )
    for name in (*module.__all__, *(("_clip_negative", "_clip_negative_bins") if module is combine else ()))
]


@pytest.mark.parametrize(("module", "name"), PLACEHOLDERS)
def test_use_raises_and_the_message_helps(module, name):
    with pytest.raises(PhysicsNotAvailable, match=name) as caught:
        getattr(module, name)("argument", option=1)
    assert "this version" in str(caught.value)
    assert len(str(caught.value)) > 80
    assert isinstance(caught.value, NotImplementedError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
