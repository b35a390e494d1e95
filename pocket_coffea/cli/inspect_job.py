"""``pocket-coffea inspect-job``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pocket_coffea.utils.wording import count_of

__all__ = ["inspect_job"]


@click.command("inspect-job")
@click.argument("pickle_file", metavar="PKL", type=click.Path(path_type=Path))
@click.option("-f", "--files", is_flag=True, help="List the files of each dataset")
@click.option("-m", "--metadata", is_flag=True, help="Show the metadata of each dataset")
@click.option("--no-workflow-options", is_flag=True, help="Leave out the workflow options")
def inspect_job(pickle_file: Path, files: bool, metadata: bool, no_workflow_options: bool) -> None:
    """Show what the pickled configuration PKL (configurator.pkl, config_job_<i>.pkl) processes.

    Unpickling runs code: inspect only files that you trust.
    """
    from pocket_coffea.cli.errors import ending

    with ending():
        config = _load(pickle_file)
        for line in _head(pickle_file, config, show_options=not no_workflow_options):
            click.echo(line)
        _table(config)
        for dataset, fileset in config.filesets.items():
            for line in _details(dataset, fileset, files=files, metadata=metadata):
                click.echo(line)


def _details(dataset: str, fileset: dict[str, Any], *, files: bool, metadata: bool) -> Iterator[str]:
    if files or metadata:
        yield f"\n{dataset}"
    if metadata:
        yield from (f"  {key}: {value}" for key, value in fileset["metadata"].items())
    if files:
        yield from (f"  {file}" for file in fileset["files"])


def _load(path: Path) -> Any:
    from pocket_coffea.errors import ConfigurationError
    from pocket_coffea.utils.utils import load_config

    if path.suffix not in (".pkl", ".pickle") and path.is_file():
        msg = f"{path} is not a pickled configuration (.pkl), such as configurator.pkl in an output folder."
        raise ConfigurationError(msg)
    config = load_config(path, do_load=False, save_config=False)
    if not config.filesets_loaded:
        config.load_datasets()
    return config


def _head(path: Path, config: Any, *, show_options: bool) -> Iterator[str]:
    yield f"Configuration       {path}"
    yield f"Workflow            {config.workflow.__module__}.{config.workflow.__name__}"
    folder = config.save_skimmed_files_folder if config.save_skimmed_files else None
    yield f"save_skimmed_files  {folder or 'off'}"
    if show_options:
        yield f"Workflow options    {'' if config.workflow_options else 'none'}"
        for key, value in config.workflow_options.items():
            yield f"  {key}: {value}"


def _table(config: Any) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for name in ("Dataset", "Sample", "Year", "isMC"):
        table.add_column(name, overflow="fold")
    table.add_column("N files", justify="right")
    table.add_column("N events (dataset)", justify="right")
    n_files = n_events = 0
    for dataset, fileset in config.filesets.items():
        metadata = fileset["metadata"]
        events = metadata.get("nevents")
        table.add_row(
            *(dataset, str(metadata["sample"]), str(metadata["year"]), str(metadata["isMC"])),
            *(str(len(fileset["files"])), "?" if events is None else f"{int(events):,}"),
        )
        n_files += len(fileset["files"])
        n_events += int(events or 0)
    table.add_section()
    table.add_row(count_of(len(config.filesets), "dataset"), "", "", "", str(n_files), f"{n_events:,}")
    console = Console()
    Console(width=None if console.is_terminal else 120).print(table)
