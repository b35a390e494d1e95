"""All sites together: whose file counts, names, aliases."""

from __future__ import annotations

import os
import re

import pytest

from pocket_coffea.errors import SiteError
from pocket_coffea.sites import book
from pocket_coffea.sites.book import SITES_VARIABLE, SiteBook
from tests.unit.sites.conftest import SMALL


@pytest.fixture(autouse=True)
def no_sites_of_the_user(monkeypatch):
    monkeypatch.delenv(SITES_VARIABLE, raising=False)


def test_names_and_aliases():
    sites = SiteBook()
    assert sites.get("DESY_NAF") is sites.get("DESY")
    assert "DESY_NAF" in sites
    assert "DESY_NAF" not in sites.names()
    assert [site.name for site in sites] == sites.names()
    assert len(sites) == len(sites.names())
    assert all(site.shipped and site.shown_path == f"sites/{site.name}.yaml" for site in sites)


def test_an_unknown_site_is_told_with_the_nearest(site_file):
    with pytest.raises(
        SiteError, match=r"no site 'lxpls'. Did you mean 'lxplus'.*--site-file.*add-a-site"
    ) as caught:
        SiteBook().get("lxpls")
    assert caught.value.exit_code == 1


def test_a_file_of_the_user(site_file):
    path = site_file()
    sites = SiteBook([path])
    assert sites.get("here").path == path.resolve()
    assert not sites.get("here").shipped
    assert "lxplus" in sites


def test_the_variable_takes_files_and_folders(site_file, monkeypatch):
    one = site_file(SMALL, "one/first.yaml")
    site_file(SMALL.replace("here", "second"), "two/second.yaml")
    site_file("not a site", "two/notes.txt")
    monkeypatch.setenv(SITES_VARIABLE, f"{one}{os.pathsep}{one.parents[1] / 'two'}{os.pathsep}")
    assert {"here", "second"} <= set(SiteBook().names())
    monkeypatch.setenv(SITES_VARIABLE, "/nowhere/at/all")
    with pytest.raises(
        SiteError, match=r"\$POCKET_COFFEA_SITES: there is no file or folder '/nowhere/at/all'"
    ):
        SiteBook()


def test_what_replaces_a_shipped_site_is_said(site_file, monkeypatch, caplog):
    mine = site_file(SMALL.replace("here", "lxplus"), "mine.yaml")
    other = site_file(SMALL.replace("here", "lxplus").replace("a place", "another"), "other.yaml")
    monkeypatch.setenv(SITES_VARIABLE, str(other))
    with caplog.at_level("INFO", logger="pocket_coffea.sites.book"):
        sites = SiteBook([mine])
    assert sites.get("lxplus").description == "a place"
    assert f"site lxplus: {mine} is used instead of {other}" in caplog.text
    assert f"site lxplus: {mine} is used instead of sites/lxplus.yaml" in caplog.text
    assert sites.names().count("lxplus") == 1


def test_an_alias_may_replace_a_name_too(site_file):
    path = site_file(SMALL + "aliases: [swan]\n")
    assert SiteBook([path]).get("swan").name == "here"


@pytest.mark.parametrize("second", [SMALL, SMALL.replace("here", "b") + "aliases: [here]\n"])
def test_two_files_with_the_same_site(site_file, second):
    one, two = site_file(SMALL, "a.yaml"), site_file(second, "b.yaml")
    with pytest.raises(
        SiteError, match=f"The site 'here' is in two files: {re.escape(str(one))} and .*b.yaml"
    ):
        SiteBook([one, two])
    assert "here" in SiteBook([one, one]), "one file twice is one file"


def test_a_missing_and_a_wrong_file_are_named(site_file, tmp_path):
    with pytest.raises(SiteError, match=r"gone\.yaml cannot be read: No such file"):
        SiteBook([tmp_path / "gone.yaml"])
    with pytest.raises(SiteError, match=r"wrong\.yaml:1: there is no key 'nmae'"):
        SiteBook([site_file("nmae: x\n", "wrong.yaml")])


def test_files_are_parsed_once_and_again_when_they_change(site_file, monkeypatch):
    calls = []
    real = book.read_site
    monkeypatch.setattr(book, "read_site", lambda path, shipped: calls.append(path) or real(path, shipped))
    path = site_file()
    SiteBook([path])
    SiteBook([path])
    assert calls.count(path.resolve()) == 1
    site_file(SMALL.replace("a place", "changed"))
    os.utime(path, ns=(1, 1))
    assert SiteBook([path]).get("here").description == "changed"
