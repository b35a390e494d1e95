"""The table of decisions: every exit code of a job, every state, every limit."""

from __future__ import annotations

import dataclasses

import pytest

from pocket_coffea.batch.decide import (
    BY_EXIT_CODE,
    Action,
    Cause,
    Failure,
    History,
    Kind,
    Policy,
    Queue,
    cause_of,
    decide,
)
from pocket_coffea.batch.states import UNSUCCESSFUL, Attempt, Resources, State

LADDER = (
    Queue("espresso", 1200),
    Queue("microcentury", 3600),
    Queue("longlunch", 7200),
    Queue("workday", 28800),
)
POLICY = Policy(ladder=LADDER, owner="physicist,1000")
FIRST = Resources("microcentury", 3600, 1, 2000, 2000)


def history(*causes, resources=FIRST, reasons=(), sites=None, blacklisted=()):
    attempts = [
        Attempt(
            number, f"{number}.0", resources, cause=cause, reason=(*reasons, *[""] * len(causes))[number - 1]
        )
        for number, cause in enumerate(causes, 1)
    ]
    return History(attempts, sites or {}, frozenset(blacklisted), FIRST)


def verdict(cause, *before, policy=POLICY, **words):
    return decide(Failure(cause), history(*before, cause, **words), policy)


CODES = {
    70: (Cause.IMAGE, Kind.RETRY, FIRST),
    71: (Cause.PYTHON, Kind.GIVE_UP, None),
    72: (Cause.PAYLOAD, Kind.RETRY, FIRST),
    73: (Cause.INPUT, Kind.RETRY, FIRST),
    74: (Cause.DELIVERY, Kind.RETRY, FIRST),
    75: (Cause.TIMEOUT, Kind.RETRY, dataclasses.replace(FIRST, queue="longlunch", seconds=7200)),
    76: (Cause.PROCESSING, Kind.RETRY, FIRST),
    77: (Cause.MEMORY, Kind.RETRY, dataclasses.replace(FIRST, memory_mb=4000)),
    78: (Cause.SETUP, Kind.RETRY, FIRST),
    126: (Cause.SETUP, Kind.RETRY, FIRST),
    127: (Cause.SETUP, Kind.RETRY, FIRST),
    137: (Cause.KILLED, Kind.RETRY, FIRST),
    143: (Cause.KILLED, Kind.RETRY, FIRST),
    1: (Cause.OTHER_CODE, Kind.RETRY, FIRST),
    255: (Cause.OTHER_CODE, Kind.RETRY, FIRST),
    0: (Cause.DELIVERY, Kind.RETRY, FIRST),
}


@pytest.mark.parametrize("code", CODES)
def test_each_exit_code_has_a_cause_and_a_first_decision(code):
    cause, kind, resources = CODES[code]
    failed = Attempt(1, "1.0", FIRST, state=State.FAILED, exit_code=code)
    assert cause_of(failed) is cause
    action = verdict(cause)
    assert action.kind is kind
    if resources:
        assert action.resources == resources
    assert action.reason.startswith(cause.value)


def test_a_file_that_stays_unreadable_is_given_time():
    """The first time another replica heals; an outage of all of them is over when it is over."""
    waits = [verdict(Cause.INPUT, *[Cause.INPUT] * before).wait for before in range(4)]
    assert waits == [0.0, 60.0, 120.0, 240.0]


def test_the_table_has_every_exit_code_of_the_design():
    assert set(BY_EXIT_CODE) <= set(CODES)
    assert set(range(70, 78)) <= set(CODES)


@pytest.mark.parametrize(
    ("attempt", "cause"),
    [
        ({"state": State.TIMEOUT}, Cause.TIMEOUT),
        ({"state": State.MISSING}, Cause.MISSING),
        ({"state": State.FAILED, "signal": 9}, Cause.KILLED),
        ({"state": State.FAILED, "signal": 125, "reason": "OUT_OF_MEMORY"}, Cause.MEMORY),
        ({"state": State.FAILED, "exit_code": 0, "reason": "NODE_FAIL"}, Cause.NODE),
        ({"state": State.REMOVED, "reason": "PREEMPTED"}, Cause.NODE),
        ({"state": State.REMOVED, "reason": "via condor_rm (by user physicist)"}, Cause.REMOVED_BY_USER),
        ({"state": State.REMOVED, "reason": "CANCELLED by 1000"}, Cause.REMOVED_BY_USER),
        ({"state": State.REMOVED, "reason": "The system macro SYSTEM_PERIODIC_REMOVE"}, Cause.REMOVED),
        ({"state": State.HELD, "code": 1, "reason": "via condor_hold (by user x)"}, Cause.HELD_BY_USER),
        ({"state": State.HELD, "reason": "PENDING (JobHeldUser)"}, Cause.HELD_BY_USER),
        ({"state": State.HELD, "code": 12}, Cause.TRANSFER),
        ({"state": State.HELD, "code": 13, "subcode": 2}, Cause.TRANSFER),
        ({"state": State.HELD, "code": 34, "subcode": 102}, Cause.MEMORY),
        ({"state": State.HELD, "code": 34, "subcode": 104}, Cause.HELD),
        ({"state": State.HELD, "code": 26, "reason": "Job's memory usage exceeded"}, Cause.MEMORY),
        ({"state": State.HELD, "code": 26, "reason": "wall time exceeded"}, Cause.TIMEOUT),
        ({"state": State.HELD, "code": 26, "reason": "Singularity cannot open it"}, Cause.IMAGE),
        ({"state": State.HELD, "code": 45}, Cause.IMAGE),
        ({"state": State.HELD, "code": 47}, Cause.TIMEOUT),
        ({"state": State.HELD, "code": 6}, Cause.HELD),
    ],
)
def test_each_state_has_a_cause(attempt, cause):
    assert cause_of(Attempt(1, "1.0", **attempt)) is cause


@pytest.mark.parametrize("state", sorted(UNSUCCESSFUL))
@pytest.mark.parametrize("code", [None, 0, 1, 73, 75])
def test_every_state_and_code_is_decided(state, code):
    attempt = Attempt(1, "1.0", FIRST, state=state, exit_code=code)
    assert isinstance(verdict(cause_of(attempt)), Action)


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_ends_some_day(cause):
    action = verdict(cause, *[cause] * 40)
    assert action.kind is (Kind.LEAVE if cause is Cause.HELD_BY_USER else Kind.GIVE_UP)
    assert cause.value in action.reason


@pytest.mark.parametrize("cause", [Cause.NODE, Cause.REMOVED, Cause.MISSING])
def test_what_others_did_is_not_held_against_a_job(cause):
    assert verdict(cause, *[cause] * 5).kind is Kind.RETRY
    assert verdict(Cause.INPUT, *[cause] * 5).kind is Kind.RETRY
    assert verdict(cause, policy=dataclasses.replace(POLICY, max_resubmit=0)).kind is Kind.GIVE_UP


@pytest.mark.parametrize(("resubmitted", "kind"), [(3, Kind.RETRY), (4, Kind.GIVE_UP)])
def test_max_resubmit_is_a_number_of_resubmissions(resubmitted, kind):
    action = verdict(Cause.INPUT, *[Cause.INPUT] * resubmitted)
    assert action.kind is kind
    assert ("max-resubmit 4" in action.reason) is (kind is Kind.GIVE_UP)


@pytest.mark.parametrize(
    ("queue", "shift", "expected"),
    [
        ("espresso", 1, "microcentury"),
        ("espresso", 2, "longlunch"),
        ("longlunch", 5, "workday"),
        ("mine", 1, "mine"),
    ],
)
def test_a_timeout_shifts_the_queue(queue, shift, expected):
    policy = dataclasses.replace(POLICY, queue_shift=shift)
    action = verdict(Cause.TIMEOUT, policy=policy, resources=dataclasses.replace(FIRST, queue=queue))
    assert action.resources.queue == expected


def test_a_queue_that_is_wanted_wins():
    action = verdict(Cause.TIMEOUT, policy=dataclasses.replace(POLICY, queue="espresso"))
    assert (action.resources.queue, action.resources.seconds) == ("espresso", 1200)


@pytest.mark.parametrize(
    ("fitting", "before", "cause", "expected"),
    [
        ("espresso", (), Cause.DELIVERY, "espresso"),
        ("workday", (), Cause.TIMEOUT, "workday"),
        ("espresso", (), Cause.TIMEOUT, "longlunch"),  # the forecast was wrong
        ("espresso", (Cause.TIMEOUT,), Cause.DELIVERY, "microcentury"),
    ],
)
def test_a_queue_that_the_time_of_a_job_fits(fitting, before, cause, expected):
    past = dataclasses.replace(history(*before, cause), fitting=fitting)
    resources = decide(Failure(cause), past, POLICY).resources
    assert (resources.queue, resources.seconds) in [(rung.name, rung.seconds) for rung in LADDER]
    assert resources.queue == expected


@pytest.mark.parametrize(("memory", "wanted"), [(2000, 4000), (3000, 5000), (5000, None), (0, None)])
def test_memory_is_doubled_up_to_what_may_be_asked_for(memory, wanted):
    policy = dataclasses.replace(POLICY, max_memory_mb=5000)
    action = verdict(Cause.MEMORY, policy=policy, resources=dataclasses.replace(FIRST, memory_mb=memory))
    assert (action.resources.memory_mb if action.kind is Kind.RETRY else None) == wanted


def test_a_second_kill_is_taken_for_lack_of_memory():
    assert verdict(Cause.KILLED, Cause.KILLED).resources.memory_mb == 4000


def test_cpus_and_memory_are_multiplied_once_and_not_at_the_first_retry():
    policy = dataclasses.replace(POLICY, cpu_factor=2)
    assert verdict(Cause.OTHER_CODE, policy=policy).resources == FIRST
    second = verdict(Cause.OTHER_CODE, Cause.OTHER_CODE, policy=policy).resources
    assert (second.cpus, second.memory_mb, second.queue) == (2, 4000, "longlunch")
    third = verdict(Cause.OTHER_CODE, *[Cause.OTHER_CODE] * 2, policy=policy, resources=second).resources
    assert (third.cpus, third.memory_mb) == (2, 4000)


def unreadable(failures, *before, blacklisted=()):
    failure = Failure(Cause.INPUT, "", ("root://a//store/x",), frozenset({"a"}))
    return decide(
        failure, history(*before, Cause.INPUT, sites={"a": failures}, blacklisted=blacklisted), POLICY
    )


def test_an_unreadable_file_gets_another_replica():
    action = unreadable(1)
    assert (action.kind, action.bad, action.blacklist) == (Kind.RETRY, ("root://a//store/x",), frozenset())


@pytest.mark.parametrize(("failures", "listed"), [(3, False), (4, True)])
def test_a_site_with_more_unreadable_files_than_the_threshold_is_left_alone(failures, listed):
    action = unreadable(failures)
    assert (action.blacklist == {"a"}) is listed
    assert (action.avoid == {"a"}) is listed
    assert unreadable(failures, blacklisted={"a"}).blacklist == frozenset()
    assert unreadable(failures, blacklisted={"a"}).avoid == {"a"}


def test_the_third_unreadable_input_goes_through_the_redirector():
    assert not unreadable(1, Cause.INPUT).redirector
    assert unreadable(1, Cause.INPUT, Cause.INPUT).redirector


def test_what_the_user_blocks_or_wants_holds_for_every_retry():
    policy = dataclasses.replace(POLICY, blocked_sites=frozenset({"b"}), use_redirector=True)
    action = verdict(Cause.MISSING, policy=policy)
    assert (action.avoid, action.redirector) == ({"b"}, True)


def test_the_same_error_in_the_code_twice_is_enough():
    same = history(Cause.PROCESSING, Cause.PROCESSING, reasons=("KeyError: x", "KeyError: x"))
    assert decide(Failure(Cause.PROCESSING, "KeyError: x"), same, POLICY).kind is Kind.GIVE_UP
    other = history(Cause.PROCESSING, Cause.PROCESSING, reasons=("KeyError: x", "OSError: y"))
    assert decide(Failure(Cause.PROCESSING, "OSError: y"), other, POLICY).kind is Kind.RETRY


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("via condor_rm (by user physicist)", Kind.GIVE_UP),
        ("CANCELLED by 1000", Kind.GIVE_UP),
        ("via condor_rm (by user condor)", Kind.RETRY),
    ],
)
def test_what_the_owner_removed_stays_removed(reason, kind):
    action = decide(Failure(Cause.REMOVED_BY_USER, reason), history(Cause.REMOVED_BY_USER), POLICY)
    assert action.kind is kind


@pytest.mark.parametrize(("times", "wait"), [(1, 60), (2, 120), (3, 240)])
def test_an_output_that_cannot_be_delivered_waits_longer_each_time(times, wait):
    assert verdict(Cause.DELIVERY, *[Cause.DELIVERY] * (times - 1)).wait == wait


def test_the_same_arguments_give_the_same_action():
    assert [verdict(cause) for cause in Cause] == [verdict(cause) for cause in Cause]
