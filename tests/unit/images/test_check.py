"""What a job says about the image it finds itself in. With Apptainer: tests/lab/test_image_check.py."""

from __future__ import annotations

import ast
import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import pocket_coffea
from pocket_coffea.errors import PocketCoffeaError
from pocket_coffea.images import check as module
from pocket_coffea.images.check import (
    DamagedExpectation,
    Expectation,
    WrongImage,
    WrongPython,
    check,
    check_worker,
    main,
)
from pocket_coffea.images.resolve import PinnedImage
from pocket_coffea.utils.tree_digest import tree_digest

A, B, C, D = (f"{letter}" * 64 for letter in "abcd")
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGE = Path(pocket_coffea.__file__).parent


def image(kind: str = "sif", **changes: object) -> PinnedImage:
    values = {"digest": f"sha256:{A}", "input_digest": B, "source_digest": C, "pinned": True, **changes}
    return PinnedImage("my image", "/there/image.sif", kind, **values)


@pytest.fixture
def inside(tmp_path):
    """Return ``inside(manifest, container)``: the arguments of check for such a place."""

    def make(manifest: object = None, container: object = "") -> dict[str, object]:
        folder = tmp_path / ".pocket-coffea"
        folder.mkdir(exist_ok=True)
        if manifest is not None:
            (folder / "manifest.json").write_text(json.dumps(manifest))
        environ = {"APPTAINER_CONTAINER": str(container)} if container else {}
        return {"environ": environ, "root": str(tmp_path)}

    return make


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "image.sif"
    path.write_bytes(b"an image" * 300_000)
    return path


def digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


# --- the image -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sif", "site"])
@pytest.mark.parametrize("name", ["APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"])
def test_the_file_decides_where_it_can_be_read(inside, file, kind, name):
    place = {**inside({"input_digest": D}), "environ": {name: str(file)}}
    found = check(Expectation.of(image(kind, digest=digest(file))), **place)
    assert found["image"] == "file: sha256"
    assert found["digest"] == digest(file)
    assert found["container"] == str(file)
    assert found["python"] == HERE


def test_another_file_is_the_wrong_image_even_with_the_right_manifest(inside, file):
    place = inside({"input_digest": B, "source_digest": C}, file)
    with pytest.raises(WrongImage) as caught:
        check(Expectation.of(image()), **place)
    message = str(caught.value)
    assert f"submitted for my image (sha256:{A}), but runs in {file}, which is {digest(file)}" in message
    assert "submit again" in message
    assert "\n" not in message
    assert caught.value.exit_code == 70


@pytest.mark.parametrize("container", ["/nowhere/image.sif", "", "/"])
def test_the_manifest_decides_where_the_file_cannot_be_read(inside, container):
    place = inside({"input_digest": B, "source_digest": C}, container)
    assert check(Expectation.of(image()), **place)["image"].startswith("manifest")


@pytest.mark.parametrize("wrong", ["input_digest", "source_digest"])
@pytest.mark.parametrize("value", [D, None])
def test_a_manifest_of_another_image_is_the_wrong_image(inside, wrong, value):
    manifest = {"input_digest": B, "source_digest": C, wrong: value}
    with pytest.raises(WrongImage, match=f"{wrong.replace('_', ' ')} .*expected"):
        check(Expectation.of(image()), **inside(manifest, "/nowhere/image.sif"))


@pytest.mark.parametrize("manifest", [None, [], {}, "text"])
def test_without_file_and_manifest_nobody_can_tell(inside, manifest):
    with pytest.raises(WrongImage, match=r"nobody can tell.*no manifest.*--bind /nowhere:/nowhere:ro"):
        check(Expectation.of(image()), **inside(manifest, "/nowhere/image.sif"))


def test_a_manifest_is_no_help_when_the_submission_knows_no_input_digest(inside):
    place = inside({"input_digest": B}, "/nowhere/image.sif")
    with pytest.raises(WrongImage, match="the submission knows no input digest"):
        check(Expectation.of(image(input_digest="")), **place)


def test_a_job_in_no_image_at_all(inside):
    with pytest.raises(WrongImage, match=r"runs in no image.*apptainer exec"):
        check(Expectation.of(image()), **inside())


def test_an_unpacked_image_is_known_by_its_folder(inside, tmp_path):
    folder = tmp_path / ".flat" / "aa" / A
    folder.mkdir(parents=True)
    (tmp_path / "image:tag").symlink_to(folder)
    expectation = Expectation.of(image("cvmfs", input_digest="", source_digest=""))
    for container in (folder, tmp_path / "image:tag", f"/not/mounted/here/{A}"):
        assert check(expectation, **inside(None, container))["image"] == "folder named by its digest"
    with pytest.raises(WrongImage, match=f"which is sha256:{B}"):
        check(expectation, **inside(None, f"/cvmfs/unpacked.cern.ch/.flat/bb/{B}"))
    with pytest.raises(WrongImage, match="nobody can tell"):
        check(expectation, **inside(None, "/tmp/rootfs-1234"))


@pytest.mark.parametrize("kind", ["docker", "oras"])
def test_a_registry_image_was_fetched_by_its_digest(inside, kind):
    foreign = image(kind, input_digest="", source_digest="")
    assert check(Expectation.of(foreign), **inside())["image"] == "fetched by its digest"


def test_an_unpinned_image_passes_and_says_so(inside, file):
    unpinned = image("docker", pinned=False, digest="", input_digest="", source_digest="")
    found = check(Expectation.of(unpinned), **inside(None, file))
    assert found["image"] == "unpinned: not checked"
    assert (found["reference"], found["digest"]) == ("my image", "")


# --- Python and code -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pinned", [True, False])
def test_another_minor_version_of_python_has_its_own_exit_code(inside, pinned):
    place = inside({"input_digest": B, "source_digest": C})
    with pytest.raises(
        WrongPython, match=r"the image my image has 3\.99.*minor versions.*apptainer shell"
    ) as caught:
        check(Expectation.of(image(pinned=pinned)), **place, version=(3, 99, 1))
    assert caught.value.exit_code == 71
    patch = (sys.version_info[0], sys.version_info[1], 99)
    assert check(Expectation.of(image(pinned=pinned)), **place, version=patch)["python"] == HERE


def test_the_wrong_image_is_said_before_its_wrong_python(inside, file):
    with pytest.raises(WrongImage):
        check(Expectation.of(image()), **inside(None, file), version=(3, 99))


def test_code_that_was_unknown_at_submission_is_compared_in_the_job(inside):
    foreign = image("docker", input_digest="", source_digest="")
    running = tree_digest(PACKAGE)
    assert check(Expectation.of(foreign, code=running), **inside())["code"] == "equal"
    with pytest.raises(WrongImage, match=r"other PocketCoffea code.*allow-code-mismatch: true") as caught:
        check(Expectation.of(foreign, code=D), **inside())
    assert running in str(caught.value)
    assert check(Expectation.of(foreign), **inside())["code"] == "not compared"
    # the manifest of the image has the last word over what happens to run the check
    assert check(Expectation.of(foreign, code=D), **inside({"source_digest": D}))["code"] == "equal"


def test_code_that_was_known_is_not_compared_again(inside):
    expectation = Expectation.of(image(), code=D)
    assert expectation.code == ""
    place = inside({"input_digest": B, "source_digest": C})
    assert check(expectation, **place)["code"] == "compared at submission"


# --- the file that is shipped, the program, the workers ------------------------------------------------


def test_what_is_written_is_read():
    expectation = Expectation.of(image())
    assert Expectation.from_json(expectation.to_json()) == expectation
    assert json.loads(expectation.to_json())["schema"] == 1


def changed(**changes: object) -> str:
    return json.dumps({**json.loads(Expectation.of(image()).to_json()), **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        changed(more=1),
        changed(digest=None),
        changed(pinned="false"),
        changed(schema="1"),
        changed(schema=0),
        json.dumps({"schema": 1, "reference": "x"}),
    ],
)
def test_a_damaged_expectation_has_its_own_exit_code(tmp_path, capsys, text):
    path = tmp_path / "expectation.json"
    path.write_text(text)
    assert main([str(path)]) == 72
    assert f"{path} is damaged" in capsys.readouterr().err
    with pytest.raises(DamagedExpectation):
        check_worker(text)


def test_a_missing_expectation(tmp_path, capsys):
    assert main([str(tmp_path / "none.json")]) == 72
    assert "none.json cannot be read" in capsys.readouterr().err


def test_a_later_version_means_that_the_image_is_too_old(tmp_path, capsys):
    path = tmp_path / "expectation.json"
    path.write_text(changed(schema=2, new=[1]))
    assert main([str(path)]) == 70
    assert "older than the code that submitted" in capsys.readouterr().err


@pytest.mark.parametrize("error", [WrongImage, WrongPython, DamagedExpectation])
def test_errors_travel_from_workers(error):
    copy = pickle.loads(pickle.dumps(error("why")))
    assert isinstance(copy, PocketCoffeaError)
    assert (type(copy), str(copy), copy.exit_code) == (error, "why", error.exit_code)


def test_a_worker_is_given_the_expectation_or_its_text(monkeypatch, file):
    monkeypatch.setenv("APPTAINER_CONTAINER", str(file))
    expectation = pickle.loads(pickle.dumps(Expectation.of(image(digest=digest(file)))))
    assert check_worker(expectation)["image"] == "file: sha256"
    assert check_worker(expectation.to_json())["image"] == "file: sha256"
    file.write_bytes(b"replaced")
    with pytest.raises(WrongImage):
        check_worker(expectation)


def run(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pocket_coffea.images.check", *map(str, arguments)]
    env = {"PYTHONPATH": str(PACKAGE.parent), **environ}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_the_program_writes_what_it_found(tmp_path, file):
    path, outcome = tmp_path / "expectation.json", tmp_path / "outcome.json"
    path.write_text(Expectation.of(image(digest=digest(file))).to_json())
    done = run(path, outcome, APPTAINER_CONTAINER=str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"Image my image {digest(file)}: file: sha256; Python {HERE}")
    assert json.loads(outcome.read_text())["image"] == "file: sha256"
    file.write_bytes(b"replaced")
    outcome.unlink()
    done = run(path, outcome, APPTAINER_CONTAINER=str(file))
    assert done.returncode == 70
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not outcome.exists()
    assert run().returncode == 2


def test_an_outcome_that_cannot_be_written_does_not_fail_the_right_image(tmp_path, file):
    path = tmp_path / "expectation.json"
    path.write_text(Expectation.of(image(digest=digest(file))).to_json())
    done = run(path, file / "outcome.json", APPTAINER_CONTAINER=str(file))
    assert done.returncode == 0
    assert "cannot be written" in done.stderr


def test_only_the_standard_library_is_loaded():
    code = "import sys, pocket_coffea.images.check; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    extra = set(done.stdout.split()) - set(sys.stdlib_module_names) - {"__main__", "pocket_coffea"}
    assert extra == set()


def test_an_older_python_can_run_it_to_say_that_it_is_too_old():
    for name in (
        module.__file__,
        PACKAGE / "errors.py",
        PACKAGE / "__init__.py",
        PACKAGE / "images/__init__.py",
    ):
        ast.parse(Path(name).read_text(), feature_version=(3, 8))
