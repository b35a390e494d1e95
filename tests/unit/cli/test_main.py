from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from pocket_coffea import __version__
from pocket_coffea.cli.main import LazyGroup, main
from pocket_coffea.cli.make_config import write_template


def invoke(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_without_a_command_the_banner_is_shown():
    result = invoke()
    assert result.exit_code == 0
    assert f"Running PocketCoffea version {__version__}" in result.output
    assert "/_/    \\____/\\___/_/|_|\\___/\\__/\\____/\\____/_/ /_/  \\___/\\__,_/" in result.output
    assert "- Documentation page:  https://pocketcoffea.readthedocs.io/" in result.output
    assert "Run with --help option for the list of available commands" in result.output


def test_the_version():
    assert __version__ in invoke("--version").output


HEAVY = ("awkward", "coffea", "numpy", "hist", "numba", "omegaconf", "rich", "uproot", "yaml", "dask")


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys, time; t = time.perf_counter()\n"
        "from pocket_coffea.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
        "print('SECONDS', time.perf_counter() - t, file=sys.stderr)\n"
    )
    best = 99.0
    for _ in range(3):  # other work on the machine must not fail this test
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
        best = min(best, time.perf_counter() - began)
        assert "LOADED []" in done.stderr
        assert "Commands:" in done.stdout
    assert best < 1.0
    seconds = float(done.stderr.split("SECONDS")[1])
    assert seconds < 0.5


@pytest.mark.parametrize("command", sorted(LazyGroup.commands_at))
def test_every_command_exists_and_describes_itself(command):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert f"pocket-coffea {command}" in result.output or f"main {command}" in result.output
    module, _, function = LazyGroup.commands_at[command][0].partition(":")
    assert getattr(importlib.import_module(module), function).name == command


def test_wrong_commands():
    result = invoke("rum")
    assert result.exit_code == 2
    assert "Did you mean 'run'" in result.output
    for name in LazyGroup.later:
        assert "not in this version" in invoke(name, "-inp", "a").output
    assert invoke("--nonsense").exit_code == 2


def test_make_config_overwrites_nothing(tmp_path):
    folder = tmp_path / "new"
    assert invoke("make-config", str(folder)).exit_code == 0
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "README.md",
        "analysis_config.py",
        "custom_cuts.py",
        "datasets/datasets.json",
        "params/object_preselection.yaml",
        "params/triggers.yaml",
        "run_options.yaml",
        "workflow.py",
    }
    (folder / "workflow.py").write_text("mine")
    result = invoke("make-config", str(folder))
    assert result.exit_code == 6
    assert "workflow.py would be overwritten" in result.output or "--overwrite" in result.output
    assert (folder / "workflow.py").read_text() == "mine"
    assert invoke("make-config", str(folder), "--overwrite").exit_code == 0
    assert (folder / "workflow.py").read_text() != "mine"


def test_the_commands_in_the_readme_of_a_new_analysis_work(tmp_path, monkeypatch):
    """All but the run with several processes, which test_run.py has."""
    folder = tmp_path / "new analysis"
    write_template(folder)
    monkeypatch.chdir(folder)
    block = (folder / "README.md").read_text().split("```bash\n")
    commands = [line for part in block[1:] for line in part.split("```")[0].splitlines() if line]
    assert [command.split()[:2] for command in commands] == [
        ["pocket-coffea", "make-sample"],
        ["pocket-coffea", "make-sample"],
        ["pocket-coffea", "run"],
        ["pocket-coffea", "run"],
    ]
    for command in commands[:3]:
        result = invoke(*command.replace("--n-events 5000", "--n-events 300 --n-branches 320").split()[1:])
        assert result.exit_code == 0, result.output
    python = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(python, {})


def test_inspect_job(tmp_path, monkeypatch):
    write_template(tmp_path / "analysis")
    monkeypatch.chdir(tmp_path)
    from pocket_coffea.utils.utils import load_config

    datasets = tmp_path / "analysis" / "datasets" / "datasets.json"
    content = json.loads(datasets.read_text())
    content["DYJetsToLL_2018"]["files"] = ["a.root", "b.root"]
    datasets.write_text(json.dumps(content))
    load_config(tmp_path / "analysis" / "analysis_config.py", outputdir=tmp_path / "out")
    result = invoke("inspect-job", str(tmp_path / "out" / "configurator.pkl"))
    assert result.exit_code == 0, result.output
    for text in (
        "workflow.DimuonProcessor",
        "save_skimmed_files  off",
        "DYJetsToLL_2018",
        "2 datasets",
        "10,000",
    ):
        assert text in result.output
    assert "a.root" not in result.output
    result = invoke(
        "inspect-job", str(tmp_path / "out" / "configurator.pkl"), "-f", "-m", "--no-workflow-options"
    )
    assert "b.root" in result.output
    assert "xsec: 6077.22" in result.output
    assert "Workflow options" not in result.output
    result = invoke("inspect-job", str(tmp_path / "none.pkl"))
    assert result.exit_code == 1
    assert "does not exist" in result.output
    (tmp_path / "bad.pkl").write_bytes(b"not a pickle")
    result = invoke("inspect-job", str(tmp_path / "bad.pkl"))
    assert result.exit_code == 1
    assert "Traceback" not in result.output
