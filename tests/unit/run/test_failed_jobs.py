"""Which failed jobs run again, and which stay on record."""

import pytest

from pocket_coffea.errors import NothingToDo, OptionError
from pocket_coffea.run.failed_jobs import choose_failed, failed_elsewhere


def entry(sample):
    return {"files": [], "metadata": {"sample": sample}}


EVERY = {"TT_2017": entry("TT"), "TT_2018": entry("TT"), "DY_2018": entry("DY"), "DATA_2018": entry("DATA")}
GROUP_SAMPLES = {"signal": ["TT"], "other": ["WW"]}
ALONE = {name: {name: EVERY[name]} for name in ("DY_2018", "DATA_2018")}
GROUPS = {"signal": {name: EVERY[name] for name in ("TT_2017", "TT_2018")}, **ALONE}


def test_only_failed_jobs_run_again(caplog):
    chosen = choose_failed(["DATA_2018", "signal", "gone"], GROUPS, GROUP_SAMPLES, EVERY)
    assert chosen == {"DATA_2018": GROUPS["DATA_2018"], "signal": GROUPS["signal"]}
    assert "'gone' is not a job of this configuration" in caplog.text


def test_a_failed_job_outside_of_the_filters_is_said(caplog):
    chosen = choose_failed(["DATA_2018", "DY_2018"], {"DY_2018": GROUPS["DY_2018"]}, None, EVERY)
    assert list(chosen) == ["DY_2018"]
    assert "'DATA_2018' is not among the datasets that are selected now" in caplog.text
    with pytest.raises(NothingToDo, match="none of the failed jobs"):
        choose_failed(["DATA_2018"], {"DY_2018": GROUPS["DY_2018"]}, None, EVERY)


def test_a_failed_group_runs_whole_or_not_at_all():
    part = {**GROUPS, "signal": {"TT_2017": EVERY["TT_2017"]}}
    with pytest.raises(OptionError, match="leave TT_2018 out of the group 'signal'"):
        choose_failed(["signal"], part, GROUP_SAMPLES, EVERY)


@pytest.mark.parametrize(("resubmit", "kept"), [(True, ["DATA_2018", "gone"]), (False, ["DATA_2018"])])
def test_what_was_not_run_again_stays_on_record(resubmit, kept):
    groups = {"signal": GROUPS["signal"], "DY_2018": GROUPS["DY_2018"]}
    failed = ["signal", "DATA_2018", "gone"]
    assert failed_elsewhere(failed, groups, GROUP_SAMPLES, EVERY, resubmit) == kept
