"""In what the workers of a site run: its pinned image, or an environment of the user.

==================  =========================================================================================
``worker-image``    the image; the default of a site is its own one
``local-virtualenv``  the virtual environment that submits, which the workers see on a shared file system
``conda-env``       the same for an environment of conda, mamba, micromamba or pixi
``worker-python``   the interpreter in it, ``python`` by default
==================  =========================================================================================

When a run with one of the two development environments is itself started inside an image, its workers are
started in an image as well: such an environment stands on the Python of the image.
"""

from __future__ import annotations

import getpass
import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pocket_coffea
from pocket_coffea.errors import CommandFailed, ConfigurationError, OptionError
from pocket_coffea.images.check import Expectation
from pocket_coffea.images.resolve import PinnedImage, resolve
from pocket_coffea.images.same_code import require_same_code, submitting_digest
from pocket_coffea.utils.process import run_command

if TYPE_CHECKING:
    from pocket_coffea.sites.site import Site

__all__ = ["WorkerEnvironment", "fill_in", "is_shared", "plan_environment"]

log = logging.getLogger(__name__)

_FILES = ("site", "sif", "cvmfs", "directory")
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


@dataclass(frozen=True, slots=True)
class WorkerEnvironment:
    """How a command gets into the environment of the workers.

    prefix: what comes before it on the node. batch_image: the image that HTCondor itself starts, else empty.
    lines: shell lines that activate an environment. python: its interpreter. expectation: what the image is
    compared with. provenance: plain data for the outputs.
    """

    kind: Literal["image", "virtualenv", "conda", "given"]
    prefix: tuple[str, ...] = ()
    batch_image: str = ""
    lines: tuple[str, ...] = ()
    python: str = "python"
    expectation: Expectation | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


def plan_environment(site: Site, options: Mapping[str, Any], outputdir: str = "") -> WorkerEnvironment:
    """Return in what the workers run; ``outputdir`` is visible in it.

    Raises OptionError for options that contradict each other, ConfigurationError when the image is unknown or
    the environment cannot work on the workers, ResultsRefused when the image has other code.
    """
    chosen = [name for name in ("local-virtualenv", "conda-env") if options.get(name)]
    if len(chosen) == 2:
        msg = "The run options local-virtualenv and conda-env are both true; give the one that workers use."
        raise OptionError(msg)
    reference = options.get("worker-image") or (site.image if site.batch != "none" else None)
    if not chosen:
        return _in_image(site, options, reference, outputdir) if reference else _as_it_is(site, options)
    if site.container.runtime == "given":
        return _as_it_is(site, options, chosen[0])
    return _in_own_environment(site, options, chosen[0], outputdir, reference)


def _in_image(site: Site, options: Mapping[str, Any], reference: str, outputdir: str) -> WorkerEnvironment:
    image = _resolved(site, options, reference)
    submitting = submitting_digest()
    different = bool(options.get("allow-code-mismatch"))
    code = require_same_code(image, submitting, different)
    given = site.container.runtime == "given"
    return WorkerEnvironment(
        kind="given" if given else "image",
        prefix=_prefix(site, image, outputdir),
        batch_image=_batch_image(site, image),
        python=options.get("worker-python") or "python",
        expectation=Expectation.of(image, "" if different else submitting),
        provenance={"kind": "image", "image": image.to_dict(), "code": code},
    )


def _resolved(site: Site, options: Mapping[str, Any], reference: str) -> PinnedImage:
    origin = "run option worker-image" if options.get("worker-image") else f"image of the site {site.name}"
    return resolve(reference, allow_unpinned=bool(options.get("allow-unpinned-image")), origin=origin)


def _as_it_is(site: Site, options: Mapping[str, Any], option: str = "") -> WorkerEnvironment:
    """Return the environment that is there: of this process, or of workers that a facility has started."""
    local = site.batch == "none"
    found = {"kind": "given", "python": sys.prefix if local else f"of {site.name}"}
    if option:
        found["option"] = option
    python = options.get("worker-python") or (sys.executable if local else "python")
    return WorkerEnvironment(kind="given", python=python, provenance=found)


def _prefix(site: Site, image: PinnedImage, outputdir: str) -> tuple[str, ...]:
    """Return the words that start a command in the image on a node."""
    if site.container.runtime != "apptainer":
        return ()
    folders = [fill_in(name, outputdir) for name in (*site.container.binds, *site.shared)]
    if outputdir and site.batch != "htcondor":  # HTCondor transfers what lies in no shared folder
        folders.append(str(Path(outputdir).absolute()))
    if scratch := _folder_of_scratch(site):
        folders.append(scratch)
    if site.batch == "none":  # this machine may lack what others of its site have
        folders = [name for name in folders if Path(name.partition(":")[0]).exists()]
    binds = _without_nested(folders)
    if image.kind in ("site", "sif"):
        # its sha256 is computed in the job
        folder = str(Path(image.location).parent)
        binds += [] if is_shared(folder, binds) else [f"{folder}:{folder}:ro"]
    words = [word for bind in binds for word in ("--bind", bind)]
    return ("apptainer", "exec", *words, image.location)


def _folder_of_scratch(site: Site) -> str:
    """Return what is bound for the scratch folder, which is made on the node later: its first part.

    Empty for temporary folders, which Apptainer binds by itself."""
    first = Path(fill_in(site.scratch, worker=True)).parts[:2]
    return "/" + first[1] if first[:1] == ("/",) and first[1:] and first[1] != "tmp" else ""


def _without_nested(folders: Sequence[str]) -> list[str]:
    """Return the folders once each, without those inside another one and without the root."""
    kept: list[str] = []
    for name in sorted(set(folders), key=lambda each: (each.partition(":")[0].count("/"), each)):
        source = name.partition(":")[0]
        elsewhere = not _is_there(source, name)
        if source.rstrip("/") and (elsewhere or not is_shared(source, kept)):
            kept.append(name)
    return kept


def _batch_image(site: Site, image: PinnedImage) -> str:
    if site.container.runtime != "htcondor":
        return ""
    seen = ("/cvmfs", *(fill_in(name) for name in (*site.shared, *site.container.binds)))
    if image.kind in _FILES and site.batch != "none" and not is_shared(image.location, seen):
        log.warning(
            "the image %s is in no folder that is known to be seen by the workers of %s (%s); if their jobs "
            "are held because of it, copy it there",
            image.location,
            site.name,
            ", ".join(seen),
        )
    return image.location


def _in_own_environment(
    site: Site, options: Mapping[str, Any], option: str, outputdir: str, reference: str | None
) -> WorkerEnvironment:
    kind: Literal["virtualenv", "conda"] = "conda" if option == "conda-env" else "virtualenv"
    folder = _conda_folder() if kind == "conda" else _virtualenv_folder()
    code = Path(pocket_coffea.__file__).resolve().parents[1]
    apart = not code.is_relative_to(folder.resolve())
    _require_seen(site, option, folder)
    if apart:
        _require_seen(site, option, code)
    python = str(options.get("worker-python") or folder / "bin" / "python")
    _require_same_python(python, option)
    provenance: dict[str, Any] = {"kind": kind, "option": option, "folder": str(folder), "python": python}
    provenance |= {
        "code": {"folder": str(code), "submitting": submitting_digest(), "match": "the same files"}
    }
    lines = _activation(kind, folder, python, code if apart else None)
    inside = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    if not (inside and reference):
        return WorkerEnvironment(kind, lines=lines, python=python, provenance=provenance)
    image = _resolved(site, options, reference)
    return WorkerEnvironment(
        kind,
        prefix=_prefix(site, image, outputdir),
        batch_image=_batch_image(site, image),
        lines=lines,
        python=python,
        expectation=Expectation.of(image),
        provenance={**provenance, "image": image.to_dict()},
    )


def _virtualenv_folder() -> Path:
    if sys.prefix == sys.base_prefix:
        msg = (
            f"The run option local-virtualenv is true, but this command runs in no virtual environment "
            f"({sys.executable}). Activate yours (source FOLDER/bin/activate), for an environment of conda "
            "use conda-env: true, or leave it out: then workers run the pinned image."
        )
        raise ConfigurationError(msg)
    return Path(sys.prefix)


def _conda_folder() -> Path:
    for name in (sys.prefix, sys.base_prefix, os.environ.get("CONDA_PREFIX")):
        if name and (Path(name) / "conda-meta").is_dir():
            return Path(name)
    msg = (
        f"The run option conda-env is true, but this command runs in no environment of conda, mamba, "
        f"micromamba or pixi ({sys.executable}, CONDA_PREFIX {os.environ.get('CONDA_PREFIX', 'not set')}). "
        "Activate yours, for a virtual environment use local-virtualenv: true, or leave it out: then workers "
        "run the pinned image."
    )
    raise ConfigurationError(msg)


def _require_seen(site: Site, option: str, folder: Path) -> None:
    shared = [fill_in(name) for name in site.shared]
    if is_shared(str(folder), shared) or is_shared(str(folder.resolve()), shared):
        return
    seen = f"they share {', '.join(shared)} with this machine" if shared else "they share no folder with it"
    msg = (
        f"The run option {option} is true, but the workers of {site.name} do not see {folder}: {seen} (run "
        "option shared-folders, when that is not right). Make the environment in such a folder, or leave the "
        "option out: then workers run the pinned image."
    )
    raise ConfigurationError(msg)


def _require_same_python(python: str, option: str) -> None:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        found = run_command([python, "-c", _VERSION], timeout=60).stdout.strip()
    except CommandFailed as error:
        msg = f"The Python of the workers ({option}) does not work here: {error}"
        raise ConfigurationError(msg) from error
    if found != here:
        msg = (
            f"The Python of the workers, {python} ({option}), is {found}, and this one is {here} "
            f"({sys.executable}): pickles do not travel between minor versions. Use the same on both sides."
        )
        raise ConfigurationError(msg)


def _activation(kind: str, folder: Path, python: str, code: Path | None) -> tuple[str, ...]:
    """Return what activates an environment without its tools, which the node may not have."""
    where = shlex.quote(str(folder))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    missing = shlex.quote(f"{python} of the run's environment cannot be run on this node")
    wrong = shlex.quote(f"{python} on this node is not Python {version}, with which the run was submitted")
    same = shlex.quote(f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')")
    lines = [
        f"export {'CONDA_PREFIX' if kind == 'conda' else 'VIRTUAL_ENV'}={where}",
        f'export PATH={where}/bin:"$PATH"',
        f'[ -x {shlex.quote(python)} ] || {{ echo {missing}" ($(hostname))" >&2; exit 78; }}',
    ]
    if kind == "conda":
        scripts = f"{where}/etc/conda/activate.d/*.sh"
        lines.append(f'for script in {scripts}; do [ ! -r "$script" ] || source "$script"; done')
    if code is not None:
        lines.append(f'export PYTHONPATH={shlex.quote(str(code))}"${{PYTHONPATH:+:$PYTHONPATH}}"')
    lines.append(f"{shlex.quote(python)} -c {same} || {{ echo {wrong} >&2; exit 71; }}")
    return tuple(lines)


def is_shared(path: str, folders: Sequence[str]) -> bool:
    """Return whether a path is in one of the folders. They may be binds: ``folder:name:options``."""
    return any(_is_there(path, name) for name in folders)


def _is_there(path: str, bind: str) -> bool:
    """Return whether a bind shows a path under the same name."""
    source, _, rest = bind.partition(":")
    return Path(path).is_relative_to(source) and rest.partition(":")[0] in ("", source)


def fill_in(text: str, outputdir: str = "", worker: bool = False) -> str:
    """Fill ``$USER``, ``$HOME`` and ``{outputdir}`` into a folder of a site.

    ``$TMPDIR`` is the worker's own: for a ``worker`` it stays, for its shell to fill in.
    """
    values = {"$USER": getpass.getuser(), "$HOME": str(Path.home()), "{outputdir}": outputdir}
    if not worker:
        values["$TMPDIR"] = os.environ.get("TMPDIR") or "/tmp"
    for name, value in values.items():
        text = text.replace(name, value)
    return text
