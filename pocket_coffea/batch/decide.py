"""What is done about a failure: one pure function, ``decide(failure, history, policy) -> Action``.

The rules are a table, one function for each cause. A cause comes from the exit code of the job (design:
70-77), or from what the batch system says of its end.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from pocket_coffea.batch.states import Attempt, Resources, State

__all__ = [
    "Action",
    "Cause",
    "Failure",
    "History",
    "Kind",
    "Policy",
    "Queue",
    "as_wanted",
    "cause_of",
    "decide",
    "longer",
]


class Cause(StrEnum):
    """Why an attempt did not succeed."""

    IMAGE = "wrong image"
    PYTHON = "wrong Python"
    PAYLOAD = "payload does not match its digest"
    INPUT = "input cannot be read"
    DELIVERY = "output not delivered"
    TIMEOUT = "time limit"
    PROCESSING = "processing error"
    MEMORY = "out of memory"
    SETUP = "the worker could not be prepared"
    KILLED = "killed by a signal"
    OTHER_CODE = "unknown exit code"
    HELD_BY_USER = "held by a person"
    TRANSFER = "files were not transferred"
    HELD = "held by the batch system"
    REMOVED_BY_USER = "removed by its owner"
    REMOVED = "removed by the batch system"
    NODE = "the worker was lost"
    RECREATED = "sent again by a person"
    MISSING = "not known to the batch system any more"


#: Exit codes of a job (design.md), of the worker's start script (78) and of shells.
BY_EXIT_CODE = {
    70: Cause.IMAGE,
    71: Cause.PYTHON,
    72: Cause.PAYLOAD,
    73: Cause.INPUT,
    74: Cause.DELIVERY,
    75: Cause.TIMEOUT,
    76: Cause.PROCESSING,
    77: Cause.MEMORY,
    78: Cause.SETUP,
    126: Cause.SETUP,
    127: Cause.SETUP,
    137: Cause.KILLED,
    143: Cause.KILLED,
}
#: HTCondor's hold codes; 26 (SYSTEM_PERIODIC_HOLD), 3 (periodic_hold) and 21 (of the machine) by their words
_BY_HOLD_CODE = {
    1: Cause.HELD_BY_USER,
    12: Cause.TRANSFER,
    13: Cause.TRANSFER,
    15: Cause.HELD_BY_USER,
    32: Cause.TRANSFER,
    33: Cause.TRANSFER,
    45: Cause.IMAGE,
    46: Cause.TIMEOUT,
    47: Cause.TIMEOUT,
}
#: Causes that are not held against a job; four times the limit is the end all the same
INNOCENT = frozenset({Cause.NODE, Cause.REMOVED, Cause.MISSING, Cause.RECREATED})
_DISK_SUBCODE = 104  # of hold code 34: disk, not memory
_MEMORY_WORDS = re.compile(r"memory|OUT_OF_MEMORY|oom", re.IGNORECASE)
_TIME_WORDS = re.compile(r"wall ?time|time limit|max(imum)? (run)?time|duration", re.IGNORECASE)
_IMAGE_WORDS = re.compile(r"singularity|apptainer|\bimage\b", re.IGNORECASE)
_NODE_WORDS = re.compile(
    r"NODE_FAIL|BOOT_FAIL|PREEMPTED|LAUNCH_FAILED|RECONFIG_FAIL|launch.failed", re.IGNORECASE
)
_USER_WORDS = re.compile(r"^via condor_rm \(by user (\S+)\)|^CANCELLED by (\d+)|^removed$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Queue:
    """A rung of the site's ladder."""

    name: str
    seconds: int


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What the user and the site allow."""

    max_resubmit: int = 4
    blacklist_threshold: int = 3  # more distinct unreadable files than this and a site is left alone
    queue_shift: int = 1
    ladder: tuple[Queue, ...] = ()  # shortest first; empty: the queue is never changed
    queue: str = ""  # wanted for every attempt to come; wins over any shift
    fitting: Mapping[int, str] = dataclasses.field(default_factory=dict)  # job -> queue that its time fits
    use_redirector: bool = False  # every further attempt reads through it
    blocked_sites: frozenset[str] = frozenset()
    memory_factor: float = 2.0
    max_memory_mb: int = 16_000
    cpu_factor: int = 1  # multiplies cpus and memory once, from the second retry on
    max_cpus: int = 8
    owner: str = ""  # user name or number whose removals are meant
    backoff: float = 60.0  # seconds before a second try of what time may heal; doubled each time


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """What is to be decided about."""

    cause: Cause
    reason: str = ""
    addresses: tuple[str, ...] = ()  # files that could not be read
    sites: frozenset[str] = frozenset()  # where these are


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """What happened before: to this job, the failed attempt included, and to the sites of the campaign."""

    attempts: Sequence[Attempt]
    site_failures: Mapping[str, int] = dataclasses.field(default_factory=dict)  # distinct files of each site
    blacklisted: frozenset[str] = frozenset()
    first: Resources = dataclasses.field(default_factory=Resources)  # what the job was first sent with
    fitting: str = ""  # queue that the time of the job fits; empty when nobody asked for it

    @property
    def blamed(self) -> int:
        """How many attempts failed of what the job itself, its input or its output did."""
        return sum(attempt.cause not in INNOCENT for attempt in self.attempts)

    @property
    def now(self) -> Resources:
        return self.attempts[-1].resources if self.attempts else self.first

    def count(self, *causes: Cause) -> int:
        """Return how many attempts failed of one of these, the last one included."""
        return sum(attempt.cause in causes for attempt in self.attempts)


class Kind(StrEnum):
    """What is to be done."""

    RETRY = "retry"
    LEAVE = "leave"  # somebody else is in charge, or time will tell
    GIVE_UP = "give up"


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """A decision, with its reason in words for people."""

    kind: Kind
    reason: str
    resources: Resources = dataclasses.field(default_factory=Resources)  # of the next attempt
    bad: tuple[str, ...] = ()  # addresses that get another replica
    avoid: frozenset[str] = frozenset()  # sites whose files get another replica
    redirector: bool = False  # all addresses go through the redirector
    blacklist: frozenset[str] = frozenset()  # sites that join the blacklist with this decision
    wait: float = 0.0  # seconds until the next attempt is sent


def cause_of(attempt: Attempt) -> Cause:
    """Return why an attempt did not succeed, from its state, its codes and the batch system's words."""
    return _CAUSE_BY_STATE.get(attempt.state, _failed)(attempt)


def _failed(attempt: Attempt) -> Cause:
    if attempt.exit_code in BY_EXIT_CODE:
        return BY_EXIT_CODE[attempt.exit_code]
    if _NODE_WORDS.search(attempt.reason):
        return Cause.NODE
    if _MEMORY_WORDS.search(attempt.reason):
        return Cause.MEMORY
    if attempt.signal is not None:
        return Cause.KILLED
    return Cause.DELIVERY if attempt.exit_code == 0 else Cause.OTHER_CODE


def _held(attempt: Attempt) -> Cause:
    if attempt.code == 34:
        return Cause.HELD if attempt.subcode == _DISK_SUBCODE else Cause.MEMORY
    if attempt.code in _BY_HOLD_CODE:
        return _BY_HOLD_CODE[attempt.code]
    if attempt.reason.startswith("PENDING (JobHeld"):
        return Cause.HELD_BY_USER
    for words, cause in (
        (_TIME_WORDS, Cause.TIMEOUT),
        (_MEMORY_WORDS, Cause.MEMORY),
        (_IMAGE_WORDS, Cause.IMAGE),
    ):
        if words.search(attempt.reason):
            return cause
    return Cause.HELD


def _removed(attempt: Attempt) -> Cause:
    if _NODE_WORDS.search(attempt.reason):
        return Cause.NODE
    if _MEMORY_WORDS.search(attempt.reason):
        return Cause.MEMORY
    return Cause.REMOVED_BY_USER if _USER_WORDS.search(attempt.reason) else Cause.REMOVED


_CAUSE_BY_STATE: dict[State, Callable[[Attempt], Cause]] = {
    State.TIMEOUT: lambda _: Cause.TIMEOUT,
    State.MISSING: lambda _: Cause.MISSING,
    State.HELD: _held,
    State.REMOVED: _removed,
}


def decide(failure: Failure, history: History, policy: Policy) -> Action:
    """Return what is done about a failure. Pure: the same arguments give the same action."""
    rule = _RULES[failure.cause]
    action = rule(failure, history, policy)
    if action.kind is not Kind.RETRY:
        return action
    if history.blamed > policy.max_resubmit or len(history.attempts) > 4 * policy.max_resubmit:
        tried = (
            f"tried {len(history.attempts)} times, which is what max-resubmit {policy.max_resubmit} allows"
        )
        return Action(Kind.GIVE_UP, f"{_said(failure)}; {tried}", blacklist=action.blacklist)
    return as_wanted(action, history, policy)


def _said(failure: Failure) -> str:
    return f"{failure.cause.value}: {failure.reason}" if failure.reason else failure.cause.value


def as_wanted(action: Action, history: History, policy: Policy) -> Action:
    """Apply what the user wants of every further attempt."""
    resources = action.resources
    if policy.queue:
        resources = _in_queue(resources, policy, policy.queue)
    elif history.fitting:
        resources = _fitting(resources, history, policy)
    avoid = action.avoid | policy.blocked_sites | history.blacklisted
    redirector = action.redirector or policy.use_redirector
    return dataclasses.replace(action, resources=resources, avoid=avoid, redirector=redirector)


def _fitting(resources: Resources, history: History, policy: Policy) -> Resources:
    """Return the queue of the forecast; where that was too short, none shorter than the one decided on."""
    names = [rung.name for rung in policy.ladder]
    if history.count(Cause.TIMEOUT) and resources.queue in names[names.index(history.fitting) :]:
        return resources
    return _in_queue(resources, policy, history.fitting)


def _in_queue(resources: Resources, policy: Policy, name: str) -> Resources:
    seconds = {rung.name: rung.seconds for rung in policy.ladder}.get(name, resources.seconds)
    return dataclasses.replace(resources, queue=name, seconds=seconds)


def longer(resources: Resources, policy: Policy) -> Resources:
    """Return the resources ``queue_shift`` rungs up; unchanged in a queue that is not on the ladder."""
    names = [rung.name for rung in policy.ladder]
    if resources.queue not in names:
        return resources
    place = min(names.index(resources.queue) + policy.queue_shift, len(names) - 1)
    return _in_queue(resources, policy, names[max(place, 0)])


def _scaled(history: History, policy: Policy) -> Resources:
    """Multiply cpus and memory of the first attempt by ``cpu_factor``, once."""
    now = history.now
    cpus = max(now.cpus, min(history.first.cpus * policy.cpu_factor, policy.max_cpus))
    memory = max(now.memory_mb, min(history.first.memory_mb * policy.cpu_factor, policy.max_memory_mb))
    return dataclasses.replace(now, cpus=cpus, memory_mb=memory)


def _retry(failure: Failure, resources: Resources, what: str, wait: float = 0.0) -> Action:
    return Action(Kind.RETRY, f"{_said(failure)}; {what}", resources, wait=wait)


def _at_most(times: int, why: str) -> Callable[[Failure, History, Policy], Action]:
    """Return a rule for what no repetition heals, but a bad worker may have caused."""

    def rule(failure: Failure, history: History, policy: Policy) -> Action:
        if history.count(failure.cause) > times:
            return Action(Kind.GIVE_UP, f"{_said(failure)}; {why}")
        wait = policy.backoff * (2 ** (history.count(failure.cause) - 1))
        return _retry(failure, history.now, "sent again, it may have been the worker", wait)

    return rule


def _input(failure: Failure, history: History, policy: Policy) -> Action:
    """Another replica; the sites that fail often are left alone; at last the redirector."""
    blacklist = frozenset(
        site
        for site in failure.sites
        if site not in history.blacklisted and history.site_failures.get(site, 0) > policy.blacklist_threshold
    )
    redirector = history.count(Cause.INPUT) > 2
    what = "read through the redirector" if redirector else "another replica is read, where there is one"
    if not failure.addresses:
        what = "sent again through the redirector" if redirector else "sent again, no file was named"
    # the first time another replica heals; later it may be an outage, which time does
    wait = policy.backoff * 2 ** (history.count(Cause.INPUT) - 2) if history.count(Cause.INPUT) > 1 else 0.0
    if blacklist:
        what += f"; no file is read from {', '.join(sorted(blacklist))} any more"
    action = _retry(failure, history.now, what, wait)
    return dataclasses.replace(
        action, bad=failure.addresses, avoid=blacklist, blacklist=blacklist, redirector=redirector
    )


def _timeout(failure: Failure, history: History, policy: Policy) -> Action:
    """A longer queue; at its end again in the same one, since completed chunks are kept."""
    resources = longer(history.now, policy)
    if history.count(Cause.TIMEOUT) > 1:
        resources = dataclasses.replace(
            _scaled(history, policy), queue=resources.queue, seconds=resources.seconds
        )
    if resources.queue != history.now.queue:
        return _retry(failure, resources, f"sent to {resources.queue} instead of {history.now.queue}")
    return _retry(failure, resources, "sent again, completed chunks are kept")


def _memory(failure: Failure, history: History, policy: Policy) -> Action:
    now = history.now
    if not now.memory_mb:
        return Action(
            Kind.GIVE_UP, f"{_said(failure)}; how much it was given is not known: set mem-per-worker"
        )
    wanted = min(int(now.memory_mb * policy.memory_factor), policy.max_memory_mb)
    if wanted <= now.memory_mb:
        limit = f"{now.memory_mb} MB is the most that may be asked for: set a smaller chunksize"
        return Action(Kind.GIVE_UP, f"{_said(failure)}; {limit}")
    resources = dataclasses.replace(now, memory_mb=wanted)
    return _retry(failure, resources, f"{wanted} MB instead of {now.memory_mb} MB")


def _ordinary(failure: Failure, history: History, policy: Policy) -> Action:
    """Unchanged the first time; later with a longer queue, and with more cpus and memory where allowed."""
    if history.count(failure.cause) < 2:
        return _retry(failure, history.now, "sent again as it was")
    resources = longer(_scaled(history, policy), policy)
    return _retry(failure, resources, "sent again with more time and resources", policy.backoff)


def _killed(failure: Failure, history: History, policy: Policy) -> Action:
    """A kill from outside is what many sites do to a job that uses too much memory."""
    if history.count(Cause.KILLED) < 2 or not history.now.memory_mb:
        return _ordinary(failure, history, policy)
    return _memory(failure, history, policy)


def _processing(failure: Failure, history: History, policy: Policy) -> Action:
    """The same error twice is in the code or the data; another one each time may be the worker."""
    reasons = [attempt.reason for attempt in history.attempts if attempt.cause == Cause.PROCESSING]
    if failure.reason and reasons.count(failure.reason) > 1:
        return Action(Kind.GIVE_UP, f"{_said(failure)}; the same error twice: look into the log")
    if history.count(Cause.PROCESSING) > 2:
        return Action(Kind.GIVE_UP, f"{_said(failure)}; three errors in the code: look into the logs")
    return _ordinary(failure, history, policy)


def _backoff(failure: Failure, history: History, policy: Policy) -> Action:
    wait = policy.backoff * (2 ** max(history.count(failure.cause) - 1, 0))
    return _retry(failure, history.now, f"sent again in {wait:.0f} s", wait)


def _at_once(failure: Failure, history: History, policy: Policy) -> Action:  # noqa: ARG001 # one signature
    return _retry(failure, history.now, "sent again as it was")


def _leave(failure: Failure, history: History, policy: Policy) -> Action:  # noqa: ARG001 # one signature
    return Action(Kind.LEAVE, f"{_said(failure)}; release or remove it yourself")


def _as_the_user_wants(failure: Failure, history: History, policy: Policy) -> Action:
    owner = _USER_WORDS.search(failure.reason)
    name = (owner[1] or owner[2] or policy.owner) if owner else policy.owner
    if policy.owner and name not in policy.owner.split(","):
        return _at_once(failure, history, policy)
    return Action(Kind.GIVE_UP, f"{_said(failure)}; recreate the job to send it again")


_RULES: dict[Cause, Callable[[Failure, History, Policy], Action]] = {
    Cause.IMAGE: _at_most(1, "the image is not the one that was submitted: submit again with that image"),
    Cause.PYTHON: _at_most(0, "the worker's environment has another Python than the one that submitted"),
    Cause.PAYLOAD: _at_most(1, "the files of the jobs folder were changed after the submission"),
    Cause.SETUP: _at_most(1, "see the job's .err, and custom-setup-commands"),
    Cause.TRANSFER: _at_most(1, "a file that the job needs or makes is not there"),
    Cause.HELD: _at_most(2, "see the reason that the batch system gives"),
    Cause.INPUT: _input,
    Cause.DELIVERY: _backoff,
    Cause.TIMEOUT: _timeout,
    Cause.PROCESSING: _processing,
    Cause.MEMORY: _memory,
    Cause.KILLED: _killed,
    Cause.OTHER_CODE: _ordinary,
    Cause.HELD_BY_USER: _leave,
    Cause.REMOVED_BY_USER: _as_the_user_wants,
    Cause.REMOVED: _at_once,
    Cause.NODE: _at_once,
    Cause.RECREATED: _at_once,
    Cause.MISSING: _at_once,
}
