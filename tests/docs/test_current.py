"""The documentation says what the code does: references are those of the code, and nothing is left out."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import re
from pathlib import Path

import click
import pytest

from pocket_coffea.cli.main import LazyGroup, main
from pocket_coffea.cli.run import run
from pocket_coffea.lib.columns_manager import ColOut
from pocket_coffea.lib.hist_manager import Axis, HistConf
from pocket_coffea.lib.weights.common import common_weights
from pocket_coffea.parameters import histograms
from pocket_coffea.parameters.defaults import get_default_run_options
from pocket_coffea.run.option_schema import EVERY, SCHEMA
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.base import BaseProcessorABC
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links, prose

HAND_WRITTEN = [page for page in PAGES if page.stem not in ("cli-reference", "run-options")]
ALL_PAGES = [*PAGES, *sorted(DOCS.glob("examples/**/*.md"))]
FIELDS_KEPT_BACK = {"hist_obj"}


def text_of(name):
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def missing(names, text):
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]


# ---- links


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_links_lead_somewhere(page):
    for target in links(page):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} links to {target}, which does not exist"
        if anchor:
            assert anchor in anchors(path), f"{page.name}: {path.name} has no heading #{anchor}"


def test_every_page_is_on_the_map():
    shown = {(DOCS / target.partition("#")[0]).resolve() for target in links(DOCS / "index.md")}
    assert [page.name for page in ALL_PAGES if page.resolve() not in shown] == ["index.md"]


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=lambda p: p.stem)
def test_modules_that_are_named_exist(page):
    for name in set(re.findall(r"pocket_coffea(?:\.\w+)+", page.read_text(encoding="utf-8"))):
        assert exists(name), f"{page.name} names {name}"


def exists(name):
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_names_that_do_not_exist_are_found():
    assert exists("pocket_coffea.lib.cut_functions.get_nObj_min")
    assert not exists("pocket_coffea.lib.cut_functions.get_nObj_max")
    assert not exists("pocket_coffea.nothing")


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=lambda p: p.stem)
def test_files_of_the_project_that_are_named_exist(page):
    for name in re.findall(r"`((?:pocket_coffea|tests|ci|docs|containers)/[\w./-]*)`", prose(page)):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


# ---- commands and options


def module(path):
    spec = importlib.util.spec_from_file_location("ci_docs", ROOT / path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def reference():
    return module("ci/docs.py").reference()


def test_the_command_reference_is_current(monkeypatch):
    assert reference() == text_of("cli-reference"), "run `make docs`"
    monkeypatch.setattr(run, "params", [*run.params, click.Option(["--new"], help="A new option")])
    assert "| `--new` | text |  | A new option |" in reference()


def test_every_command_is_explained():
    text = "".join(page.read_text(encoding="utf-8") for page in HAND_WRITTEN)
    assert missing([f"pocket-coffea {name}" for name in LazyGroup.commands_at], text) == []


def test_every_option_of_every_command_has_a_help_text():
    context = click.Context(main)
    commands = {
        name: command
        for top in LazyGroup.commands_at
        for name, command in module("ci/docs.py").with_subcommands(top, main.get_command(context, top))
    }
    assert "image build" in commands
    for name, command in commands.items():
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, f"{name} {option.name}"


def test_defaults_in_the_help_are_those_of_the_schema():
    helps = {option.name: option.help for option in run.params}
    for name in ("scaleout", "chunksize"):
        assert f"(default {SCHEMA[name].default})" in helps[name]


def test_every_general_run_option_is_explained():
    general = set(get_default_run_options()["general"])
    general |= {name for name, option in SCHEMA.items() if option.executors == EVERY}
    assert missing(sorted(general), text_of("running")) == []


def test_every_exit_code_is_explained():
    from pocket_coffea import errors
    from pocket_coffea.cli.errors import INTERRUPTED

    codes = {
        getattr(errors, name).exit_code for name in errors.__all__ if inspect.isclass(getattr(errors, name))
    }
    for code in codes | {0, INTERRUPTED}:
        assert f"\n| {code} | " in text_of("running")


# ---- configuration


@pytest.mark.parametrize("thing", [Axis, HistConf, ColOut], ids=lambda c: c.__name__)
def test_every_setting_of_histograms_and_columns_is_explained(thing):
    names = {field.name for field in dataclasses.fields(thing)} - FIELDS_KEPT_BACK
    assert missing([f"`{name}`" for name in sorted(names)], text_of("configuration")) == []


def test_every_section_of_the_configuration_is_explained():
    assert (
        missing(
            [f"`{name}`" for name in inspect.signature(Configurator).parameters], text_of("configuration")
        )
        == []
    )


def test_every_ready_made_histogram_cut_and_hook_is_explained():
    from pocket_coffea.lib import cut_functions

    helpers = [name for name in histograms.__all__ if name.endswith(("_hists", "_hist"))]
    cuts = [name for name in cut_functions.__all__ if name.startswith("get_") and name != "get_nBtag"]
    hooks = [
        name
        for name in vars(BaseProcessorABC)
        if re.fullmatch(r"(process|define|fill|compute)\w*_extra\w*", name)
    ]
    hooks += ["apply_object_preselection", "count_objects", "postprocess"]
    hooks += ["define_common_variables_before_presel", "define_common_variables_after_presel"]
    assert len(helpers) > 10
    assert len(cuts) > 10
    assert len(hooks) > 15
    assert missing([*helpers, *cuts, "eventFlags", "goldenJson", *hooks], text_of("configuration")) == []


def test_the_weights_are_listed_with_what_this_version_computes():
    text = text_of("configuration")
    assert missing([f"`{weight.name}`" for weight in common_weights], text) == []
    paragraph = next(
        part for part in text.split("\n\n") if "not in this version" in part and "sf_ele_reco" in part
    )
    unavailable = {weight.name for weight in common_weights if not weight.available}
    listed = {name for name in re.findall(r"`(\w+)`", paragraph) if name in {w.name for w in common_weights}}
    assert listed == unavailable


# ---- doctests


def modules_with_examples():
    for path in sorted((ROOT / "pocket_coffea").rglob("*.py")):
        if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_examples_in_docstrings_work(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_a_wrong_example_is_found(tmp_path, monkeypatch, capsys):
    (tmp_path / "wrong_example.py").write_text('"""\n>>> 1 + 1\n3\n"""\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert doctest.testmod(importlib.import_module("wrong_example")).failed == 1
    assert "Expected:\n    3" in capsys.readouterr().out


def test_pages_name_no_path_of_a_machine():
    for page in ALL_PAGES:
        if page.name == "lab.md":
            continue  # its paths are those of the lab
        assert not re.search(r"(?<!\w)/(home|work|tmp|root)/", page.read_text(encoding="utf-8")), page
    assert Path(ROOT / "docs" / "index.md").is_file()
