"""Options given several times: lists are joined, one that can only be once is refused."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from pocket_coffea.cli.check_jobs import check_jobs
from pocket_coffea.cli.main import main
from pocket_coffea.cli.repeated import joined
from pocket_coffea.cli.run import run


@click.command()
@click.option("--names", multiple=True, callback=joined)
def names(names):
    click.echo(repr(names))


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "None"), (("--names", "a"), "'a'"), (("--names", "a,b", "--names", "c"), "'a,b,c'")],
)
def test_lists_are_joined(words, said):
    assert CliRunner().invoke(names, words).output.strip() == said


def test_the_lists_of_the_commands_are():
    wanted = {
        run: ("filter_years", "filter_samples", "filter_datasets"),
        check_jobs: ("recreate", "blocklist_sites"),
    }
    for command, options in wanted.items():
        context = command.make_context(
            command.name,
            [
                word
                for name in options
                for value in ("1", "2")
                for word in (f"--{name.replace('_', '-')}", value)
            ]
            + (["--cfg", "a.py", "-o", "out"] if command is run else ["-j", "jobs"]),
        )
        assert {context.params[name] for name in options} == {"1,2"}


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--cfg", "a.py", "--cfg", "b.py", "-o", "out"),
        ("merge-outputs", "-jc", "a", "-jc", "b"),
        ("hadd-skimmed-files", "-fl", "a", "-fl", "b", "-o", "out"),
    ],
)
def test_what_can_be_given_once_is_not_taken_from_the_last(words):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2, result.output
    assert "it is given 2 times" in result.output
