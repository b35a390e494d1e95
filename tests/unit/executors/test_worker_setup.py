"""A worker's surroundings, put together: what is written, what is handed over, and that nothing stays."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.setup import WorkerSetup
from pocket_coffea.executors.worker_pool import ALLOCATOR
from pocket_coffea.executors.worker_variables import XROOTD_LIMITS, worker_variables
from pocket_coffea.sites.site import Container, ProxyDelivery
from pocket_coffea.utils.data_files import resolve_data_file
from pocket_coffea.utils.process import run_command
from tests.unit.executors.proxies import make_proxy
from tests.unit.images.test_resolve import make_sif

SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
OPEN_DATA = {"ignore-grid-certificate": True}


@pytest.fixture
def local(make_site):
    """Return ``local(...)``: a site whose workers have this process's environment."""
    return lambda **changes: make_site(batch="none", **changes)


def environment_of(setup: WorkerSetup, transferred: bool = False, cwd: Path | None = None) -> dict[str, str]:
    words = setup.command([sys.executable, "-c", SHOW], transferred)
    return json.loads(run_command(words, timeout=60, cwd=cwd).stdout.splitlines()[-1])


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_a_worker_has_variables_proxy_and_what_the_user_set(local, tmp_path):
    proxy = make_proxy(tmp_path / "x509up_u1", 1e6, 1e6)
    site = local(environment={"X509_CERT_DIR": "/certificates here", "XRD_REQUESTTIMEOUT": "77"})
    options = {"voms-proxy": str(proxy), "custom-setup-commands": "export A=1\nexport A=$A-2"}
    setup = WorkerSetup.prepare(site, options, tmp_path / "out", ["export B=$A"])
    seen = environment_of(setup)
    assert (seen["A"], seen["B"]) == ("1-2", "1-2")
    assert seen["XRD_RUNFORKHANDLER"] == "1"
    assert seen["XRD_STREAMTIMEOUT"] == XROOTD_LIMITS["XRD_STREAMTIMEOUT"]
    assert (seen["XRD_REQUESTTIMEOUT"], seen["X509_CERT_DIR"]) == ("77", "/certificates here")
    assert {name: seen[name] for name in ALLOCATOR} == ALLOCATOR
    copy = Path(seen["X509_USER_PROXY"])
    assert copy.read_bytes() == proxy.read_bytes()
    assert copy != proxy
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(setup.folder.path.stat().st_mode) == 0o700
    assert setup.logs.is_dir()
    setup.close()
    assert files_below(tmp_path) == {proxy}


def test_a_run_of_open_data_has_no_proxy(local, tmp_path, monkeypatch):
    monkeypatch.delenv("X509_USER_PROXY", raising=False)
    setup = WorkerSetup.prepare(local(), OPEN_DATA, tmp_path / "out")
    assert setup.proxy is None
    assert "X509_USER_PROXY" not in environment_of(setup)
    assert [path.name for path in setup.files] == ["worker.sh"]
    setup.close()


def test_files_of_the_run_can_be_transferred(local, tmp_path):
    proxy = make_proxy(tmp_path / "proxy", 1e6, 1e6)
    setup = WorkerSetup.prepare(local(), {"voms-proxy": str(proxy)}, tmp_path / "out")
    setup.folder.add("user.pem", "certificate")
    job = tmp_path / "execute here"
    job.mkdir()
    for path in setup.files:
        (job / path.name).write_bytes(path.read_bytes())
    assert {path.name for path in setup.files} == {"worker.sh", "x509up", "user.pem"}
    setup.close()
    assert environment_of(setup, transferred=True, cwd=job)["X509_USER_PROXY"] == str(job / "x509up")


def test_the_command_starts_with_what_brings_it_into_the_image(make_site, tmp_path):
    image = tmp_path / "image.sif"
    make_sif(image, {})
    setup = WorkerSetup.prepare(make_site(), {**OPEN_DATA, "worker-image": str(image)}, tmp_path / "out")
    command = setup.command(["python", "-V"])
    assert command[:2] == ["apptainer", "exec"]
    assert command[-4:] == ["bash", str(setup.script), "python", "-V"]
    assert setup.command(["python"], transferred=True)[-3:] == ["bash", "worker.sh", "python"]
    written = json.loads((setup.folder.path / "expectation.json").read_text())
    assert written["digest"] == setup.provenance()["image"]["digest"]
    assert setup.provenance()["site"] == "here"
    assert "images.check" in setup.script.read_text()
    setup.close()


def test_nothing_is_left_when_the_preparation_fails(local, tmp_path):
    proxy = make_proxy(tmp_path / "proxy", 1e6, 1e6)
    options = {"voms-proxy": str(proxy)}
    with pytest.raises(ConfigurationError, match="no name of an environment variable"):
        WorkerSetup.prepare(local(environment={"A B": "x"}), options, tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        WorkerSetup.prepare(local(logs=str(tmp_path / "file" / "logs")), options, tmp_path / "out")
    assert files_below(tmp_path) == {proxy, tmp_path / "file"}


def test_the_files_are_where_the_workers_see_them(make_site, tmp_path):
    shared, elsewhere = tmp_path / "shared", tmp_path / "elsewhere"
    image = tmp_path / "image.sif"
    make_sif(image, {})
    options = {**OPEN_DATA, "worker-image": str(image)}
    with pytest.raises(ConfigurationError, match=r"Slurm transfers no files. Give an output folder \(-o\)"):
        WorkerSetup.prepare(make_site(shared=(str(shared),)), options, elsewhere)
    delivered = ProxyDelivery("shared", f"{shared}/user")
    for batch in ("slurm", "htcondor"):
        site = make_site(batch=batch, shared=(str(shared),), proxy=delivered)
        setup = WorkerSetup.prepare(site, options, elsewhere)
        assert setup.script.is_relative_to(shared / "user")
        setup.close()
    site = make_site(batch="htcondor", shared=(str(shared),), container=Container("htcondor"))
    setup = WorkerSetup.prepare(site, options, elsewhere)
    assert setup.script.is_relative_to(elsewhere)
    setup.close()


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({"queue": "short"}, False),
        ({"queue": "long"}, True),
        ({"queue": "long", "walltime": "1:00:00"}, False),
        ({"walltime": 86400}, True),
        ({}, False),
    ],
)
def test_the_proxy_should_last_as_long_as_the_job(local, tmp_path, caplog, options, warned):
    proxy = make_proxy(tmp_path / "proxy", 4 * 3600, 4 * 3600)
    WorkerSetup.prepare(local(), {"voms-proxy": str(proxy), **options}, tmp_path / "out").close()
    assert ("a job may run for" in caplog.text) is warned


def test_a_proxy_that_is_renewed_reaches_the_workers(local, tmp_path):
    proxy = make_proxy(tmp_path / "proxy", 4 * 3600, 4 * 3600)
    setup = WorkerSetup.prepare(local(), {"voms-proxy": str(proxy)}, tmp_path / "out")
    make_proxy(proxy, 1e6, 1e6)
    renewed = setup.renew_proxy()
    assert renewed.seconds_left() > 9e5
    copy = Path(environment_of(setup)["X509_USER_PROXY"])
    assert copy.read_bytes() == proxy.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    setup.close()


def test_nothing_secret_is_said(local, tmp_path, caplog, capfd):
    caplog.set_level(0)
    proxy = make_proxy(tmp_path / "proxy", 3000)
    setup = WorkerSetup.prepare(local(), {"voms-proxy": str(proxy), "walltime": "9:00:00"}, tmp_path / "out")
    environment_of(setup)
    secret = proxy.read_text().split("-----")[6].split()[0]
    assert len(secret) > 20
    said = caplog.text + "".join(capfd.readouterr()) + repr(setup) + json.dumps(setup.provenance())
    assert secret not in said + setup.script.read_text()
    setup.close()


def test_memory_is_not_given_back_after_each_chunk(make_site):
    variables = worker_variables(make_site(), {})
    assert int(variables["MALLOC_TRIM_THRESHOLD_"]) > 0


def test_files_of_the_analysis_are_found_by_the_path_of_the_parameters(local, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKET_COFFEA_DATA", "/mine")
    golden = tmp_path / "certified" / "golden.json"
    golden.parent.mkdir()
    golden.write_text("{}")
    options = {**OPEN_DATA, "extra-input-files": [str(golden), str(golden)]}
    setup = WorkerSetup.prepare(local(), options, tmp_path / "out")
    assert [path.name for path in setup.files] == ["golden.json", "worker.sh"]
    assert stat.S_IMODE(setup.files[0].stat().st_mode) == 0o600
    seen = environment_of(setup)["POCKET_COFFEA_DATA"]
    assert seen == f"{setup.folder.path}:/mine"
    golden.unlink()  # as on a worker that sees nothing of this machine
    monkeypatch.setenv("POCKET_COFFEA_DATA", seen)
    assert resolve_data_file(golden) == str(setup.folder.path / "golden.json")
    setup.close()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["none.json"], "there is no file 'none.json'"),
        (["x509up_1"], "is that of a file of the run"),
        (["a/golden.json", "b/golden.json"], "have the same name"),
    ],
)
def test_files_of_the_analysis_that_cannot_travel(local, tmp_path, monkeypatch, names, said):
    for name in ("x509up_1", "a/golden.json", "b/golden.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=said):
        WorkerSetup.prepare(local(), {**OPEN_DATA, "extra-input-files": names}, tmp_path / "out")
    assert not list(tmp_path.glob("out/.workers*"))
