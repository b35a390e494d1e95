"""Reading the documentation: fenced blocks, links and headings of a Markdown page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))

_FENCE = re.compile(r"^(`{3,})(\w*)\s*(.*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_COMMENT = re.compile(r"^<!-- (setup|not run): (.+) -->$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@dataclass
class Block:
    """A fenced block, or a hidden line ``<!-- setup: command -->`` (language "setup")."""

    page: Path
    line: int
    language: str
    text: str
    title: str | None = None
    not_run: str | None = None

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in order; ``line`` is that of the first line of the text."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number, not_run = 0, None
    while number < len(lines):
        line = lines[number]
        number += 1
        comment, fence = _COMMENT.match(line), _FENCE.match(line)
        if comment and comment[1] == "setup":
            yield Block(page, number, "setup", comment[2])
        elif comment:
            not_run = comment[2]
        elif fence:
            start = number
            while lines[number] != fence[1]:
                number += 1
            title = _TITLE.search(fence[3])
            text = "\n".join(lines[start:number]) + "\n"
            yield Block(page, start + 1, fence[2], text, title[1] if title else None, not_run)
            number, not_run = number + 1, None


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    kept, inside = [], None
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = _FENCE.match(line)
        if inside is None and fence:
            inside = fence[1]
        elif inside is not None:
            inside = None if line == inside else inside
        else:
            kept.append(line)
    return "\n".join(kept)


def links(page: Path) -> list[str]:
    """Return the targets of all links and pictures."""
    return [link or picture for link, picture in _LINK.findall(prose(page))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    found = set()
    for line in prose(page).splitlines():
        if line.startswith("#"):
            text = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(text.replace(" ", "-"))
    return found
