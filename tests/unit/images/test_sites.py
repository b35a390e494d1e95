"""Site files, and that hosted CI tests the image of every site."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.images.definition import site_names
from pocket_coffea.images.sites import image_of, read_sites

ROOT = Path(__file__).resolve().parents[3]
NAMES = [site.name for site in read_sites(ROOT)]


def test_every_image_is_that_of_a_site():
    assert {site.image for site in read_sites(ROOT)} == set(site_names(ROOT / "containers"))


def test_an_alias_means_the_same_image():
    assert image_of(ROOT, "DESY_NAF") == image_of(ROOT, "DESY") == "DESY"
    assert image_of(ROOT, "nowhere") == "nowhere"


def test_hosted_ci_has_every_site():
    github = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert github["jobs"]["image"]["strategy"]["matrix"]["site"] == NAMES
    gitlab = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
    assert gitlab["image"]["parallel"]["matrix"][0]["SITE"] == NAMES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: here\nimage: here\n", "description"),
        ("name: there\nimage: here\ndescription: x\n", "must be that of the file, 'here'"),
        ("name: here\nimage: none\ndescription: x\n", "containers/none.def"),
        ("- a list\n", "must have name"),
        ("name: [", "must have name"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, said):
    for name in ("sites", "containers"):
        (tmp_path / name).mkdir()
    (tmp_path / "containers" / "here.def").touch()
    (tmp_path / "sites" / "here.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"here\.yaml") as caught:
        read_sites(tmp_path)
    assert said in str(caught.value)
