"""What a look at a campaign shows: rows are kept while nothing about their job changes."""

from __future__ import annotations

import pytest

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.monitor import Poll
from pocket_coffea.batch.states import Attempt, State
from pocket_coffea.executors.jobs.overview import Rows
from tests.unit.executors.jobs.campaigns import make_campaign


@pytest.fixture
def campaign(tmp_path):
    record = make_campaign(tmp_path / "job", [["deliver"]] * 2)
    campaign = Campaign(record.folder)
    for job in campaign.jobs.values():
        job.attempts.append(Attempt(1, f"7.{job.number}"))
    return record, campaign


def look(rows, campaign, **given_up):
    states = {number: job.last.state for number, job in campaign.jobs.items()}
    return rows.at(campaign, Poll(states, {int(name[1:]): why for name, why in given_up.items()}))


def test_a_row_follows_its_job_and_the_others_are_kept(campaign):
    record, campaign = campaign
    rows = Rows(record)
    last = campaign.jobs[0].last
    before = look(rows, campaign)
    assert before[0].samples == ("DY",)
    changes = [
        ("state", State.HELD),
        ("host", "node7"),
        ("cause", "held by the batch system"),
        ("reason", "no disk"),
    ]
    for name, value in changes:
        setattr(last, name, value)
        after = look(rows, campaign)
        assert after[0] != before[0]
        assert after[1] is before[1]
        before = after
    assert (after[0].host, after[0].reason) == ("node7", "held by the batch system: no disk")
    assert look(rows, campaign, _0="no use")[0].given_up == "no use"
    campaign.jobs[0].attempts.append(Attempt(2, "8.0"))
    assert look(rows, campaign)[0].attempts == 2
    assert look(rows, campaign)[0] is look(rows, campaign)[0]
