from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner
from omegaconf import OmegaConf

from pocket_coffea.cli.params import print_parameters


def run(*arguments, **options):
    return CliRunner().invoke(print_parameters, [str(argument) for argument in arguments], **options)


def test_all_parameters_are_yaml():
    result = run()
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout)["lumi"]["picobarns"]["2018"]["tot"] == 59832.47534


def test_key_path():
    assert run("lumi.picobarns.2018.tot").stdout == "59832.47534\n"
    assert yaml.safe_load(run("lumi.picobarns.2018").stdout)["A"] == 14027.614284
    assert run("event_flags.2018.0").stdout == "goodVertices\n"
    assert run("lepton_scale_factors.electron_sf.trigger_sf.2018.name").stdout == "???\n"


def test_keys():
    assert run("-lk", "lumi").stdout.split() == ["picobarns", "goldenJSON"]
    assert "btagging" in run("--list-keys").stdout.split()
    result = run("-lk", "lumi.picobarns.2018.tot")
    assert (result.exit_code, "value without keys" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lumi.picobarn", "no parameter 'picobarn' at lumi. Did you mean 'picobarns'?"),
        ("lumy", "no parameter 'lumy' at the top level. Did you mean 'lumi'?"),
        ("lumi.picobarns.2018.tot.x", "no parameter 'x' at lumi.picobarns.2018.tot. None is defined."),
        ("event_flags.2018.77", "no parameter '77' at event_flags.2018"),
    ],
)
def test_unknown_key_names_the_nearest(key, message):
    result = run(key)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""


def test_dump_keeps_the_path_and_refuses_to_overwrite(tmp_path):
    target = tmp_path / "lumi.yaml"
    result = run("-d", target, "lumi.picobarns.2018")
    assert result.exit_code == 0
    assert str(target) in result.stdout
    assert OmegaConf.load(target).lumi.picobarns["2018"].D == 31839.492009
    before = target.read_text()
    again = run("-d", target)
    assert again.exit_code != 0
    assert "exists already" in again.stderr
    assert target.read_text() == before


CONFIGURATION = """
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.base import BaseProcessorABC

cfg = Configurator(
    parameters=defaults.merge_parameters(defaults.get_default_parameters(), {"mine": {2018: 3}}),
    datasets={"jsons": ["not_there.json"]},
    workflow=BaseProcessorABC,
    skim=[],
    preselections=[],
    categories={"all": [passthrough]},
    weights={"common": {"inclusive": []}},
    variations={"weights": {"common": {"inclusive": []}}},
    variables={},
)
"""


def test_configuration_is_read_without_its_datasets(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(CONFIGURATION)
    result = run("-c", path, "mine.2018")
    assert (result.exit_code, result.stdout) == (0, "3\n")
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["config.py"]


def test_missing_configuration_is_an_error_message(tmp_path):
    result = run("-c", tmp_path / "gone.py")
    assert result.exit_code == 1
    assert "gone.py" in result.stderr


def test_interactive_use():
    result = run("--cli", input="lumi.picobarns.2023_preBPix\nlumi.oops\n\n")
    assert result.exit_code == 0
    assert "tot: 17960" in result.stdout
    assert "no parameter 'oops'" in result.stderr


def test_command_imports_nothing_heavy():
    code = (
        "import sys; import pocket_coffea.cli.params; "
        "print([m for m in ('omegaconf', 'numpy', 'yaml', 'awkward') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
