"""A whole campaign on the real HTCondor and the real Slurm, with faults: nothing is lost or doubled."""

from __future__ import annotations

import time

import pytest

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.decide import Policy, Queue
from pocket_coffea.batch.flags import read_flags
from pocket_coffea.batch.monitor import Monitor
from pocket_coffea.batch.states import Resources, State
from pocket_coffea.batch.systems import batch_system
from tests.unit.batch.slices import DELIVER, ScriptedSlices

CONDOR = ("htcondor", "+JobFlavour", (Queue("espresso", 20), Queue("longlunch", 120)))
SLURM = ("slurm", "partition", (Queue("quick", 3600), Queue("standard", 43200)))


@pytest.mark.parametrize(("name", "directive", "ladder"), [CONDOR, SLURM], ids=["htcondor", "slurm"])
def test_a_campaign_ends_well_whatever_happens(shared_folder, fault, name, directive, ladder):
    plans = [
        [DELIVER],
        ["exit 73", DELIVER],
        ["exit 71"],
        [f"sleep 6; {DELIVER}"],
        ["sleep 300", DELIVER],  # killed by an administrator, or by hand
        [f"sleep 2; {DELIVER}"],
    ]
    folder = shared_folder / "my job"
    slices = ScriptedSlices.make(folder, plans, Resources(ladder[-1].name, ladder[-1].seconds, 1, 100))
    campaign = Campaign.create(folder, name, len(plans))
    system = batch_system(name, slices.template(queue_directive=directive), campaign.id)
    monitor = Monitor(campaign, system, slices, Policy(ladder=ladder, backoff=1.0, owner="me"), acting=True)
    monitor.watch.slow_step = 2.0
    killed, deadline = False, time.monotonic() + 240
    while not (poll := monitor.poll()).is_over:
        assert time.monotonic() < deadline, (poll.states, poll.news)
        if not killed and (4, 1) in slices.started():
            killed = True
            last = campaign.jobs[4].last.id
            if name == "htcondor":
                fault("condor", "schedd-kill")
                fault("condor", "remove", last)
            else:
                fault("node", "kill-job", f"slurm:{last}")
            campaign.close()  # and the monitor dies with it
            campaign = Campaign(folder)
            system = batch_system(name, slices.template(queue_directive=directive), campaign.id)
            monitor = Monitor(campaign, system, slices, monitor.judge.policy, acting=True)
            monitor.watch.slow_step = 2.0
        time.sleep(0.5)
    assert poll.exit_code == 3
    assert set(poll.given_up) == {2}
    started = slices.started()
    assert len(started) == len(set(started))
    assert set(started) == {(0, 1), (1, 1), (1, 2), (2, 1), (3, 1), (4, 1), (4, 2), (5, 1)}
    assert {job: flag.state for job, flag in read_flags(folder).items()} == {
        job: State.FAILED if job == 2 else State.DONE for job in range(6)
    }
    campaign.close()
