"""``pocket-coffea make-sample``: NanoAOD-like files for trials, tests and benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["make_sample"]

KINDS = ("dy", "ttbar", "data_singlemuon", "data_singleelectron")


@click.command("make-sample")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--flavour",
    type=click.Choice(["v9", "v12", "v15"]),
    default="v9",
    show_default=True,
    help="Version of NanoAOD.",
)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="dy",
    show_default=True,
    help="Physics process or primary dataset.",
)
@click.option(
    "-n", "--n-events", type=click.IntRange(min=1), default=1000, show_default=True, help="Number of events."
)
@click.option(
    "--n-branches",
    type=click.IntRange(min=320),
    default=650,
    show_default=True,
    help="About this many branches in the tree Events.",
)
@click.option(
    "--cluster-size", type=click.IntRange(min=1), help="Events per cluster (default: four clusters)."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same events.")
@click.option(
    "--golden-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Data only: write also a JSON file of certified luminosity blocks.",
)
@click.option(
    "--certified",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Certified fraction of the luminosity blocks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def make_sample(
    path: Path,
    golden_json: Path | None,
    certified: float,
    as_json: bool,
    **options: object,
) -> None:
    """Write a NanoAOD-like ROOT file to PATH."""
    from pocket_coffea.utils.make_sample import make_sample as write_sample
    from pocket_coffea.utils.make_sample import write_golden_json

    if golden_json is not None and not str(options["kind"]).startswith("data_"):
        allowed = ", ".join(kind for kind in KINDS if kind.startswith("data_"))
        msg = f"--golden-json goes with a data kind ({allowed}), not {options['kind']!r}"
        raise click.UsageError(msg)
    info = write_sample(path, **options)  # type: ignore[arg-type]
    summary = info.as_dict()
    if golden_json is not None:
        summary["certified_lumi_pb"] = write_golden_json(golden_json, [info], certified)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    size = path.stat().st_size / 1e6
    click.echo(f"{path}: {info.n_events} events, {info.kind}, NanoAOD {info.flavour}, {size:.1f} MB")
    if info.is_mc:
        click.echo(f"cross section {info.xsec} pb, sum of generator weights {info.sum_genweights:g}")
    else:
        click.echo(f"integrated luminosity {info.lumi_pb:.4g} /pb")
