"""``pocket-coffea plot-cutflow``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = ["plot_cutflow"]


@click.command("plot-cutflow", context_settings={"max_content_width": 100})
@click.option(*("-i", "--input-file", "--input"), required=True, help="The output, or its folder")
@click.option(
    *("-o", "--output-dir", "--outputdir"),
    help="Folder of the plots and tables; default: cutflow beside the output",
)
@click.option(*("-e", "--exclude-categories"), multiple=True, help="Category to leave out (repeatable)")
@click.option(
    *("-s", "--only-samples"), multiple=True, help="Sample, with its subsamples, or subsample (repeatable)"
)
@click.option("--separate-years", is_flag=True, help="Each year by itself")
@click.option("--log-y", is_flag=True, help="Logarithmic vertical axis")
@click.option("--format", "output_format", default="png", show_default=True, help="png, pdf or svg")
@click.option(
    "--figsize", type=(float, float), default=(10, 6), show_default=True, help="Width and height in inches"
)
@click.option("--table-only", is_flag=True, help="Write the tables, draw nothing")
def plot_cutflow(**arguments: Any) -> None:
    """Draw the cutflow of an output, and write cutflow and yields with errors as tables.

    Shown here, and written to cutflow.csv, cutflow.tex, yields.csv and yields.tex.
    """
    from rich.console import Console

    from pocket_coffea.cli.errors import console_writer, ending
    from pocket_coffea.log import setup_logging

    with ending():
        undo = setup_logging("INFO", console_writer(Console(stderr=True)))
        try:
            _plot(arguments)
        finally:
            undo()


def _plot(arguments: dict[str, Any]) -> None:
    from pocket_coffea.errors import InputFileError, NothingToDo
    from pocket_coffea.plotting.cutflow_plots import plot_cutflow_from_output
    from pocket_coffea.plotting.cutflow_tables import STEPS, cutflow_table, yield_table
    from pocket_coffea.utils.atomic import write_whole
    from pocket_coffea.utils.output_file import load_output

    path = _output_file(Path(arguments["input_file"]).expanduser())
    output = load_output(path, [], columns=False)
    if "cutflow" not in output:
        msg = f"{path} has no cutflow."
        raise InputFileError(msg)
    folder = (
        Path(arguments["output_dir"]).expanduser() if arguments["output_dir"] else path.parent / "cutflow"
    )
    excluded = list(arguments["exclude_categories"])
    samples = list(arguments["only_samples"]) or None
    years = arguments["separate_years"]
    tables = {"cutflow": cutflow_table(output, excluded, samples, separate_years=years)}
    if not tables["cutflow"].rows:
        msg = f"{path} has no sample {', '.join(samples or [])}: there is nothing to show."
        raise NothingToDo(msg)
    inside = [name for name in excluded if name not in STEPS]
    tables["yields"] = yield_table(output, inside, samples, separate_years=years)
    for name, table in tables.items():
        click.echo(table.text() + "\n")
        write_whole(folder / f"{name}.csv", table.csv())
        write_whole(folder / f"{name}.tex", table.latex())
    drawn: list[Path] = []
    if not arguments["table_only"]:
        drawn = plot_cutflow_from_output(
            output,
            folder,
            excluded,
            samples,
            arguments["figsize"],
            log_y=arguments["log_y"],
            output_format=arguments["output_format"],
            separate_years=years,
        )
    click.echo(f"{len(drawn)} plots and {2 * len(tables)} tables in {folder}")


def _output_file(path: Path) -> Path:
    """Return the output, which may be named by its folder, as for ``report``."""
    if not path.is_dir():
        return path
    from pocket_coffea.errors import InputFileError
    from pocket_coffea.report.source import find_source

    found = find_source(path).output
    if found is None:
        msg = f"{path} has no output yet: merge those of its jobs (pocket-coffea merge-outputs -jc ...)."
        raise InputFileError(msg)
    return found
