"""What measured speeds say about jobs: their number, their time, their queue."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket_coffea.errors import ConfigurationError, InputFileError, NothingToDo, OptionError
from pocket_coffea.executors.jobs.forecast import Forecast, forecast_of, require_fit, timed_jobs
from pocket_coffea.executors.jobs.queues import (
    FirstAttempts,
    first_attempts,
    fits,
    shortest_queue,
    threshold_of,
)
from pocket_coffea.executors.jobs.record import JobSlice
from pocket_coffea.executors.jobs.split import Rules, split
from pocket_coffea.executors.jobs.timing import (
    Rate,
    Size,
    Timing,
    jobs_by_dataset,
    rates_of,
    read_timings,
    run_time,
    target_of,
    timing_file,
    write_timing,
)
from pocket_coffea.sites.book import SiteBook


def timing(dataset: str, rate: float) -> Timing:
    return Timing(dataset, dataset, 1000, 2, 1000 / rate, 500, "abc", "node", "2026-01-01T00:00:00+00:00")


def filesets(**sizes: tuple[int | None, int]) -> dict:
    """{name: (events, files)}"""
    return {
        name: {
            "files": [f"{name}/{k}.root" for k in range(files)],
            "metadata": {"sample": name, **({} if events is None else {"nevents": str(events)})},
        }
        for name, (events, files) in sizes.items()
    }


@pytest.fixture
def lxplus():
    return SiteBook().get("lxplus")


# -- files


def test_timings_come_back(tmp_path):
    given = timing("TT/v1", 12.5)
    path = write_timing(tmp_path / "timeit", given)
    assert path == tmp_path / "timeit" / "TT_v1.json"
    assert json.loads(path.read_text())["events_per_second"] == 12.5
    assert read_timings(tmp_path / "timeit", ["TT/v1", "DY"]) == {"TT/v1": given}
    assert read_timings(tmp_path / "nowhere", ["TT/v1"]) == {}


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"dataset": "TT"}', None, "zero"], ids=str)
def test_a_damaged_timing_is_named(tmp_path, content):
    path = write_timing(tmp_path, timing("TT", 1.0))
    if content in (None, "zero"):
        whole = json.loads(path.read_text())
        content = json.dumps(whole | ({"seconds": 0} if content else {"events": "many"}))
    path.write_text(content)
    with pytest.raises(InputFileError, match=r"TT\.json.*--timeit"):
        read_timings(tmp_path, ["TT"])


# -- speeds and numbers of jobs


def test_the_median_stands_for_what_was_not_measured():
    known = {name: timing(name, rate) for name, rate in (("a", 1.0), ("b", 10.0), ("c", 100.0))}
    assert rates_of(["a", "d"], known) == {"a": Rate(1.0), "d": Rate(10.0, is_guess=True)}


@pytest.mark.parametrize(
    ("events", "files", "rate", "target", "cut", "jobs"),
    [
        (1000, 10, 10.0, 20.0, False, 5),
        (1001, 10, 10.0, 20.0, False, 6),  # rounded up
        (1000, 3, 10.0, 20.0, False, 3),  # no more than files
        (1000, 3, 10.0, 20.0, True, 5),  # which may be cut
        (1000, 10, 10.0, 1e9, False, 1),  # at least one
        (0, 4, 10.0, 20.0, False, 1),
        (0, 4, 10.0, 0.0, False, 1),  # nothing to do at all
        (300, 3, 0.1, 1000.0, False, 3),  # exactly three, whatever rounding does
    ],
)
def test_jobs_of_a_dataset(events, files, rate, target, cut, jobs):
    found = jobs_by_dataset({"a": Size(events, files)}, {"a": Rate(rate)}, target, split_files=cut)
    assert found == {"a": jobs}


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.tuples(st.integers(0, 10**7), st.integers(1, 40), st.floats(0.5, 1e5)),
        min_size=1,
    ),
    st.integers(1, 200),
)
def test_jobs_of_about_the_same_time(each, scaleout):
    sizes = {name: Size(events, files) for name, (events, files, _) in each.items()}
    rates = {name: Rate(rate) for name, (_, _, rate) in each.items()}
    target = target_of(sizes, rates, scaleout)
    jobs = jobs_by_dataset(sizes, rates, target)
    assert all(1 <= jobs[name] <= size.files for name, size in sizes.items())
    assert sum(jobs.values()) <= scaleout + len(sizes)
    plans = split(
        filesets(**{name: (size.events, size.files) for name, size in sizes.items()}), Rules(jobs=jobs)
    )
    assert [len(plan.datasets) for plan in plans] == [1] * sum(jobs.values())
    files = [file for plan in plans for entry in plan.filesets.values() for file in entry["files"]]
    assert sorted(files) == sorted({*files})
    assert len(files) == sum(size.files for size in sizes.values())


def test_max_events_wins_over_speeds(tmp_path):
    write_timing(tmp_path, timing("a", 10.0))
    options = {"timeit-dir": str(tmp_path), "scaleout": 5, "max-events-per-job": 100}
    assert timed_jobs(filesets(a=(1000, 10)), options) is None


@pytest.mark.parametrize(
    ("options", "jobs"),
    [
        ({"scaleout": 4}, {"a": 4, "b": 1}),  # 110 s in all
        ({"target-time": 10}, {"a": 10, "b": 1}),
        ({"target-time": 10, "cores-per-worker": 2}, {"a": 5, "b": 1}),
        ({"target-time": 10, "scaleout": 1}, {"a": 10, "b": 1}),  # target-time wins
        ({}, None),
    ],
)
def test_what_asks_for_jobs_by_speed(tmp_path, options, jobs):
    write_timing(tmp_path, timing("a", 10.0))
    write_timing(tmp_path, timing("b", 100.0))
    data = filesets(a=(1000, 20), b=(1000, 20))
    assert timed_jobs(data, {"timeit-dir": str(tmp_path), **options}) == jobs


def test_without_timings_scaleout_is_as_before_and_target_time_an_error(tmp_path):
    data = filesets(a=(1000, 20))
    assert timed_jobs(data, {"timeit-dir": str(tmp_path), "scaleout": 3}) is None
    with pytest.raises(OptionError, match=r"target-time = 60.*--timeit"):
        timed_jobs(data, {"timeit-dir": str(tmp_path), "target-time": 60})


def test_without_events_scaleout_is_as_before_and_target_time_an_error(tmp_path):
    write_timing(tmp_path, timing("a", 10.0))
    data = filesets(a=(None, 20))
    assert timed_jobs(data, {"timeit-dir": str(tmp_path), "scaleout": 3}) is None
    with pytest.raises(ConfigurationError, match="'a' has no nevents"):
        timed_jobs(data, {"timeit-dir": str(tmp_path), "target-time": 60})


# -- times of jobs


@pytest.mark.parametrize(
    ("slices", "cores", "seconds"),
    [
        ([("a", 100, 1)], 1, 10.0),
        ([("a", 100, 1), ("b", 100, 1)], 1, 11.0),
        ([("a", 100, 1)], 4, 10.0 / 2),  # two chunks keep two cores busy
        ([("a", 0, 5)], 1, 50.0),  # half of the files of a dataset with 1000 events
    ],
)
def test_time_of_a_job(slices, cores, seconds):
    sizes, rates = {"a": Size(1000, 10), "b": Size(1000, 10)}, {"a": Rate(10.0), "b": Rate(100.0)}
    parts = [JobSlice(name, name, events, files) for name, events, files in slices]
    assert run_time(parts, sizes, rates, cores=cores, chunksize=50) == pytest.approx(seconds)


# -- queues


@pytest.mark.parametrize(
    ("seconds", "queue"),
    [
        (1, "espresso"),
        (959, "espresso"),
        (960, "microcentury"),  # 80 % of 20 minutes
        (3000, "longlunch"),
        (20000, "workday"),
        (9e9, "nextweek"),  # the longest, when it fits nowhere
    ],
)
def test_the_shortest_queue_that_fits(lxplus, seconds, queue):
    assert shortest_queue(seconds, lxplus.queues, 0.8).name == queue


def test_each_job_has_its_queue(lxplus):
    times = [10.0, 20.0, 5000.0, 30.0, 90000.0]
    attempts = first_attempts(lxplus, {"queue": "auto", "mem-per-worker": "2GB"}, times)
    assert attempts.resources.queue == "espresso"
    assert [attempts.of(job).queue for job in range(5)] == [
        *("espresso", "espresso", "longlunch", "espresso", "testmatch")
    ]
    assert attempts.of(2).seconds == 7200
    assert (attempts.shortest, attempts.longest) == (1200, 259200)
    assert {each.memory_mb for each in attempts.exceptions.values()} == {attempts.resources.memory_mb}


def test_a_default_walltime_does_not_hinder_auto():
    site = SiteBook().get("T3_CH_PSI")
    attempts = first_attempts(site, {"queue": "auto", "walltime": "6:00:00"}, [60.0, 100_000.0])
    assert {attempts.of(job).queue: attempts.of(job).seconds for job in (0, 1)} == {
        "quick": 3600,
        "long": 7 * 86400,
    }


@pytest.mark.parametrize(
    ("site", "times", "said"),
    [("lxplus", None, "--timeit"), ("rubin", [1.0], "no list of queues")],
)
def test_auto_needs_timings_and_queues(site, times, said):
    with pytest.raises(OptionError, match=rf"queue = auto.*{said}"):
        first_attempts(SiteBook().get(site), {"queue": "auto"}, times)


def test_the_threshold():
    assert threshold_of({}) == 0.8
    assert threshold_of({"queue-time-threshold-percent": 50}) == 0.5
    assert fits(1799, 3600, 0.5)
    assert not fits(1800, 3600, 0.5)
    with pytest.raises(OptionError, match="101"):
        threshold_of({"queue-time-threshold-percent": 101})


# -- the table, and what is asked


@pytest.fixture
def forecast(tmp_path) -> Forecast:
    """A dataset with two jobs of 5000 s, and one that was not measured with one."""
    write_timing(tmp_path, timing("slow", 10.0))
    data = filesets(slow=(100_000, 2), other=(1000, 1))
    plans = split(data, Rules(jobs={"slow": 2, "other": 1}))
    found = forecast_of(plans, data, {"timeit-dir": str(tmp_path)})
    assert found is not None
    assert found.seconds == (5000.0, 5000.0, 100.0)
    return found


def test_the_forecast_table(forecast, lxplus):
    lines = forecast.table(first_attempts(lxplus, {"queue": "microcentury"}, None), 0.8)
    assert [line.text for line in lines] == [
        "dataset  events/s  jobs  longest job  all jobs         queue  of its time",
        "slow           10     2      1:23:20   2:46:40  microcentury         139%",
        "other         ~10     1      0:01:40   0:01:40  microcentury           3%",
        "~ was not measured (1 of 2): the median of the others is taken",
        "2 of 3 jobs take 80% of their time or more",
    ]
    assert [line.is_long for line in lines] == [False, True, False, False, False]


def test_nothing_is_asked_when_all_fit(forecast, lxplus):
    require_fit(forecast, first_attempts(lxplus, {"queue": "auto"}, forecast.seconds), {})
    require_fit(forecast, FirstAttempts(first_attempts(lxplus, {}, None).resources), {})  # no known time
    short = first_attempts(lxplus, {"queue": "microcentury"}, None)
    require_fit(forecast, short, {"allow-long-jobs": True})


def test_without_terminal_long_jobs_are_an_error(forecast, lxplus):
    short = first_attempts(lxplus, {"queue": "microcentury"}, None)
    with pytest.raises(OptionError, match=r"may not fit in the microcentury queue.*allow-long-jobs"):
        require_fit(forecast, short, {})


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_it_is_asked(forecast, lxplus, monkeypatch, answer, goes_on):
    asked = []
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: asked.append(text) or answer)
    short = first_attempts(lxplus, {"queue": "microcentury"}, None)
    if goes_on:
        require_fit(forecast, short, {})
    else:
        with pytest.raises(NothingToDo, match="Nothing was submitted"):
            require_fit(forecast, short, {})


def test_file_of_a_dataset(tmp_path):
    assert timing_file(tmp_path, "TT").name == "TT.json"
