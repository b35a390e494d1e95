"""Run options as Parsl wants them, and that nothing of Parsl is needed before a run uses it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pocket_coffea.errors import ConfigurationError, OptionError
from pocket_coffea.executors.executors_CLAIX import ParslExecutorFactory
from pocket_coffea.executors.parsl_options import escaped, slurm_options, submit_address
from pocket_coffea.executors.registry import site_factories
from pocket_coffea.sites.book import SiteBook


def test_entries_that_are_not_given_stay_as_the_site_has_them():
    site = SiteBook().get("CLAIX")
    found = slurm_options(site, {"slurm": {"account": "mine", "scheduler_options": "#SBATCH --comment=x"}})
    assert found == {"partition": "c23ms", "account": "mine", "scheduler-options": "#SBATCH --comment=x"}
    assert slurm_options(site, {})["partition"] == "c23ms"


def test_an_unknown_entry_is_refused_with_the_nearest_name():
    with pytest.raises(OptionError, match=r"'partitions'.*Did you mean 'partition'"):
        slurm_options(SiteBook().get("CLAIX"), {"slurm": {"partitions": "c23ms"}})


def test_text_survives_that_parsl_fills_in_braces_twice():
    text = "bash {here}/a.sh '{x}' {{y}}"
    assert escaped(text).format(port=1).format(block_id="7") == text


def test_the_address_is_one_of_this_machine():
    parts = submit_address().split(".")
    assert len(parts) == 4
    assert all(0 <= int(part) < 256 for part in parts)


@pytest.mark.parametrize("name", ["DESY", "DESY_NAF", "RWTH", "CLAIX"])
def test_documented_sites_have_a_factory_of_their_own(name):
    site = SiteBook().get(name)
    factory = site_factories(site)["parsl"]
    assert factory.site == site.name
    assert factory.__module__ != "pocket_coffea.executors.parsl_batch"


def test_a_missing_parsl_is_said_with_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "parsl", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pocket-coffea\[parsl\]'"):
        ParslExecutorFactory({"ignore-grid-certificate": True}, str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_parsl_is_not_imported_by_other_runs():
    code = (
        "import sys\n"
        "from pocket_coffea.executors.registry import site_factories\n"
        "from pocket_coffea.sites.book import SiteBook\n"
        "import pocket_coffea.executors.executors_CLAIX, pocket_coffea.run.session\n"
        "site_factories(SiteBook().get('CLAIX'))\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'parsl'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
