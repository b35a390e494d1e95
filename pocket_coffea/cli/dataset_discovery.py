"""``pocket-coffea dataset-discovery-cli``: find datasets and write their definition, by hand or by script."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from pocket_coffea.cli.build_datasets import catalogue_options
from pocket_coffea.utils.wording import count_of

if TYPE_CHECKING:
    from pocket_coffea.datasets.catalogue import Catalogue
    from pocket_coffea.datasets.discovery import Description, Selection
    from pocket_coffea.datasets.select import SiteRules

__all__ = ["DataDiscoveryCLI", "dataset_discovery_cli"]

_HELP = """\
query PATTERN   find datasets, as: query /TTto2L2Nu*/*Summer22*/NANOAODSIM
select CHOICE   choose of what was found: all, 1 3-5, names
sites           show at which sites the chosen datasets are
allow SITES     read at these sites only; block SITES: not there; without sites: no such rule
preview         show files, events and size of the chosen datasets
save FILE       write the chosen datasets into a definition, for build-datasets
clear           choose anew
quit            end"""


@click.command("dataset-discovery-cli", context_settings={"max_content_width": 100})
@click.option("-q", "--query", multiple=True, help="Find datasets of this pattern: /primary*/*/NANOAODSIM")
@click.option("--select", default="all", show_default=True, help="Of what is found: all, 1 3-5, names")
@click.option("--instance", default="prod/global", show_default=True, help="DBS instance of the datasets")
@click.option("--output", type=click.Path(path_type=Path), help="Definition that the datasets are added to")
@click.option("--key", help="Name of the entry (default: of the process)")
@click.option("--sample", help="Sample of the datasets (default: the key)")
@click.option("--json-output", help="Where build-datasets writes them (default: datasets/<key>.json)")
@click.option("--metadata", multiple=True, help="Metadata as name=value (xsec=..., year=...; repeatable)")
@click.option("--overwrite", is_flag=True, help="Replace an entry that is in the definition")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON, for programs")
@catalogue_options
def dataset_discovery_cli(**arguments: Any) -> None:
    """Find datasets, see what they have and where, and write them into a definition for build-datasets.

    Without --query it asks on the terminal. With --query it prints what was found, and with --output adds it
    to a definition.

    Exit code: 0 all good, 1 wrong options, proxy or set-up, 3 the catalogue does not answer, 4 nothing was
    found, 6 refused because the entry is there.
    """
    from rich.console import Console

    from pocket_coffea.cli.errors import console_writer, ending
    from pocket_coffea.log import setup_logging

    level = str(arguments["loglevel"]).upper()
    with ending(level == "DEBUG"):
        if not arguments["query"] and not sys.stdin.isatty():
            msg = "there is no terminal to ask on: give --query PATTERN."
            raise click.UsageError(msg)
        undo = setup_logging(level, console_writer(Console(stderr=True)))
        try:
            if arguments["query"]:
                _script(arguments)
            else:
                _session(arguments).start_cli()
        finally:
            undo()


def _script(arguments: dict[str, Any]) -> None:
    from pocket_coffea.cli.build_datasets import make_catalogue, make_rules
    from pocket_coffea.datasets.discovery import Selection, describe, guess_metadata, pick
    from pocket_coffea.errors import NothingToDo

    catalogue, rules = make_catalogue(arguments), make_rules(arguments).rules
    instance = arguments["instance"]
    found = sorted({name for query in arguments["query"] for name in catalogue.names(query, instance)})
    if not found:
        msg = f"no dataset matches {', '.join(arguments['query'])}: check the pattern, * stands for anything."
        raise NothingToDo(msg)
    chosen = pick(found, arguments["select"])
    described = [describe(catalogue, name, rules, instance) for name in chosen]
    if arguments["as_json"]:
        click.echo(json.dumps([vars(each) for each in described], indent=2))
    else:
        for each in described:
            click.echo(_line(each))
    if arguments["output"] is None:
        return
    extra = _metadata(arguments["metadata"])
    selected = [Selection(name, {**guess_metadata(name), **extra}, instance) for name in chosen]
    _save(arguments["output"], selected, arguments)


def _metadata(values: tuple[str, ...]) -> dict[str, str]:
    from pocket_coffea.errors import OptionError

    found = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign or not name.strip():
            msg = f"--metadata: {value!r} is not name=value, as xsec=831.76."
            raise OptionError(msg)
        found[name.strip()] = text.strip()
    return found


def _save(path: Path, selected: list[Selection], arguments: dict[str, Any]) -> None:
    from pocket_coffea.datasets.discovery import guess_key, save_definition

    key = arguments["key"] or guess_key(selected[0].name)
    sample = arguments["sample"] or key
    output = arguments["json_output"] or f"datasets/{key}.json"
    save_definition(path, key, sample, output, selected, overwrite=arguments["overwrite"])
    click.echo(
        f"Written: {key!r} with {count_of(len(selected), 'dataset')} in {path}",
        err=arguments.get("as_json", False),
    )
    click.echo(
        f"Next: pocket-coffea build-datasets --cfg {quote(str(path))}", err=arguments.get("as_json", False)
    )


def _line(each: Description) -> str:
    events = "events unknown" if each.events is None else count_of(each.events, "event")
    sites = ", ".join(f"{site} {count}/{each.files}" for site, count in each.sites.items()) or "no site"
    missing = (
        f"; {count_of(each.unreachable, 'file')} at no site that may be used" if each.unreachable else ""
    )
    return (
        f"{each.name}\n  {count_of(each.files, 'file')}, {events}, {each.size / 1e9:.2f} GB; {sites}{missing}"
    )


def _session(arguments: dict[str, Any]) -> DataDiscoveryCLI:
    from pocket_coffea.cli.build_datasets import make_catalogue, make_rules

    return DataDiscoveryCLI(make_catalogue(arguments), make_rules(arguments).rules, arguments["instance"])


class DataDiscoveryCLI:
    """A dialogue on the terminal. ``ask`` returns the next line (raises EOFError at the end), ``tell`` shows
    text; by default the terminal."""

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        rules: SiteRules | None = None,
        instance: str = "prod/global",
        ask: Callable[[str], str] = input,
        tell: Callable[[str], None] = click.echo,
    ) -> None:
        from pocket_coffea.cli.build_datasets import make_catalogue
        from pocket_coffea.datasets.select import SiteRules

        self.catalogue = catalogue or make_catalogue({"cache_age": 60.0})
        self.rules = rules or SiteRules()
        self.instance = instance
        self.ask, self.tell = ask, tell
        self.found: list[str] = []
        self.chosen: list[str] = []

    def start_cli(self) -> None:
        """Ask and answer until ``quit`` or the end of the input. What fails is said, and the dialogue goes
        on."""
        from pocket_coffea.errors import PocketCoffeaError

        self.tell(_HELP)
        while True:
            try:
                line = self.ask("discovery> ").strip()
            except EOFError:
                return
            word, _, rest = line.partition(" ")
            if word in ("quit", "exit", "q"):
                return
            try:
                self.do(word, rest.strip())
            except PocketCoffeaError as error:
                self.tell(f"ERROR: {error}")

    def do(self, word: str, rest: str) -> None:
        """Do what one line says. Raises PocketCoffeaError."""
        from pocket_coffea.errors import OptionError, did_you_mean

        actions: dict[str, Callable[[str], None]] = {
            "query": self.do_query,
            "select": self.do_select,
            "sites": lambda _rest: self.do_preview(""),
            "preview": self.do_preview,
            "allow": lambda rest: self.do_rule("allow", rest),
            "block": lambda rest: self.do_rule("block", rest),
            "save": self.do_save,
            "clear": self.do_clear,
            "help": lambda _rest: self.tell(_HELP),
        }
        if not word:
            return
        if word not in actions:
            msg = f"{word!r} is no command here. {did_you_mean(word, actions)}"
            raise OptionError(msg)
        actions[word](rest)

    def do_query(self, pattern: str) -> None:
        """Find datasets."""
        self.found = self.catalogue.names(pattern, self.instance)
        self.tell("\n".join(f"{n:4} {name}" for n, name in enumerate(self.found, 1)) or "nothing was found")

    def do_select(self, choice: str) -> None:
        """Choose of what was found."""
        from pocket_coffea.datasets.discovery import pick

        self.chosen = list(dict.fromkeys([*self.chosen, *pick(self.found, choice)]))
        self.tell(f"{len(self.chosen)} chosen:\n" + "\n".join(self.chosen))

    def do_rule(self, kind: str, sites: str) -> None:
        """Set the list of sites that are allowed or blocked."""
        import dataclasses

        names = tuple(sites.replace(",", " ").split())
        if kind == "allow":
            self.rules = dataclasses.replace(self.rules, allow=names)
        else:
            self.rules = dataclasses.replace(self.rules, block=names)
        self.tell(f"{kind}: {' '.join(names) or 'no rule'}")

    def do_preview(self, _rest: str) -> None:
        """Show what the chosen datasets have, and where."""
        from pocket_coffea.datasets.discovery import describe

        for name in self.chosen:
            self.tell(_line(describe(self.catalogue, name, self.rules, self.instance)))
        if not self.chosen:
            self.tell("nothing is chosen: query PATTERN, then select CHOICE")

    def do_clear(self, _rest: str) -> None:
        """Forget what was chosen."""
        self.chosen = []

    def do_save(self, file: str) -> None:
        """Ask for the metadata and write the definition."""
        from pocket_coffea.datasets.discovery import Selection, guess_key, guess_metadata
        from pocket_coffea.errors import OptionError

        if not self.chosen or not file:
            msg = "save FILE writes what was chosen: choose something, and name a file."
            raise OptionError(msg)
        key = self._answer("name of the entry", guess_key(self.chosen[0]))
        sample = self._answer("sample", key)
        selected = []
        for name in self.chosen:
            self.tell(name)
            guess = guess_metadata(name)
            wanted = ["year", "xsec"] if guess["isMC"] else ["year", "era", "primaryDataset"]
            given = {each: self._answer(f"  {each}", str(guess.get(each, ""))) for each in wanted}
            selected.append(Selection(name, {"isMC": guess["isMC"], **given}, self.instance))
        output = self._answer("dataset JSON", f"datasets/{key}.json")
        replace = self._answer("replace an entry of that name (yes, no)", "no") == "yes"
        _save(
            Path(file), selected, {"key": key, "sample": sample, "json_output": output, "overwrite": replace}
        )

    def _answer(self, question: str, default: str) -> str:
        return self.ask(f"{question} [{default}]: ").strip() or default
