r"""Labels of axes and samples, written in the mathematics of matplotlib, as plain text with raised parts.

A browser has no such mathematics: ``$p_{T}^{\mu}$ [GeV]`` becomes ``p``, a lowered ``T``, a raised ``μ``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["plain", "runs_of"]

#: A piece of text, and where it stands: 0 on the line, 1 raised, -1 lowered.
Run = tuple[str, int]

_GREEK = dict(
    zip(
        (
            *(
                "alpha",
                "beta",
                "gamma",
                "delta",
                "epsilon",
                "zeta",
                "eta",
                "theta",
                "iota",
                "kappa",
                "lambda",
            ),
            *("mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
            *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega", "varphi"),
        ),
        "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩφ",
        strict=True,
    )
)
_SIGNS = _GREEK | {
    "to": "→", "rightarrow": "→", "leftarrow": "←", "ell": "ℓ", "cdot": "·", "times": "×", "pm": "±",
    "geq": "≥", "leq": "≤", "ge": "≥", "le": "≤", "neq": "≠", "approx": "≈", "sim": "∼", "infty": "∞",
    "degree": "°", "prime": "′", "sqrt": "√", "sum": "∑", "quad": "  ", "circ": "∘", "hbar": "ℏ",
    "min": "min", "max": "max", "log": "log", "ln": "ln", "sin": "sin", "cos": "cos", "tan": "tan",
}  # fmt: skip
#: Bars and hats follow what they are over; other commands with an argument leave it as it is.
_OVER = {"bar": "\u0304", "overline": "\u0304", "hat": "\u0302", "tilde": "\u0303", "vec": "\u20d7"}
_TOKEN = re.compile(r"\\([A-Za-z]+)\s?|\\(.)|([_^{}])|([^\\_^{}]+)", re.DOTALL)
_MATH = re.compile(r"(?<!\\)\$(.+?)(?<!\\)\$", re.DOTALL)


def runs_of(label: str) -> list[Run]:
    r"""Return a label as pieces of text with their level; unknown commands stay readable as their name.

    >>> runs_of(r"$p_{T}^{\mu}$ [GeV]")
    [('p', 0), ('T', -1), ('μ', 1), (' [GeV]', 0)]
    >>> runs_of(r"$t\bar{t}$, 5 \% of all")
    [('tt̄, 5 % of all', 0)]
    """
    runs: list[Run] = []
    position = 0
    for match in _MATH.finditer(label):
        runs.append((label[position : match.start()].replace(r"\%", "%").replace(r"\$", "$"), 0))
        runs += _Mathematics(match[1]).runs()
        position = match.end()
    runs.append((label[position:].replace(r"\%", "%").replace(r"\$", "$"), 0))
    return _joined(runs)


def plain(label: str) -> str:
    r"""Return a label as text on one line.

    >>> plain(r"$m_{\mu\mu}$ [GeV]")
    'mμμ [GeV]'
    """
    return "".join(text for text, _ in runs_of(label))


def _space(escaped: str | None) -> str | None:
    """Return what stands for an escaped sign: a space, or the sign itself."""
    return " " if escaped in (",", ";", ":", "!") else escaped


def _joined(runs: list[Run]) -> list[Run]:
    joined: list[Run] = []
    for text, level in runs:
        if joined and joined[-1][1] == level:
            joined[-1] = (joined[-1][0] + text, level)
        elif text:
            joined.append((text, level))
    return joined


class _Mathematics:
    """Reads one formula, token by token; what does not balance is taken as it stands."""

    def __init__(self, text: str) -> None:
        self._tokens = [match.groups() for match in _TOKEN.finditer(text)]
        self._place = 0

    def runs(self, level: int = 0) -> list[Run]:
        """Return the runs up to the end of the group."""
        found: list[Run] = []
        while self._place < len(self._tokens):
            command, escaped, mark, text = self._tokens[self._place]
            self._place += 1
            if mark == "}":
                break
            found += self._token(command, _space(escaped) or text, mark, level)
        return found

    def _token(self, command: str | None, text: str | None, mark: str | None, level: int) -> Iterator[Run]:
        if text:
            yield text, level
        elif mark == "{":
            yield from self.runs(level)
        elif mark:
            yield from self._argument(1 if mark == "^" else -1)
        elif command in _OVER:
            yield from ((part + _OVER[command], at) for part, at in self._argument(level))
        elif command in _SIGNS:
            yield _SIGNS[command], level
        elif not (self._place < len(self._tokens) and self._tokens[self._place][2] == "{"):
            yield command or "", level  # one with braces, as \mathrm{T}, is a matter of fonts

    def _argument(self, level: int) -> list[Run]:
        """Return what a mark or a command applies to: a group, a command, or one character."""
        if self._place >= len(self._tokens):
            return []
        command, escaped, mark, text = self._tokens[self._place]
        if text and len(text) > 1:
            self._tokens[self._place] = (None, None, None, text[1:])
            return [(text[0], level)]
        self._place += 1
        return list(self._token(command, _space(escaped) or text, mark, level))
