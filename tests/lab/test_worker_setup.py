"""A worker's surroundings on the real engines: image, proxy, XRootD limits; and why jobs wait."""

from __future__ import annotations

import functools
import json
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ci.lab.layout import IMAGES, SHARED
from ci.lab.services.apptainer import IMAGE as SMALL_IMAGE
from ci.lab.services.certificates import CA_FOLDER, PROXY, USER_NAME
from ci.lab.services.data import catalogue
from ci.lab.services.xrootd import REDIRECTOR, SITES
from pocket_coffea.batch.waiting import remove_jobs, why_waiting
from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.proxy import RENEW, find_proxy
from pocket_coffea.executors.setup import WorkerSetup
from pocket_coffea.images.store import Store
from pocket_coffea.sites.book import SiteBook
from pocket_coffea.sites.site import Container, Site
from pocket_coffea.utils.process import run_command
from tests.lab import condor, slurm

#: What a worker that reads events does, in small.
READ = """
import json, os, stat, sys
import uproot
proxy = os.environ["X509_USER_PROXY"]
muons = uproot.open(sys.argv[1])["Events"]["nMuon"].array()
found = {"proxy": proxy, "mode": oct(stat.S_IMODE(os.stat(proxy).st_mode)), "events": len(muons),
         "container": os.environ.get("APPTAINER_CONTAINER"), "python": sys.executable,
         "scratch": sys.argv[2], "here": sys.argv[3], "pythonpath": os.environ.get("PYTHONPATH")}
print(json.dumps(found))
"""
#: A worker that has a file open when its server freezes.
READ_ON = """
import sys, time, uproot
events = uproot.open(sys.argv[1])["Events"]
print("open", flush=True)
sys.stdin.readline()
start = time.monotonic()
try:
    for name in events.keys():
        events[name].array()
except Exception as error:
    print(f"{type(error).__name__}|{time.monotonic() - start:.1f}", flush=True)
    sys.exit(0)
sys.exit("everything was read")
"""
OPEN = """
import sys, time, uproot
start = time.monotonic()
try:
    uproot.open(sys.argv[1])["Events"]["nMuon"].array()
except Exception as error:
    print(f"{type(error).__name__}|{time.monotonic() - start:.1f}", flush=True)
    sys.exit(0)
sys.exit("it was read")
"""
A_MINUTE = 60.0


def url(site: str, file: dict) -> str:
    return f"root://{SITES[site].address}/{file['lfn']}"


def everywhere() -> dict:
    return next(file for file in catalogue() if len(file["sites"]) == len(SITES))


def only_at(site: str) -> dict:
    return next(file for file in catalogue() if file["sites"] == [SITES[site].rse])


@pytest.fixture
def site() -> Site:
    """The lab's Slurm as a site that starts images with Apptainer."""
    lab = SiteBook().get("lab")
    container = Container("apptainer", (str(CA_FOLDER.parent),))
    return replace(lab, batch="slurm", container=container, scratch="/scratch/$USER/workers")


@pytest.fixture(scope="module")
def image() -> Path:
    """The newest image in the host's store."""
    records = Store(IMAGES).records()
    if not records:
        pytest.skip("the image store is empty: pocket-coffea image build lab")
    return Store(IMAGES).image(max(records, key=lambda record: record.built).input_digest)


@pytest.fixture
def prepare(shared_folder) -> Callable[..., WorkerSetup]:
    """Return ``prepare(site, **options)``; the image may have older code than the checkout."""
    made: list[WorkerSetup] = []

    def make(where: Site, **options: object) -> WorkerSetup:
        given = {name.replace("_", "-"): value for name, value in options.items()}
        given.setdefault("allow-code-mismatch", True)
        made.append(WorkerSetup.prepare(where, given, shared_folder / "output"))
        return made[-1]

    yield make
    for setup in made:
        setup.close()


@pytest.fixture
def batch(shared_folder):
    jobs = slurm.Batch(shared_folder)
    yield jobs
    jobs.cancel()


@pytest.fixture
def pool(shared_folder):
    jobs = condor.Pool(shared_folder)
    yield jobs
    jobs.remove()


@pytest.fixture
def renewed(fault):
    fault("proxy", "renew", off=("proxy", "renew"))


def outcome(batch: slurm.Batch, until, job: str) -> tuple[str, str]:
    """Return exit code and output of a job of Slurm."""
    ((_, code),) = until(functools.partial(slurm.ended, job), 60).values()
    return code.partition(":")[0], batch.output(job)


def test_a_slurm_job_in_a_pinned_image_reads_protected_data(site, image, prepare, batch, until, monkeypatch):
    monkeypatch.setenv(
        "PYTHONPATH", "/project"
    )  # sbatch hands it on, and it must not replace the image's code
    setup = prepare(site, worker_image=str(image))
    words = ["python", "-c", READ, url("kit", only_at("kit")), "{scratch}", "{here}"]
    job = batch.submit(shlex.join(setup.command(words)), "--mem=1000")
    code, said = outcome(batch, until, job)
    assert code == "0", said
    found = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    assert found == {
        "proxy": str(setup.folder.path / "x509up"),
        "mode": "0o600",
        "events": found["events"],
        "container": str(image),
        "python": "/opt/venv/bin/python",
        "scratch": "/scratch/physicist/workers",
        "here": str(setup.folder.path),
        "pythonpath": None,
    }
    assert found["events"] > 0
    digest = run_command(["sha256sum", str(image)], timeout=60).stdout.split()[0]
    assert f"sha256:{digest}: file: sha256" in said
    assert setup.provenance()["image"]["digest"] == f"sha256:{digest}"


def test_a_job_of_htcondor_gets_its_files_where_nothing_is_shared(
    site, image, prepare, pool, until, tmp_path
):
    where = replace(site, batch="htcondor", container=Container("htcondor"), shared=())
    setup = prepare(replace(where, scratch=""), worker_image=str(image))
    assert setup.environment.batch_image == str(image)
    (pool.folder / "read.py").write_text(READ)
    words = ["python", "read.py", url("kit", only_at("kit")), "{scratch}", "{here}"]
    files = [*map(str, setup.files), "read.py", str(CA_FOLDER)]  # elsewhere CVMFS has the authorities
    job = pool.submit(
        shlex.join(setup.command(words, transferred=True)),
        MY_SingularityImage=f'"{setup.environment.batch_image}"',
        transfer_input_files=", ".join(files),
        requirements="TARGET.HasSharedFS =?= False",
        environment=f'"X509_CERT_DIR=/srv/{CA_FOLDER.name}"',
        **{"+JobFlavour": '"longlunch"'},
    )
    ad = until(functools.partial(condor.ended, job), 90)
    stderr = (pool.folder / f"{job}.0.err").read_text()
    assert ad["ExitCode"] == 0, stderr
    found = json.loads(pool.output(job).splitlines()[-1])
    assert (found["proxy"], found["mode"]) == ("/srv/x509up", "0o600")
    assert (found["here"], found["scratch"]) == ("/srv", "/srv")
    assert found["events"] > 0
    assert "Image " in stderr


@pytest.fixture
def small(site, shared_folder) -> tuple[Site, dict[str, object], Path]:
    """A site, options and an image of 1 MB, into which the lab's Python is bound."""
    image = shared_folder / "small.sif"
    shutil.copy(SMALL_IMAGE, image)
    binds = ("/usr", "/lib", "/lib64", "/project")
    options = {
        "worker_image": str(image),
        "worker_python": "/usr/bin/python3",
        "custom_setup_commands": ["export PYTHONPATH=/project"],
        "ignore_grid_certificate": True,
    }
    return replace(site, container=Container("apptainer", binds), shared=(str(SHARED),)), options, image


def test_an_image_that_was_replaced_after_the_submission_stops_the_job(small, prepare, batch, until):
    site, options, image = small
    setup = prepare(site, **options)
    line = shlex.join(setup.command(["echo", "it runs"]))
    code, said = outcome(batch, until, batch.submit(line))
    assert (code, said.splitlines()[-1]) == ("0", "it runs")
    with image.open("ab") as file:
        file.write(b"\0" * 4096)
    code, said = outcome(batch, until, batch.submit(line))
    assert code == "70"
    assert f"runs in {image}, which is sha256:" in said
    assert "it runs" not in said


def test_a_preparing_command_that_fails_is_in_the_log_of_the_job(small, prepare, batch, until):
    site, options, _ = small
    commands = ["echo first", "source /cvmfs/none/setup.sh"]
    setup = prepare(site, **{**options, "custom_setup_commands": commands})
    code, said = outcome(batch, until, batch.submit(shlex.join(setup.command(["echo", "started"]))))
    assert code == "78"
    assert "custom-setup-commands, command 2 of 2, failed with code 1" in said
    assert "source /cvmfs/none/setup.sh" in said.splitlines()
    assert "started" not in said


def test_the_virtual_environment_that_submits_runs_on_the_node(site, prepare, batch, until):
    where = replace(site, shared=("/opt", "/project", str(SHARED)))
    setup = prepare(where, local_virtualenv=True, ignore_grid_certificate=True)
    line = "import sys, pocket_coffea as p; print(sys.prefix, p.__file__)"
    job = batch.submit(shlex.join(setup.command([setup.environment.python, "-c", line])))
    code, said = outcome(batch, until, job)
    assert (code, said.splitlines()[-1]) == ("0", f"{sys.prefix} /project/pocket_coffea/__init__.py"), said


def test_the_real_proxy_is_understood(renewed, monkeypatch):
    monkeypatch.delenv("X509_USER_PROXY", raising=False)
    proxy = find_proxy({})
    assert (proxy.path, proxy.subject, proxy.voms) == (PROXY, USER_NAME, True)
    told = int(run_command(["voms-proxy-info", "-timeleft"], timeout=30).stdout)
    assert abs(proxy.seconds_left() - told) < 5


def test_attributes_that_end_before_their_proxy_count(renewed, tmp_path, caplog):
    plain = tmp_path / "plain"
    run_command(["voms-proxy-init", "-rfc", "-valid", "1:30", "-out", str(plain)], timeout=60)
    assert not find_proxy({"voms-proxy": str(plain)}).voms
    assert "no attributes of a VO" in caplog.text
    run_command(
        ["voms-proxy-init", "-voms", "cms", "-valid", "3:00", "-out", str(tmp_path / "p")], timeout=60
    )
    said = run_command(["voms-proxy-info", "-file", str(tmp_path / "p"), "-actimeleft"], timeout=30).stdout
    found = find_proxy({"voms-proxy": str(tmp_path / "p")})
    assert abs(found.seconds_left() - min(int(said), 3 * 3600)) < 5


def test_an_expired_proxy_is_an_error_with_the_command_that_mends_it(renewed, fault):
    fault("proxy", "expire", off=("proxy", "renew"))
    with pytest.raises(ConfigurationError) as caught:
        find_proxy({})
    assert f"The grid proxy {PROXY}" in str(caught.value)
    assert RENEW in str(caught.value)
    run_command(RENEW.split(), timeout=60)
    assert find_proxy({"walltime": "6-00:00:00"}).seconds_left() > 6 * 86400


def test_no_copy_of_the_proxy_and_none_of_its_content_is_left(site, small, prepare, shared_folder, caplog):
    caplog.set_level(0)
    where, options, _ = small
    before = {path for path in Path.home().rglob("*") if path.is_file()}
    setup = prepare(where, **{**options, "ignore_grid_certificate": False})
    copy = setup.folder.path / "x509up"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    words = setup.command(["/usr/bin/python3", "-c", "import os; print(os.environ['X509_USER_PROXY'])"])
    done = run_command(words, timeout=60)
    assert done.stdout.splitlines()[-1] == str(copy)
    lines = [line for line in PROXY.read_text().splitlines() if len(line) > 30]
    setup.close()
    new = {path for path in Path.home().rglob("*") if path.is_file()} - before
    written = [path for path in [*new, *shared_folder.rglob("*")] if path.is_file()]
    texts = [done.stdout, done.stderr, caplog.text, *(path.read_text(errors="replace") for path in written)]
    assert not [line for line in lines for text in texts if line in text]
    assert not [path for path in shared_folder.rglob("*") if path.name.startswith((".workers", "x509"))]


@pytest.fixture
def on_the_node(site, prepare) -> WorkerSetup:
    """Surroundings without an image: what is measured are the variables."""
    return prepare(replace(site, batch="none"), worker_image=None)


def measured(printed: str) -> tuple[str, float]:
    error, seconds = printed.splitlines()[-1].split("|")
    return error, float(seconds)


@pytest.mark.parametrize("way", ["kit", "redirector"])
def test_a_frozen_server_is_an_error_within_a_minute(on_the_node, fault, way, capsys):
    file = only_at("kit")
    address = url("kit", file) if way == "kit" else f"root://{REDIRECTOR}/{file['lfn']}"
    fault("xrootd", "kit", "frozen", off=("xrootd", "kit", "up"))
    words = on_the_node.command([sys.executable, "-c", OPEN, address])
    error, seconds = measured(run_command(words, timeout=170).stdout)
    with capsys.disabled():
        print(f"\nfrozen, by {way}: {error} after {seconds:.0f} s")
    assert seconds < A_MINUTE


def test_a_server_that_freezes_while_a_file_is_open_is_an_error_within_a_minute(on_the_node, fault, capsys):
    words = on_the_node.command([sys.executable, "-c", READ_ON, url("kit", only_at("kit"))])
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "open\n"
        fault("xrootd", "kit", "frozen", off=("xrootd", "kit", "up"))
        try:
            printed, _ = worker.communicate("go on\n", timeout=170)
        finally:
            worker.kill()
    error, seconds = measured(printed)
    with capsys.disabled():
        print(f"\nfrozen while open: {error} after {seconds:.0f} s")
    assert worker.returncode == 0
    assert seconds < A_MINUTE


def test_xrdcp_of_a_frozen_server_ends_within_a_minute(on_the_node, fault, tmp_path):
    fault("xrootd", "kit", "frozen", off=("xrootd", "kit", "up"))
    start = time.monotonic()
    copy = ["xrdcp", "-s", "-f", url("kit", everywhere()), str(tmp_path / "copy")]
    done = run_command(on_the_node.command(["timeout", "150", *copy]), timeout=170, check=False)
    assert done.returncode in (51, 52, 54), (done.returncode, done.stderr)
    assert time.monotonic() - start < A_MINUTE


def test_a_slow_server_is_no_error(on_the_node, fault):
    fault("xrootd", "fnal", "slow", off=("xrootd", "fnal", "up"))
    words = [sys.executable, "-c", OPEN, url("fnal", everywhere())]
    done = run_command(on_the_node.command(words), timeout=170, check=False)
    assert "it was read" in done.stderr


def said_of(system: str, *jobs: str) -> str:
    (line,) = why_waiting(system, jobs)
    return line


def test_why_a_job_of_htcondor_waits(pool, until):
    missing = pool.submit("true", transfer_input_files="/none/data.root")
    nowhere = pool.submit("true", requirements='TARGET.Machine == "none.site"')
    running = pool.submit("sleep 100")
    failed = pool.submit("exit 3")
    removed = pool.submit("sleep 100")
    until(lambda: condor.queued(missing).get("JobStatus") == 5, 60)
    until(lambda: "LastRejMatchReason" in condor.queued(nowhere), 60)
    until(lambda: condor.queued(running).get("JobStatus") == 2, 60)
    until(functools.partial(condor.ended, failed), 60)
    remove_jobs("htcondor", [removed])
    until(functools.partial(condor.ended, removed), 60)
    held = said_of("htcondor", f"{missing}.0")
    assert held.startswith(f"job {missing}.0: held: ")
    assert "/none/data.root" in held
    assert "(code 13)" in held
    waits = said_of("htcondor", nowhere)
    assert "no match: its requirements reject all" in waits
    assert '(TARGET.Machine == "none.site")' in waits
    assert f"job {running}: running for " in said_of("htcondor", running)
    assert "lab.site" in said_of("htcondor", running)
    assert said_of("htcondor", failed) == f"job {failed}: ended already with exit code 3"
    assert f"job {removed}: removed: via condor_rm" in said_of("htcondor", removed)
    assert "not in the queue" in said_of("htcondor", "999999")


def test_an_image_that_is_missing_is_the_reason(pool, until):
    job = pool.submit("true", MY_SingularityImage='"/shared/images/none.sif"')
    until(lambda: condor.queued(job).get("JobStatus") == 5, 90)
    assert "could not open image" in said_of("htcondor", job)


def test_why_a_job_of_slurm_waits(batch, until):
    long = batch.submit("true", "--partition=quick", "--time=5:00:00")
    held = batch.submit("true", "--hold")
    running = batch.submit("sleep 100", "--mem=100")
    failed = batch.submit("exit 3", "--mem=100")
    until(functools.partial(slurm.ended, failed), 60)
    until(lambda: slurm.queue(running, "%T") == "RUNNING", 60)
    too_long = said_of("slurm", long)
    assert "pending in partition quick: PartitionTimeLimit" in too_long
    assert "it asks for 5:00:00, more than partition quick allows" in too_long
    assert f"JobHeldUser (held by its user: scontrol release {held})" in said_of("slurm", held)
    assert f"job {running}: running for " in said_of("slurm", running)
    assert said_of("slurm", failed) == f"job {failed}: ended already: FAILED, exit code 3"
    assert "known to neither" in said_of("slurm", "999999")
    assert len(why_waiting("slurm", [long, held, running, failed, "999999"])) == 5
    remove_jobs("slurm", [long, held, running, failed, "999999"])
    until(lambda: "CANCELLED" in said_of("slurm", running), 60)


def test_a_drained_node_is_the_reason(batch, fault, until):
    fault("slurm", "drain", off=("slurm", "resume"))
    job = batch.submit("true", "--mem=100")
    until(lambda: "DRAINED" in said_of("slurm", job), 60)
