"""Run options: one schema, one merge, and every value knows where it came from.

>>> options = merge_run_options("futures", flags={"scaleout": 4}, extra={"limit-files": "2"})
>>> options["scaleout"], options["limit-files"], options.origin("scaleout")
(4, 2, 'command line (--scaleout)')

Layers, later ones win: section ``general`` < ``<site>`` < ``<executor>`` of the shipped defaults <
``<executor>@<site>``, which the site file gives < files given with ``-ro`` < ``--test`` < named flags < any
other ``--key=value``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_coffea.errors import OptionError, SiteError, did_you_mean, nearest
from pocket_coffea.run.option_files import Layer, key_lines, layers_of_file, load_run_options_file
from pocket_coffea.run.option_list import JOBS
from pocket_coffea.run.option_schema import EVERY, SCHEMA, UNSET, Option, Unset, find_option, normal_name
from pocket_coffea.run.option_set import RunOptions, Setting, per_sample
from pocket_coffea.run.option_types import Kind

if TYPE_CHECKING:
    from pocket_coffea.sites.book import SiteBook
    from pocket_coffea.sites.site import Site

__all__ = [
    "EXECUTORS",
    "SCHEMA",
    "TEST_OPTIONS",
    "UNSET",
    "Kind",
    "Option",
    "RunOptions",
    "Setting",
    "Unset",
    "find_option",
    "load_run_options_file",
    "merge_run_options",
    "options_reference",
    "parse_cli_extra",
    "parse_executor",
    "per_sample",
]

#: What --test sets unless the command line says otherwise.
TEST_OPTIONS = {"limit-files": 2, "limit-chunks": 2}
#: Names of executors; a module given with --executor-custom-setup may have others.
EXECUTORS = ("iterative", "futures", "dask", "parsl", "condor", "slurm", "jobs")


def parse_executor(executor: str) -> tuple[str, str | None]:
    """Return (name, site or None) of an executor string. Raises OptionError when it is malformed.

    >>> parse_executor("dask@lxplus"), parse_executor("iterative")
    (('dask', 'lxplus'), ('iterative', None))
    """
    name, at, site = str(executor).strip().partition("@")
    if not name or (at and not site) or "@" in site:
        msg = f"executor {executor!r} has to be NAME or NAME@SITE, for example iterative or dask@lxplus"
        raise OptionError(msg)
    return name, site or None


def parse_cli_extra(args: Sequence[str]) -> dict[str, str | bool]:
    """Return the options given on the command line: ``--key=value``, ``--key value``, bare ``--key`` (true).

    The value may contain ``=``. Raises OptionError for an argument that is neither option nor value.

    >>> parse_cli_extra(["--x=a=b", "--mem-per-worker", "4GB", "--adaptive"])
    {'x': 'a=b', 'mem-per-worker': '4GB', 'adaptive': True}
    """
    parsed: dict[str, str | bool] = {}
    pending: str | None = None
    for argument in args:
        if argument.startswith("--") and len(argument) > 2:
            key, equals, value = argument[2:].partition("=")
            pending = None if equals else normal_name(key)
            parsed[normal_name(key)] = value if equals else True
        elif pending is not None and (not argument.startswith("-") or _is_number(argument)):
            parsed[pending], pending = argument, None
        else:
            msg = f"command line: {argument!r} is not an option; write --key=value"
            raise OptionError(msg)
    return parsed


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def merge_run_options(
    executor: str = "iterative",
    *,
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    test: bool = False,
    flags: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    options: Iterable[Option] = (),
    sites: SiteBook | None = None,
    custom: bool = False,
) -> RunOptions:
    """Return the options of a run with an executor (``name`` or ``name@site``).

    files: YAML files of the user. flags: named command-line options; UNSET ones were not given, null is a
    value. extra: further ``--key=value``, see parse_cli_extra. defaults: sections of options instead of those
    of the package and its sites. options: further options of a custom executor. sites: the sites that are
    known, the shipped ones unless given. custom: the executor is a user's, which may read anything. Raises
    OptionError for an unknown option, a wrong value, and an option of the user that the executor does not
    read; SiteError for an unknown site.
    """
    site = None
    if defaults is None:
        sites = sites or _shipped_sites()
        if not custom:
            _check_name(executor)
        site = _site(executor, sites, custom)
    merged = RunOptions(executor=executor, options=options, batch=site.batch if site else None)
    for layer in _shipped_layers(executor, site, defaults):
        _apply(merged, layer)
    for file in [files] if isinstance(files, (str, os.PathLike)) else files:
        for layer in layers_of_file(
            file, lambda name: _canonical(name, sites), _canonical(executor, None, site)
        ):
            _apply(merged, layer)
    if test:
        _apply(merged, Layer(TEST_OPTIONS, lambda _: "--test"))
    for given in (flags, extra):
        _apply(merged, Layer(given or {}, lambda name: f"command line (--{_as_typed(name)})"))
    if not custom:
        _refuse_unread(merged)
    if site is not None and not custom:
        _check_queue(merged, site)
    return merged


def _shipped_sites() -> SiteBook:
    from pocket_coffea.sites.book import SiteBook

    return SiteBook()


def _site(executor: str, sites: SiteBook, custom: bool) -> Site | None:
    """Return the site of an executor; a user's executor may be at a site that nobody knows."""
    _, name = parse_executor(executor)
    if name is None or (custom and name not in sites):
        return None
    return sites.get(name)


def _canonical(executor: str, sites: SiteBook | None, site: Site | None = None) -> str:
    """Return the executor string with the site's own name. Raises OptionError when there is no such thing."""
    name, at = parse_executor(executor)
    if site is None and at is not None and sites is not None:
        try:
            site = sites.get(at)
        except SiteError as error:
            raise OptionError(str(error)) from error
    if sites is not None:
        _check_name(executor)
    return executor if site is None else f"{name}@{site.name}"


def _check_name(executor: str) -> None:
    """Raise OptionError for an executor that does not exist anywhere."""
    name, _ = parse_executor(executor)
    if name not in EXECUTORS:
        msg = f"There is no executor {executor!r}. {did_you_mean(name, EXECUTORS)}"
        raise OptionError(msg)


def _shipped_layers(executor: str, site: Site | None, defaults: Mapping[str, Any] | None) -> Iterator[Layer]:
    name, at = parse_executor(executor)
    origins: dict[tuple[str, ...], int] = {}
    if defaults is None:
        from pocket_coffea.parameters.defaults import default_run_option_sections, run_options_path

        defaults, origins = default_run_option_sections(), key_lines(Path(run_options_path()))
    for section in [part for part in ("general", at, name, f"{name}@{at}") if part and part in defaults]:
        yield Layer(_as_mapping(defaults[section], section), _shipped_origin(section, origins))
    if site is not None:
        yield Layer(site.executors.get(name, {}), lambda option: site.origin(name, option))


def _shipped_origin(section: str, lines: Mapping[tuple[str, ...], int]) -> Any:
    def origin(name: str) -> str:
        line = lines.get((section, name))
        return f"defaults ({section})" + (f", executor_options_defaults.yaml:{line}" if line else "")

    return origin


def _as_mapping(section: Any, name: str) -> Mapping[str, Any]:
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(section, resolve=True) if OmegaConf.is_config(section) else section
    if not isinstance(plain, Mapping):
        msg = f"default run options: section {name!r} has to hold keys and values, got {plain!r}"
        raise OptionError(msg)
    return plain


def _apply(merged: RunOptions, layer: Layer) -> None:
    seen: dict[str, str] = {}
    for name, value in layer.values.items():
        if value is UNSET:
            continue
        key = normal_name(name)
        if key in seen:
            msg = f"{layer.origin(name)}: {seen[key]} and {name} are the same run option: keep one"
            raise OptionError(msg)
        seen[key] = str(name)
        merged.set(key, value, layer.origin(name))


def _as_typed(name: str) -> str:
    return name.lstrip("-").replace("_", "-").lower()


def _refuse_unread(merged: RunOptions) -> None:
    """Raise OptionError for options of the user that the executor does not read."""
    if not (unread := merged.unread()):
        return
    lines = [
        f"{merged.origin(name)}: the executor {merged.executor} does not read {name}, "
        f"which is for {SCHEMA[name].readers()}."
        for name in unread
    ]
    own = [name for name, option in SCHEMA.items() if option.executors != EVERY and merged.reads(name)]
    lines.append(
        f"Besides what every executor reads, {merged.executor} reads: {', '.join(own) or 'nothing'}. Remove "
        "the others, or put them into a section NAME@SITE: of the file, for the executor that they are for "
        "(docs/run-options.md)."
    )
    raise OptionError("\n".join(lines))


def _check_queue(merged: RunOptions, site: Site) -> None:
    """Raise OptionError for a queue that is not in the ladder of its site; a site may have no ladder."""
    queue, known = merged.get("queue"), [queue.name for queue in site.queues]
    if queue == "auto" and parse_executor(merged.executor)[0] in JOBS:
        return  # chosen for each job
    if queue is None or not known or queue in known:
        return
    near = nearest(queue, known)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    msg = (
        f"{merged.origin('queue')}: queue {queue!r} is not in the ladder of {site.name}: {', '.join(known)}. "
        f"{hint}See `pocket-coffea sites show {site.name}`."
    )
    raise OptionError(msg)


def options_reference() -> str:
    """Return the table of all run options in Markdown, as it stands in the documentation."""
    lines = ["| option | value | default | read by | meaning |", "|---|---|---|---|---|"]
    for option in SCHEMA.values():
        default = "" if option.default is UNSET else _shown(option.default)
        kind = f"{option.kind.value}{', at least ' + str(option.minimum) if option.minimum else ''}"
        names = ", ".join(f"`{name}`" for name in (option.name, *option.aliases))
        lines.append(f"| {names} | {kind} | {default} | {option.readers()} | {option.help} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    return "null" if value is None else f"{str(value).lower() if isinstance(value, bool) else value}"
