"""What a job processes: one pickled Configurator for all jobs, and a small file with each job's slice of it.

``configurator.pkl`` is the Configurator without its files. ``config_job_<i>.pkl`` holds the filesets of a
job and the sha256 of the Configurator that they belong to. To unpickle it (``cloudpickle.load``,
``inspect-job``, ``run --cfg``) gives the Configurator restricted to these filesets, once the digest was found
to be right; :func:`read_slice` reads the filesets alone and runs no code of the file.

Filesets of a slice: ``{dataset: {"files": [names], "metadata": {...}, "replicas": {name: [addresses]}}}``;
where a file is cut, ``"files"`` is ``{name: {"object_path": "Events", "steps": [[start, stop], ...]}}``.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle

from pocket_coffea.errors import ConfigurationError, InputFileError, InvalidType
from pocket_coffea.executors.jobs.record import config_name
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.unpickling import reading_from, unpickled_from

__all__ = [
    "PAYLOAD_NAME",
    "TREE",
    "load_slice",
    "plain_value",
    "read_slice",
    "restored",
    "rewrite_slice",
    "sha256_of",
    "slice_bytes",
    "write_payload",
    "write_slice",
]

PAYLOAD_NAME = "configurator.pkl"
#: The tree that entry ranges are of.
TREE = "Events"


def write_payload(folder: Path, config: Any) -> str:
    """Write the Configurator of all jobs, without files and without post-processing; return its sha256.

    Raises ConfigurationError for what cannot be pickled, OutputError.
    """
    clone = config.clone()
    clone.do_postprocessing = False  # the merge does that, once
    clone.set_filesets_manually({})
    try:
        content = cloudpickle.dumps(clone)
    except Exception as error:
        msg = (
            f"The configuration cannot be sent to jobs: {type(error).__name__}: {error}. Make open files, "
            "locks and compiled objects where they are used, inside a function."
        )
        raise ConfigurationError(msg) from error
    write_whole(folder / PAYLOAD_NAME, content)
    return sha256_of(content)


def sha256_of(content: bytes | Path) -> str:
    """Return the sha256 (hexadecimal) of bytes or of a file. Raises InputFileError."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    try:
        return hashlib.sha256(content.read_bytes()).hexdigest()
    except OSError as error:
        msg = f"{content} cannot be read: {error.strerror or error}."
        raise InputFileError(msg) from error


class _Slice:
    """Pickles as a call of :func:`restored` and nothing else."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (self.content,)


def slice_bytes(folder: Path, job: int, filesets: Mapping[str, Any], payload_sha256: str) -> bytes:
    """Return the file of a slice; ``folder`` is where the payload is."""
    values = {
        "version": 1,
        "job": job,
        "folder": str(folder),
        "payload": PAYLOAD_NAME,
        "payload_sha256": payload_sha256,
        "filesets": filesets,
    }
    return _packed(values)


def _packed(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(values, separators=(",", ":"), default=plain_value)
    return pickle.dumps(_Slice(zlib.compress(text.encode(), 1)), protocol=4)


def plain_value(value: Any) -> Any:
    """Return what a number of another library is in JSON. Raises InvalidType for what is none."""
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    if isinstance(value, Path):
        return str(value)
    msg = (
        f"metadata of a dataset: {value!r} of type {type(value).__name__} cannot be written down for jobs. "
        "Use text, numbers, lists or dictionaries."
    )
    raise InvalidType(msg)


def write_slice(folder: Path, job: int, filesets: Mapping[str, Any], payload_sha256: str) -> str:
    """Write ``config_job_<i>.pkl`` whole or not at all; return the sha256 of the file. Raises OutputError."""
    content = slice_bytes(folder, job, filesets, payload_sha256)
    write_whole(folder / config_name(job), content)
    return sha256_of(content)


class _Reader(pickle.Unpickler):
    """Reads a slice and refuses whatever else a pickle may contain."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != (restored.__module__, restored.__name__):
            msg = f"it names {module}.{name}"
            raise pickle.UnpicklingError(msg)
        return _unpacked


def _unpacked(content: bytes) -> dict[str, Any]:
    values = json.loads(zlib.decompress(content))
    if not isinstance(values, dict) or not isinstance(values.get("filesets"), dict):
        msg = "it has no filesets"
        raise TypeError(msg)
    return values


def read_slice(path: Path) -> dict[str, Any]:
    """Return what a slice says: ``job``, ``filesets``, ``payload``, ``payload_sha256``, ``folder``.

    No code of the file is run. Raises InputFileError for what is not the slice of a job.
    """
    try:
        values = _Reader(io.BytesIO(path.read_bytes())).load()
        if not isinstance(values, dict):
            msg = f"it holds a {type(values).__name__}"
            raise TypeError(msg)
    except FileNotFoundError as error:
        msg = f"There is no file {path}: it is the slice of a job, made by `pocket-coffea run`."
        raise InputFileError(msg) from error
    except Exception as error:
        msg = f"{path} is not the slice of a job, or is damaged: {type(error).__name__}: {error}."
        raise InputFileError(msg) from error
    return values


def rewrite_slice(path: Path, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> str:
    """Replace the filesets of a slice by what ``change`` makes of them; return the sha256 of the file.

    Raises InputFileError, OutputError; the file is as it was then.
    """
    values = read_slice(path)
    content = _packed({**values, "filesets": change(values["filesets"])})
    write_whole(path, content)
    return sha256_of(content)


def load_slice(path: Path) -> Any:
    """Return the Configurator of a job, not loaded, restricted to its slice.

    Raises InputFileError when the slice cannot be read, or its payload is missing or another one.
    """
    values = read_slice(path)
    with reading_from(path.absolute().parent):
        return _restricted(values)


def restored(content: bytes) -> Any:
    """Return the Configurator of a slice: what unpickling one calls. Raises InputFileError."""
    return _restricted(_unpacked(content))


def _restricted(values: Mapping[str, Any]) -> Any:
    if not values["payload_sha256"]:
        msg = f"job {values['job']} merges skimmed files: it has no configuration. hadd.json tells its files."
        raise InputFileError(msg)
    payload = _payload(values)
    config = cloudpickle.loads(payload)
    config.set_filesets_manually(values["filesets"])
    return config


def _payload(values: Mapping[str, Any]) -> bytes:
    """Return the payload of a slice, found by its digest."""
    beside = unpickled_from()
    folders = [*([beside] if beside else []), Path(values["folder"]), Path.cwd()]
    name, wanted = values["payload"], values["payload_sha256"]
    others = []
    for path in dict.fromkeys(folder / name for folder in folders):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if sha256_of(content) == wanted:
            return content
        others.append(path)
    if others:
        msg = (
            f"{others[0]} is not the configuration that job {values['job']} was made with: its sha256 is "
            f"{sha256_of(others[0])}, that of the job is {wanted}. Prepare the jobs again."
        )
        raise InputFileError(msg)
    looked = ", ".join(str(folder) for folder in dict.fromkeys(folders))
    msg = f"job {values['job']} needs {name} (sha256 {wanted}), which is in none of: {looked}."
    raise InputFileError(msg)
