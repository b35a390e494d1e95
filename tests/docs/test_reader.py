"""The reader of the pages bites: each way a page can be wrong is found."""

from __future__ import annotations

import pytest

from tests.docs.pages import PAGES, anchors, blocks, links
from tests.docs.runner import Reader


def read(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    (tmp_path / "other.md").write_text("there\n")
    Reader(tmp_path).read(page)


def fenced(language, text):
    return f"```{language}\n{text}\n```\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (fenced("bash", "pocket-coffea rum"), "page.md:2: pocket-coffea rum ended with 2"),
        (fenced("bash", "pocket-coffea --help  # exit code 1"), "ended with 0"),
        (fenced("bash", "rm file"), "do not know the command 'rm'"),
        (fenced("bash", "pocket-coffea --help") + fenced("text", "nonsense"), "not printed: 'nonsense'"),
        (fenced("python", "print(1)\nprint(2)") + fenced("text", "1 ... 3"), "not printed: '3'"),
        (fenced("yaml", "x: 1\n  y: 2"), "mapping values are not allowed"),
        (fenced("json", "{'x': 1}"), "Expecting property name"),
        (fenced("python", "x = 1 +"), "invalid syntax"),
        (fenced("python", "1 / 0"), "division by zero"),
        (fenced("fish", "ls"), "what is a 'fish' block"),
        (fenced('diff title="other.md"', "-not there\n+there"), "has no such lines"),
    ],
)
def test_a_wrong_block_is_found(tmp_path, text, problem):
    with pytest.raises((AssertionError, Exception), match=problem):
        read(tmp_path, text)


def test_blocks_work_together(tmp_path):
    read(
        tmp_path,
        fenced('python title="module.py"', "value = 1")
        + fenced('python title="module.py"', "value += 1\nprint(value)")
        + fenced('diff title="module.py"', "-value = 1\n+value = 40")
        + fenced("bash", "python module.py")
        + fenced("text", "41")
        + "<!-- not run: it would fail -->\n"
        + fenced("bash", "python none.py"),
    )


def test_errors_show_the_line_of_the_page(tmp_path):
    text = "# Title\n" + fenced('python title="a.py"', "x = 1") + "more\n"
    read(tmp_path, text + fenced('python title="a.py"', "y = 2"))
    assert (tmp_path / "a.py").read_text().splitlines().index("y = 2") + 1 == 7


def test_links_and_anchors(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("## What is `in` it?\n[a](b.md#c) ![p](p.png)\n```text\n[no](x.md)\n# no\n```\n")
    assert links(page) == ["b.md#c", "p.png"]
    assert anchors(page) == {"what-is-in-it"}


def test_few_blocks_are_not_run():
    left_out = [block.where for page in PAGES for block in blocks(page) if block.not_run is not None]
    assert len(left_out) <= 6, left_out
