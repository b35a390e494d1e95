"""Names in a plotting style that an output does not have: nobody would see that they change nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pocket_coffea.errors import did_you_mean
from pocket_coffea.plotting.style import Style

__all__ = ["unused_names"]


def unused_names(
    style: Style, samples: Collection[str], variables: Collection[str], categories: Collection[str]
) -> list[str]:
    """Return a sentence for each name that changes or hides numbers, and is not in the output.

    samples: with subsamples. A style may be made for several outputs, so this is no error.
    """
    parents = {name.partition("__")[0] for name in samples}
    known = {
        "sample": sorted({*samples, *parents, *style.groups}),
        "histogram": sorted(variables),
        "category": sorted(categories),
    }
    return [
        f"plotting_style.{key}: the output has no {what} {name!r}. {did_you_mean(name, known[what])}"
        for key, what, name in _names(style)
        if name not in known[what]
    ]


def _names(style: Style) -> Iterator[tuple[str, str, str]]:
    """Give (key, what it names, name)."""
    for group, members in style.groups.items():
        yield from ((f"samples_groups.{group}", "sample", name) for name in members)
    for key, names in (
        ("rescale_samples", style.rescale),
        ("signal_samples", style.signals),
        ("exclude_samples", style.options.get("exclude_samples") or []),
    ):
        yield from ((key, "sample", str(name)) for name in names)
    yield from (("blind_hists.histograms", "histogram", name) for name in style.blind_ranges)
    yield from (("blind_hists.categories", "category", name) for name in style.blind_categories or [])
