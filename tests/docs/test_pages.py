"""Every page is read from top to bottom: commands run, Python is executed, printed text is what is shown."""

from __future__ import annotations

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT
from tests.docs.runner import Reader


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "tutorial"], ids=lambda p: p.stem)
def test_the_page_works(page, analysis):
    Reader(analysis).read(page)


def test_the_tutorial_works(tmp_path, monkeypatch):
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "no_proxy"))
    Reader(tmp_path).read(DOCS / "tutorial.md")
    assert (tmp_path / "zmumu" / "mll.png").stat().st_size > 10_000


def test_the_readme_works(tmp_path, monkeypatch):
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "no_proxy"))
    Reader(tmp_path).read(ROOT / "README.md")
    report = tmp_path / "my_analysis" / "output" / "report.html"
    assert "DYJetsToLL_2018" in report.read_text(encoding="utf-8")
