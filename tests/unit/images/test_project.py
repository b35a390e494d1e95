"""The code that is baked in: clean or marked, and the same digest as the installed package says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pocket_coffea.errors import ConfigurationError, ResultsRefused
from pocket_coffea.images.inputs import read_inputs
from pocket_coffea.images.project import find_checkout, read_project
from pocket_coffea.run.provenance import source_digest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    (root / "pocket_coffea").mkdir(parents=True)
    (root / "pocket_coffea" / "_version.py").write_text('__version__ = "3.1"\n')
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "containers" / "steps").mkdir(parents=True)
    (root / "containers" / "base.def").write_text("Bootstrap: debootstrap\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def git(root, *arguments):
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(root), *name, *arguments], check=True)


def test_a_clean_checkout_has_version_commit_and_digests(checkout):
    project = read_project(checkout)
    assert project.version == "3.1"
    assert len(project.commit) == 40
    assert [path.name for path in project.files] == ["_version.py", "pyproject.toml"]


@pytest.mark.parametrize("name", ["pocket_coffea/new.py", "pyproject.toml", "containers/base.def"])
def test_a_changed_checkout_is_refused_or_marked(checkout, name):
    (checkout / name).write_text("changed\n")
    with pytest.raises(ResultsRefused, match=f"(?s)differs from its commit.*{name}.*ALLOW_DIRTY=1"):
        read_project(checkout)
    assert read_project(checkout, allow_dirty=True).version.startswith("3.1+dirty.")


def test_other_changes_give_other_marks(checkout):
    versions = set()
    for text in ("a = 1\n", "a = 2\n"):
        (checkout / "pocket_coffea" / "new.py").write_text(text)
        versions.add(read_project(checkout, allow_dirty=True).version)
    assert len(versions) == 2


def test_what_git_ignores_is_not_baked_in(checkout):
    before = read_project(checkout).digest
    (checkout / "demo").mkdir()
    (checkout / "demo" / "x.py").write_text("x")
    (checkout / "pocket_coffea" / "__pycache__").mkdir()
    (checkout / "pocket_coffea" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert read_project(checkout, allow_dirty=True).digest == before


def test_an_archive_without_git_is_built_as_it_is(checkout):
    before = read_project(checkout).digest
    (checkout / ".git").rename(checkout.parent / "gone")
    project = read_project(checkout)
    assert (project.commit, project.digest) == ("", before)


def test_the_digest_of_the_sources_is_that_of_provenance():
    assert read_project(ROOT, allow_dirty=True).source_digest == source_digest()


def test_the_checkout_is_found_from_below(checkout):
    assert find_checkout(checkout / "pocket_coffea") == checkout


def test_an_unknown_site_is_told_with_the_known():
    with pytest.raises(ConfigurationError, match=r"site 'lxpuls'.*Did you mean 'lxplus'"):
        read_inputs(ROOT, "lxpuls", allow_dirty=True)


def test_sites_share_the_base_and_nothing_else():
    one, other = (read_inputs(ROOT, site, allow_dirty=True) for site in ("lxplus", "casa"))
    assert one.base == other.base
    assert one.digest != other.digest
    assert one.digest == read_inputs(ROOT, "lxplus", allow_dirty=True).digest
