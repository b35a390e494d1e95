"""What a facility is asked for; the rest is in tests/lab/test_dask_facility.py."""

from __future__ import annotations

import pytest

from pocket_coffea.executors.dask_facility import _image_name

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (f"docker://registry.example/cms/pocket@{DIGEST}", f"registry.example/cms/pocket@{DIGEST}"),
        (f"oras://registry.example/cms/pocket@{DIGEST}", f"registry.example/cms/pocket@{DIGEST}"),
        ("/images/pocket.sif", "/images/pocket.sif"),
    ],
)
def test_an_image_is_named_as_kubernetes_names_it(location, expected):
    assert _image_name(location) == expected
