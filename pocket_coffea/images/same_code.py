"""The code and the Python that submit and those in the image: the same, or the submission is refused.

A job unpickles what the submitting side pickled. With other code in the image it fails late or, worse, gives
other numbers than those that were tested.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pocket_coffea
from pocket_coffea.errors import ResultsRefused
from pocket_coffea.images.project import read_project
from pocket_coffea.images.resolve import PinnedImage, running_checkout
from pocket_coffea.utils.tree_digest import tree_digest

__all__ = ["require_same_code", "require_same_python", "submitting_digest"]


def submitting_digest(checkout: Path | None = None) -> str:
    """Return the source digest of the package that runs, as an image made of it would state it.

    ``checkout``: where it runs from, found by itself. Files that git ignores do not count there.
    """
    root = checkout or running_checkout()
    if root is None:
        return tree_digest(Path(pocket_coffea.__file__).parent)
    return read_project(root, allow_dirty=True).source_digest


def require_same_code(
    image: PinnedImage, submitting: str, allow_code_mismatch: bool = False
) -> dict[str, str]:
    """Return, for the provenance, how the code of the submitting side and of the image compare.

    ``submitting``: a source digest. An image whose code is not known here is compared where the job starts.
    Raises ResultsRefused, with the ways on, when they differ and ``allow_code_mismatch`` is False, and always
    when the image is known to have another Python. Not to be called where jobs run the user's own
    environment (``local-virtualenv``, ``conda-env``).
    """
    require_same_python(image)
    found = {"submitting": submitting, "image": image.source_digest}
    if image.source_digest == submitting:
        return {**found, "match": "equal"}
    if allow_code_mismatch:
        return {**found, "match": "different, allowed" if image.source_digest else "unknown, allowed"}
    if not image.source_digest:
        return {**found, "match": "checked where the job starts"}
    msg = (
        f"The image {image.reference} has other PocketCoffea code (source digest {image.source_digest[:12]}) "
        f"than the one that submits ({submitting[:12]}, {Path(pocket_coffea.__file__).parent}): the jobs "
        "would not compute what was tested here. There are three ways on: build the image again "
        "(pocket-coffea image build SITE, or make image SITE=...); run the jobs with the code of your "
        "environment (run option local-virtualenv: true or conda-env: true); or accept the difference with "
        "the run option allow-code-mismatch: true, which is written into the provenance."
    )
    raise ResultsRefused(msg)


def require_same_python(image: PinnedImage) -> None:
    """Raise ResultsRefused when the image is known to have another Python minor version than this process.

    What is not known here, as of an image in a registry, is compared where the job starts.
    """
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if image.python in ("", here):
        return
    msg = (
        f"The image {image.reference} has Python {image.python}, you submit with {here} ({sys.executable}), "
        "and pickles do not travel between minor versions: every job would fail. There are three ways on: "
        "submit from inside the image (pocket-coffea image shell IMAGE); submit from an environment with "
        f"Python {image.python}; or run the jobs with your environment (run option local-virtualenv: true or "
        "conda-env: true)."
    )
    raise ResultsRefused(msg)
