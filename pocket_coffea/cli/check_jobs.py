"""``pocket-coffea check-jobs``: watch the jobs of a campaign, and send again what failed."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from pocket_coffea.cli.repeated import joined
from pocket_coffea.utils.wording import count_of

if TYPE_CHECKING:
    from pocket_coffea.cli.jobs_loop import Screen
    from pocket_coffea.executors.jobs.overview import Overview
    from pocket_coffea.executors.jobs.watching import Watching

__all__ = ["check_jobs"]

_STILL_RUNNING = 5
#: What to do when all jobs are done, by what they do.
_NEXT = {
    "events": "Now merge outputs with merge-outputs -jc {folder}",
    "skims": "Now give the command hadd-skimmed-files once more: it writes the definition of the datasets",
}
#: Options that change jobs, so that they need one of those which send jobs.
_OF_SENDING = ("use_redirector", "blocklist_sites", "recreate_queue", "skip_bad_files")


@click.command("check-jobs", context_settings={"max_content_width": 100})
@click.option(
    "-j",
    "--jobs-folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the jobs, or the output folder that holds it",
)
@click.option("-d", "--details", is_flag=True, help="Show every job in addition to the summary")
@click.option("-r", "--resubmit", is_flag=True, help="Send failed jobs again, as their failures need it")
@click.option(
    "-m",
    "--max-resubmit",
    type=click.IntRange(min=0),
    default=4,
    show_default=True,
    help="Give up on a job after this many resubmissions",
)
@click.option(
    "-b",
    "--blacklist-threshold",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Leave a site alone after more than this many of its files could not be read",
)
@click.option(
    "-q",
    "--queue-shift",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Queues further up for a job that was ended at its time limit",
)
@click.option(
    "--by",
    type=click.Choice(["sample", "dataset", "none"]),
    default="sample",
    show_default=True,
    help="Show the progress of each",
)
@click.option("--once", is_flag=True, help="Look once, and end")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, one line for each look")
@click.option(
    "--recreate",
    multiple=True,
    callback=joined,
    metavar="auto|LIST",
    help="Send jobs again: auto, or 0,1,3 or job_0,job_3 or 4-7",
)
@click.option(
    "--remove-running", is_flag=True, help="With --recreate: remove and send also what is in the queue"
)
@click.option(
    "--recreate-queue", metavar="QUEUE", help="Queue of all jobs that are sent; auto: the shortest for each"
)
@click.option("--use-redirector", is_flag=True, help="Read every file through the global XRootD redirector")
@click.option(
    "--blocklist-sites",
    multiple=True,
    callback=joined,
    metavar="A,B",
    help="Sites that files are not read from",
)
@click.option("--skip-bad-files", is_flag=True, help="Let jobs go on without files that cannot be read")
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Seconds between looks"
)
@click.option(
    "--backoff",
    type=click.FloatRange(min=0.0),
    default=60.0,
    show_default=True,
    help="Seconds before a second try of what time may heal; doubled each time",
)
def check_jobs(jobs_folder: Path, **arguments: Any) -> None:
    """Watch the jobs of a campaign and, with --resubmit or --recreate, send again what failed.

    Without these two nothing is changed. Ctrl-C leaves the jobs to themselves; start the command again at any
    time.

    Exit code: 0 all jobs are done, 3 some jobs did not end well, 5 still running (--once, Ctrl-C), 6 somebody
    else watches these jobs, or a job to be sent again is in the queue.
    """
    from pocket_coffea.cli.errors import ending

    with ending():
        _check(arguments)
        sys.exit(_watch(jobs_folder, arguments))


def _check(arguments: dict[str, Any]) -> None:
    """Refuse options that would do nothing."""
    from pocket_coffea.errors import OptionError

    sends = arguments["resubmit"] or arguments["recreate"] is not None
    given = [name for name in _OF_SENDING if arguments[name]]
    if given and not sends:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        msg = f"{names}: concerns jobs that are sent again; add --recreate auto or --resubmit."
        raise OptionError(msg)
    if arguments["remove_running"] and arguments["recreate"] is None:
        msg = (
            "--remove-running: concerns jobs that are sent again now; add --recreate auto or a list of jobs."
        )
        raise OptionError(msg)


def _watch(jobs_folder: Path, arguments: dict[str, Any]) -> int:
    from pocket_coffea.cli.jobs_loop import stopping
    from pocket_coffea.executors.jobs.watching import Watching, Wishes, find_jobs_folder
    from pocket_coffea.run.filesets import split_names

    folder = find_jobs_folder(jobs_folder)
    names = ("resubmit", "max_resubmit", "blacklist_threshold", "queue_shift", "use_redirector", "backoff")
    wishes = Wishes(
        **{name: arguments[name] for name in names},
        recreate_queue=arguments["recreate_queue"] or "",
        blocklist_sites=tuple(split_names(arguments["blocklist_sites"])),
        remove_running=arguments["remove_running"],
        skip_bad_files=arguments["skip_bad_files"],
    )
    acting = wishes.resubmit or arguments["recreate"] is not None
    with stopping() as stop, Watching(folder, wishes, acting=acting) as watching:
        seen, left = _until_the_end(watching, stop, arguments)
        work = watching.opened.record.work
    if not arguments["as_json"]:
        _closing_words(seen, folder, left=left, resubmit=wishes.resubmit)
        if seen.exit_code(acting=wishes.resubmit) == 0:
            click.echo(_NEXT[work].format(folder=quote(str(folder))))
    return seen.exit_code(acting=wishes.resubmit)


def _until_the_end(watching: Watching, stop: Any, arguments: dict[str, Any]) -> tuple[Overview, bool]:
    from pocket_coffea.cli.jobs_loop import keep_watching, warnings_on
    from pocket_coffea.executors.jobs.watching import parse_jobs

    screen = _screen(arguments)
    acting = arguments["resubmit"]
    try:
        with warnings_on(screen):
            if arguments["recreate"] is not None:
                seen = watching.recreate(parse_jobs(arguments["recreate"]))
                screen.show(seen)
                screen.warn(f"{count_of(len(seen.sent), 'job was', 'jobs were')} sent again")
            if arguments["once"]:
                seen = watching.look()
                screen.show(seen)
                return seen, False
            every = arguments["interval"]
            return keep_watching(watching.look, screen, stop, acting=acting, every=every)
    finally:
        screen.close()


def _screen(arguments: dict[str, Any]) -> Screen:
    from rich.console import Console

    from pocket_coffea.cli.jobs_loop import JsonLines, LiveScreen, TextLines, is_terminal

    if arguments["as_json"]:
        return JsonLines(acting=arguments["resubmit"])
    if not is_terminal():
        return TextLines(details=arguments["details"])
    hint = "Ctrl-C leaves; the jobs go on" if not arguments["once"] else ""
    return LiveScreen(Console(), by=arguments["by"], details=arguments["details"], hint=hint)


def _closing_words(seen: Overview, folder: Path, *, left: bool, resubmit: bool) -> None:
    """Print how it ended, and the next command."""
    code = seen.exit_code(acting=resubmit)
    if left:
        click.echo(
            f"The jobs go on by themselves. Look again with: pocket-coffea check-jobs -j {quote(str(folder))}"
        )
    if code == _STILL_RUNNING:
        return
    for number, reason in sorted(seen.given_up.items()):
        click.echo(f"job_{number} was given up: {reason}")
    failed = [row for row in seen.unfinished if not row.given_up]
    if failed and not resubmit:
        click.echo(f"Failed jobs found. {count_of(len(failed), 'job')} did not end well: {_numbers(failed)}.")
        click.echo("Use --resubmit to resubmit the failed jobs")
    if code == 0:
        click.echo("All jobs are completed")
    else:
        click.echo(f"{seen.counts['done']} of {count_of(len(seen.jobs), 'job is', 'jobs are')} done.")


def _numbers(rows: list[Any]) -> str:
    shown = ", ".join(f"job_{row.number}" for row in rows[:20])
    return f"{shown} and {len(rows) - 20} more" if len(rows) > 20 else shown
