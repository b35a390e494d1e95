"""From a site file to a Site. Every error names file, line, key and value, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from pocket_coffea.errors import SiteError, did_you_mean
from pocket_coffea.sites.lines import Entry, load_entry
from pocket_coffea.sites.site import Batch, Container, ProxyDelivery, Queue, Runtime, Site, Storage
from pocket_coffea.utils.units import DURATION, to_seconds

__all__ = ["DIRECTIVES", "EXECUTORS", "read_site"]

#: Executors whose defaults a site may give.
EXECUTORS = ("dask", "parsl", "condor", "slurm", "jobs")
#: What names a queue in a submit file: by its name, or by its time in seconds (+MaxRuntime, +RequestRuntime).
DIRECTIVES = ("+JobFlavour", "+MaxRuntime", "+RequestRuntime", "partition")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_A_NAME = "it has to be a name of letters, digits, and . _ - after the first."
_A_FOLDER = "it has to be an absolute folder, or one that begins with $HOME, $TMPDIR or {outputdir}."


def read_site(path: Path, shipped: bool = False) -> Site:
    """Return the site of a file. Raises SiteError."""
    entries = load_entry(path).entries("a site file has keys and values.")
    _refuse_unknown(path, entries, _READERS, "")
    values = {key: _READERS[key](entry) for key, entry in entries.items()}
    for key in ("name", "description", "batch"):
        if key not in values:
            msg = f"{path}: the key {key} is missing. See sites/README.md."
            raise SiteError(msg)
    queues, directive = values.pop("queues", ((), ""))
    executors, lines = values.pop("executors", ({}, {}))
    site = Site(
        **{**_defaults(values["batch"]), **values},
        queues=queues,
        queue_directive=directive,
        executors=executors,
        option_lines=lines,
        path=path,
        shipped=shipped,
    )
    _check_together(site, entries)
    return site


def _defaults(batch: Batch) -> dict[str, Any]:
    ways: dict[str, tuple[Runtime, Any]] = {
        "htcondor": ("htcondor", "transfer"),
        "slurm": ("apptainer", "shared"),
        "none": ("apptainer", "shared"),
    }
    runtime, way = ways.get(batch, ("given", "plugin"))
    return {
        "image": None,
        "aliases": (),
        "hosts": (),
        "container": Container(runtime),
        "shared": (),
        "proxy": ProxyDelivery(way),
        "scratch": "$TMPDIR",
        "logs": "{outputdir}/logs",
        "environment": {},
        "prologue": (),
        "directives": {},
        "storage": (),
    }


def _check_together(site: Site, entries: dict[str, Entry]) -> None:
    """Refuse what each key allows and both together do not."""
    if site.container.runtime == "htcondor" and site.batch != "htcondor":
        wanted = (
            f"HTCondor starts no images where batch is {site.batch}: runtime has to be apptainer or given."
        )
        entries["container"].refuse(wanted)
    if site.queues and not site.queue_directive and site.batch != "none":
        entries["queues"].refuse("it needs a directive, such as +JobFlavour or partition.")
    for executor, system in (("condor", "htcondor"), ("slurm", "slurm")):
        # a site may have both systems; without either there is nothing that such jobs are given to
        if executor in site.executors and site.batch not in ("htcondor", "slurm"):
            wanted = f"the executor {executor} needs {system}, and batch is {site.batch}."
            entries["executors"].entries()[executor].refuse(wanted)


def _refuse_unknown(path: Path, entries: dict[str, Entry], allowed: Any, inside: str) -> None:
    for name, entry in entries.items():
        if name not in allowed:
            where = f" in {inside}" if inside else ""
            hint = did_you_mean(name, allowed, limit=20)
            msg = f"{path}:{entry.line}: there is no key {name!r}{where}. {hint} See sites/README.md."
            raise SiteError(msg)


# ---- readers of single keys


def _name(entry: Entry) -> str:
    text = entry.text(_A_NAME)
    if not _NAME.fullmatch(text):
        entry.refuse(_A_NAME)
    return text


def _image(entry: Entry) -> str | None:
    return None if entry.plain() is None else _name(entry)


def _names(entry: Entry) -> tuple[str, ...]:
    return tuple(_name(item) for item in entry.items("it has to be a list of names."))


def _folder(entry: Entry) -> str:
    text = entry.text(_A_FOLDER)
    if not text.startswith(("/", "$HOME", "$TMPDIR", "{outputdir}")):
        entry.refuse(_A_FOLDER)
    return text.rstrip("/") or "/"


def _folders(entry: Entry) -> tuple[str, ...]:
    return tuple(_folder(item) for item in entry.items("it has to be a list of folders."))


def _bind(entry: Entry) -> str:
    """Read ``/folder`` or ``/outside:/inside[:ro]``."""
    text = entry.text(_A_FOLDER)
    if not all(part.startswith(("/", "$")) or part in ("ro", "rw") for part in text.split(":")):
        entry.refuse("it has to be /folder, /outside:/inside or /outside:/inside:ro.")
    return text


def _batch(entry: Entry) -> str:
    return entry.choice(get_args(Batch))


def _container(entry: Entry) -> Container:
    parts = entry.entries()
    _refuse_unknown(entry.path, parts, ("runtime", "binds"), entry.key)
    if "runtime" not in parts:
        entry.refuse(f"it needs a runtime: {', '.join(get_args(Runtime))}.")
    runtime: Any = parts["runtime"].choice(get_args(Runtime))
    binds = parts["binds"].items("it has to be a list of folders.") if "binds" in parts else []
    return Container(runtime, tuple(_bind(item) for item in binds))


def _queues(entry: Entry) -> tuple[tuple[Queue, ...], str]:
    parts = entry.entries()
    _refuse_unknown(entry.path, parts, ("directive", "ladder"), entry.key)
    directive = parts["directive"].choice(DIRECTIVES) if "directive" in parts else ""
    if "ladder" not in parts:
        return (), directive
    ladder = [Queue(name, _seconds(item)) for name, item in parts["ladder"].entries().items()]
    return tuple(sorted(ladder, key=lambda queue: queue.seconds)), directive


def _seconds(entry: Entry) -> int:
    try:
        return to_seconds(entry.text(f"it has to be {DURATION}."))
    except ValueError:
        entry.refuse(f"it has to be {DURATION}.")


def _proxy(entry: Entry) -> ProxyDelivery:
    ways = ("transfer", "shared", "plugin")
    if isinstance(entry.plain(), str):
        way: Any = entry.choice(ways)
        return ProxyDelivery(way)
    parts = entry.entries(f"it has to be one of {', '.join(ways)}, or a mapping with way and folder.")
    _refuse_unknown(entry.path, parts, ("way", "folder"), entry.key)
    if "way" not in parts:
        entry.refuse(f"it needs a way: {', '.join(ways)}.")
    way = parts["way"].choice(ways)
    return ProxyDelivery(way, _folder(parts["folder"]) if "folder" in parts else "")


def _environment(entry: Entry) -> dict[str, str]:
    found = {}
    for name, item in entry.entries().items():
        if not _VARIABLE.fullmatch(name):
            msg = f"{entry.path}:{item.line}: {item.key}: {name!r} cannot be the name of a variable."
            raise SiteError(msg)
        value = item.plain()
        found[name] = "" if value == "" else item.text("it has to be text: put it in quotes.")
    return found


def _directives(entry: Entry) -> dict[str, str]:
    """Read submit lines; true and false are written as HTCondor writes them."""
    found = {}
    for name, item in entry.entries().items():
        value = item.plain()
        found[name] = str(value) if isinstance(value, bool) else item.text("it has to be text.")
    return found


def _storage(entry: Entry) -> tuple[Storage, ...]:
    """Read ``path: url``, the longest path first: the first that fits is the right one."""
    found = []
    for path, item in entry.entries().items():
        url = item.text("it has to be a URL such as root://eosuser.cern.ch/.")
        if "://" not in url or not path.startswith("/"):
            item.refuse(
                "it has to be an absolute path with a URL, such as /eos/user: root://eosuser.cern.ch/."
            )
        found.append(Storage(path.rstrip("/"), url))
    return tuple(sorted(found, key=lambda storage: (-len(storage.path), storage.path)))


def _executors(entry: Entry) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], int]]:
    executors: dict[str, dict[str, Any]] = {}
    lines: dict[tuple[str, str], int] = {}
    parts = entry.entries()
    _refuse_unknown(entry.path, parts, EXECUTORS, entry.key)
    for executor, section in parts.items():
        options = {} if section.plain() is None else section.entries()
        executors[executor] = {name: item.plain() for name, item in options.items()}
        lines |= {(executor, name): item.line for name, item in options.items()}
    return executors, lines


_READERS: dict[str, Callable[[Entry], Any]] = {
    "name": _name,
    "description": Entry.text,
    "image": _image,
    "aliases": _names,
    "batch": _batch,
    "hosts": Entry.texts,
    "container": _container,
    "queues": _queues,
    "shared": _folders,
    "proxy": _proxy,
    "scratch": _folder,
    "logs": _folder,
    "environment": _environment,
    "prologue": Entry.texts,
    "directives": _directives,
    "storage": _storage,
    "executors": _executors,
}
