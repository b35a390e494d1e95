"""Every documented executor string, started from inside the image of its site, over XRootD with a proxy.

The rows of the table that this prints stand in ``docs/sites.md``.
"""

from __future__ import annotations

import time

import pytest

from ci.lab.process import run
from tests.lab.dask_runs import leaves_nothing
from tests.lab.parsl_runs import content, provenance
from tests.lab.site_runs import (
    FACILITIES,
    STRINGS,
    facility_cluster,
    image_of,
    in_image,
    run_string,
)
from tests.lab.site_table import ROWS

REMOTE = True
pytestmark = pytest.mark.usefixtures("clean_queues")


@pytest.fixture(scope="module")
def expected(analysis):
    """What iterative gives in the image of the lab."""
    output = analysis.folder / "iterative"
    words = ["pocket-coffea", "run", "--cfg", analysis.config, "-o", output, "-e", "iterative"]
    argv = in_image(image_of("lab"), *words, "-c", "300", "--tree-reduction=4")
    run(argv, cwd=analysis.folder, timeout=300)
    return content(output)


@pytest.mark.parametrize("string", STRINGS)
def test_a_documented_string_in_the_image_of_its_site(string, analysis, expected, shared_folder, request):
    site, image = string.partition("@")[2], image_of(string.partition("@")[2])
    output = shared_folder / "out"
    rows = request.config.stash.setdefault(ROWS, {})
    rows[string] = ["no", "no", "no", "", "own" if image.own else "other"]
    began = time.monotonic()
    if site in FACILITIES:
        with facility_cluster(image, shared_folder):
            run_string(string, image, analysis, output)
    else:
        run_string(string, image, analysis, output)
    rows[string][0], rows[string][3] = "yes", f"{time.monotonic() - began:.0f}"
    workers = provenance(output)["workers"]
    assert workers["kind"] == "image"
    assert workers["image"]["digest"] == image.digest
    rows[string][1] = "yes"
    assert content(output) == expected
    rows[string][2] = "yes"
    assert leaves_nothing(output)
