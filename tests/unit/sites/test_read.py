"""Site files: what is read, and that every error names file, line, key and value."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from pocket_coffea.errors import SiteError
from pocket_coffea.run.option_schema import SCHEMA
from pocket_coffea.sites.book import SiteBook
from pocket_coffea.sites.lines import Entry, load_entry
from pocket_coffea.sites.read import _READERS, DIRECTIVES, EXECUTORS, read_site
from pocket_coffea.sites.site import Container, ProxyDelivery, Queue, Storage, adjusted

ROOT = Path(__file__).resolve().parents[3]
HEAD = "name: here\ndescription: a place\nbatch: htcondor\n"

WHOLE = """\
name: here
description: a place
image: lxplus
aliases: [there, yonder]
batch: htcondor
hosts: ["*.here.org"]
container: {runtime: apptainer, binds: [/afs, "/eos:/eos:ro"]}
queues:
  directive: +JobFlavour
  ladder: {workday: 8h, espresso: 20min, long: 1-00:00:00, short: 60}
shared: [/afs/, $HOME]
proxy: {way: shared, folder: /afs/$USER}
scratch: $TMPDIR
logs: "{outputdir}/logs"
environment: {A: 1, B: "true", C: ""}
prologue:
  - source /setup.sh
directives:
  MY.SendCredential: true
  +Project: '"cms"'
storage:
  /eos: root://all.here.org/
  /eos/user/: root://user.here.org/
executors:
  dask:
    scaleout: 3
    walltime: 6:00:00
  parsl:
"""


def test_everything_is_read(site_file):
    site = read_site(site_file(WHOLE))
    assert (site.name, site.image, site.aliases, site.batch) == (
        "here",
        "lxplus",
        ("there", "yonder"),
        "htcondor",
    )
    assert site.container == Container("apptainer", ("/afs", "/eos:/eos:ro"))
    assert site.queues == (
        Queue("short", 60),
        Queue("espresso", 1200),
        Queue("workday", 28800),
        Queue("long", 86400),
    )
    assert site.queue_directive == "+JobFlavour"
    assert site.shared == ("/afs", "$HOME")
    assert site.proxy == ProxyDelivery("shared", "/afs/$USER")
    assert site.environment == {"A": "1", "B": "true", "C": ""}
    assert site.prologue == ("source /setup.sh",)
    assert site.directives == {"MY.SendCredential": "True", "+Project": '"cms"'}
    assert site.storage == (
        Storage("/eos/user", "root://user.here.org/"),
        Storage("/eos", "root://all.here.org/"),
    )
    assert site.executors == {"dask": {"scaleout": 3, "walltime": 21600}, "parsl": {}}
    assert site.origin("dask", "scaleout") == f"site file {site.path}:26 (dask@here)"
    assert pickle.loads(pickle.dumps(site)) == site


@pytest.mark.parametrize(
    ("batch", "runtime", "way"),
    [
        ("htcondor", "htcondor", "transfer"),
        ("slurm", "apptainer", "shared"),
        ("gateway", "given", "plugin"),
        ("scheduler", "given", "plugin"),
        ("none", "apptainer", "shared"),
    ],
)
def test_what_is_left_out_follows_from_the_batch_system(site_file, batch, runtime, way):
    site = read_site(site_file(HEAD.replace("htcondor", batch)))
    assert (site.container.runtime, site.proxy.way, site.image, site.hosts) == (runtime, way, None, ())


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        # wrong keys
        ("quueues: {}\n", 4, "there is no key 'quueues'. Did you mean 'queues'?"),
        ("container: {runtme: given}\n", 4, "there is no key 'runtme' in container. Did you mean 'runtime'?"),
        ("executors:\n  dsk: {}\n", 5, "there is no key 'dsk' in executors. Did you mean 'dask'?"),
        ("proxy: {by: shared}\n", 4, "there is no key 'by' in proxy"),
        ("? [a]\n: b\n", 4, "the file has a key that is not text"),
        # wrong types and values
        ("image: [a]\n", 4, "image is ['a']; it has to be a name"),
        ("aliases: naf\n", 4, "aliases is 'naf'; it has to be a list"),
        ("aliases:\n  - a\n  - b c\n", 6, "aliases[1] is 'b c'; it has to be a name"),
        ("hosts: {a: b}\n", 4, "hosts is {'a': 'b'}; it has to be a list"),
        ("container: apptainer\n", 4, "container is 'apptainer'; it has to be a mapping"),
        ("container: {binds: []}\n", 4, "it needs a runtime: htcondor, apptainer, given."),
        (
            "container: {runtime: docker}\n",
            4,
            "container.runtime is 'docker'; Allowed: apptainer, given, htcondor.",
        ),
        (
            "container: {runtime: given, binds: [afs]}\n",
            4,
            "container.binds[0] is 'afs'; it has to be /folder",
        ),
        ("queues: {directive: +Flavour}\n", 4, "queues.directive is '+Flavour'; Did you mean '+JobFlavour'?"),
        (
            "queues:\n  directive: +JobFlavour\n  ladder: {a: soon}\n",
            6,
            "queues.ladder.a is 'soon'; it has to be a",
        ),
        (
            "queues:\n  directive: +JobFlavour\n  ladder: [a]\n",
            6,
            "queues.ladder is ['a']; it has to be a mapping",
        ),
        ("queues: {ladder: {a: 1h}}\n", 4, "it needs a directive, such as +JobFlavour"),
        ("shared: [eos]\n", 4, "shared[0] is 'eos'; it has to be an absolute folder"),
        ("proxy: home\n", 4, "proxy is 'home'; Allowed: plugin, shared, transfer."),
        ("proxy: {folder: /afs}\n", 4, "it needs a way: transfer, shared, plugin."),
        ("scratch: null\n", 4, "scratch is null; it has to be an absolute folder"),
        ("environment: {A B: 1}\n", 4, "environment.A B: 'A B' cannot be the name of a variable"),
        ("environment: {A: true}\n", 4, "environment.A is True; it has to be text: put it in quotes."),
        ("prologue: source x\n", 4, "prologue is 'source x'; it has to be a list"),
        ("directives:\n  a: {}\n", 5, "directives.a is {}; it has to be text"),
        (
            "storage: {/eos: eosuser}\n",
            4,
            "storage./eos is 'eosuser'; it has to be an absolute path with a URL",
        ),
        ("executors: {dask: 3}\n", 4, "executors.dask is 3; it has to be a mapping"),
        ("description: ' '\n", 4, "is there twice"),
        # duplicates
        ("shared: []\nshared: []\n", 5, "shared is there twice (first in line 4)"),
        ("executors:\n  dask:\n    queue: a\n    queue: b\n", 7, "executors.dask.queue is there twice"),
        # no YAML
        ("a: [1\n", 5, "this is not YAML"),
        ("\tb: 1\n", 4, "this is not YAML"),
        ("scratch: !!python/object:os.system {}\n", 4, "scratch cannot be read"),
    ],
)
def test_a_wrong_key_is_named_with_file_and_line(site_file, text, line, said):
    path = site_file(HEAD + text)
    with pytest.raises(SiteError) as caught:
        read_site(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: "), message
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["name", "description", "batch"])
def test_a_missing_key_is_named(site_file, key):
    path = site_file("".join(line + "\n" for line in HEAD.splitlines() if not line.startswith(key)))
    with pytest.raises(SiteError, match=rf"{re.escape(str(path))}: the key {key} is missing"):
        read_site(path)


@pytest.mark.parametrize(
    ("batch", "text", "said"),
    [
        ("slurm", "container: {runtime: htcondor}", "HTCondor starts no images where batch is slurm"),
        ("none", "executors: {condor: {}}", "the executor condor needs htcondor, and batch is none"),
        ("gateway", "executors: {slurm: {}}", "the executor slurm needs slurm, and batch is gateway"),
        ("torque", "", "batch is 'torque'; Allowed: gateway, htcondor, none, scheduler, slurm."),
    ],
)
def test_what_does_not_go_together(site_file, batch, text, said):
    with pytest.raises(SiteError, match=re.escape(said)):
        read_site(site_file(HEAD.replace("htcondor", batch) + text))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"- a\n", ":1: a site file has keys and values"),
        (b"text\n", ":1: a site file has keys and values"),
        (b"name: \xff\n", "is not text in UTF-8 (byte 6)"),
    ],
)
def test_a_file_that_is_no_site_file(tmp_path, content, said):
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(SiteError, match=re.escape(said)) as caught:
        read_site(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(SiteError, match=r"gone\.yaml cannot be read: No such file"):
        read_site(tmp_path / "gone.yaml")
    with pytest.raises(SiteError, match="cannot be read: Is a directory"):
        read_site(tmp_path)


def test_long_values_are_cut(site_file):
    entry = load_entry(site_file("name: " + "x" * 500 + "\n")).entries()["name"]
    assert isinstance(entry, Entry)
    with pytest.raises(SiteError) as caught:
        entry.refuse("it is too long.")
    assert len(str(caught.value)) < 300


def test_run_options_replace_what_the_site_says(site_file):
    site = read_site(site_file(WHOLE))
    assert adjusted(site, {}) is site
    options = {
        "submit-hosts": ["lab.site"],
        "shared-folders": [],
        "local-scratch-dir": "/scratch",
        "apptainer-binds": ["/data"],
    }
    changed = adjusted(site, options)
    assert (changed.hosts, changed.shared, changed.scratch) == (("lab.site",), (), "/scratch")
    assert changed.container == Container("apptainer", ("/data",))
    assert changed.name == site.name
    assert set(options) <= set(SCHEMA)


# ---- the shipped files


@pytest.mark.parametrize("path", sorted((ROOT / "sites").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_sites(path):
    site = read_site(path)
    assert site.name == path.stem
    assert site.image == site.name
    assert site.executors, "a site without executors is of no use"
    for executor, options in site.executors.items():
        for name, value in options.items():
            assert SCHEMA[name].read(value, str(path)) is not Ellipsis
            assert SCHEMA[name].read_by(f"{executor}@{site.name}", site.batch), f"{executor} {name}"
        queue = options.get("queue")
        assert queue is None or not site.queues or queue in [each.name for each in site.queues]
    assert len(path.read_text().splitlines()) < 50, "facts, not programs"


def test_every_site_of_the_documentation_is_there():
    assert SiteBook().names() == [
        *("brux", "casa", "CLAIX", "DESY", "infn-af", "lab", "local", "lpc", "lxplus", "oscar", "purdue-af"),
        *("rubin", "RWTH", "swan", "T3_CH_PSI"),
    ]


def test_the_reference_has_every_key():
    text = (ROOT / "sites" / "README.md").read_text()
    for key in [*_READERS, *EXECUTORS, *DIRECTIVES]:
        assert f"`{key}`" in text, key


def test_no_code_asks_for_a_site():
    names = "|".join(map(re.escape, SiteBook().names()))
    asks = re.compile(rf"""(==|!=|\bin\b|\bcase)\s*[\[(]?\s*["']({names})["']""")
    for path in (ROOT / "pocket_coffea").rglob("*.py"):
        found = [line for line in path.read_text().splitlines() if asks.search(line)]
        assert found == [], f"{path} asks for a site by name"
