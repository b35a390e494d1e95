"""``pocket-coffea make-plots``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from pocket_coffea.utils.wording import count_of

if TYPE_CHECKING:
    from pocket_coffea.plotting.produce import Result

__all__ = ["make_plots"]

#: How many lines of each kind the end has.
SHOWN = 20


@click.command("make-plots", context_settings={"max_content_width": 100})
@click.option(
    *("-inp", "--input-dir"), required=True, help="Folder of the output, and of parameters_dump.yaml"
)
@click.option("--cfg", help="Parameters of the run; default: parameters_dump.yaml in the input folder")
@click.option(
    *("-op", "--overwrite-parameters"),
    multiple=True,
    help="YAML file with a section plotting_style, which is merged into the parameters (repeatable)",
)
@click.option(*("-o", "--outputdir"), help="Folder of the plots; default: plots in the input folder")
@click.option(
    *("-i", "--inputfiles"),
    multiple=True,
    help="Output to draw, several when each has other datasets or categories (repeatable); "
    "default: output_merged.coffea, else output_all.coffea",
)
@click.option(
    *("-j", "--workers"), type=int, default=8, show_default=True, help="Processes that draw in parallel"
)
@click.option(*("-oc", "--only-cat"), multiple=True, help="Category, or regular expression (repeatable)")
@click.option(*("-oy", "--only-year"), multiple=True, help="Year, or regular expression (repeatable)")
@click.option(
    *("-os", "--only-syst"),
    multiple=True,
    help="Systematic uncertainty, or regular expression, that is drawn one by one (repeatable)",
)
@click.option(
    *("-oh", "--only-hist"),
    multiple=True,
    help="Regular expression for the beginning of names of histograms (repeatable)",
)
@click.option(
    *("-e", "--exclude-hist"), multiple=True, help="Leave these histograms out, as --only-hist (repeatable)"
)
@click.option(*("-ns", "--no-syst"), is_flag=True, help="Draw the statistical uncertainty alone")
@click.option(
    "--split-systematics",
    is_flag=True,
    help="Below the plot, draw each systematic uncertainty by itself",
)
@click.option(
    "--partial-unc-band", is_flag=True, help="Draw the band of the uncertainties of --only-syst alone"
)
@click.option("--overwrite", is_flag=True, help="Draw into a folder that has plots already")
@click.option("--log-x", is_flag=True, help="Logarithmic horizontal axis")
@click.option("--log-y", is_flag=True, help="Logarithmic vertical axis; of maps: colours")
@click.option("--density", is_flag=True, help="Normalise data and simulation to an integral of 1")
@click.option("-v", "--verbose", type=int, default=1, show_default=True, help="0: errors, 1: news, 2: all")
@click.option(
    "--format", default="png", show_default=True, help="png, pdf or svg; several: png,pdf", metavar="FORMAT"
)
@click.option(
    "--systematics-shifts",
    is_flag=True,
    help="Draw also the up and down shift of each systematic uncertainty",
)
@click.option("--no-ratio", is_flag=True, help="No ratio below the plots")
@click.option("--no-systematics-ratio", is_flag=True, help="No ratio below the systematic shifts")
@click.option("--compare", is_flag=True, help="Compare the samples with each other, not with data")
@click.option("--index-file", help="File that is copied into every folder of plots, for a web server")
@click.option("--no-cache", is_flag=True, help="Compute the sums for every plot anew: slower, less memory")
@click.option("--split-by-category", is_flag=True, help="The outputs are those of split-output -b category")
def make_plots(**arguments: Any) -> None:
    """Draw the histograms of an output: data against simulation in every category and year.

    Exit code: 0 all good, 1 wrong options, 3 the input cannot be read or a plot failed, 4 nothing to draw,
    6 there are plots already.
    """
    from rich.console import Console

    from pocket_coffea.cli.errors import console_writer, ending
    from pocket_coffea.log import setup_logging

    level = {0: "ERROR", 1: "INFO"}.get(arguments.pop("verbose"), "DEBUG")
    console = Console(stderr=True)
    with ending(level == "DEBUG", " Plots that are there are whole."):
        undo = setup_logging(level, console_writer(console))
        try:
            result = _draw(arguments, console, quiet=level == "ERROR")
        finally:
            undo()
        sys.exit(_show(result, arguments))


def _draw(arguments: dict[str, Any], console: Any, *, quiet: bool) -> Result:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pocket_coffea.plotting.manager import PlotRequest, make_plots

    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        TextColumn("{task.fields[plots]} plots"),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("Drawing", total=None, plots=0)
        drawn = 0

        def progress(done: int, total: int, result: Result) -> None:
            nonlocal drawn
            drawn += result.n_plots
            bar.update(task, completed=done, total=total, plots=drawn, description=result.variable)

        return make_plots(PlotRequest(**arguments), progress)


def _show(result: Result, arguments: dict[str, Any]) -> int:
    folder = arguments["outputdir"] or f"{arguments['input_dir'].rstrip('/')}/plots"
    click.echo(f"{count_of(result.n_plots, 'plot')} in {folder}")
    for title, items in (("left out", result.left_out), ("plots failed", result.failed)):
        if not items:
            continue
        click.echo(f"{len(items)} {title}:", err=True)
        for place, reason in list(items.items())[:SHOWN]:
            click.echo(f"  {place}: {reason}", err=True)
        if len(items) > SHOWN:
            click.echo(f"  ... and {len(items) - SHOWN} more", err=True)
    return 3 if result.failed else 0
