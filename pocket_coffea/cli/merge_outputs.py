"""``pocket-coffea merge-outputs``, also installed as ``merge-outputs``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from pocket_coffea.cli.repeated import only_one
from pocket_coffea.utils.wording import count_of

if TYPE_CHECKING:
    from pocket_coffea.run.merge import MergeReport

__all__ = ["merge_outputs"]

#: How many lines of each kind the closing report has.
SHOWN = 20


@click.command("merge-outputs", context_settings={"max_content_width": 100})
@click.argument("files", nargs=-1, metavar="FILES...")
@click.option(
    *("-o", "--output", "--outputfile"),
    help="The result, a path or an address root://host//path; of jobs the default is output_merged.coffea in "
    "their output folder",
)
@click.option(
    *("-jc", "--jobs-config"),
    multiple=True,
    callback=only_one,
    help="Merge the outputs of jobs: their jobs_config.yaml, its folder, or the folder above",
)
@click.option(
    *("-cfg", "--cfg", "configurations"),
    multiple=True,
    help="Configuration that the outputs were made with, to postprocess the result; A.pkl,B.pkl for several",
)
@click.option("-n", "--reduction", type=int, default=5, show_default=True, help="Read so many files ahead")
@click.option(
    *("-m", "--max_mem_gb", "--max-mem-gb"),
    type=float,
    help="Stop, and write nothing, when more memory than this (in GB) is needed; default: what is free",
)
@click.option(
    *("-cd", "--cache_dir", "--cache-dir"),
    help="Folder for copies of what is on a server: each input for as long as it is read, a result on its "
    "way; default: that of temporary files",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the progress in detail")
@click.option("-f", "--force", is_flag=True, help="Overwrite the result of an earlier merge")
@click.option(
    "--replace",
    is_flag=True,
    help="Datasets of the first file that are in the others, too, are taken from the others",
)
@click.option(
    *("-s", "--skip-check"),
    is_flag=True,
    help="Merge what is there although jobs, files or events are missing, or ledgers to tell",
)
@click.option(
    "--mark-failed",
    is_flag=True,
    help="Mark jobs whose output is missing or not whole as failed, for check-jobs to submit them again",
)
@click.option(
    "--skip-initial-events-check",
    multiple=True,
    metavar="DATASET",
    help="Skims: accept that this dataset has another number of events than its metadata say (repeatable)",
)
@click.option(
    "--format",
    type=click.Choice(["coffea", "zip"]),
    help="coffea: one pickle; zip: a member for each histogram; default: by the name of the result",
)
@click.option(
    "--allow-mixed",
    multiple=True,
    type=click.Choice(["image", "code", "configuration"]),
    help="Add up outputs that were made with different images, code or configurations (repeatable)",
)
def merge_outputs(**arguments: Any) -> None:
    """Merge outputs into one: FILES (paths, or addresses root://host//path), or with -jc the outputs of all
    jobs of a submission.

    The result has every event once: what is in two inputs is refused by name, what is missing is reported by
    dataset, file and range of entries, and refused without --skip-check.

    Exit code: 0 all good, 1 wrong options, 3 merged, but not all of it was there, 4 nothing to merge,
    6 refused because results would be lost, doubled or mixed.
    """
    from rich.console import Console

    from pocket_coffea.cli.errors import console_writer, ending
    from pocket_coffea.log import setup_logging

    level = "DEBUG" if arguments.pop("verbose") else "INFO"
    with ending(level == "DEBUG", " Nothing was written."):
        undo = setup_logging(level, console_writer(Console(stderr=True)))
        try:
            report = _merge(arguments)
        finally:
            undo()
        _show(report)
        sys.exit(report.exit_code)


def _merge(arguments: dict[str, Any]) -> MergeReport:
    from pocket_coffea.run import merge

    given = ",".join(arguments.pop("configurations"))
    configurations = tuple(name.strip() for name in given.split(",") if name.strip())
    return merge.merge_outputs(merge.MergeRequest(configurations=configurations, **arguments))


def _show(report: MergeReport) -> None:
    for path in report.outputs:
        click.echo(f"Output: {path}")
    if report.skim_definition:
        click.echo(f"Skimmed datasets: {report.skim_definition}")
    click.echo(f"{count_of(report.n_inputs, 'output')} merged")
    if report.replaced:
        click.echo(f"Replaced: {', '.join(report.replaced)}")
    _list(report.left_out.items(), "input or job is left out", "inputs or jobs are left out")
    _list(
        (("missing", gap) for gap in report.gaps), "part of a file is missing", "parts of files are missing"
    )
    _list(
        (("skipped", gap) for gap in report.skipped),
        "part of a file could not be read and was skipped",
        "parts of files could not be read and were skipped",
    )


def _list(items: Iterable[tuple[str, Any]], one: str, many: str) -> None:
    lines = [f"  {name}: {what}" for name, what in items]
    if not lines:
        return
    click.echo(f"\n{count_of(len(lines), one, many)}:")
    for line in lines[:SHOWN]:
        click.echo(line)
    if len(lines) > SHOWN:
        click.echo(f"  ... and {len(lines) - SHOWN} more")
