"""``pocket-coffea build-datasets``: from names in DAS to the dataset JSONs of an analysis."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocket_coffea.utils.wording import count_of

if TYPE_CHECKING:
    from pocket_coffea.datasets.build import BuildReport, BuiltDataset, Chooser
    from pocket_coffea.datasets.catalogue import Catalogue
    from pocket_coffea.datasets.definition import DatasetRequest
    from pocket_coffea.datasets.write import JsonFiles

__all__ = ["build_datasets", "catalogue_options", "make_catalogue", "make_rules", "names", "progress_bar"]

_FAILED = 3


def catalogue_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that tell which replicas are chosen, and how the catalogues are asked."""
    for option in reversed(_CATALOGUE_OPTIONS):
        command = option(command)
    return command


_CATALOGUE_OPTIONS = (
    click.option(
        *("-ws", "--allowlist-sites"),
        multiple=True,
        help="Read files at these sites only (comma-separated or repeated)",
    ),
    click.option(
        *("-bs", "--blocklist-sites"), multiple=True, help="Read no file at these sites (the same way)"
    ),
    click.option(
        *("-ps", "--prioritylist-sites"),
        multiple=True,
        help="Preferred sites, best first (with --sort-replicas priority)",
    ),
    click.option("-rs", "--regex-sites", help="Read files at sites that match this regular expression only"),
    click.option(
        *("-sort", "--sort-replicas"),
        default="geoip",
        show_default=True,
        help="Which replica is taken: geoip (the nearest, as Rucio tells), priority, random",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="For --sort-replicas random"),
    click.option(
        *("-ir", "--include-redirector"),
        is_flag=True,
        help="Read files without a replica at the sites that are left through the redirector",
    ),
    click.option("--redirector", default="", help="Address of the redirector (default: CMS's global one)"),
    click.option(
        "--cache-age",
        type=click.FloatRange(min=0),
        default=60.0,
        show_default=True,
        help="Use answers of catalogues that are at most so many minutes old; 0: ask always",
    ),
    click.option(
        *("-p", "--parallelize"),
        type=click.IntRange(1, 64),
        default=4,
        show_default=True,
        help="Look up, open and copy so many at a time",
    ),
    click.option("-ll", "--loglevel", default="INFO", show_default=True, help="Console logging level"),
)


@click.command("build-datasets", context_settings={"max_content_width": 100})
@click.option(
    "--cfg",
    type=click.Path(path_type=Path),
    required=True,
    help="Definition of the datasets: {name: {sample, json_output, files: [{das_names, metadata}]}}",
)
@click.option("-k", "--keys", multiple=True, help="Build these entries of the definition only")
@click.option("-d", "--download", is_flag=True, help="Copy the files below the local prefix")
@click.option("-o", "--overwrite", is_flag=True, help="Replace datasets that are in the JSON already")
@click.option(
    *("-c", "--check"),
    is_flag=True,
    help="Open every file; datasets that are in their JSON already are only checked",
)
@click.option("-s", "--split-by-year", is_flag=True, help="Write a JSON for each year: <json>_<year>.json")
@click.option(
    "-l", "--local-prefix", help="Folder of local copies (default: the storage_prefix of the definition)"
)
@catalogue_options
def build_datasets(**arguments: Any) -> None:
    """Build dataset fileset in json format.

    Looks up the datasets of the definition in Rucio and DBS, chooses a replica of each file, and writes
    <json> (replicas), <json>_redirector and, with a local prefix, <json>_local.

    Exit code: 0 all good, 1 wrong definition, options, proxy or set-up, 3 some datasets or files failed,
    6 refused because a dataset is there already.
    """
    from pocket_coffea.cli.errors import logged

    with logged(arguments["loglevel"]):
        failures = _run(arguments)
    sys.exit(_FAILED if failures else 0)


def names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of an option that may be repeated and may hold commas."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def make_rules(arguments: dict[str, Any]) -> Chooser:
    """Return how replicas are chosen, from the options of :func:`catalogue_options`."""
    from pocket_coffea.datasets.build import Chooser
    from pocket_coffea.datasets.select import SiteRules
    from pocket_coffea.utils.site_rewrite import REDIRECTOR

    rules = SiteRules(
        allow=names(arguments["allowlist_sites"]),
        block=names(arguments["blocklist_sites"]),
        regex=arguments["regex_sites"],
        priority=names(arguments["prioritylist_sites"]),
        sort=arguments["sort_replicas"],
        seed=arguments["seed"],
    )
    return Chooser(rules, arguments["redirector"] or REDIRECTOR, arguments["include_redirector"])


def make_catalogue(arguments: dict[str, Any]) -> Catalogue:
    """Return the catalogues of CMS, or those that the environment names instead."""
    from pocket_coffea.datasets.cache import AnswerCache
    from pocket_coffea.datasets.catalogue import Catalogue
    from pocket_coffea.datasets.dbs import Dbs
    from pocket_coffea.datasets.rucio_client import RucioCatalogue
    from pocket_coffea.datasets.site_map import read_site_map

    cache = AnswerCache(arguments["cache_age"] * 60)
    return Catalogue(RucioCatalogue(read_site_map(cache)), Dbs(), cache)


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """Give what is called with each thing that is done; a bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda _name: bar.advance(task)


def _run(arguments: dict[str, Any]) -> int:
    """Build and check; return how many datasets or files failed."""
    from pocket_coffea.datasets.definition import read_definition
    from pocket_coffea.datasets.write import JsonFiles

    requests = read_definition(arguments["cfg"], names(arguments["keys"]))
    chooser = make_rules(arguments)
    files = JsonFiles(arguments["split_by_year"], arguments["local_prefix"], arguments["overwrite"])
    wanted = requests
    if arguments["check"] and not arguments["overwrite"]:
        wanted = [request for request in requests if not _is_there(request, files)]
    files.refuse_existing(wanted)
    catalogue = make_catalogue(arguments)
    failures = 0
    if wanted:
        failures = _build(wanted, catalogue, chooser, files, arguments)
    if arguments["check"]:
        failures += _check(requests, catalogue, files, arguments["parallelize"])
    return failures


def _is_there(request: DatasetRequest, files: JsonFiles) -> bool:
    return request.name in files.existing(files.paths(request)["direct"])


def _build(
    requests: list[DatasetRequest],
    catalogue: Catalogue,
    chooser: Chooser,
    files: JsonFiles,
    arguments: dict[str, Any],
) -> int:
    from pocket_coffea.datasets import build
    from pocket_coffea.datasets.select import unknown_sites

    workers = arguments["parallelize"]
    with progress_bar("Looking up datasets", len(requests)) as progress:
        report = build.build_datasets(requests, catalogue, chooser, workers, progress)
    failures = _download(report.built, files, workers) if arguments["download"] else 0
    for each in report.built:
        _show(each)
    for path in files.write(report.built, chooser):
        click.echo(f"Written: {path}")
    for sentence in unknown_sites(chooser.rules, report.sites()) if report.built else ():
        click.echo(f"WARNING: {sentence}", err=True)
    return failures + _show_failed(report)


def _show(built: BuiltDataset) -> None:
    counts = {site: built.sites.count(site) for site in dict.fromkeys(built.sites)}
    where = ", ".join(f"{site} {count}" for site, count in sorted(counts.items()))
    size = _readable(built.size)
    click.echo(
        f"{built.request.name}: {count_of(len(built.files), 'file')}, {count_of(built.nevents, 'event')}, "
        f"{size} ({where})"
    )


def _readable(size: int) -> str:
    """Return a number of bytes for people."""
    if not size:
        return "size unknown"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _show_failed(report: BuildReport) -> int:
    for error in report.failed.values():
        click.echo(f"ERROR: {error}", err=True)
    if report.failed:
        click.echo(
            f"{count_of(len(report.failed), 'dataset was', 'datasets were')} not built: "
            f"{', '.join(report.failed)}",
            err=True,
        )
    return len(report.failed)


def _download(built: list[BuiltDataset], files: JsonFiles, workers: int) -> int:
    from pocket_coffea.datasets.download import download_files
    from pocket_coffea.errors import OptionError

    copies = []
    for each in built:
        if "local" not in files.paths(each.request):
            msg = f"--download: {each.request.name} has no storage_prefix: give --local-prefix."
            raise OptionError(msg)
        local = [files.local(each.request, file.name) for file in each.files]
        copies += list(zip(each.files, each.addresses, local, strict=True))
    with progress_bar("Copying files", len(copies)) as progress:
        failed = download_files(copies, workers, progress)
    for path, reason in failed.items():
        click.echo(f"ERROR: {path} was not copied: {reason}", err=True)
    return len(failed)


def _check(requests: list[DatasetRequest], catalogue: Catalogue, files: JsonFiles, workers: int) -> int:
    from pocket_coffea.datasets.check import check_datasets
    from pocket_coffea.datasets.write import read_json

    found: dict[str, Any] = {}
    for request in requests:
        path = files.paths(request)["direct"]
        content = read_json(path) if path.exists() else {}
        if request.name in content:
            found[request.name] = content[request.name]
    total = sum(len(entry["files"]) for entry in found.values())
    with progress_bar("Opening files", total) as progress:
        problems = check_datasets(found, lambda names: catalogue.rucio.replicas(*names), workers, progress)
    for problem in problems:
        click.echo(f"ERROR: {problem}", err=True)
    events = sum(problem.nevents or 0 for problem in problems)
    click.echo(
        f"Checked: {count_of(total, 'file')} of {count_of(len(found), 'dataset')}, {len(problems)} bad "
        f"({count_of(events, 'event')})"
    )
    return len(problems)
