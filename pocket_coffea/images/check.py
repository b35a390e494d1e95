"""At the start of a job: is this the image, the Python and the code that the submission named?

Runs inside the image before anything heavy is imported, and in whatever image the job was really started:
only the standard library is used, and nothing that needs a recent Python. In a job::

    python -m pocket_coffea.images.check EXPECTATION.json [OUTCOME.json]

The exit code is 0, 70 (wrong image), 71 (wrong Python) or 72 (the expectation is damaged). Workers of Dask
and Parsl call ``check_worker``. How the image is recognised, the first that is possible:

- the sha256 of the file that Apptainer runs, when the submission knows it and the file can be read here;
- the folder of an unpacked image, whose name is its digest;
- the input digest and source digest of ``/.pocket-coffea/manifest.json``;
- docker:// and oras:// with a digest: what starts the image fetches by it, nothing inside repeats it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pocket_coffea.errors import OutputError, PocketCoffeaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pocket_coffea.images.resolve import PinnedImage

__all__ = ["DamagedExpectation", "Expectation", "WrongImage", "WrongPython", "check", "check_worker", "main"]

SCHEMA = 1
_BLOCK = 1 << 20
_FOLDER_DIGEST = re.compile(r"[0-9a-f]{64}")


class WrongImage(PocketCoffeaError):
    """The job runs in another image than the one it was submitted for, or nobody can tell."""

    exit_code = 70


class WrongPython(PocketCoffeaError):
    """The image has another Python minor version than the submitting side."""

    exit_code = 71


class DamagedExpectation(PocketCoffeaError):
    """What the submission wrote down about the image cannot be read."""

    exit_code = 72


class Expectation(NamedTuple):
    """What the submitting side expects of the image; digests as in PinnedImage, ``python`` as ``3.13``.

    ``code``: source digest that the code must have; empty when it was compared at submission, or need not be.
    """

    reference: str
    kind: str
    pinned: bool
    digest: str
    input_digest: str
    source_digest: str
    code: str
    python: str

    @classmethod
    def of(cls, image: PinnedImage, code: str = "") -> Expectation:
        """Return what jobs must find. ``code``: source digest of the submitting side, unless jobs may run
        other code; it is compared in the job only where the image's was unknown at submission."""
        return cls(
            reference=image.reference,
            kind=image.kind,
            pinned=image.pinned,
            digest=image.digest,
            input_digest=image.input_digest,
            source_digest=image.source_digest,
            code="" if image.source_digest else code,
            python=_minor(sys.version_info),
        )

    def to_json(self) -> str:
        """Return what the submitting side ships with the job."""
        return json.dumps({"schema": SCHEMA, **self._asdict()}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "the expectation") -> Expectation:
        """Read what ``to_json`` wrote. Raises DamagedExpectation, WrongImage when it is a later version's."""
        try:
            content = json.loads(text)
            schema = content.pop("schema")
            if isinstance(schema, int) and schema > SCHEMA:
                msg = (
                    f"Wrong image: {source} has version {schema}, the PocketCoffea in this image knows "
                    f"versions up to {SCHEMA}: it is older than the code that submitted. Build it again."
                )
                raise WrongImage(msg)
            expectation = cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{source} is damaged ({error!r}): it is not what was submitted. Submit the job again."
            raise DamagedExpectation(msg) from error
        types = {name: bool if name == "pinned" else str for name in content}
        wrong = [name for name, value in content.items() if not isinstance(value, types[name])]
        if wrong or schema != SCHEMA:
            msg = f"{source} is damaged: {', '.join(wrong) or 'schema'} is not what is allowed. Submit again."
            raise DamagedExpectation(msg)
        return expectation


class _Inside(NamedTuple):
    """What can be seen from inside the job."""

    container: str
    manifest: dict[str, Any]


def check_worker(expectation: Expectation | str) -> dict[str, Any]:
    """Check the image of a Dask or Parsl worker; ``expectation`` may be its JSON. As ``check``."""
    return check(expectation if isinstance(expectation, Expectation) else Expectation.from_json(expectation))


def check(
    expectation: Expectation,
    environ: Mapping[str, str] | None = None,
    root: str = "/",
    version: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return, for the provenance, what was found and how: ``image`` names the way.

    ``environ``, ``root`` and ``version``: those of this process. Raises WrongImage or WrongPython.
    """
    start = time.perf_counter()
    inside = _look(os.environ if environ is None else environ, root)
    way = _check_image(expectation, inside) if expectation.pinned else "unpinned: not checked"
    found = _minor(sys.version_info if version is None else version)
    _check_python(expectation, found)
    code = _check_code(expectation, inside)
    return {
        "image": way,
        "reference": expectation.reference,
        "digest": expectation.digest,
        "container": inside.container,
        "code": code,
        "python": found,
        "seconds": round(time.perf_counter() - start, 3),
    }


def _look(environ: Mapping[str, str], root: str) -> _Inside:
    container = environ.get("APPTAINER_CONTAINER") or environ.get("SINGULARITY_CONTAINER") or ""
    try:
        with open(os.path.join(root, ".pocket-coffea", "manifest.json"), encoding="utf-8") as file:  # noqa: PTH118
            manifest = json.load(file)
    except (OSError, ValueError):
        manifest = {}
    return _Inside(container, manifest if isinstance(manifest, dict) else {})


def _check_image(expectation: Expectation, inside: _Inside) -> str:
    if expectation.kind in ("docker", "oras"):
        return _check_manifest(expectation, inside) if expectation.input_digest else "fetched by its digest"
    by_file = expectation.kind in ("site", "sif")
    found = _file_digest(inside.container) if by_file else _folder_digest(inside.container)
    if not found:
        return _check_manifest(expectation, inside)
    if found != expectation.digest:
        msg = (
            f"{_submitted(expectation)}, but runs in {inside.container}, which is {found}. No event was "
            "read. The image was replaced after the submission, or the job was started in another one: "
            "submit again to use what is there now, or put the right image back and resubmit."
        )
        raise WrongImage(msg)
    return "file: sha256" if by_file else "folder named by its digest"


def _file_digest(container: str) -> str:
    """Return the digest of the image file, empty when it cannot be read from inside the job."""
    total = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK))
    try:
        # hashlib.file_digest is of Python 3.11; the image may have another
        with open(container, "rb", buffering=0) as file:
            while size := file.readinto(block):
                total.update(block[:size])
    except OSError:
        return ""
    return f"sha256:{total.hexdigest()}"


def _folder_digest(container: str) -> str:
    """Return the digest in the name of an unpacked image's folder, empty when it has none."""
    name = os.path.basename(os.path.realpath(container)) if container else ""  # noqa: PTH119
    return f"sha256:{name}" if _FOLDER_DIGEST.fullmatch(name) else ""


def _check_manifest(expectation: Expectation, inside: _Inside) -> str:
    """Compare what the image says of itself: it is built bit for bit, so equal inputs are the same image."""
    if not (expectation.input_digest and inside.manifest):
        raise WrongImage(_cannot_tell(expectation, inside))
    wanted = {"input_digest": expectation.input_digest, "source_digest": expectation.source_digest}
    wrong = [
        f"{name.replace('_', ' ')} {inside.manifest.get(name, 'missing')}, expected {value}"
        for name, value in wanted.items()
        if value and inside.manifest.get(name) != value
    ]
    if wrong:
        msg = (
            f"{_submitted(expectation)}, but the manifest of the image that it runs in "
            f"({inside.container or 'unnamed'}) says: {'; '.join(wrong)}. No event was read. The job was "
            "started in another image, or it was built anew after the submission: submit again."
        )
        raise WrongImage(msg)
    return "manifest: input digest and source digest"


def _cannot_tell(expectation: Expectation, inside: _Inside) -> str:
    if not (inside.container or inside.manifest):
        return (
            f"{_submitted(expectation)}, but runs in no image: there is neither APPTAINER_CONTAINER nor "
            "/.pocket-coffea/manifest.json. No event was read. See that the batch system starts the job with "
            "apptainer exec, and resubmit."
        )
    why = "the submission knows no input digest" if inside.manifest else "the image has no manifest"
    folder = os.path.dirname(inside.container) or "FOLDER"  # noqa: PTH120
    return (
        f"{_submitted(expectation)}, and nobody can tell whether it runs in it: the image "
        f"{inside.container or '(path unknown)'} cannot be read from inside the job, and {why}. No event was "
        "read. Make the image visible in the job, for example with "
        f"apptainer exec --bind {folder}:{folder}:ro."
    )


def _submitted(expectation: Expectation) -> str:
    return f"Wrong image: this job was submitted for {expectation.reference} ({expectation.digest})"


def _check_python(expectation: Expectation, found: str) -> None:
    if found != expectation.python:
        msg = (
            f"Wrong Python: the job was submitted with Python {expectation.python}, the image "
            f"{expectation.reference} has {found} ({sys.executable}), and pickles do not travel between "
            "minor versions. No event was read. Submit from inside the image (apptainer shell IMAGE, then "
            f"pocket-coffea run ...) or from an environment with Python {found}, or use an image with Python "
            f"{expectation.python}."
        )
        raise WrongPython(msg)


def _check_code(expectation: Expectation, inside: _Inside) -> str:
    if not expectation.code:
        return "compared at submission" if expectation.source_digest else "not compared"
    found = inside.manifest.get("source_digest") or _running_code()
    if found != expectation.code:
        msg = (
            f"Wrong image: {expectation.reference} has other PocketCoffea code (source digest {found}) than "
            f"the one that submitted ({expectation.code}). No event was read. Build the image again, run the "
            "jobs with the code of your environment (run option local-virtualenv: true or conda-env: true), "
            "or accept the difference with the run option allow-code-mismatch: true."
        )
        raise WrongImage(msg)
    return "equal"


def _running_code() -> str:
    from pathlib import Path

    from pocket_coffea.utils.tree_digest import tree_digest

    return tree_digest(Path(__file__).resolve().parents[1])


def _minor(version: Sequence[int] | tuple[Any, ...]) -> str:
    return f"{version[0]}.{version[1]}"


def main(arguments: Sequence[str]) -> int:
    """Check this job's image by the file of the first argument; return the exit code. What was found goes to
    stderr and, with a second argument, as JSON into that file."""
    if len(arguments) not in (1, 2):
        sys.stderr.write("usage: python -m pocket_coffea.images.check EXPECTATION.json [OUTCOME.json]\n")
        return 2
    try:
        outcome = check(_read(arguments[0]))
        if len(arguments) > 1:
            _write(arguments[1], outcome)
    except PocketCoffeaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    said = f"{outcome['reference']} {outcome['digest']}".strip()
    sys.stderr.write(
        f"Image {said}: {outcome['image']}; Python {outcome['python']}; code {outcome['code']} "
        f"({outcome['seconds']} s)\n"
    )
    return 0


def _read(path: str) -> Expectation:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read ({error}). It is shipped with the job: submit the job again."
        raise DamagedExpectation(msg) from error
    return Expectation.from_json(text, path)


def _write(path: str, outcome: Mapping[str, Any]) -> None:
    from pocket_coffea.utils.atomic import write_whole

    try:
        write_whole(path, json.dumps(outcome, indent=1) + "\n")
    except OutputError as error:
        # the image is right; a full disk will be reported by what needs it
        sys.stderr.write(f"{error}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
