"""Tests of this folder run inside the lab, as its user ``physicist``; those of ``outside`` on the host."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ci.lab.control import ask
from ci.lab.host import machine
from ci.lab.layout import CONTROL, PHYSICIST, SHARED
from ci.lab.process import run
from tests.lab.shares import split
from tests.lab.site_table import table

if TYPE_CHECKING:
    from tests.lab.parsl_runs import Analysis

# elsewhere the engines' clients that these modules import may be missing
collect_ignore_glob = [] if CONTROL.exists() else ["test_*.py"]
HERE = Path(__file__).parent
OUTSIDE = HERE / "outside"
PATIENCE = 3  # machines of CI are slow; who waits in vain waits that much longer


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let several labs share out the test files."""
    parser.addoption("--share", default="1/1", metavar="N/M", help="only the N-th of M shares of the files")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test of this folder; those of the host need a machine that can host a lab."""
    for item in items:
        if OUTSIDE in item.path.parents:
            item.add_marker("lab")
            if lacks := machine.lacks():
                item.add_marker(pytest.mark.skip(reason="; ".join(lacks)))
        elif HERE in item.path.parents:
            item.add_marker("lab")
    items[:], others = split(
        items, config.getoption("--share", "1/1")
    )  # unknown where all tests are collected
    config.hook.pytest_deselected(items=others)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the documented executor strings did, as it stands in docs/sites.md."""
    for number, line in enumerate(table(config)):
        if not number:
            terminalreporter.section("documented executor strings")
        terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where CI=true no lab test may be skipped: that would hide a missing lab or service."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    skipped = [each for each in skipped if each.nodeid.startswith("tests/lab/")]
    if os.environ.get("CI") == "true" and skipped:
        reporter.write_line(
            f"{len(skipped)} lab tests were skipped: with CI=true this fails the run", red=True
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def shared_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a fresh folder that the submit side and the workers see."""
    name = re.sub(r"\W+", "-", request.node.name)[:60]  # Parsl refuses folders with brackets
    folder = SHARED / PHYSICIST / f"{name}-{os.getpid()}"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fault() -> Iterator[Callable[..., str]]:
    """Return ``fault("xrootd", "kit", "down", off=("xrootd", "kit", "up"))``; it is off after the test."""
    undo: list[Sequence[str]] = []

    def switch(*words: str, off: Sequence[str] = ()) -> str:
        if off:
            undo.append(off)
        return ask(CONTROL, "fault", *words)["text"]

    yield switch
    for words in reversed(undo):
        ask(CONTROL, "fault", *words)


@pytest.fixture
def until() -> Callable[..., object]:
    """Return ``until(function, seconds)``: poll until the function returns something true, and return it."""

    def wait(function: Callable[[], object], seconds: float = 60.0, step: float = 0.3) -> object:
        deadline = time.monotonic() + PATIENCE * seconds
        while time.monotonic() < deadline:
            if found := function():
                return found
            time.sleep(step)
        pytest.fail(f"{getattr(function, '__name__', function)} stayed false for {PATIENCE * seconds:.0f} s")

    return wait


@pytest.fixture(scope="session")
def command() -> Callable[..., str]:
    """Return ``command("xrdfs", ...)``: run it, return its output; raises CommandFailedError."""

    def call(*argv: str | Path, timeout: float = 60, check: bool = True) -> str:
        return run(list(argv), timeout=timeout, check=check).stdout

    return call


@pytest.fixture(scope="module")
def analysis(request: pytest.FixtureRequest) -> Iterator[Analysis]:
    """Return the demo analysis in a folder that the workers see.

    A module with ``REMOTE = True`` reads its events from the XRootD server that wants a proxy.
    """
    from tests.lab.parsl_runs import Analysis
    from tests.lab.site_runs import remote_samples

    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    folder = SHARED / PHYSICIST / f"{name}-{os.getpid()}"
    folder.mkdir(parents=True)
    made = Analysis(folder)
    if getattr(request.module, "REMOTE", False):
        remote_samples(made)
    yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def expected(analysis: Analysis) -> Callable[..., list[Any]]:
    """Return ``expected("-c", "20")``: what iterative gives, by the further arguments of a run."""
    from tests.lab.parsl_runs import content

    known: dict[tuple[str, ...], list[Any]] = {}

    def get(*more: str) -> list[Any]:
        if more not in known:
            output = analysis.folder / f"iterative-{len(known)}"
            analysis.run("iterative", output, {"tree-reduction": 4}, *more)
            known[more] = content(output)
        return known[more]

    return get


@pytest.fixture
def of_bare_worker(
    analysis: Analysis, shared_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[Any]]:
    """Send HTCondor jobs to the worker that sees no folder of this machine; events come by XRootD.

    Returns what gives the output of iterative on the same files.
    """
    from tests.lab.parsl_runs import content
    from tests.lab.site_runs import remote_samples

    remote = shutil.copytree(analysis.config.parent, shared_folder / "remote")
    monkeypatch.setattr(analysis, "config", remote / "config.py")
    remote_samples(analysis)
    monkeypatch.setenv("_CONDOR_APPEND_REQUIREMENTS", "TARGET.HasSharedFS =?= False")

    def iterative() -> list[Any]:
        analysis.run("iterative", shared_folder / "iterative", {"tree-reduction": 4})
        return content(shared_folder / "iterative")

    return iterative


@pytest.fixture
def output(shared_folder: Path) -> Path:
    """Return an output folder, still to be made, that the workers see."""
    return shared_folder / "out"


@pytest.fixture
def clean_queues() -> Iterator[None]:
    """Let no job of this test be the next one's: ``pytestmark = pytest.mark.usefixtures("clean_queues")``."""
    yield
    for words in (["condor_rm", "-all"], ["scancel", "--me"]):
        run(words, timeout=30, check=False)
