"""Run options on a command line: any of them as ``--key=value``, besides the options of the command."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["ANY_OPTION", "further_options"]

#: Settings of a command that leaves options it does not know to ``further_options``.
ANY_OPTION: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}


def further_options(ctx: click.Context, *, known_only: bool = True) -> dict[str, str | bool]:
    """Return the options that the command itself does not have, by name.

    known_only: refuse what is neither a run option nor an option of the command. Raises OptionError, with the
    nearest of both.
    """
    from pocket_coffea.run.options import parse_cli_extra

    extra = parse_cli_extra(ctx.args)
    if known_only:
        _check_spelling(ctx.command, extra)
    return extra


def _check_spelling(command: click.Command, extra: dict[str, Any]) -> None:
    from pocket_coffea.errors import OptionError, nearest
    from pocket_coffea.run.options import SCHEMA

    own = [
        name.lstrip("-") for parameter in command.params for name in parameter.opts if name.startswith("--")
    ]
    for key in extra:
        if key not in SCHEMA:
            close = nearest(key, [*own, *SCHEMA])
            hint = f" Did you mean {' or '.join(f'--{name}' for name in close)}?" if close else ""
            see = f"pocket-coffea {command.name} --help"
            msg = f"command line: there is no option --{key}.{hint} See `{see}`."
            raise OptionError(msg)
