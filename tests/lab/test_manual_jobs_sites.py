"""The documented strings of manual jobs: submitted from inside the image of the site, watched and merged.

Events come over XRootD with a proxy. condor@lpc runs on a worker that sees nothing of the submit side.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ci.lab.process import run
from tests.lab.parsl_runs import Analysis, content
from tests.lab.site_runs import SMALL, SiteImage, image_of, in_image, run_string

REMOTE = True
pytestmark = pytest.mark.usefixtures("clean_queues")

#: What is not so in the lab: its machine is small, and a flavour's minutes are seconds.
STRINGS: dict[str, dict[str, Any]] = {
    "condor@lxplus": {**SMALL, "queue": "workday"},
    "condor@rubin": {**SMALL, "max-run-time": 480},
    "condor@lpc": {**SMALL, "queue": "workday"},
    "slurm@T3_CH_PSI": {},
}


def submit_and_merge(string: str, image: SiteImage, analysis: Analysis, output: Path) -> str:
    """Run the analysis with jobs until its outputs are merged; return what watching them said."""
    run_string(string, image, analysis, output, {**STRINGS[string], "scaleout": 3})
    watch = ["pocket-coffea", "check-jobs", "-j", output, "--resubmit", "--interval", "1"]
    seen = run(in_image(image, *watch), cwd=analysis.folder, timeout=400, check=False)
    assert seen.returncode == 0, seen.stdout
    merge = ["pocket-coffea", "merge-outputs", "-jc", output, "-o", output / "output_all.coffea"]
    run(in_image(image, *merge), cwd=analysis.folder, timeout=120)
    return str(seen.stdout)


@pytest.fixture(scope="module")
def iterative(analysis: Analysis) -> list[Any]:
    """Return what iterative gives in the image of the lab."""
    output = analysis.folder / "iterative"
    words = ["pocket-coffea", "run", "--cfg", analysis.config, "-o", output, "-c", "300"]
    run(in_image(image_of("lab"), *words, "--tree-reduction=4"), cwd=analysis.folder, timeout=300)
    return content(output)


@pytest.mark.parametrize("string", STRINGS)
def test_jobs_give_what_iterative_gives(string, analysis, iterative, output):
    image = image_of(string.partition("@")[2])
    said = submit_and_merge(string, image, analysis, output)
    assert "3 done" in said
    assert content(output) == iterative
    reports = [json.loads(path.read_text()) for path in (output / "job" / "logs").glob("job_?.?.json")]
    assert [report["exit_code"] for report in reports] == [0, 0, 0]
    assert {report["image"] for report in reports} == {image.digest}
    assert len(list((output / "job").glob("job_?.done"))) == 3
