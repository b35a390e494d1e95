"""In what the workers run, decided and checked at submission."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

import pocket_coffea
from pocket_coffea.errors import ConfigurationError, OptionError, ResultsRefused
from pocket_coffea.executors.worker_environment import fill_in, is_shared, plan_environment
from pocket_coffea.images.same_code import submitting_digest
from pocket_coffea.sites.site import Container
from pocket_coffea.utils.process import run_command
from tests.unit.images.test_resolve import make_sif

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
CODE = str(Path(pocket_coffea.__file__).parents[1])


@pytest.fixture(autouse=True)
def _no_image(monkeypatch, tmp_path):
    for name in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def image(tmp_path) -> Path:
    """Return an image file that says it has the code and the Python that run here."""
    labels = {
        "org.pocket-coffea.source-digest": submitting_digest(),
        "org.pocket-coffea.input-digest": "1" * 64,
        "org.pocket-coffea.python": HERE,
    }
    path = tmp_path / "images" / "site.sif"
    path.parent.mkdir()
    make_sif(path, labels)
    return path


def test_an_image_is_started_by_apptainer_with_what_the_site_binds(make_site, image, tmp_path):
    container = Container("apptainer", ("/cvmfs", "/work", "/data:/pnfs:ro", "/"))
    site = make_site(container=container, shared=("/work/me",), scratch="/gpfs/scratch/$USER")
    found = plan_environment(site, {"worker-image": str(image)}, "/out put/run")
    assert found.kind == "image"
    binds = [
        "/cvmfs",
        "/data:/pnfs:ro",
        "/gpfs",
        "/work",
        "/out put/run",
        f"{image.parent}:{image.parent}:ro",
    ]
    expected = [word for bind in binds for word in ("--bind", bind)]
    assert list(found.prefix) == ["apptainer", "exec", *expected, str(image)]
    assert (found.batch_image, found.lines, found.python) == ("", (), "python")
    assert found.expectation.digest == found.provenance["image"]["digest"]
    assert found.expectation.code == ""
    assert found.provenance["code"]["match"] == "equal"


def test_a_folder_that_is_bound_already_is_not_bound_again(make_site, image, tmp_path):
    for scratch in ("$TMPDIR", "/tmp/$USER/workers", ""):
        site = make_site(scratch=scratch)
        found = plan_environment(site, {"worker-image": str(image)}, str(tmp_path / "output"))
    assert found.prefix == ("apptainer", "exec", "--bind", str(tmp_path), str(image))


def test_htcondor_starts_the_image_itself(make_site, image, caplog):
    site = make_site(batch="htcondor", container=Container("htcondor", ()))
    found = plan_environment(site, {"worker-image": str(image)})
    assert (found.prefix, found.batch_image) == ((), str(image))
    assert caplog.text == ""
    found = plan_environment(
        make_site(batch="htcondor", container=Container("htcondor"), shared=("/afs",)),
        {"worker-image": str(image)},
    )
    assert found.batch_image == str(image)
    assert "no folder that is known to be seen by the workers of here (/cvmfs, /afs)" in caplog.text


def test_the_image_of_the_site_is_the_default(make_site):
    site = make_site(image="no-such-site")
    with pytest.raises(ConfigurationError, match="image of the site here: 'no-such-site'"):
        plan_environment(site, {"worker-image": None})
    with pytest.raises(ConfigurationError, match="run option worker-image: 'other'"):
        plan_environment(site, {"worker-image": "other"})


def test_other_code_in_the_image_is_refused_unless_allowed(make_site, tmp_path):
    path = tmp_path / "old.sif"
    make_sif(path, {"org.pocket-coffea.source-digest": "2" * 64})
    with pytest.raises(ResultsRefused, match="allow-code-mismatch"):
        plan_environment(make_site(), {"worker-image": str(path)})
    found = plan_environment(make_site(), {"worker-image": str(path), "allow-code-mismatch": True})
    assert found.provenance["code"]["match"] == "different, allowed"


def test_an_image_without_labels_is_compared_in_the_job(make_site, tmp_path):
    path = tmp_path / "foreign.sif"
    make_sif(path, {})
    found = plan_environment(make_site(), {"worker-image": str(path)})
    assert found.expectation.code == submitting_digest()
    found = plan_environment(make_site(), {"worker-image": str(path), "allow-code-mismatch": True})
    assert found.expectation.code == ""


def test_an_unpinned_image_is_allowed_by_its_option_alone(make_site):
    options = {"worker-image": "docker://x/y:latest", "allow-code-mismatch": True}
    with pytest.raises(ConfigurationError, match="allow-unpinned-image: true"):
        plan_environment(make_site(), options)
    found = plan_environment(make_site(), {**options, "allow-unpinned-image": True})
    assert not found.expectation.pinned
    assert found.provenance["image"]["pinned"] is False


def test_this_machine_has_its_own_environment_unless_an_image_is_named(make_site, image):
    site = make_site(batch="none", image="local", container=Container("apptainer", ("/nonexistent-cvmfs",)))
    found = plan_environment(site, {"worker-image": None})
    assert (found.kind, found.prefix, found.expectation) == ("given", (), None)
    assert found.python == sys.executable
    found = plan_environment(site, {"worker-image": str(image)})
    assert "/nonexistent-cvmfs" not in found.prefix  # Apptainer would refuse to start
    assert found.expectation is not None


def test_a_facility_has_started_its_workers(make_site, image):
    site = make_site(batch="scheduler", container=Container("given"))
    found = plan_environment(site, {"worker-image": str(image)})
    assert (found.kind, found.prefix, found.batch_image) == ("given", (), "")
    assert found.expectation is not None
    found = plan_environment(site, {"worker-image": None})
    assert (found.expectation, found.provenance["kind"]) == (None, "given")
    found = plan_environment(site, {"worker-image": str(image), "local-virtualenv": True})
    assert (found.expectation, found.provenance["option"]) == (None, "local-virtualenv")


def test_both_development_environments_contradict_each_other(make_site):
    with pytest.raises(OptionError, match="both true"):
        plan_environment(make_site(), {"local-virtualenv": True, "conda-env": True})


def shared_with(make_site, *folders: str):
    return make_site(shared=(sys.prefix, CODE, *folders))


def activated(lines, **variables: str):
    """Run the activating lines in a real bash, then print what a worker would see."""
    script = "\n".join([*lines, 'echo "$VIRTUAL_ENV|$CONDA_PREFIX|${PATH%%:*}|$PYTHONPATH|$HOOK"'])
    env = {"PATH": "/usr/bin:/bin", **variables}
    return run_command(["bash", "-c", script], timeout=60, check=False, env=env)


def test_the_virtual_environment_that_submits(make_site):
    assert sys.prefix != sys.base_prefix, "this test runs in a virtual environment"
    found = plan_environment(shared_with(make_site), {"local-virtualenv": True})
    assert (found.kind, found.prefix, found.expectation) == ("virtualenv", (), None)
    assert found.python == f"{sys.prefix}/bin/python"
    assert found.provenance["folder"] == sys.prefix
    assert found.provenance["code"]["submitting"] == submitting_digest()
    done = activated(found.lines, PYTHONPATH="/mine")
    assert done.stdout.strip() == f"{sys.prefix}||{sys.prefix}/bin|{CODE}:/mine|"
    assert done.returncode == 0


def test_an_environment_that_the_workers_do_not_see(make_site, tmp_path):
    with pytest.raises(ConfigurationError, match="do not see") as caught:
        plan_environment(make_site(shared=("/work", "/home")), {"local-virtualenv": True})
    assert sys.prefix in str(caught.value)
    assert "share /work, /home with this machine" in str(caught.value)
    assert "shared-folders" in str(caught.value)
    with pytest.raises(ConfigurationError, match="share no folder"):
        plan_environment(make_site(shared=()), {"local-virtualenv": True})
    # the environment is seen, but the checkout that it uses is not
    with pytest.raises(ConfigurationError, match=f"do not see {CODE}"):
        plan_environment(make_site(shared=(sys.prefix,)), {"local-virtualenv": True})


def test_no_virtual_environment_is_active(make_site, monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    with pytest.raises(ConfigurationError, match="runs in no virtual environment"):
        plan_environment(make_site(), {"local-virtualenv": True})


def test_a_conda_environment_is_activated_without_conda(make_site, tmp_path, monkeypatch):
    folder = tmp_path / "my envs" / "analysis"
    (folder / "conda-meta").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    hook = folder / "etc" / "conda" / "activate.d" / "hook.sh"
    hook.parent.mkdir(parents=True)
    hook.write_text("export HOOK=$CONDA_PREFIX/seen\n")
    monkeypatch.setenv("CONDA_PREFIX", str(folder))
    found = plan_environment(make_site(shared=(str(tmp_path), CODE)), {"conda-env": True})
    assert (found.kind, found.python) == ("conda", str(folder / "bin" / "python"))
    done = activated(found.lines)
    assert done.stdout.strip() == f"|{folder}|{folder}/bin|{CODE}|{folder}/seen"


def test_no_conda_environment_is_active(make_site):
    with pytest.raises(ConfigurationError, match="no environment of conda, mamba, micromamba or pixi"):
        plan_environment(make_site(), {"conda-env": True})


def test_a_python_of_the_workers_with_another_version(make_site, tmp_path):
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 3.99\n")
    other.chmod(0o755)
    options = {"local-virtualenv": True, "worker-python": str(other)}
    with pytest.raises(ConfigurationError, match=f"is 3.99, and this one is {HERE}"):
        plan_environment(shared_with(make_site), options)
    options["worker-python"] = str(tmp_path / "none")
    with pytest.raises(ConfigurationError, match="does not work here"):
        plan_environment(shared_with(make_site), options)


def test_an_environment_that_is_not_there_on_the_node(make_site):
    found = plan_environment(shared_with(make_site), {"local-virtualenv": True})
    python = shlex.quote(found.python)
    gone = [line.replace(python, "/gone/bin/python") for line in found.lines]
    done = activated(gone)
    assert done.returncode == 78
    assert "cannot be run on this node" in done.stderr
    other = [line.replace(f"'{HERE}'", "'3.99'") for line in found.lines]
    assert other != list(found.lines)


def test_inside_an_image_the_environment_stands_on_it(make_site, image, monkeypatch):
    monkeypatch.setenv("APPTAINER_CONTAINER", str(image))
    site = make_site(shared=(sys.prefix, CODE), container=Container("apptainer"))
    found = plan_environment(site, {"local-virtualenv": True, "worker-image": str(image)})
    assert found.kind == "virtualenv"
    assert found.prefix[:2] == ("apptainer", "exec")
    assert found.lines
    assert found.expectation.digest == found.provenance["image"]["digest"]
    assert found.expectation.code == ""


def test_folders_are_shared_by_their_parts_not_by_their_letters():
    assert is_shared("/work/me", ["/work"])
    assert not is_shared("/workspace/me", ["/work"])
    assert is_shared("/data/x", ["/data:/data:ro"])
    assert not is_shared("/data/x", ["/data:/pnfs:ro"])


def test_what_is_filled_into_folders(monkeypatch):
    monkeypatch.setenv("USER", "physicist")
    monkeypatch.setenv("LOGNAME", "physicist")
    monkeypatch.setenv("HOME", "/home/physicist")
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert fill_in("{outputdir}/log", "/out") == "/out/log"
    assert fill_in("/work/$USER/$HOME") == "/work/physicist//home/physicist"
    assert fill_in("$TMPDIR/x") == "/var/tmp/x"
    assert fill_in("$TMPDIR/$USER", worker=True) == "$TMPDIR/physicist"
