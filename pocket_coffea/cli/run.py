"""``pocket-coffea run``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocket_coffea.cli.repeated import joined, only_one
from pocket_coffea.cli.run_options import ANY_OPTION, further_options
from pocket_coffea.log import FILE_ONLY, LEVELS
from pocket_coffea.utils.interrupt import interruptible

if TYPE_CHECKING:
    from pocket_coffea.run.session import RunRequest
    from pocket_coffea.run.summary import RunReport

__all__ = ["run"]

log = logging.getLogger(__name__)

#: Options of the command that are run options.
_FLAGS = ("limit_files", "limit_chunks", "scaleout", "chunksize", "queue", "skip_bad_files")

_SWITCHES = ("test", "process_separately", "resubmit_failed", "resume", "timeit")


class NeededToRun(click.Option):
    """An option that must be given, unless the run options are only printed."""

    def value_is_missing(self, value: Any) -> bool:
        only_printed = click.get_current_context().params.get("print_run_options", False)
        return not only_printed and super().value_is_missing(value)


@click.command(
    "run",
    context_settings={**ANY_OPTION, "max_content_width": 100},
)
@click.option(
    "--cfg",
    cls=NeededToRun,
    multiple=True,
    callback=only_one,
    required=True,
    help="Configuration of the analysis: a .py file that defines cfg, or a pickled one (.pkl)",
)
@click.option(
    "-ro",
    "--custom-run-options",
    "--run-options",
    multiple=True,
    help="YAML file with run options; may be given several times, later files win",
)
@click.option(
    "-o",
    "--outputdir",
    cls=NeededToRun,
    required=True,
    help="Folder for outputs and logs; made when it is not there",
)
@click.option(
    "-t",
    "--test",
    is_flag=True,
    help="Run on 2 files and 2 chunks per dataset, iteratively unless -e says otherwise",
)
@click.option("-lf", "--limit-files", type=int, help="Process at most this many files of each dataset")
@click.option("-lc", "--limit-chunks", type=int, help="Process at most this many chunks of each dataset")
@click.option("-e", "--executor", help="Executor: iterative (default), futures, dask, or NAME@SITE")
@click.option("-s", "--scaleout", type=int, help="Number of processes or workers (default 1)")
@click.option("-c", "--chunksize", type=int, help="Events processed at once (default 150000)")
@click.option("-q", "--queue", help="Queue of the batch system")
@click.option(
    "-ll",
    "--loglevel",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="INFO",
    show_default=True,
    help="What the console shows; the log file has everything from INFO on",
)
@click.option(
    "-ps",
    "--process-separately",
    is_flag=True,
    help="One output for each dataset, or group of run option group-samples",
)
@click.option("--filter-years", multiple=True, callback=joined, help="Only these years, separated by commas")
@click.option(
    "--filter-samples", multiple=True, callback=joined, help="Only these samples, separated by commas"
)
@click.option(
    "--filter-datasets", multiple=True, callback=joined, help="Only these datasets, separated by commas"
)
@click.option(
    "--resubmit-failed", is_flag=True, help="Run only the failed jobs of the run before (needs -ps)"
)
@click.option(
    "--skip-bad-files",
    is_flag=True,
    help="Go on without files that cannot be read; they are listed at the end",
)
@click.option("--resume", is_flag=True, help="Continue a run that was killed from its completed chunks")
@click.option(
    "--timeit",
    is_flag=True,
    help="Measure how long events take, on a few chunks of each dataset, and end (docs/manual-jobs.md)",
)
@click.option(
    "--site-file",
    "site_files",
    multiple=True,
    help="YAML file with a site of your own; may be given several times (docs/add-a-site.md)",
)
@click.option(
    "--print-run-options",
    is_flag=True,
    is_eager=True,
    help="Print every run option with its value and its origin, and end; needs neither --cfg nor -o",
)
@click.option(
    "--executor-custom-setup",
    help="Python file with an executor of your own: it defines get_executor_factory()",
)
@click.pass_context
def run(ctx: click.Context, /, **arguments: Any) -> None:
    """Run an analysis on NanoAOD files using PocketCoffea processors.

    Any run option can be given as --KEY=VALUE, for example --tree-reduction=10.

    Exit code: 0 all good, 1 wrong configuration or options, 3 some datasets or files failed, 4 nothing to do,
    6 refused because results would be lost or mixed, 130 interrupted.
    """
    from pocket_coffea.cli.errors import ending

    level = arguments["loglevel"].upper()
    hint = " Run again with --resume to continue from the completed chunks."
    with ending(level == "DEBUG", hint), interruptible():
        request = _request(ctx, arguments)
        sys.exit(_print_options(request) if arguments["print_run_options"] else _run(request, level))


def _request(ctx: click.Context, arguments: dict[str, Any]) -> RunRequest:
    from pocket_coffea.run.session import RunRequest

    # 0 is a value, and a wrong one; a flag that is not set is none
    flags = {
        name: arguments[name]
        for name in _FLAGS
        if arguments[name] is not None and arguments[name] is not False
    }
    # an executor of the user may have options of its own
    extra = further_options(ctx, known_only=arguments["executor_custom_setup"] is None)
    return RunRequest(
        cfg=arguments["cfg"] or "",
        outputdir=arguments["outputdir"] or "",
        executor=arguments["executor"],
        custom_run_options=arguments["custom_run_options"],
        site_files=arguments["site_files"],
        executor_custom_setup=arguments["executor_custom_setup"],
        filter_years=_names("--filter-years", arguments["filter_years"]),
        filter_samples=_names("--filter-samples", arguments["filter_samples"]),
        filter_datasets=_names("--filter-datasets", arguments["filter_datasets"]),
        flags=flags,
        extra=extra,
        **{name: arguments[name] for name in _SWITCHES},
    )


def _print_options(request: RunRequest) -> int:
    """Print the run options that this executor would get, those that nobody gave included."""
    from pocket_coffea.run.session import merge_options

    click.echo(merge_options(request).describe(defaults=True))
    return 0


def _names(option: str, text: str | None) -> tuple[str, ...]:
    """Return the names that a filter lets pass; one that is given and empty lets none pass."""
    from pocket_coffea.errors import NothingToDo
    from pocket_coffea.run.filesets import split_names

    names = tuple(split_names(text))
    if text is not None and not names:
        msg = f"{option} is empty, so no dataset is left to process: name some, or leave it out."
        raise NothingToDo(msg)
    return names


def _run(request: RunRequest, level: str) -> int:
    from rich.console import Console

    from pocket_coffea.cli.errors import console_writer
    from pocket_coffea.cli.main import banner
    from pocket_coffea.log import setup_logging
    from pocket_coffea.run.progress import make_progress
    from pocket_coffea.run.session import output_folder, run_analysis

    click.echo(banner())
    folder = output_folder(request)
    console = Console(stderr=True)
    undo = _logging(setup_logging, level, console_writer(console), folder.path / "logfile.log")
    try:
        report = run_analysis(request, make_progress(console))
    except BaseException as exc:
        log.error("the run ended with %s: %s", type(exc).__name__, exc, extra=FILE_ONLY)  # noqa: TRY400
        raise
    finally:
        undo()
    _show(report)
    return report.exit_code


def _logging(
    setup: Callable[..., Callable[[], None]], level: str, write: Any, logfile: Path
) -> Callable[[], None]:
    from pocket_coffea.errors import OutputError

    try:
        return setup(level, write, logfile)
    except OSError as exc:
        msg = f"The log file {logfile} cannot be written: {exc.strerror or exc}."
        raise OutputError(msg) from exc


def _show(report: RunReport) -> None:
    """Print the closing table and what is missing."""
    from rich.console import Console

    from pocket_coffea.run.summary import throughput_table

    if report.submitted:
        return
    # a terminal too narrow for the numbers wraps the lines, which loses nothing
    console = Console(width=max(Console().width, 72) if sys.stdout.isatty() else 120)
    if report.throughput:
        console.print(throughput_table(report))
    for path in report.outputs:
        click.echo(f"Output: {path}")
    if report.skipped:
        click.echo(f"\n{len(report.skipped)} input(s) could not be read and are missing in the output:")
        for dataset, filename, reason in report.skipped:
            click.echo(f"  {dataset}: {filename}\n    {reason}")
    if report.failed:
        click.echo(
            f"\n{len(report.failed)} job(s) failed; run them again with --process-separately "
            "--resubmit-failed:"
        )
        for name, reason in report.failed.items():
            click.echo(f"  {name}: {reason.splitlines()[0] if reason else 'no message'}")
