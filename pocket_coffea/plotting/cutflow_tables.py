"""Cutflows and yields as tables, with statistical errors: for terminals, as CSV and as LaTeX.

The cutflow counts events without weights. Yields are sums of weights of simulation and counts of data, in
categories only, and can be compared with each other once the output is postprocessed.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pocket_coffea.errors import UnknownName, did_you_mean
from pocket_coffea.utils.cutflow_utils import aggregate_by_sample

__all__ = ["STEPS", "Number", "Table", "categories_of", "cutflow_table", "yield_table"]

#: Entries of ``cutflow`` before the categories.
STEPS = ("initial", "skim", "presel")
_LATEX = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "_%&#${}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
    }
)
#: Numbers that are not counts and larger, or smaller, than these have a power of ten.
_LARGE, _SMALL = 1e10, 1e-4


@dataclass(frozen=True)
class Number:
    """A count or sum of weights with its statistical error.

    >>> print(Number(1234.5, 12.34), Number(0.4788, 0.0312), Number(4.0, 2.0), Number(5.4e-7, 3e-8), sep="; ")
    1234 ± 12; 0.479 ± 0.031; 4 ± 2.0; (5.40 ± 0.30)e-07
    """

    value: float
    error: float

    def rounded(self) -> tuple[str, str]:
        """Value and error, with two digits of the error; counts and what has a large error are whole."""
        scale = 10.0**-self.exponent
        value, error = self.value * scale, self.error * scale
        digits = 0
        if 0 < error < 10:
            digits = min(6, 1 - math.floor(math.log10(error)))
        return f"{value:.{0 if self._is_count else digits}f}", f"{error:.{digits}f}"

    @property
    def _is_count(self) -> bool:
        return self.value.is_integer() and math.isclose(self.error**2, self.value)

    @property
    def exponent(self) -> int:
        """The power of ten that ``rounded`` leaves out: 0 unless the number is very large or very small."""
        size = max(abs(self.value), self.error)
        if self._is_count or not math.isfinite(size) or size == 0 or _SMALL <= size < _LARGE:
            return 0
        return math.floor(math.log10(size))

    def __str__(self) -> str:
        text = " ± ".join(self.rounded())
        return f"({text})e{self.exponent:+03d}" if self.exponent else text

    def latex(self) -> str:
        """Return the number in mathematics of LaTeX; one that is not finite as text."""
        if not math.isfinite(self.value) or not math.isfinite(self.error):
            return f"{self}".replace("±", r"$\pm$")
        text = r" \pm ".join(self.rounded())
        return rf"$({text}) \times 10^{{{self.exponent}}}$" if self.exponent else f"${text}$"


@dataclass(frozen=True)
class Table:
    """Rows are samples, columns are steps and categories; what is not known has no entry."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, dict[str, Number]]

    def text(self) -> str:
        """Return the table for a terminal."""
        cells = [["sample", *self.columns]]
        cells += [
            [name, *(self._cell(row, each) for each in self.columns)] for name, row in self.rows.items()
        ]
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in cells
        ]
        return "\n".join([self.title, lines[0], "-" * len(lines[0]), *lines[1:]])

    def _cell(self, row: Mapping[str, Number], column: str) -> str:
        return str(row[column]) if column in row else "-"

    def csv(self) -> str:
        """Return the table with a line for each sample and column: sample, category, value, error."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sample", "category", "value", "error"])
        for name, row in self.rows.items():
            for column in self.columns:
                if column in row:
                    writer.writerow([name, column, repr(row[column].value), repr(row[column].error)])
        return stream.getvalue()

    def latex(self) -> str:
        """Return the table as a LaTeX tabular."""
        head = " & ".join(["Sample", *(column.translate(_LATEX) for column in self.columns)])
        lines = [rf"\begin{{tabular}}{{l{'r' * len(self.columns)}}}", r"\hline", head + r" \\", r"\hline"]
        for name, row in self.rows.items():
            cells = [row[column].latex() if column in row else "--" for column in self.columns]
            lines.append(" & ".join([name.translate(_LATEX), *cells]) + r" \\")
        return "\n".join([*lines, r"\hline", r"\end{tabular}"]) + "\n"


def categories_of(output: Mapping[str, Any], exclude: Iterable[str] = (), *, steps: bool = True) -> list[str]:
    """Return the categories of an output, with ``steps`` after the steps before them. Raises UnknownName."""
    names = list(output.get("cutflow", {}))
    excluded = set(exclude)
    for name in excluded:
        if name not in names:
            msg = f"category {name!r} is not in this output. {did_you_mean(name, names)}"
            raise UnknownName(msg)
    first = [step for step in STEPS if step in names] if steps else []
    return [name for name in [*first, *(name for name in names if name not in STEPS)] if name not in excluded]


def cutflow_table(
    output: Mapping[str, Any],
    exclude_categories: Iterable[str] = (),
    only_samples: Iterable[str] | None = None,
    *,
    separate_years: bool = False,
) -> Table:
    """Return the numbers of events, without weights, with their Poisson errors. Raises UnknownName."""
    columns = categories_of(output, exclude_categories)
    counts = _aggregated(output, "cutflow", columns, only_samples, separate_years)
    rows = {
        sample: {name: Number(value, math.sqrt(value)) for name, value in row.items()}
        for sample, row in sorted(counts.items())
    }
    return Table("Cutflow: events, without weights", tuple(columns), rows)


def yield_table(
    output: Mapping[str, Any],
    exclude_categories: Iterable[str] = (),
    only_samples: Iterable[str] | None = None,
    *,
    separate_years: bool = False,
) -> Table:
    """Return sums of weights of simulation, their total, and counts of data. Raises UnknownName.

    Subsamples are rows of their own; of a sample that has some, the total counts the sample alone.
    """
    columns = categories_of(output, exclude_categories, steps=False)
    sums, squares = (
        _aggregated(
            output, key, [n for n in columns if n in output.get(key, {})], only_samples, separate_years
        )
        for key in ("sumw", "sumw2")
    )
    simulated = {
        sample: {name: Number(value, math.sqrt(squares[sample][name])) for name, value in row.items()}
        for sample, row in sorted(sums.items())
    }
    counts = _aggregated(output, "cutflow", columns, only_samples, separate_years)
    data = {
        sample: {name: Number(value, math.sqrt(value)) for name, value in row.items()}
        for sample, row in sorted(counts.items())
        if sample not in simulated
    }
    total = _total({name: row for name, row in simulated.items() if "__" not in name}, columns)
    whole = {"Simulation": total} if len(simulated) > 1 else {}
    return Table("Yields: sums of weights", tuple(columns), {**simulated, **whole, **data})


def _aggregated(
    output: Mapping[str, Any],
    key: str,
    columns: Iterable[str],
    only_samples: Iterable[str] | None,
    separate_years: bool,
) -> dict[str, dict[str, float]]:
    return aggregate_by_sample(
        output.get(key, {}),
        columns,
        output.get("datasets_metadata", {}),
        only_samples=only_samples,
        separate_years=separate_years,
    )


def _total(rows: Mapping[str, Mapping[str, Number]], columns: Iterable[str]) -> dict[str, Number]:
    total = {}
    for name in columns:
        found = [row[name] for row in rows.values() if name in row]
        total[name] = Number(sum(each.value for each in found), math.hypot(*(each.error for each in found)))
    return total
