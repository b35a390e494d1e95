"""``python -m tests.bench.plots``: seconds for each plot on one core, and the memory that drawing needs.

The output is of the size of a real one: by default 50 variables in 20 categories and 3 years, 6 simulated
samples with 20 systematic uncertainties, and data. It is written once as a zip file. What is timed is
reading, summing and drawing of as many plots as are asked for, by one process, in CPU time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import hist
import numpy as np

TARGET_SECONDS = 0.15
N_BINS = 50
YEARS = ("2016_PostVFP", "2017", "2018")
SAMPLES = ("DYJetsToLL", "TTToSemiLeptonic", "WJetsToLNu", "ST_s-channel", "WW", "WZ")


def histogram(rng: np.random.Generator, categories: list[str], variations: list[str] | None) -> hist.Hist:
    """Return a falling spectrum; variations scale it by some per cent."""
    axes: list[Any] = [hist.axis.StrCategory(categories, name="cat")]
    if variations:
        axes.append(hist.axis.StrCategory(variations, name="variation"))
    axes.append(hist.axis.Regular(N_BINS, 0, 500, name="JetGood.pt", label="Jet $p_{T}$ [GeV]"))
    filled = hist.Hist(*axes, storage="weight")
    shape = 1000 * np.exp(-np.arange(N_BINS) / 12)
    view = filled.view()
    if variations:
        size = (len(categories), len(variations), N_BINS)
        factors = 1 + 0.03 * rng.standard_normal((1, len(variations), 1)) + 0.01 * rng.standard_normal(size)
        factors[:, variations.index("nominal")] = 1
        view.value = shape * factors
        view.variance = view.value * 0.5
    else:
        view.value = rng.poisson(6 * shape, size=(len(categories), N_BINS))
        view.variance = view.value
    return filled


def make_output(n_variables: int, n_categories: int, n_systematics: int) -> dict[str, Any]:
    """Return an output with these many variables, categories and systematic uncertainties in three years."""
    rng = np.random.default_rng(1)
    categories = [f"category_{i}" for i in range(n_categories)]
    variations = ["nominal", *(f"syst_{i}{side}" for i in range(n_systematics) for side in ("Up", "Down"))]
    metadata = {
        f"{sample}_{year}": {"sample": sample, "year": year, "isMC": str(sample != "DATA")}
        for sample in (*SAMPLES, "DATA")
        for year in YEARS
    }
    variables = {
        f"variable_{i}": {
            sample: {
                f"{sample}_{year}": histogram(
                    rng, categories, None if sample == "DATA" else sorted(variations)
                )
                for year in YEARS
            }
            for sample in (*SAMPLES, "DATA")
        }
        for i in range(n_variables)
    }
    cutflow = {name: dict.fromkeys(metadata, 1) for name in ("initial", *categories)}
    return {"variables": variables, "datasets_metadata": {"by_dataset": metadata}, "cutflow": cutflow}


def draw(folder: Path, systematics: bool) -> dict[str, float]:
    """Draw all plots of the output in the folder with one process; return what it took."""
    import pocket_coffea.plotting.preload  # noqa: F401 - imports do not count
    from pocket_coffea.plotting.manager import PlotRequest, make_plots
    from tests.bench.__main__ import high_water_mark

    before, cpu, wall = high_water_mark(), time.process_time(), time.perf_counter()
    request = PlotRequest(
        str(folder),
        inputfiles=["output.coffea.zip"],
        workers=1,
        systematics_shifts=systematics,
        overwrite=True,
    )
    result = make_plots(request)
    if result.failed:
        sys.exit(f"plots failed: {result.failed}")
    return {
        "plots": result.n_plots,
        "cpu_per_plot": (time.process_time() - cpu) / result.n_plots,
        "wall_per_plot": (time.perf_counter() - wall) / result.n_plots,
        "memory_mb": high_water_mark() - before,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plots")
    parser.add_argument("--variables", type=int, default=17)
    parser.add_argument("--categories", type=int, default=20)
    parser.add_argument("--systematics", type=int, default=20)
    parser.add_argument("--shifts", action="store_true", help="draw the shift of each uncertainty, too")
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.draw:
        print(json.dumps(draw(arguments.draw, arguments.shifts)))
        return 0
    from pocket_coffea.utils.output_file import save_output

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        output = make_output(arguments.variables, arguments.categories, arguments.systematics)
        size = save_output(output, folder / "output.coffea.zip").stat().st_size / 1e6
        del output
        command = [sys.executable, "-W", "ignore", "-m", "tests.bench.plots", "--draw", name]
        command += ["--shifts"] if arguments.shifts else []
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{result['plots']} plots of an output of {size:.0f} MB: {result['cpu_per_plot']:.3f} s of CPU each "
        f"({result['wall_per_plot']:.3f} s elapsed), {result['memory_mb']:.0f} MB above the imports"
    )
    missed = result["cpu_per_plot"] > TARGET_SECONDS
    print(f"Missed: {TARGET_SECONDS} s for each plot." if missed else "Target reached.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
