"""``pocket-coffea report``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["report"]


@click.command("report", context_settings={"max_content_width": 100})
@click.argument("path", metavar="OUTPUT_OR_FOLDER", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page; default: report.html there")
@click.option("--cfg", help="Parameters of the run; default: parameters_dump.yaml beside the output")
@click.option(
    *("-op", "--overwrite-parameters"),
    multiple=True,
    help="YAML file with a section plotting_style, which is merged into the parameters (repeatable)",
)
def report(path: Path, output: Path | None, cfg: str | None, overwrite_parameters: tuple[str, ...]) -> None:
    """Write one HTML page that shows a run: plots, yields, cutflow, datasets, jobs, options, provenance.

    OUTPUT_OR_FOLDER is an output (.coffea, .coffea.zip), the folder of a run, or a jobs folder. The page
    needs no network and no other file. An older page is replaced.

    Outputs are pickles, and reading them runs code: make reports only of outputs that you trust.
    """
    from rich.console import Console

    from pocket_coffea.cli.errors import console_writer, ending
    from pocket_coffea.log import setup_logging

    with ending():
        undo = setup_logging("WARNING", console_writer(Console(stderr=True)))
        try:
            from pocket_coffea.report.page import write_report
            from pocket_coffea.report.source import find_source

            source = find_source(path)
            target = _target(output, source.folder)
            size = write_report(source, target, cfg, overwrite_parameters)
        finally:
            undo()
        click.echo(f"Report: {target} ({_readable(size)})")


def _target(given: Path | None, folder: Path) -> Path:
    from pocket_coffea.errors import OptionError

    if given is None or given.is_dir():
        return (given or folder) / "report.html"
    if given.suffix.lower() not in (".html", ".htm"):
        msg = f"--output {given}: a page is named *.html, and no other file is replaced by one."
        raise OptionError(msg)
    return given


def _readable(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
