"""Draw data against simulation: python plot_mass.py OUTPUT.coffea PICTURE [VARIABLE] [CATEGORY]."""

import sys

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import mplhep
import numpy as np
from coffea.util import load

SAMPLES = {
    "TTToAnything": (r"$t\bar{t}$", "#e42536"),
    "DYJetsToLL": (r"$Z/\gamma^* \to \ell\ell$", "#5790fc"),
}


def total(histograms, **selection):
    """Sum the datasets of a sample in one category (and variation)."""
    return sum(h[selection] for h in histograms.values())


def draw(output_file, picture, variable="mll", category="inclusive"):
    """Write the picture: stack with its uncertainty and data above, their ratio below."""
    histograms = load(output_file)["variables"][variable]
    data = total(histograms["DATA_SingleMuon"], cat=category)
    stack = {s: total(histograms[s], cat=category, variation="nominal") for s in SAMPLES}
    up, down = (
        sum(total(histograms[s], cat=category, variation=f"muon_eff{d}").values() for s in SAMPLES)
        for d in ("Up", "Down")
    )
    expected = sum(h.values() for h in stack.values())
    statistical = np.sqrt(sum(h.variances() for h in stack.values()))
    error = np.hypot(statistical, np.abs(up - down) / 2)
    edges = data.axes[0].edges

    mplhep.style.use("CMS")
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(10, 10), sharex=True, gridspec_kw={"height_ratios": [3, 1], "hspace": 0.08}
    )
    labels, colours = zip(*SAMPLES.values(), strict=True)
    mplhep.histplot(list(stack.values()), stack=True, histtype="fill", label=labels, color=colours, ax=upper)
    upper.stairs(
        expected + error, edges, baseline=expected - error, fill=True, color="0.4", alpha=0.4, label="MC unc."
    )
    mplhep.histplot(data, histtype="errorbar", color="black", label="Data", ax=upper)
    upper.set_yscale("log")
    upper.set_ylim(0.5, 30 * max(data.values().max(), expected.max()))
    upper.set(xlabel="", ylabel="Events")
    upper.legend(ncols=2)
    mplhep.cms.label("generated events", data=True, rlabel="2018 (13 TeV)", ax=upper)

    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, ratio_error = data.values() / expected, np.sqrt(data.values()) / expected
        band = error / expected
    lower.stairs(1 + band, edges, baseline=1 - band, fill=True, color="0.4", alpha=0.4)
    lower.errorbar(data.axes[0].centers, ratio, yerr=ratio_error, fmt=".", color="black")
    lower.axhline(1, color="black", linewidth=1)
    lower.set(ylim=(0.5, 1.5), ylabel="Data / MC", xlabel=data.axes[0].label, xlim=(edges[0], edges[-1]))
    figure.savefig(picture)
    plt.close(figure)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    draw(*sys.argv[1:])
