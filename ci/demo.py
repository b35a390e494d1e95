"""``make demo``: sample NanoAOD, a Z -> mumu analysis on it, and what came out.

Everything is written below the folder given as argument; samples that are there already are used again.
With ``--golden`` the analysis is small, and its result is compared with the one on record.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "zmumu"
COMMAND = str(Path(sys.executable).parent / "pocket-coffea")
SAMPLES = {
    "DYJetsToLL_2018": ("dy", 60_000, {"sample": "DYJetsToLL", "isMC": "True", "xsec": "6077.22"}),
    "TTToAnything_2018": ("ttbar", 30_000, {"sample": "TTToAnything", "isMC": "True", "xsec": "831.76"}),
    "DATA_SingleMuon_2018_EraA": (
        "data_singlemuon",
        30_000,
        {"sample": "DATA_SingleMuon", "isMC": "False", "era": "A", "primaryDataset": "SingleMuon"},
    ),
}
CERTIFIED = 0.9
#: With --golden: this part of the events.
SMALL = 0.05


def run(*command: str) -> str:
    """Run a command, show it, and return what it printed; end the demo when it fails."""
    print("$ " + " ".join(os.path.relpath(c) if c.startswith(str(ROOT)) else c for c in command), flush=True)
    done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE)
    if done.returncode:
        print(done.stdout)
        sys.exit(f"demo: the command ended with exit code {done.returncode}")
    return done.stdout


def make_samples(folder: Path, part: float = 1.0) -> dict[str, dict[str, Any]]:
    """Make the sample files unless they are there; return {dataset: what make-sample said}.

    ``part``: of the events.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for dataset, (kind, n_events, _) in SAMPLES.items():
        record = folder / f"{dataset}.json"
        if not record.exists():
            certificate = ("--golden-json", str(folder / "golden.json"), "--certified", str(CERTIFIED))
            text = run(
                *(COMMAND, "make-sample", str(folder / f"{dataset}.root"), "--kind", kind, "--json"),
                *("--n-events", str(round(part * n_events)), "--n-branches", "400"),
                *(certificate if kind.startswith("data") else ()),
            )
            record.write_text(text)
        made[dataset] = json.loads(record.read_text())
    return made


def prepare(folder: Path, samples: dict[str, dict[str, Any]]) -> Path:
    """Copy the example and write its dataset definition and luminosity; return the folder of the analysis."""
    analysis = folder / "analysis"
    shutil.copytree(EXAMPLE, analysis, dirs_exist_ok=True)
    datasets = {}
    for dataset, (_, _, metadata) in SAMPLES.items():
        n_events = samples[dataset]["n_events"]
        path = (folder / "samples" / f"{dataset}.root").resolve()
        details = {"year": "2018", "nevents": str(n_events), "size": str(path.stat().st_size)}
        datasets[dataset] = {"metadata": metadata | details, "files": [str(path)]}
    (analysis / "datasets.json").write_text(json.dumps(datasets, indent=2))
    lumi = next(s["certified_lumi_pb"] for s in samples.values() if not s["is_mc"])
    golden = (folder / "samples" / "golden.json").resolve()
    (analysis / "params" / "lumi.yaml").write_text(
        f'lumi:\n  picobarns:\n    "2018": {{tot: {lumi}}}\n  goldenJSON:\n    "2018": {golden}\n'
    )
    return analysis


def cutflow_and_yields(output: dict[str, Any]) -> str:
    """Two tables: events that pass, and yields of data and simulation with statistical errors."""
    datasets = list(output["cutflow"]["initial"])
    categories = [c for c in output["cutflow"] if c not in ("initial", "skim", "presel")]
    width = max(map(len, datasets)) + 2
    head = "".join(f"{name:>13}" for name in ("initial", "skim", "presel", *categories))
    lines = ["\nCutflow (events, unweighted)", f"{'':{width}}{head}"]
    for dataset in datasets:
        sample = SAMPLES[dataset][2]["sample"]
        counts = [output["cutflow"][step][dataset] for step in ("initial", "skim")]
        counts.append(output["cutflow"]["presel"][dataset]["nominal"])
        counts += [
            output["cutflow"][c].get(dataset, {}).get(sample, {}).get("nominal", 0) for c in categories
        ]
        lines.append(f"{dataset:{width}}" + "".join(f"{count:13d}" for count in counts))
    lines += ["\nYields (statistical uncertainty)", f"{'':{width}}" + "".join(f"{c:>20}" for c in categories)]
    totals = dict.fromkeys(categories, 0.0)
    for dataset in datasets:
        sample, row = SAMPLES[dataset][2]["sample"], []
        for category in categories:
            if dataset in output["sumw"].get(category, {}):
                value = output["sumw"][category][dataset][sample]["nominal"]
                error = output["sumw2"][category][dataset][sample]["nominal"] ** 0.5
                totals[category] += value
            else:
                value = output["cutflow"][category].get(dataset, {}).get(sample, {}).get("nominal", 0)
                error = value**0.5
            row.append(f"{value:12.1f} ±{error:6.1f}")
        lines.append(f"{dataset:{width}}" + "".join(f"{cell:>20}" for cell in row))
    lines.append(f"{'simulation, sum':{width}}" + "".join(f"{totals[c]:12.1f}{'':8}" for c in categories))
    return "\n".join(lines)


def compare(output: dict[str, Any], golden: Path, renew: bool) -> None:
    """Compare yields and sums of bins with those on record; end with 3, saying which differ."""
    spec = importlib.util.spec_from_file_location("summary", ROOT / "tests" / "compat" / "summary.py")
    assert spec is not None
    assert spec.loader is not None
    summary = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(summary)
    found = summary.summarise(output)
    if renew:
        golden.write_text(json.dumps(found, indent=0) + "\n")
    different = summary.differences(found, json.loads(golden.read_text()))
    for line in different[:20]:
        print(line)
    if different:
        print(f"demo: {len(different)} of {len(found)} numbers are not those of {golden}")
        sys.exit(3)
    print(f"demo: all {len(found)} numbers are those of {golden.name}")


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("demo"))
    parser.add_argument("--golden", type=Path, help="few events; compare the result with this file")
    parser.add_argument("--renew", action="store_true", help="write that file first")
    return parser.parse_args()


def main() -> None:
    """Make samples, run, show."""
    asked = options()
    folder = asked.folder
    samples = make_samples(folder / "samples", SMALL if asked.golden else 1.0)
    analysis = prepare(folder, samples)
    results = folder / "output"
    command = (COMMAND, "run", "--cfg", str(analysis / "config.py"), "-o", str(results))
    print(run(*command, "--executor", "futures", "--scaleout", "2", "--chunksize", "20000"))

    from coffea.util import load

    output = load(str(results / "output_all.coffea"))
    print(cutflow_and_yields(output))
    if asked.golden:
        compare(output, asked.golden, asked.renew)
        return
    picture = results / "mll.png"
    run(sys.executable, str(analysis / "plot_mass.py"), str(results / "output_all.coffea"), str(picture))
    (results / "provenance.json").write_text(json.dumps(output["provenance"], indent=2, default=str) + "\n")
    print(f"\nOutput       {results / 'output_all.coffea'}")
    print(f"Provenance   {results / 'provenance.json'}")
    print(f"Dimuon mass  {picture}")


if __name__ == "__main__":
    main()
