"""The campaign under fire of ``make lab-soak``, shortened: 20 jobs, and the faults that are quick."""

from __future__ import annotations

from tests.lab.soak import soak


def test_a_short_campaign_under_fire(shared_folder):
    print(soak(shared_folder, 20, short=True, patience=900))
