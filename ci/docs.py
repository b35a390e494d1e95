"""``make docs``: write what is made from the code: cli-reference.md and the table of run-options.md."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from pocket_coffea.cli.main import LazyGroup, main
from pocket_coffea.run.options import options_reference

DOCS = Path(__file__).resolve().parents[1] / "docs"

HEAD = """\
# Commands

This page is made from the commands by `make docs`. Every command answers to `--help`.

`run`, and `hadd-skimmed-files` with `--executor`, take also every [run option](run-options.md) as
`--name=value`, see [running](running.md).
[Exit codes](running.md#exit-codes) are the same for all commands.

"""


def reference() -> str:
    """Return the page: every command with its arguments and options."""
    names = sorted(LazyGroup.commands_at)
    context = click.Context(main, info_name="pocket-coffea")
    table = ["| command | what it does |", "|---|---|"]
    table += [f"| [`{name}`](#{_anchor(name)}) | {LazyGroup.commands_at[name][1]} |" for name in names]
    parts = []
    for name in names:
        command = main.get_command(context, name)
        assert command is not None
        parts += ["\n".join(_section(*each)) for each in with_subcommands(name, command)]
    return HEAD + "\n".join(table) + "\n\n" + "\n\n".join(parts) + "\n"


def with_subcommands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Give a command and, of a group, the commands below it, with their whole names."""
    yield name, command
    if isinstance(command, click.Group):
        for below in sorted(command.commands):
            yield from with_subcommands(f"{name} {below}", command.commands[below])


def _anchor(name: str) -> str:
    return f"pocket-coffea-{name}".replace(" ", "-")


def _section(name: str, command: click.Command) -> Iterator[str]:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    below = sorted(command.commands) if isinstance(command, click.Group) else []
    yield f"{'#' * (2 + name.count(' '))} pocket-coffea {name}"
    yield ""
    yield "```text"
    words = ["COMMAND ..."] if below else ["[OPTIONS]", *(_argument(a) for a in arguments)]
    yield " ".join(["pocket-coffea", name, *words])
    yield "```"
    yield ""
    yield _escaped(re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(command.help or "")))
    if below:
        yield ""
        yield "Commands: " + ", ".join(f"[`{each}`](#{_anchor(f'{name} {each}')})" for each in below) + "."
    if not options:
        return
    yield ""
    yield "| option | value | default | meaning |"
    yield "|---|---|---|---|"
    for option in options:
        names = ", ".join(f"`{text}`" for text in (*option.secondary_opts, *option.opts))
        yield f"| {names} | {_value(option)} | {_default(option)} | {_escaped(option.help or '')} |"


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required else f"[{name}]"


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    kind = option.type
    if isinstance(kind, click.Choice):
        return ", ".join(f"`{choice}`" for choice in kind.choices)
    return {"integer range": "integer", "float range": "number"}.get(kind.name, kind.name)


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    return f"`{option.default}`" if option.show_default else ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


def write() -> None:
    """Write what is out of date."""
    options = DOCS / "run-options.md"
    text = options.read_text(encoding="utf-8")
    pages = {
        DOCS / "cli-reference.md": reference(),
        options: text[: text.index("| option |")] + options_reference(),
    }
    for page, content in pages.items():
        if not page.exists() or page.read_text(encoding="utf-8") != content:
            page.write_text(content, encoding="utf-8")
            print(f"wrote {page.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    write()
