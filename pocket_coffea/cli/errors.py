"""How a command ends: messages without tracebacks, and exit codes."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from pocket_coffea.errors import PocketCoffeaError

__all__ = ["INTERRUPTED", "console_writer", "ending", "logged"]

INTERRUPTED = 130
_STYLES = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red", "DEBUG": "dim"}


def console_writer(console: Any) -> Callable[[str, str], None]:
    """Return ``write(text, level)`` for a rich console; text is never taken for markup."""

    def write(text: str, level: str) -> None:
        console.print(text, style=_STYLES.get(level), markup=False, highlight=False, soft_wrap=True)

    return write


@contextmanager
def ending(debug: bool = False, hint: str = "") -> Iterator[None]:
    """Turn an error into a message on standard error and the exit code of its class.

    An interrupt ends with 130. A traceback is shown with ``debug`` only.
    """
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"Interrupted.{hint}", err=True)
        sys.exit(INTERRUPTED)
    except PocketCoffeaError as exc:
        _tell(exc, str(exc), debug)
        sys.exit(exc.exit_code)
    except click.exceptions.Exit:
        raise
    except click.ClickException:
        raise
    except Exception as exc:
        _tell(exc, f"{type(exc).__name__}: {exc}", debug)
        if not debug:
            click.echo(
                "This was not expected. Run again with --loglevel DEBUG to see where it comes from.", err=True
            )
        logging.getLogger(__name__).debug("unexpected error", exc_info=exc)
        sys.exit(PocketCoffeaError.exit_code)


@contextmanager
def logged(loglevel: str) -> Iterator[None]:
    """:func:`ending`, with log messages from ``loglevel`` on shown on standard error until the end."""
    from rich.console import Console

    from pocket_coffea.log import setup_logging

    level = loglevel.upper()
    with ending(level == "DEBUG"):
        undo = setup_logging(level, console_writer(Console(stderr=True)))
        try:
            yield
        finally:
            undo()


def _tell(exc: BaseException, text: str, debug: bool) -> None:
    if debug:
        click.echo("".join(traceback.format_exception(exc)), err=True)
    click.echo(click.style("ERROR: ", fg="red", bold=True) + text, err=True)
