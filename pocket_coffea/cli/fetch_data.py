"""``pocket-coffea fetch-data``: certified luminosity and corrections into $POCKET_COFFEA_DATA."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pocket_coffea.datasets.payloads import Fetched, Payload

__all__ = ["fetch_data"]

_FAILED = 3
#: The lock of an analysis, in the folder where the command runs.
LOCK = "data.lock.yaml"


@click.command("fetch-data", context_settings={"max_content_width": 100})
@click.option("-y", "--years", multiple=True, help="Payloads of these years (comma-separated; default: all)")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    help="Data directory (default: the first of $POCKET_COFFEA_DATA)",
)
@click.option(
    "--mirror", multiple=True, help="Folder or address with payloads at the same places; repeatable"
)
@click.option(
    "--lock",
    type=click.Path(path_type=Path),
    default=LOCK,
    show_default=True,
    help="Lock of the analysis, over the one of PocketCoffea",
)
@click.option("--pin", is_flag=True, help="Fetch also what no lock has, and write into the lock what it was")
@click.option("--only", multiple=True, help="Payloads whose place contains this text; repeatable")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for programs")
def fetch_data(**arguments: Any) -> None:
    """Bring the payloads that the default parameters name into a data directory, where runs find them.

    Each is checked by the sha256 of a lock, wherever it comes from: a mirror, CVMFS, a public address. What
    is there already is kept.

    Exit code: 0 all is there, 1 wrong options or lock, 3 some payloads are not there (the report says why).
    """
    from pocket_coffea.cli.errors import ending

    with ending():
        results = _run(arguments)
        bad = [each for each in results if each.state in ("failed", "unpinned")]
        if arguments["as_json"]:
            rows = [
                {"place": each.payload.place, "state": each.state, "message": each.message}
                for each in results
            ]
            click.echo(json.dumps(rows, indent=2))
        else:
            _show(results, bad)
        sys.exit(_FAILED if bad else 0)


def _run(arguments: dict[str, Any]) -> list[Fetched]:
    from omegaconf import OmegaConf

    from pocket_coffea.cli.build_datasets import names
    from pocket_coffea.datasets import payloads
    from pocket_coffea.parameters.defaults import get_default_parameters
    from pocket_coffea.parameters.resolvers import default_params_dir

    folder = _data_directory(arguments["folder"])
    own: Path = arguments["lock"]
    locks = [payloads.read_lock(Path(default_params_dir(), "data_lock.yaml"))]
    mine = payloads.read_lock(own) if own.exists() else {}
    parameters = OmegaConf.to_container(get_default_parameters(), resolve=True, throw_on_missing=False)
    if not isinstance(parameters, dict):  # parameters are a mapping
        raise TypeError
    wanted = payloads.references(
        {str(key): value for key, value in parameters.items()}, names(arguments["years"])
    )
    found = payloads.payloads(wanted, [*locks, mine])
    if arguments["only"]:
        found = [each for each in found if any(text in each.place for text in arguments["only"])]
    results = [payloads.fetch(each, folder, arguments["mirror"], arguments["pin"]) for each in found]
    if arguments["pin"]:
        _write_pins(own, mine, results, found)
    return results


def _data_directory(given: Path | None) -> Path:
    from pocket_coffea.errors import OptionError
    from pocket_coffea.utils.data_files import DATA_VARIABLE, data_directories

    if given is not None:
        return given.expanduser()
    directories = data_directories()
    if not directories:
        msg = f"--to: where shall payloads go? Give --to <folder>, or export {DATA_VARIABLE}=<folder>."
        raise OptionError(msg)
    return Path(directories[0])


def _write_pins(own: Path, mine: dict[str, Payload], results: list[Fetched], before: list[Payload]) -> None:
    """Add what was not locked before to the lock of the analysis."""
    from pocket_coffea.datasets.payloads import write_lock

    open_places = {payload.place for payload in before if payload.sha256 is None}
    new = {
        each.payload.place: each.payload
        for each in results
        if each.payload.place in open_places and each.payload.sha256
    }
    if new:
        write_lock(own, list({**mine, **new}.values()))
        click.echo(f"{len(new)} payloads pinned in {own}", err=True)


def _show(results: list[Fetched], bad: list[Fetched]) -> None:
    for each in results:
        if each.state == "fetched":
            click.echo(f"fetched   {each.payload.place}")
    for each in bad:
        click.echo(f"{each.state:<9} {each.payload.place}: {each.message}")
    counts = {state: sum(each.state == state for each in results) for state in ("there", "fetched")}
    click.echo(
        f"{len(results)} payloads: {counts['there']} were there, {counts['fetched']} fetched, "
        f"{len(bad)} missing"
    )
