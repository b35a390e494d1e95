"""The command ``pocket-coffea``. Subcommands are imported when they run, so that ``--help`` is quick."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

import click

from pocket_coffea._version import __version__
from pocket_coffea.errors import nearest

__all__ = ["LazyGroup", "banner", "main"]

LOGO = r"""
    ____             __        __  ______      ________
   / __ \____  _____/ /_____  / /_/ ____/___  / __/ __/__  ____ _
  / /_/ / __ \/ ___/ //_/ _ \/ __/ /   / __ \/ /_/ /_/ _ \/ __ `/
 / ____/ /_/ / /__/ ,< /  __/ /_/ /___/ /_/ / __/ __/  __/ /_/ /
/_/    \____/\___/_/|_|\___/\__/\____/\____/_/ /_/  \___/\__,_/

"""


def banner() -> str:
    """Return the logo, the version and where to read on."""
    return (
        f"{LOGO}\n"
        f"Running PocketCoffea version {__version__}\n"
        "- Documentation page:  https://pocketcoffea.readthedocs.io/\n"
        "- Repository:          https://github.com/PocketCoffea/PocketCoffea\n"
    )


class LazyGroup(click.Group):
    """A group whose commands are ``name: ("module:function", one line of help)``."""

    commands_at: ClassVar[Mapping[str, tuple[str, str]]] = {
        "build-datasets": (
            "pocket_coffea.cli.build_datasets:build_datasets",
            "Build dataset fileset in json format",
        ),
        "check-jobs": (
            "pocket_coffea.cli.check_jobs:check_jobs",
            "Watch the jobs of a campaign, and send again what failed",
        ),
        "dataset-discovery-cli": (
            "pocket_coffea.cli.dataset_discovery:dataset_discovery_cli",
            "Find datasets, and write their definition",
        ),
        "fetch-data": (
            "pocket_coffea.cli.fetch_data:fetch_data",
            "Bring certified luminosity and corrections into $POCKET_COFFEA_DATA",
        ),
        "hadd-skimmed-files": (
            "pocket_coffea.cli.hadd_skimmed_files:hadd_skimmed_files",
            "Regroup skimmed datasets by joining different files",
        ),
        "image": (
            "pocket_coffea.cli.image:image",
            "Build, check and use site images, reproducible bit for bit",
        ),
        "inspect-job": (
            "pocket_coffea.cli.inspect_job:inspect_job",
            "Show what a pickled configuration processes",
        ),
        "make-config": (
            "pocket_coffea.cli.make_config:make_config",
            "Make a folder with a new analysis that runs",
        ),
        "make-plots": (
            "pocket_coffea.cli.make_plots:make_plots",
            "Plot histograms produced by PocketCoffea processors",
        ),
        "make-sample": (
            "pocket_coffea.cli.sample:make_sample",
            "Write NanoAOD-like files with made-up events",
        ),
        "merge-columns": (
            "pocket_coffea.cli.merge_columns:merge_columns",
            "Merge the parquet files of exported columns",
        ),
        "merge-outputs": (
            "pocket_coffea.cli.merge_outputs:merge_outputs",
            "Merge outputs, or those of all jobs, into one",
        ),
        "plot-cutflow": (
            "pocket_coffea.cli.plot_cutflow:plot_cutflow",
            "Draw the cutflow, and write cutflow and yields as tables",
        ),
        "print-parameters": ("pocket_coffea.cli.params:print_parameters", "Print the analysis parameters"),
        "report": ("pocket_coffea.cli.report:report", "Write one HTML page that shows a run"),
        "run": (
            "pocket_coffea.cli.run:run",
            "Run an analysis on NanoAOD files using PocketCoffea processors",
        ),
        "sites": (
            "pocket_coffea.cli.sites:sites",
            "List the sites, and check what one needs on this machine",
        ),
        "split-output": (
            "pocket_coffea.cli.split_output:split_output",
            "Split an output by year or by categories",
        ),
    }
    #: Commands of PocketCoffea that this version does not have.
    later: ClassVar[frozenset[str]] = frozenset({})

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self.commands_at:
            return None
        module, _, function = self.commands_at[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in self.later:
            ctx.fail(f"the command {name!r} is not in this version.")
        if name not in self.commands_at and not name.startswith("-"):
            close = nearest(name, self.commands_at)
            hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
            ctx.fail(f"there is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(self.commands_at.items())])


@click.group(
    cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, "-v", "--version", prog_name="pocket-coffea")
@click.pass_context
def main(ctx: click.Context, /, **_options: Any) -> None:
    """PocketCoffea: declarative analysis of CMS NanoAOD, from datasets to histograms."""
    if ctx.invoked_subcommand is None:
        click.echo(banner())
        click.echo("Run with --help option for the list of available commands\n")


if __name__ == "__main__":
    main()
