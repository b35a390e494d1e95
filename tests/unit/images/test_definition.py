"""Definition files: sections, arguments, the chain to the base, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.images.definition import read_chain, read_definition, site_names
from pocket_coffea.images.locks import read_locks

CONTAINERS = Path(__file__).resolve().parents[3] / "containers"

TEXT = """\
# a comment
Bootstrap: localimage
From: {{ BASE }}

%arguments
    BASE=base.sif
    PACKAGES=one two

%post
    if true; then
        echo "{{ PACKAGES }}"
    fi

%files
    here /there

%labels
    org.x some words
    org.y
"""


def write(folder, text, name="site.def"):
    (folder / name).write_text(text)
    return folder / name


def test_sections_keep_their_text_and_arguments_are_filled_in(tmp_path):
    definition = read_definition(write(tmp_path, TEXT))
    assert definition.header == {"Bootstrap": "localimage", "From": "base.sif"}
    assert definition.script("post") == '    if true; then\n        echo "one two"\n    fi\n\n'
    assert definition.packages == ["one", "two"]
    assert definition.files() == [("here", "/there")]
    assert definition.labels() == {"org.x": "some words", "org.y": ""}
    assert "{{ PACKAGES }}" in definition.text


def test_given_arguments_win(tmp_path):
    assert read_definition(write(tmp_path, TEXT), {"PACKAGES": "three"}).packages == ["three"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("%post", "%posts"), r"line 9: section %posts is not known\. Did you mean 'post'"),
        (("%labels", "%post"), r"section %post is there twice"),
        (("localimage", "docker"), r"Bootstrap: 'docker' cannot be built reproducibly\. .*localimage"),
        (("{{ BASE }}", "{{ BASIS }}"), r"\{\{ BASIS \}\} has no value\. .*--build-arg"),
        (("here /there", "here there"), r"'here there' is not 'SOURCE /DESTINATION'"),
        (("BASE=base.sif", "BASE"), r"'BASE' is not 'NAME=VALUE'"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path, change, message):
    path = write(tmp_path, TEXT.replace(*change))
    with pytest.raises(ConfigurationError, match=message):
        read_definition(path).files()


def test_a_chain_that_comes_back_is_told(tmp_path):
    write(tmp_path, TEXT.replace("BASE=base.sif", "BASE=site.sif"), "base.def")
    with pytest.raises(ConfigurationError, match="leads back"):
        read_chain(write(tmp_path, TEXT), {})


@pytest.mark.parametrize("site", site_names(CONTAINERS))
def test_every_site_stands_on_the_base_and_runs_pocket_coffea(site):
    base, top = read_chain(CONTAINERS / f"{site}.def", {"MIRROR": "-"})
    assert (base.name, base.header["Bootstrap"]) == ("base", "debootstrap")
    assert top.labels()["org.pocket-coffea.site"] == site
    assert "pocket-coffea" in top.script("runscript")
    assert "test.sh pocket-coffea" in top.script("test")
    assert top.script("help").strip()


@pytest.mark.parametrize("site", ["base", *site_names(CONTAINERS)])
def test_the_lock_has_what_the_definitions_ask_for(site):
    definition = read_definition(CONTAINERS / f"{site}.def", {"MIRROR": "-"})
    locks = read_locks(CONTAINERS / "locks")
    there = {item.name for item in locks.packages_of("base", site)}
    assert set(definition.packages) <= there


def test_no_address_of_a_mirror_is_in_the_files():
    for path in [*CONTAINERS.rglob("*.def"), *CONTAINERS.rglob("*.txt"), *CONTAINERS.rglob("*.sh")]:
        assert "://" not in path.read_text(), path
