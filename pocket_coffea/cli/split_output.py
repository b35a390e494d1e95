"""``pocket-coffea split-output``, also installed as ``split-output``."""

from __future__ import annotations

import click

__all__ = ["split_output"]


@click.command("split-output")
@click.argument("file")
@click.option("-o", "--output", help="Name from which those of the parts are made; default: the one of FILE")
@click.option(
    *("-b", "--by"),
    type=click.Choice(["year", "category"]),
    default="year",
    show_default=True,
    help="Write <name>_<year>.coffea, or <name>_category<k>.coffea",
)
@click.option(
    *("-n", "--n-categories"), type=int, default=8, show_default=True, help="Categories in one file"
)
@click.option("--overwrite", is_flag=True, help="Overwrite files that exist")
def split_output(file: str, output: str | None, by: str, n_categories: int, overwrite: bool) -> None:
    """Split an output into one file for each year, or for each block of categories.

    The counts of the stages before the categories (initial, skim, presel), sums of weights and metadata are
    in every part.
    """
    from pocket_coffea.cli.errors import ending

    with ending():
        from pocket_coffea.run import split

        written = split.split_output(file, output, by=by, n_categories=n_categories, overwrite=overwrite)
        for path in written:
            click.echo(f"Output: {path}")
