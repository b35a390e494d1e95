"""A campaign under watch, with real processes: recovery, no job twice, restarts after any death."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest

from pocket_coffea.batch.act import Planned, recover, send
from pocket_coffea.batch.campaign import LEDGER_NAME, Campaign
from pocket_coffea.batch.decide import Action, Kind, Policy, Queue
from pocket_coffea.batch.flags import read_flags, set_flag
from pocket_coffea.batch.ledger import read_records
from pocket_coffea.batch.local import LocalProcesses
from pocket_coffea.batch.lock import Lock
from pocket_coffea.batch.monitor import Monitor
from pocket_coffea.batch.states import IN_QUEUE, Event, Resources, State
from pocket_coffea.batch.systems import Submission
from pocket_coffea.errors import CommandFailed, InputFileError, NothingToDo, ResultsRefused, UnknownName
from tests.unit.batch.slices import DELIVER, ScriptedSlices

LADDER = (Queue("short", 2), Queue("long", 60))
RESOURCES = Resources("long", 60, 1, 2000)
POLICY = Policy(ladder=LADDER, backoff=0.2, owner="nobody")


class World:
    """A jobs folder with its campaign on this machine."""

    def __init__(self, folder, plans, resources=RESOURCES, system=LocalProcesses):
        self.slices = ScriptedSlices.make(folder, plans, resources)
        self.folder = folder
        self.campaign = Campaign.create(folder, "local", len(plans))
        self.system = system(self.slices.template(), self.campaign.id)

    def monitor(self, policy=POLICY, *, acting=True):
        return Monitor(self.campaign, self.system, self.slices, policy, acting=acting)

    def again(self):
        """Return what a new process knows of this campaign."""
        self.campaign.close()
        self.campaign = Campaign(self.folder)
        self.system = type(self.system)(self.slices.template(), self.campaign.id)
        return self

    def records(self, *kinds):
        return [each for each in read_records(self.folder / LEDGER_NAME)[0] if each["kind"] in kinds]

    def flags(self):
        return {job: flag.state for job, flag in read_flags(self.folder).items()}

    def end(self):
        living = [attempt.id for job in self.campaign.jobs.values() for attempt in job.attempts]
        self.system.remove(living, 0, timeout=20)
        self.campaign.close()


@pytest.fixture
def world(tmp_path):
    made = []

    def make(*plans, **words):
        made.append(World(tmp_path / f"job {len(made)}", plans, **words))
        return made[-1]

    yield make
    for each in made:
        each.end()


def watch(monitor, until=lambda poll: poll.is_over, seconds=40.0):
    """Poll until it is over; return the last poll and all news."""
    news, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        poll = monitor.poll()
        news += poll.news
        if until(poll):
            return poll, [each.text for each in news]
        time.sleep(0.1)
    pytest.fail(f"not over after {seconds} s: {poll.states}, {news}")


def test_all_jobs_of_a_campaign_are_sent_once_and_done(world):
    here = world(*[[DELIVER]] * 6)
    poll, _ = watch(here.monitor())
    assert (poll.exit_code, set(poll.states.values())) == (0, {State.DONE})
    assert sorted(here.slices.started()) == [(job, 1) for job in range(6)]
    assert here.flags() == dict.fromkeys(range(6), State.DONE)
    assert [each["tag"] for each in here.records("submitting")] == ["jobs_all"]


def test_failures_are_recovered_as_one_batch_and_the_hopeless_given_up(world):
    here = world([DELIVER], ["finish failed; exit 73", DELIVER], ["exit 74", DELIVER], ["exit 71"])
    here.slices.reasons[1] = ("OSError: XRootD error", ["root://a.site//store/x.root"])
    poll, news = watch(here.monitor())
    assert poll.exit_code == 3
    assert set(poll.given_up) == {3}
    assert "wrong Python" in poll.given_up[3]
    assert sorted(here.slices.started()) == [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]
    assert here.slices.rerouted == [(1, ("root://a.site//store/x.root",), frozenset(), False)]
    (changes,) = here.records("rerouted")
    assert changes["changes"] == {"root://a.site//store/x.root": "root://b.site//store/x.root"}
    assert here.flags() == {0: State.DONE, 1: State.DONE, 2: State.DONE, 3: State.FAILED}
    assert any("another replica is read" in text for text in news)
    (ended,) = [each for each in here.records("ended") if each["job"] == 1 and each["attempt"] == 1]
    assert (ended["exit_code"], ended["cause"]) == (73, "input cannot be read")
    assert ended["unreadable"] == {"a.site": ["root://a.site//store/x.root"]}


def test_a_timeout_goes_to_a_longer_queue(world):
    here = world(["sleep 60", DELIVER], resources=Resources("short", 2, 1, 2000))
    poll, _ = watch(here.monitor())
    assert poll.exit_code == 0
    assert [attempt.resources.queue for attempt in here.campaign.jobs[0].attempts] == ["short", "long"]
    assert here.campaign.jobs[0].attempts[0].state is State.TIMEOUT


def test_exit_code_75_is_a_timeout_and_its_flag_says_so(world):
    here = world(["exit 75"])
    poll, _ = watch(here.monitor(dataclasses.replace(POLICY, max_resubmit=0)))
    assert (poll.exit_code, here.flags()[0]) == (3, State.TIMEOUT)


def test_zero_without_an_output_is_no_success(world):
    here = world(["exit 0"])
    monitor = here.monitor(dataclasses.replace(POLICY, max_resubmit=0))
    monitor.watch.limits = dataclasses.replace(monitor.watch.limits, files=0.5)
    poll, _ = watch(monitor)
    assert "delivered nothing" in poll.given_up[0]
    assert here.flags()[0] is State.FAILED


def test_a_job_that_does_not_reach_the_folder_is_done_by_its_output(world):
    here = world(["rm -f job_$job.running; touch output_job_$job; exit 0"])
    poll, _ = watch(here.monitor())
    assert (poll.exit_code, here.flags()[0]) == (0, State.DONE)


def test_without_acting_nothing_is_written(world):
    here = world(["exit 1"])
    watch(here.monitor(), lambda poll: poll.sent)
    before = (here.folder / LEDGER_NAME).read_bytes()
    reader = here.again().monitor(acting=False)
    poll, news = watch(reader, lambda poll: poll.states[0] is State.FAILED)
    assert news == ["unknown exit code"]
    assert (here.folder / LEDGER_NAME).read_bytes() == before
    assert not poll.is_over
    assert poll.exit_code == 5


def test_a_reader_follows_what_another_monitor_does(world):
    here = world(["exit 1", DELIVER])
    reader = Monitor(Campaign(here.folder), here.system, here.slices, POLICY, acting=False)
    assert reader.poll().states == {0: State.IDLE}
    watch(here.monitor())
    poll, _ = watch(reader)
    assert (poll.exit_code, len(reader.campaign.jobs[0].attempts)) == (0, 2)


def test_a_new_process_goes_on_where_the_last_one_died(world):
    here = world(["exit 1", "exit 1", DELIVER], [DELIVER])
    watch(here.monitor(), lambda poll: len(here.campaign.jobs[0].attempts) == 2)
    poll, _ = watch(here.again().monitor())
    assert poll.exit_code == 0
    assert here.slices.started().count((0, 3)) == 1
    assert [attempt.cause for attempt in here.campaign.jobs[0].attempts][:2] == ["unknown exit code"] * 2


def test_max_resubmit_survives_restarts(world):
    here = world(["exit 1"])
    policy = dataclasses.replace(POLICY, max_resubmit=2)
    for _ in range(12):
        poll = here.again().monitor(policy).poll()
        if poll.is_over:
            break
        time.sleep(0.6)
    assert (poll.exit_code, len(here.slices.started())) == (3, 3)


class Deaf(LocalProcesses):
    """Takes jobs, and its answer is lost."""

    def submit(self, tag, tasks):
        super().submit(tag, tasks)
        msg = "the answer was lost"
        raise CommandFailed(msg)


class Refusing(LocalProcesses):
    """Refuses the first submissions."""

    left = 1

    def submit(self, tag, tasks):
        if self.left:
            self.left -= 1
            return Submission({}, {task.job: "quota exceeded" for task in tasks})
        return super().submit(tag, tasks)


def test_a_lost_answer_does_not_send_jobs_twice(world):
    here = world([DELIVER], [DELIVER], system=Deaf)
    poll, news = watch(here.monitor())
    assert poll.exit_code == 0
    assert sorted(here.slices.started()) == [(0, 1), (1, 1)]
    assert "jobs_all: 2 of 2 jobs had been accepted" in news


def test_a_monitor_that_dies_before_or_after_the_submission_sends_nothing_twice(world):
    for accepted in (True, False):
        here = world([DELIVER])
        task = here.slices.task(0, 1, RESOURCES)
        tag = here.campaign.begin([task])
        if accepted:
            here.system.submit(tag, [task])
        poll, _ = watch(here.again().monitor(), seconds=60)
        assert poll.exit_code == 0
        assert here.slices.started() == [(0, 1)]


def test_what_is_refused_is_sent_later_and_is_no_attempt(world, monkeypatch):
    monkeypatch.setattr("pocket_coffea.batch.monitor._REFUSED", (0.3, 1.0))
    here = world([DELIVER], system=Refusing)
    poll, news = watch(here.monitor())
    assert poll.exit_code == 0
    assert here.slices.started() == [(0, 1)]
    assert "1 job was not sent and waits: quota exceeded" in news
    (refused,) = here.records("submitted")[:1]
    assert refused["refused"] == {"0": "quota exceeded"}


class Stubborn(LocalProcesses):
    """Does not let go of its jobs."""

    def remove(self, ids, since, timeout=60.0):
        msg = "still has them"
        raise CommandFailed(msg)


def test_nothing_is_sent_while_the_old_instance_may_run(world):
    here = world(["sleep 60", DELIVER], [DELIVER])
    monitor = here.monitor()
    watch(monitor, lambda poll: poll.states == {0: State.RUNNING, 1: State.DONE})
    action = Action(Kind.RETRY, "test", RESOURCES)
    stubborn = Stubborn(here.slices.template(), here.campaign.id)
    sent = send(here.campaign, stubborn, here.slices, [Planned(0, action)])
    assert (sent.jobs, sent.postponed) == ((), {0: "still has them"})
    assert len(here.records("submitting")) == 1
    poll = monitor.recreate([0], remove_running=True)
    assert poll.sent == (0,)
    poll, _ = watch(monitor)
    assert poll.exit_code == 0
    assert here.slices.started().count((0, 2)) == 1


def test_recreating_names_what_it_refuses(world):
    here = world(["sleep 60", DELIVER], [DELIVER], ["exit 71", DELIVER])
    monitor = here.monitor()
    watch(monitor, lambda poll: poll.states == {0: State.RUNNING, 1: State.DONE, 2: State.FAILED})
    with pytest.raises(UnknownName, match=r"jobs 7 are not in .*0 to 2"):
        monitor.recreate([7])
    with pytest.raises(ResultsRefused, match=r"jobs 0 are in the queue.*--remove-running"):
        monitor.recreate([0, 2])
    poll = monitor.recreate()  # what is neither done nor in the queue
    assert poll.sent == (2,)
    poll, _ = watch(monitor, lambda poll: poll.states[2] is State.DONE)
    with pytest.raises(NothingToDo, match="no job of"):
        monitor.recreate()
    assert monitor.recreate([1]).sent == (1,)  # a person may want even that
    monitor.recreate([0], remove_running=True)
    assert watch(monitor)[0].exit_code == 0


class Blind(LocalProcesses):
    """Has no news, as when an event log is lost; counts the questions that it is asked."""

    asked = 0

    def observe(self, ids, since):
        return []

    def query(self, ids, since):
        self.asked += 1
        return super().query(ids, since)


def test_a_lost_log_is_made_up_for_by_a_question(world):
    here = world([DELIVER], system=Blind)
    monitor = here.monitor()
    watch(monitor, lambda poll: here.flags().get(0) is State.DONE)  # a folder read while it changes
    # the flag is set before the process has gone, and while it is there one question would not be enough
    ids = [here.campaign.jobs[0].last.id]
    watch(monitor, lambda poll: LocalProcesses.query(monitor.system, ids, 0.0)[ids[0]].state not in IN_QUEUE)
    assert here.system.asked == 0
    monitor.watch.limits = dataclasses.replace(monitor.watch.limits, log=0.0)
    poll, _ = watch(monitor)
    assert (poll.exit_code, here.system.asked) == (0, 1)


class Forgetful(Blind):
    """Does not know its jobs any more."""

    def query(self, ids, since):
        return {}


def test_a_job_that_nobody_knows_is_missing_and_sent_again(world, monkeypatch):
    monkeypatch.setattr("pocket_coffea.batch.watch._MISSING_AFTER", 0.5)
    here = world(["rm -f job_$job.running; touch job_$job.idle"], system=Forgetful)
    monitor = here.monitor(dataclasses.replace(POLICY, max_resubmit=1))
    monitor.watch.limits = dataclasses.replace(monitor.watch.limits, silence=0.5)
    poll, news = watch(monitor)
    assert poll.exit_code == 3
    assert any("not known to the batch system any more" in text for text in news)
    assert len(here.slices.started()) == 5  # not the job's fault: four times the limit


class Holding(LocalProcesses):
    """Says of job 0 that it is held, with the code that a test gives."""

    code = 1
    held = True

    def observe(self, ids, since):
        events = super().observe(ids, since)
        if self.held and any(each.startswith("jobs_all.0") for each in ids):
            events.append(Event("jobs_all.0", State.HELD, time.time(), reason="because", code=self.code))
        return events


def test_what_a_person_holds_is_left_alone_and_said_once(world):
    here = world(["sleep 1; " + DELIVER], system=Holding)
    monitor = here.monitor()
    monitor.poll()
    polls = [monitor.poll() for _ in range(3)]
    assert [poll.states[0] for poll in polls] == [State.HELD] * 3
    assert sum("release or remove it yourself" in news.text for poll in polls for news in poll.news) == 1
    here.system.held = False
    assert watch(monitor)[0].exit_code == 0
    assert here.slices.started() == [(0, 1)]


def test_what_the_system_holds_is_removed_and_sent_again(world):
    here = world(["sleep 60", DELIVER], system=Holding)
    here.system.code = 34
    poll, _ = watch(here.monitor())
    assert poll.exit_code == 0
    first, second = here.campaign.jobs[0].attempts
    assert (first.cause, first.state) == ("out of memory", State.HELD)
    assert second.resources.memory_mb == 4000
    kinds = [each["kind"] for each in here.records("ended", "removed", "submitting")]
    assert kinds == ["submitting", "ended", "removed", "submitting", "ended"]


MONITOR = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.unit.batch.test_monitor import POLICY, RESOURCES
from tests.unit.batch.slices import ScriptedSlices
from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.local import LocalProcesses
from pocket_coffea.batch.lock import Lock
from pocket_coffea.batch.monitor import Monitor
folder = Path(sys.argv[1])
with Lock(folder):
    campaign, slices = Campaign(folder), ScriptedSlices(folder, RESOURCES)
    system = LocalProcesses(slices.template(), campaign.id)
    monitor = Monitor(campaign, system, slices, POLICY, acting=True)
    print("started", flush=True)
    while not monitor.poll().is_over:
        time.sleep(0.05)
"""


@pytest.mark.slow
def test_a_monitor_killed_again_and_again_loses_and_doubles_nothing(world, request):
    plans = [
        ["exit 1", "sleep 0.2; exit 74", DELIVER] if job % 3 == 0 else ["sleep 0.1; " + DELIVER]
        for job in range(12)
    ]
    here = world(*plans)
    here.campaign.close()
    argv = [sys.executable, "-c", MONITOR, str(here.folder), str(request.config.rootpath)]
    for round_ in range(40):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "started\n"
            try:
                process.wait(0.04 * (round_ + 1))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
        if process.returncode == 0:
            break
    poll = here.again().monitor().poll()
    assert poll.exit_code == 0
    started = here.slices.started()
    assert len(started) == len(set(started)) == 12 + 2 * 4
    assert round_ > 1


def test_two_monitors_do_not_act_together(world):
    here = world([DELIVER])
    with Lock(here.folder), pytest.raises(ResultsRefused, match="watched already"):
        Lock(here.folder).acquire()


def test_a_folder_without_a_campaign_is_named(tmp_path):
    with pytest.raises(InputFileError, match=r"has no campaign.*pocket-coffea run"):
        Campaign(tmp_path)


def test_a_second_campaign_in_a_folder_is_refused(world):
    here = world([DELIVER])
    with pytest.raises(ResultsRefused, match="holds a campaign already"):
        Campaign.create(here.folder, "local", 3)


def test_an_interrupted_submission_of_another_machine_is_waited_for(world):
    here = world([DELIVER])
    here.campaign.begin([here.slices.task(0, 1, RESOURCES)])
    (intent,) = here.campaign.open.values()
    here.campaign.open[intent.tag] = dataclasses.replace(intent, host="elsewhere")
    with pytest.raises(ResultsRefused, match="begun on elsewhere"):
        recover(here.campaign, here.system)


def test_flags_of_the_new_instance_survive_the_recovery_of_its_submission(world):
    here = world([DELIVER])
    set_flag(here.folder, 0, State.FAILED)
    os.utime(here.folder / "job_0.failed", (1e9, 1e9))
    task = here.slices.task(0, 1, RESOURCES)
    here.system.submit(here.campaign.begin([task]), [task])
    deadline = time.monotonic() + 20
    while not (here.folder / "job_0.done").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    recover(here.campaign, here.system)
    assert here.flags()[0] is State.DONE
