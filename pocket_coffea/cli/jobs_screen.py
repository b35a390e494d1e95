"""What ``check-jobs`` shows: a screen for a terminal of any width, and lines where there is none."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pocket_coffea.utils.job_progress import render_progress_bar
from pocket_coffea.utils.wording import count_of

if TYPE_CHECKING:
    from pocket_coffea.executors.jobs.overview import JobRow, Overview

__all__ = ["COLUMNS", "details_table", "line", "news_lines", "screen", "span"]

#: Columns of the summary and of the bars: the states that each of them counts.
COLUMNS = {
    "idle": ("idle",),
    "running": ("running",),
    "done": ("done",),
    "failed": ("failed", "timeout", "removed", "missing"),
    "held": ("held",),
}
_STYLES = {"idle": "blue", "running": "magenta", "done": "green", "failed": "red", "held": "yellow"}
_STATE_STYLES = {state: _STYLES[column] for column, states in COLUMNS.items() for state in states}
_SEVERAL = "(jobs touching multiple samples are counted under each)"
_NEWS_LINES = 20
_WIDE = 90  # columns from which headings are written out


def span(seconds: float) -> str:
    """Return a duration for people.

    >>> span(42), span(600), span(7500), span(200000)
    ('42 s', '10 min', '2 h 05 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _counted(rows: Iterable[JobRow]) -> dict[str, int]:
    """Return how many jobs are in each column."""
    found = Counter(row.state for row in rows)
    return {column: sum(found[state] for state in states) for column, states in COLUMNS.items()}


def line(seen: Overview) -> str:
    """Return the summary as one line: ``200 jobs: 20 idle, 3 running, 170 done, 7 failed; 1 given up``."""
    counts = _counted(seen.jobs)
    shown = [f"{number} {column}" for column, number in counts.items() if number or column != "held"]
    text = f"{count_of(len(seen.jobs), 'job')}: {', '.join(shown)}"
    if seen.given_up:
        text += f"; {len(seen.given_up)} given up"
    if seen.seconds_left:
        text += f"; about {span(seen.seconds_left)} left"
    return text


def screen(
    seen: Overview, news: Sequence[tuple[str, str]], console: Console, *, by: str, details: bool, hint: str
) -> RenderableType:
    """Return the whole screen. ``news``: (time, text), oldest first; ``hint``: the last line."""
    width, left = console.width, max(console.height - 9, 8)
    parts: list[RenderableType] = [_head(seen), _summary(seen, width)]
    if by != "none":
        table, used = _groups(seen, by, width, rows=max(left // 2, 4))
        parts.append(table)
        left -= used
    if details:
        parts.append(details_table(seen, width, rows=max(left // 2, 4)))
        left -= max(left // 2, 4)
    if news:
        parts.append(_news(news, rows=max(min(left - 2, _NEWS_LINES), 3)))
    parts.append(_foot(seen, hint))
    return Group(*parts)


def _head(seen: Overview) -> Text:
    return Text.assemble((seen.name, "bold"), f" · {seen.executor} · {seen.folder}", overflow="fold")


def _summary(seen: Overview, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    counts = {"total": len(seen.jobs), **_counted(seen.jobs)}
    if not counts["held"]:
        del counts["held"]
    if seen.given_up:
        counts["given up"] = len(seen.given_up)
    for column in counts:
        name = column.capitalize()
        table.add_column(
            f"{name} jobs" if width >= _WIDE and column != "given up" else name,
            justify="right",
            style=_STYLES.get(column, "bold red" if column == "given up" else "bold"),
            no_wrap=True,
        )
    table.add_row(*(str(number) for number in counts.values()))
    return table


def _groups(seen: Overview, by: str, width: int, rows: int) -> tuple[Table, int]:
    """Return the progress by sample or dataset, slowest first, and how many lines it takes."""
    groups = seen.groups(by)
    shares = {name: 100.0 * _counted(jobs)["done"] / len(jobs) for name, jobs in groups.items()}
    order = sorted(groups, key=lambda name: (shares[name], name))
    shown = order if len(order) <= rows else order[: rows - 1]
    several = by == "sample" and any(len(row.samples) > 1 for row in seen.jobs)
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, caption=_SEVERAL if several else None, caption_justify="left"
    )
    bar = 30 if width >= 80 else 15
    done = 2 * len(str(len(seen.jobs))) + 1
    table.add_column(
        by.capitalize(), overflow="ellipsis", no_wrap=True, max_width=_rest(width, bar, max(done, 4), 6)
    )
    table.add_column("Progress", no_wrap=True)
    table.add_column("Done", justify="right", no_wrap=True)
    table.add_column("% Done", justify="right", no_wrap=True)
    for name in shown:
        table.add_row(*_group_row(name, groups[name], shares[name], bar))
    if len(shown) < len(order):
        table.add_row(Text(f"... and {len(order) - len(shown)} further ones, more done", style="dim"))
    return table, len(shown) + 5


def _group_row(name: str, jobs: Sequence[JobRow], share: float, bar: int) -> list[RenderableType]:
    counts = _counted(jobs)
    counts["idle"] += counts.pop("held")
    style = "green" if share >= 99.5 else "yellow" if share >= 50 else "red"
    cells = render_progress_bar({**counts, "total": len(jobs)}, width=bar)
    return [Text(name), cells, f"{counts['done']}/{len(jobs)}", Text(f"{share:.1f}", style=style)]


def _rest(width: int, *others: int) -> int:
    """Return the cells that are left for one more column, with the space between columns."""
    return max(width - sum(others) - 3 * (len(others) + 1), 10)


def details_table(seen: Overview, width: int, rows: int | None = None) -> Table:
    """Return one row for each job, those that need attention first; all of them without ``rows``."""
    order = {"failed": 0, "held": 1, "running": 2, "idle": 3, "done": 4}
    column = {state: name for name, states in COLUMNS.items() for state in states}
    jobs = sorted(seen.jobs, key=lambda row: (order[column[row.state]], row.number))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    fixed = {"Job": max(3, len(str(len(jobs)))), "State": 8, "Tries": 5}
    if width >= _WIDE:
        fixed |= {"Queue": 12, "Host": 20}
    for name, cells in fixed.items():
        justify: JustifyMethod = "right" if name in ("Job", "Tries") else "left"
        table.add_column(name, justify=justify, no_wrap=True, width=cells, overflow="ellipsis")
    table.add_column(
        "Sample and last failure",
        overflow="ellipsis",
        no_wrap=True,
        max_width=_rest(width, *fixed.values()),
    )
    for row in jobs if rows is None else jobs[:rows]:
        where = [row.queue, row.host] if width >= _WIDE else []
        state = Text("given up" if row.given_up else row.state, style=_STATE_STYLES[row.state])
        said = row.given_up or row.reason
        about = Text(",".join(row.samples) + (f"  {said}" if said else ""))
        table.add_row(str(row.number), state, str(row.attempts), *where, about)
    if rows is not None and len(jobs) > rows:
        table.caption = f"... and {len(jobs) - rows} further jobs"
    return table


def _news(news: Sequence[tuple[str, str]], rows: int) -> Panel:
    text = Text("\n".join(f"{when} {said}" for when, said in news[-rows:]), overflow="ellipsis", no_wrap=True)
    return Panel(text, title="Events", title_align="left", box=box.HORIZONTALS, padding=0)


def _foot(seen: Overview, hint: str) -> Text:
    parts: list[str] = [time.strftime("%H:%M:%S", time.localtime(seen.time))]
    if seen.seconds_left:
        parts.append(f"about {span(seen.seconds_left)} left")
    if seen.blacklisted:
        parts.append(f"not read from: {', '.join(seen.blacklisted)}")
    if seen.elsewhere:
        parts.append(f"jobs are sent again by {seen.elsewhere}")
    return Text(" · ".join([*parts, hint]), style="dim", overflow="fold")


def news_lines(seen: Overview) -> Iterator[str]:
    """Yield what happened, in words; a failure that a decision repeats is not said twice."""
    decided: dict[int | None, str] = {}
    for each in seen.news:
        decided[each.job] = decided.get(each.job, "") + "\n" + each.text
    for each in seen.news:
        if each.job is None:
            yield each.text
        elif decided[each.job].count(each.text) == 1:
            yield f"job_{each.job}: {each.text}"
