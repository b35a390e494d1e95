"""What the command line or a PlotManager asks of every plot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pocket_coffea.errors import InvalidValue, UnknownName, did_you_mean

__all__ = ["DrawOptions", "chosen_names", "matches"]


@dataclass(frozen=True)
class DrawOptions:
    """How each plot is drawn.

    only_syst: regular expressions for the systematics that are drawn one by one. split_systematics: the
    lower panel of data against simulation shows them; partial_band: the band is theirs alone.
    """

    log_x: bool = False
    log_y: bool = False
    density: bool = False
    ratio: bool = True
    systematics: bool = True
    mcstat: bool = True
    systematics_ratio: bool = True
    split_systematics: bool = False
    partial_band: bool = False
    only_syst: tuple[str, ...] = ()
    upper_label: str | None = None

    @property
    def prefix(self) -> str:
        """How names of files begin: ``logx_``, ``logy_``, ``logxy_`` or nothing."""
        axes = ("x" if self.log_x else "") + ("y" if self.log_y else "")
        return f"log{axes}_" if axes else ""


def matches(name: str, patterns: Iterable[str], *, whole: bool = True) -> bool:
    """Tell whether a name is one of ``patterns`` or is matched by one, from its beginning or as a whole.

    >>> matches("JetGood_pt", ["JetGood"]), matches("JetGood_pt", ["JetGood"], whole=False)
    (False, True)
    """
    match = re.fullmatch if whole else re.match
    return any(name == pattern or match(pattern, name) for pattern in patterns)


def chosen_names(
    known: Sequence[str], patterns: Sequence[str], what: str, *, whole: bool = True
) -> list[str]:
    """Return the names that are matched, all if there is no pattern.

    Raises UnknownName for a pattern that matches nothing, InvalidValue for one that is no regular expression.
    """
    check_patterns(patterns, what)
    if not patterns:
        return list(known)
    for pattern in patterns:
        if not any(matches(name, [pattern], whole=whole) for name in known):
            msg = f"{what} {pattern!r} matches nothing. {did_you_mean(pattern, known)}"
            raise UnknownName(msg)
    return [name for name in known if matches(name, patterns, whole=whole)]


def check_patterns(patterns: Iterable[str], what: str) -> None:
    """Raise InvalidValue for a pattern that is no regular expression."""
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            msg = f"{what} {pattern!r} is not a regular expression: {error}."
            raise InvalidValue(msg) from error
