from __future__ import annotations

import pickle
import re
from datetime import datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import OptionError, SiteError
from pocket_coffea.parameters.defaults import get_default_run_options
from pocket_coffea.run.option_types import read_value, to_megabytes, to_seconds
from pocket_coffea.run.options import (
    EXECUTORS,
    SCHEMA,
    UNSET,
    Kind,
    Option,
    RunOptions,
    Setting,
    load_run_options_file,
    merge_run_options,
    options_reference,
    parse_cli_extra,
    parse_executor,
    per_sample,
)
from pocket_coffea.sites.site import Batch

ROOT = Path(__file__).resolve().parents[3]

GENERAL = {
    "scaleout": 1,
    "chunksize": 150000,
    "limit-files": None,
    "limit-chunks": None,
    "retries": 10,
    "tree-reduction": 20,
    "skip-bad-files": False,
    "voms-proxy": None,
    "ignore-grid-certificate": False,
    "group-samples": None,
    "starting-time": None,
}
SECTIONS = {
    *("general", "dask@lxplus", "condor@lxplus", "dask@swan", "dask@T3_CH_PSI", "parsl@DESY", "parsl@RWTH"),
    *("dask@RWTH", "parsl@CLAIX", "dask@CLAIX", "dask@purdue-af", "dask@infn-af", "dask@brux", "dask@oscar"),
    *("dask@rubin", "condor@rubin", "dask@casa", "dask@lpc", "condor@lpc", "slurm@T3_CH_PSI", "dask@local"),
    "jobs@local",
    *("dask@lab", "parsl@lab"),
}


@pytest.fixture
def run_options(tmp_path):
    """Write a run options file and return its path."""

    def write(text: str):
        path = tmp_path / "run_options.yaml"
        path.write_text(text)
        return path

    return write


# the shipped defaults


def test_shipped_sections_are_complete():
    assert set(get_default_run_options()) == SECTIONS


def test_general_defaults():
    options = merge_run_options("iterative")
    assert options.as_dict() == GENERAL
    assert options.origin("scaleout") == "defaults (general), executor_options_defaults.yaml:6"
    for name, value in GENERAL.items():
        assert SCHEMA[name].default == value


@pytest.mark.parametrize("section", sorted(SECTIONS - {"general"}))
def test_every_section_passes_the_schema_and_is_read_by_its_executor(section):
    options = merge_run_options(section)
    _, site = section.split("@")
    for name, value in get_default_run_options()[section].items():
        origin = options.origin(name)
        assert re.fullmatch(rf"site file sites/{site}\.yaml:\d+ \({section}\)", origin), origin
        line = (
            (ROOT / "sites" / f"{site}.yaml")
            .read_text()
            .splitlines()[int(re.findall(r":(\d+)", origin)[0]) - 1]
        )
        assert line.strip().startswith(f"{name}:"), line
        assert options[name] == value or SCHEMA[name].kind in (Kind.WALLTIME, Kind.MAPPING)
        assert options.reads(name), name


@pytest.mark.parametrize("option", SCHEMA.values(), ids=SCHEMA)
def test_readers_are_executors_that_exist(option):
    systems = {f"{name}/{system}" for name in EXECUTORS for system in (*get_args(Batch), "here")}
    assert set(option.executors) <= {"all", *EXECUTORS, *systems}


@pytest.mark.parametrize(
    ("executor", "name", "value"),
    [
        ("dask@lxplus", "queue", "microcentury"),
        ("dask@lxplus", "death-timeout", 3600),
        ("condor@lxplus", "scaleout", 1),
        ("condor@lxplus", "eos-prefix", None),
        ("dask@T3_CH_PSI", "walltime", "6:00:00"),
        ("parsl@DESY", "mem-per-worker", 4),
        ("parsl@DESY_NAF", "mem-per-worker", 4),
        ("dask@lxplus", "worker-image", "lxplus"),
        ("dask@brux", "retries", 3),
        ("dask@oscar", "mem-per-worker", "7.5GB"),
        ("dask@rubin", "chunksize", 80000),
        ("condor@rubin", "max-run-time", 21600),
        ("dask@purdue-af", "adaptive", True),
    ],
)
def test_site_values(executor, name, value):
    assert merge_run_options(executor)[name] == value


# the merge


def test_each_layer_wins_over_the_one_before(run_options):
    defaults = {
        "general": {"scaleout": 1, "chunksize": 1},
        "site": {"scaleout": 2, "retries": 2},
        "dask": {"scaleout": 3, "tree-reduction": 3},
        "dask@site": {"scaleout": 4, "limit-files": 4},
        "dask@other": {"scaleout": 99},
        "parsl": {"scaleout": 98},
    }
    path = run_options("scaleout: 5\nlimit-chunks: 5\n")

    def merged(**layers):
        return merge_run_options("dask@site", defaults=defaults, **layers)

    assert merged().setting("scaleout") == Setting(4, "defaults (dask@site)")
    assert merged().origin("retries") == "defaults (site)"
    assert merged().origin("tree-reduction") == "defaults (dask)"
    assert merged(files=path).setting("scaleout") == Setting(5, f"run options file {path}:1")
    full = merged(
        files=[path], test=True, flags={"scaleout": 6, "limit-files": UNSET}, extra={"mem-per-worker": 2}
    )
    assert full.setting("scaleout") == Setting(6, "command line (--scaleout)")
    assert full.setting("limit-chunks") == Setting(2, "--test")
    assert full.setting("limit-files") == Setting(2, "--test")
    assert merged(flags={"scaleout": 6}, extra={"scaleout": "7"})["scaleout"] == 7
    assert merged(test=True, flags={"limit-files": 10})["limit-files"] == 10


def test_limit_files_in_yaml_works(run_options):
    assert merge_run_options(files=run_options("limit-files: 3\n"))["limit-files"] == 3


def test_null_is_a_value_and_unset_is_none_given(run_options):
    path = run_options("limit-files: 3\n")
    assert merge_run_options(files=path, flags={"limit-files": UNSET})["limit-files"] == 3
    assert merge_run_options(files=path, flags={"limit-files": None})["limit-files"] is None
    assert merge_run_options(files=path, extra={"limit-files": "null"})["limit-files"] is None
    assert not UNSET
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET


def test_underscores_are_dashes(run_options):
    options = merge_run_options(files=run_options("skip_bad_files: true\n"), extra={"--Limit_Files": "2"})
    assert options["skip-bad-files"] is options["skip_bad_files"] is True
    assert options["limit_files"] == 2
    assert "limit_files" in options
    with pytest.raises(OptionError, match="same run option"):
        merge_run_options(files=run_options("limit-files: 1\nlimit_files: 2\n"))


def test_unknown_option_names_origin_and_nearest(run_options):
    path = run_options("chunk-size: 3\n")
    with pytest.raises(
        OptionError, match=r"run_options\.yaml:1: there is no run option 'chunk-size'.*'chunksize'"
    ):
        merge_run_options(files=path)
    with pytest.raises(OptionError, match=r"command line \(--limit-file\).*Did you mean 'limit-files'"):
        merge_run_options(extra={"limit-file": "3"})
    with pytest.raises(OptionError, match=r"defaults \(general\).*'scale'"):
        merge_run_options(defaults={"general": {"scale": 1}})


def test_custom_executors_may_bring_options():
    own = Option("pool-name", Kind.TEXT, "Pool of the custom executor.")
    options = merge_run_options("dask", extra={"pool_name": "p1"}, options=[own])
    assert options["pool-name"] == "p1"
    again = pickle.loads(pickle.dumps(options))
    assert again.as_dict() == options.as_dict()
    assert again.origin("pool-name") == "command line (--pool-name)"


def test_options_that_the_executor_does_not_read_are_refused(run_options):
    path = run_options("scaleout: 3\nsched-url: tcp://here:1\n")
    with pytest.raises(OptionError) as caught:
        merge_run_options("dask@lxplus", files=path, extra={"gateway-address": "x", "queue": "workday"})
    first, second, last = str(caught.value).splitlines()
    assert first == (
        f"run options file {path}:2: the executor dask@lxplus does not read sched-url, which is for "
        "dask (scheduler)."
    )
    assert second.startswith("command line (--gateway-address): ")
    assert "dask@lxplus reads: cores-per-worker, mem-per-worker, disk-per-worker, queue" in last
    with pytest.raises(OptionError, match="executor iterative does not read queue"):
        merge_run_options("iterative", flags={"queue": "espresso"})


def test_null_asks_for_nothing_and_custom_executors_read_what_they_like(run_options):
    assert merge_run_options("iterative", flags={"queue": None})["queue"] is None
    options = merge_run_options("half@home", flags={"queue": "q"}, custom=True)
    assert options["queue"] == "q"
    with pytest.raises(OptionError, match="There is no executor 'half'"):
        merge_run_options("half")


def test_sections_of_a_file_are_for_their_executors(run_options):
    path = run_options(
        "retries: 3\ndask@DESY_NAF: {}\nparsl@DESY_NAF:\n  scaleout: 7\n  walltime: 1h\n"
        "general:\n  scaleout: 5\n  limit_files: 1\n"
    )
    options = merge_run_options("parsl@DESY", files=path)
    assert options.setting("scaleout") == Setting(7, f"run options file {path}:4 (parsl@DESY_NAF)")
    assert options.setting("limit-files") == Setting(1, f"run options file {path}:8 (general)")
    assert merge_run_options("iterative", files=path).setting("scaleout").value == 5
    assert merge_run_options("parsl@DESY_NAF", files=path)["walltime"] == "1:00:00"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a@b: {}\n", r":1: section 'a@b': There is no site 'b'"),
        (
            "daks@lxplus: {}\n",
            r":1: section 'daks@lxplus': There is no executor 'daks@lxplus'. Did you mean 'dask'",
        ),
        ("dask@lxplus: 3\n", r":1: section 'dask@lxplus' has to hold keys and values, got 3"),
        ("dask@lxplus:\n  que: x\n", r":2 \(dask@lxplus\): there is no run option 'que'.*'queue'"),
        ("general:\n\n  queue: x\n", r":3 \(general\): the executor iterative does not read queue"),
    ],
)
def test_wrong_sections_are_named(run_options, text, said):
    with pytest.raises(OptionError, match=said):
        merge_run_options("iterative", files=run_options(text))


def test_an_unknown_queue_is_refused_where_the_queues_are_known():
    with pytest.raises(OptionError) as caught:
        merge_run_options("dask@lxplus", flags={"queue": "workdya"})
    assert str(caught.value) == (
        "command line (--queue): queue 'workdya' is not in the ladder of lxplus: espresso, microcentury, "
        "longlunch, workday, tomorrow, testmatch, nextweek. Did you mean 'workday'? See `pocket-coffea sites "
        "show lxplus`."
    )
    assert merge_run_options("dask@lxplus", flags={"queue": "workday"})["queue"] == "workday"
    assert merge_run_options("dask@oscar", flags={"queue": "bigmem"})["queue"] == "bigmem"


def test_an_unknown_site_is_named():
    with pytest.raises(SiteError, match=r"no site 'lxpuls'. Did you mean 'lxplus'"):
        merge_run_options("dask@lxpuls")


def test_older_names_of_options():
    options = merge_run_options("parsl@RWTH", extra={"parsl-runinfo": "/tmp/x"})
    assert options.setting("parsl-run-dir") == Setting("/tmp/x", "command line (--parsl-runinfo)")
    with pytest.raises(OptionError, match="same run option"):
        merge_run_options("parsl@RWTH", extra={"parsl-runinfo": "/tmp/x", "parsl-run-dir": "/tmp/y"})


@pytest.mark.parametrize("executor", ["", "@lxplus", "dask@", "a@b@c"])
def test_malformed_executor(executor):
    with pytest.raises(OptionError, match="NAME@SITE"):
        parse_executor(executor)


# files


@pytest.mark.parametrize("text", ["- a\n", "a: [1\n", "a: ${nowhere}\n"])
def test_unreadable_file(run_options, text):
    with pytest.raises(OptionError, match=r"run_options\.yaml"):
        load_run_options_file(run_options(text))


def test_missing_file():
    with pytest.raises(OptionError, match=r"'gone\.yaml' does not exist"):
        merge_run_options(files="gone.yaml")


def test_documented_file(run_options, monkeypatch):
    monkeypatch.setenv("JOBS", "/eos/user/u/user/jobs")
    text = """
max-events-per-job:
  default: 2_000_000
  TTToSemiLeptonic: 500_000
chunksize: {default: 150_000, TTToSemiLeptonic: 50_000}
job-name: "myanalysis_v3"
jobs-dir: "${oc.env:JOBS}"
queue: "workday"
mem-per-worker: "4GB"
walltime: 6:00:00
split-by-category: "false"
custom-setup-commands:
  - "source /cvmfs/setup.sh"
dry-run: True
group-samples:
  signal: ["ttHTobb", "ttHTobb_ttToSemiLep"]
  DATA: DATA_SingleMuon
starting-time: 31-12-2026 23:59:00
"""
    options = merge_run_options("condor@lxplus", files=run_options(text))
    assert options["max-events-per-job"] == {"default": 2_000_000, "TTToSemiLeptonic": 500_000}
    assert options.for_sample("chunksize", "TTToSemiLeptonic") == 50_000
    assert options.for_sample("chunksize", "other") == 150_000
    assert options["jobs-dir"] == "/eos/user/u/user/jobs"
    assert options["walltime"] == "6:00:00"  # unquoted it is a number in base 60
    assert options.seconds("walltime") == 21600
    assert options.megabytes("mem-per-worker") == 4000
    assert options["split-by-category"] is False
    assert options["dry-run"] is True
    assert options["group-samples"] == {
        "signal": ["ttHTobb", "ttHTobb_ttToSemiLep"],
        "DATA": ["DATA_SingleMuon"],
    }
    assert options.starting_time() == datetime(2026, 12, 31, 23, 59)
    assert merge_run_options().starting_time() is None


# types


@pytest.mark.parametrize(
    ("kind", "given_value", "expected"),
    [
        (Kind.BOOLEAN, "True", True),
        (Kind.BOOLEAN, "no", False),
        (Kind.BOOLEAN, 1, True),
        (Kind.INTEGER, "1e6", 1_000_000),
        (Kind.INTEGER, 2.0, 2),
        (Kind.INTEGER, "-1", -1),
        (Kind.TEXT, 12, "12"),
        (Kind.NAMES, "T1_DE_KIT, T2_US_FNAL", ["T1_DE_KIT", "T2_US_FNAL"]),
        (Kind.NAMES, [0, 1], ["0", "1"]),
        (Kind.COMMANDS, "export A=1,2", ["export A=1,2"]),
        (Kind.COMMANDS, "a\nb\n", ["a", "b"]),
        (Kind.SIZE, "4 GB", "4 GB"),
        (Kind.SIZE, "4", 4),
        (Kind.SIZE, "7.5", 7.5),
        (Kind.WALLTIME, "06:00:00", "06:00:00"),
        (Kind.WALLTIME, "1-00:00:00", "1-00:00:00"),
        (Kind.WALLTIME, "90min", "1:30:00"),
        (Kind.SECONDS, "3600", 3600),
        (Kind.SECONDS, "2h", 7200),
        (Kind.PER_SAMPLE, "50_000", 50_000),
        (Kind.PER_SAMPLE, "{default: 10, TT: 5}", {"default": 10, "TT": 5}),
        (Kind.GROUPS, "{a: [x, y], b: z}", {"a": ["x", "y"], "b": ["z"]}),
        (Kind.MAPPING, "{partition: c23ms}", {"partition": "c23ms"}),
    ],
)
def test_values_are_read(kind, given_value, expected):
    value = read_value(kind, given_value)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("skip-bad-files", "maybe"),
        ("skip-bad-files", None),
        ("skip-bad-files", 2),
        ("scaleout", "many"),
        ("scaleout", "2.5"),
        ("scaleout", 0),
        ("scaleout", True),
        ("scaleout", None),
        ("limit-files", -1),
        ("queue", True),
        ("queue", ["a"]),
        ("mem-per-worker", "lots"),
        ("mem-per-worker", "4 apples"),
        ("walltime", "20:00"),
        ("walltime", "soon"),
        ("death-timeout", "soon"),
        ("starting-time", "2026-12-31 23:59:00"),
        ("chunksize", {"default": "x"}),
        ("chunksize", {"TT": 0}),
        ("chunksize", {}),
        ("group-samples", {"a": ["x"], "b": ["x"]}),
        ("group-samples", "a"),
        ("custom-setup-commands", {"a": 1}),
        ("custom-setup-commands", [["a"]]),
        ("blocklist-sites", 3),
    ],
)
def test_wrong_values_name_option_value_origin_and_what_is_allowed(name, value):
    with pytest.raises(OptionError) as caught:
        merge_run_options(flags={name: value})
    message = str(caught.value)
    assert message.startswith(f"command line (--{name}): ")
    assert repr(value) in message or "has no value" in message
    assert "it has to be" in message
    assert SCHEMA[name].help in message


def test_bare_option_that_needs_a_value():
    with pytest.raises(OptionError, match="--queue has no value"):
        merge_run_options(extra=parse_cli_extra(["--queue"]))


def test_sample_without_entry_is_named():
    with pytest.raises(OptionError, match=r"--x: chunksize has neither 'WW' nor 'default', only: TT"):
        per_sample({"TT": 1}, "WW", "chunksize", "--x")
    assert per_sample(None, "WW", "max-events-per-job") is None


@given(st.integers(0, 10**7))
def test_durations_round_trip(seconds):
    assert to_seconds(read_value(Kind.WALLTIME, seconds)) == seconds


@given(st.floats(0.001, 1e5), st.sampled_from(["MB", "GB", "TB", "MiB", "GiB"]))
def test_sizes_scale(number, unit):
    factor = {"MB": 1, "GB": 1e3, "TB": 1e6, "MiB": 1.048576, "GiB": 1073.741824}[unit]
    assert to_megabytes(f"{number:.4f} {unit}") == pytest.approx(float(f"{number:.4f}") * factor)


# the command line


def test_cli_forms():
    parsed = parse_cli_extra(
        ["--a=1", "--b", "2", "--c", "--d=x=y", "--e_f=", "--g", "-3", "--h", "--mem-per-worker=4GB"]
    )
    assert parsed == {
        "a": "1",
        "b": "2",
        "c": True,
        "d": "x=y",
        "e-f": "",
        "g": "-3",
        "h": True,
        "mem-per-worker": "4GB",
    }


@pytest.mark.parametrize("arguments", [["stray"], ["-x"], ["--a=1", "stray"], ["--a", "1", "2"], ["--"]])
def test_cli_refuses_what_is_no_option(arguments):
    with pytest.raises(OptionError, match=r"command line: '.*' is not an option"):
        parse_cli_extra(arguments)


def test_false_on_the_command_line_is_false():
    options = merge_run_options("dask@CLAIX", extra=parse_cli_extra(["--conda-env=false", "--adaptive"]))
    assert options["conda-env"] is False
    assert options["adaptive"] is True


# the object


def test_mapping_behaviour():
    options = merge_run_options("dask@lxplus")
    assert options.get("dask-scheduler-port") == 8786  # default of the schema
    assert options.get("dask-scheduler-port", 1) == 1
    assert options["dask-scheduler-port"] == 8786
    assert "dask-scheduler-port" not in options
    assert options.get("requirements") is None
    assert options.get("requirements", "x") == "x"
    assert options.get("made-up") is None
    with pytest.raises(KeyError, match="neither value nor default"):
        options["requirements"]
    with pytest.raises(KeyError, match=r"no run option 'scaleot'.*'scaleout'"):
        options["scaleot"]
    options["dask_scheduler_port"] = "9000"
    assert options.setting("dask-scheduler-port") == Setting(9000, "program")
    with pytest.raises(OptionError, match="program: scaleout = 'x'"):
        options["scaleout"] = "x"
    del options["dask-scheduler-port"]
    assert options.origin("dask-scheduler-port") == "schema default"
    assert options.megabytes("max-events-per-job") is None
    assert options.seconds("max-run-time") is None
    assert len(options) == len(list(options)) == len(options.as_dict())


def test_describe_and_provenance():
    options = merge_run_options("futures", flags={"scaleout": 4})
    lines = options.describe().splitlines()
    assert lines[0].split() == ["scaleout", "4", "command", "line", "(--scaleout)"]
    assert len(lines) == len(options)
    assert options.with_origins()["scaleout"] == {"value": 4, "origin": "command line (--scaleout)"}
    assert RunOptions().describe() == "no run options"
    assert "futures" in repr(options)


def test_schema_is_well_formed():
    for name, option in SCHEMA.items():
        assert name == option.name == name.lower()
        assert "_" not in name
        assert option.help.endswith((".", "]", ")")), name
        if option.default is not UNSET:
            assert option.read(option.default, "schema") == option.default
    assert options_reference().count("\n") == len(SCHEMA) + 2


def test_reference_is_up_to_date():
    text = (Path(__file__).parents[3] / "docs" / "run-options.md").read_text()
    assert text.endswith(options_reference()), (
        "renew the table of docs/run-options.md from options_reference()"
    )
