"""``pocket-coffea make-config``: a folder with an analysis that runs as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from shlex import quote

import click

__all__ = ["make_config", "write_template"]


@click.command("make-config")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Write also into a folder that has such files")
def make_config(folder: Path, overwrite: bool) -> None:
    """Make FOLDER with a configuration, a workflow, parameters and a list of datasets.

    The analysis runs as it is, after the two commands in its README.md that make sample files.
    """
    from pocket_coffea.cli.errors import ending

    with ending():
        for path in write_template(folder, overwrite=overwrite):
            click.echo(f"wrote {path}")
        click.echo(f"\nNext: cd {quote(str(folder))}, and follow README.md")


def write_template(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the files of a new analysis and return their paths.

    Raises ResultsRefused when one of them exists, unless ``overwrite``; OutputError when one cannot be
    written.
    """
    from pocket_coffea.errors import ResultsRefused
    from pocket_coffea.utils.atomic import write_whole

    absolute = folder.expanduser().absolute()
    contents = {absolute / name: text for name, text in _template()}
    existing = [str(path) for path in contents if path.exists()]
    if existing and not overwrite:
        msg = f"{', '.join(existing)} would be overwritten: choose another folder, or give --overwrite."
        raise ResultsRefused(msg)
    quoted = json.dumps(str(absolute))[1:-1]
    for path, text in contents.items():
        write_whole(path, text.replace("@FOLDER@", quoted))
    return list(contents)


def _template() -> Iterator[tuple[str, str]]:
    yield from _files(resources.files("pocket_coffea.cli") / "template", "")


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".in"):
            yield prefix + entry.name.removesuffix(".in"), entry.read_text(encoding="utf-8")
