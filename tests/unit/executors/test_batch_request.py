from __future__ import annotations

import pytest

from pocket_coffea.errors import OptionError
from pocket_coffea.executors.batch_request import batch_request, clock, pick_queue


def test_sizes_are_in_mebibytes_rounded_up(make_site):
    options = {"cores-per-worker": 2, "mem-per-worker": "2GB", "disk-per-worker": 1.5, "account": "cms"}
    request = batch_request(make_site(), options)
    assert (request.cores, request.memory, request.disk, request.account) == (2, 1908, 1431, "cms")
    assert batch_request(make_site(), {}).disk is None
    assert batch_request(make_site(), {}).memory == 1908


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ("", None)),
        ({"walltime": "0:30:00"}, ("", 1800)),
        ({"queue": "short"}, ("short", 3600)),
        ({"queue": "long", "walltime": "2:00:00"}, ("long", 7200)),
    ],
)
def test_queue_and_time(make_site, options, found):
    assert pick_queue(make_site(), options) == found


def test_a_site_without_a_ladder_takes_any_name(make_site):
    assert pick_queue(make_site(queues=()), {"queue": "mine"}) == ("mine", None)


def test_an_unknown_queue_is_told_with_the_ladder(make_site):
    with pytest.raises(OptionError, match=r"Did you mean 'short'.*short 1:00:00, long 1-00:00:00 \("):
        pick_queue(make_site(), {"queue": "shrt"})


@pytest.mark.parametrize(
    ("walltime", "hint"), [("6:00:00", "Longer queues: long."), ("2-00:00:00", "No queue of this site")]
)
def test_a_walltime_that_the_queue_does_not_give(make_site, walltime, hint):
    with pytest.raises(OptionError, match=f"the queue 'short' of here gives 1:00:00. {hint}"):
        pick_queue(make_site(), {"queue": "short", "walltime": walltime})


def test_clock():
    assert clock(59) == "0:00:59"
    assert clock(86400) == "1-00:00:00"
