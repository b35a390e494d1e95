"""Fixtures that every test may use: small generated NanoAOD and the real samples where they are."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pocket_coffea.utils.make_sample import SampleInfo, make_sample

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FEW_BRANCHES = 320


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--renew-goldens", action="store_true", help="rewrite the text goldens from what is computed"
    )


def pytest_configure() -> None:
    """Have interrupts arrive, also in what tests start: a script in the background ignores them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def sample_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SampleInfo]:
    """Return ``make(flavour, kind, n_events, seed, ...)``; it writes each distinct sample once."""
    folder = tmp_path_factory.mktemp("samples")
    made: dict[tuple, SampleInfo] = {}

    def make(
        flavour: str = "v9", kind: str = "dy", n_events: int = 400, seed: int = 1, **options: int
    ) -> SampleInfo:
        options.setdefault("n_branches", FEW_BRANCHES)
        key = (flavour, kind, n_events, seed, *sorted(options.items()))
        if key not in made:
            name = "_".join(str(part) for part in key[:4]) + f"_{len(made)}.root"
            made[key] = make_sample(folder / name, flavour, kind, n_events=n_events, seed=seed, **options)
        return made[key]

    return make


@pytest.fixture(scope="session")
def real_sample() -> Callable[[str], Path]:
    """Return the path of a real NanoAOD sample by name; the test is skipped where they are not provided."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.is_file():
            pytest.skip(f"real sample {name} is not on this machine")
        return path

    return find
