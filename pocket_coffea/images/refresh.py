"""New locks: what the mirrors and the package index have today, and what that changes."""

from __future__ import annotations

import re
import shlex
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

from pocket_coffea.errors import CommandFailed, ConfigurationError
from pocket_coffea.images.definition import Definition, read_definition, site_names
from pocket_coffea.images.fetch import PYTHON, BlobCache, pip_download
from pocket_coffea.images.locks import DebianPackage, Wheel, read_apt, read_wheels, write_apt, write_wheels
from pocket_coffea.images.sif import file_sha256
from pocket_coffea.utils.process import run_command

__all__ = ["refresh_apt", "refresh_wheels"]

#: The program that writes the squashfs.
TOOL = "squashfs-tools"
_HOUR = 3600.0
#: Runs where the packages of the base are installed; $1 is that root. Answers are left in /answers.
_HOOK = """\
set -eu
mkdir "$1/answers"
chroot "$1" dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\\n' >"$1/answers/base"
cat "$1"/var/lib/apt/lists/*_Packages >"$1/answers/Packages"
"""


def refresh_wheels(root: Path, cache: BlobCache, say: Callable[[str], None]) -> None:
    """Renew ``image.txt`` (the project's requirements and ``image.in``) and ``backend.txt``.

    Raises CommandFailed when uv is missing or finds no solution.
    """
    folder = root / "containers" / "locks"
    extras = ["--extra", "dask", "--extra", "plot", "--extra", "xrootd"]
    project = [*extras, str(root / "pyproject.toml"), str(folder / "image.in")]
    _lock_wheels(folder / "image.txt", folder / "run.txt", project, cache, say)
    _lock_wheels(folder / "backend.txt", folder / "dev.txt", [str(folder / "backend.in")], cache, say)


def _lock_wheels(
    target: Path, constraints: Path, sources: list[str], cache: BlobCache, say: Callable[[str], None]
) -> None:
    uv = shutil.which("uv")
    if uv is None:
        msg = "uv is not on PATH; it computes the lock of the Python packages. Install it: pip install uv."
        raise CommandFailed(msg)
    with tempfile.TemporaryDirectory(prefix="pocket-coffea-lock-") as name:
        wide, wheels = Path(name) / "wide.txt", Path(name) / "wheels"
        argv = [uv, "pip", "compile", "--quiet", "--python-version", PYTHON]
        argv += ["--python-platform", "x86_64-manylinux_2_40", "--only-binary", ":all:", "--generate-hashes"]
        argv += ["--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links"]
        run_command(
            [*argv, "--constraint", str(constraints), "--output-file", str(wide), *sources], timeout=_HOUR
        )
        pip_download(wide, wheels)
        new = sorted((_wheel(path) for path in wheels.glob("*.whl")), key=lambda item: item.name)
        for path in wheels.glob("*.whl"):
            cache.put(path, file_sha256(path))
    old = read_wheels(target) if target.exists() else ()
    write_wheels(target, new)
    say(f"{target.name}:")
    _tell_changes(
        {item.name: f"{item.version} {item.sha256[:8]}" for item in old},
        {item.name: f"{item.version} {item.sha256[:8]}" for item in new},
        say,
    )


def _wheel(path: Path) -> Wheel:
    name, version, *_ = path.name.split("-")
    return Wheel(re.sub(r"[-_.]+", "-", name).lower(), version, file_sha256(path))


def refresh_apt(root: Path, mirrors: Iterable[str], say: Callable[[str], None]) -> None:
    """Renew ``apt.txt`` and ``apt-tools.txt``: the whole closure of what the definition files ask for.

    ``mirrors``: addresses or apt source lines; none leaves it to mmdebstrap's own default. Raises
    CommandFailed when packages cannot be installed.
    """
    containers = root / "containers"
    base = read_definition(containers / "base.def", {"MIRROR": "-"})
    sites = [read_definition(containers / f"{name}.def") for name in site_names(containers)]
    answers = _ask_apt(base, sites, list(mirrors))
    listed = _parse_packages(answers["Packages"])
    # a package can be in the release and in its security updates; reversed: the release wins
    known = {(item.name, item.version, item.architecture): item for item in reversed(listed)}
    paths = {item.path: (item.name, item.version, item.architecture) for item in listed}
    users: dict[tuple[str, str, str], set[str]] = {}
    for line in answers["base"].splitlines():
        users.setdefault(_key(line), set()).add(base.name)
    for site in sites:
        for path in re.findall(r"/(pool/[^']+)' ", answers.get(site.name, "")):
            users.setdefault(paths[unquote(path)], set()).add(site.name)
    new = [_used(known[key], names) for key, names in users.items()]
    tools = [_used(item, {TOOL}) for item in _closure(known.values(), TOOL)]
    _write_apt(containers / "locks", new, tools, say)


def _write_apt(
    folder: Path, new: list[DebianPackage], tools: list[DebianPackage], say: Callable[[str], None]
) -> None:
    target = folder / "apt.txt"
    epoch, old = read_apt(target) if target.exists() else (0, ())
    # The one time in the images: no file of a package is younger. An unchanged lock keeps it.
    epoch = epoch if epoch and sorted(old) == sorted(new) else int(time.time())
    write_apt(target, new, epoch)
    write_apt(folder / "apt-tools.txt", tools)
    say(f"{target.name}:")
    _tell_changes(
        {f"{item.name}:{item.architecture}": item.version for item in old},
        {f"{item.name}:{item.architecture}": item.version for item in new},
        say,
    )


def _ask_apt(base: Definition, sites: Iterable[Definition], mirrors: list[str]) -> dict[str, str]:
    """Return, by name of definition, what apt would install, and its ``Packages``."""
    suite = base.header["OSVersion"]
    with tempfile.TemporaryDirectory(prefix="pocket-coffea-lock-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        ask = 'chroot "$1" apt-get install --print-uris --yes --no-install-recommends'
        asks = "".join(
            f'{ask} {shlex.join(site.packages)} >"$1/answers/{site.name}"\n'
            for site in sites
            if site.packages
        )
        (folder / "hook.sh").write_text(_HOOK + asks)
        (folder / "hook.sh").chmod(0o755)
        argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(base.packages)}"]
        # a mirror may serve an index that is past its date
        argv += ['--aptopt=Acquire::Check-Valid-Until "false"', "--format=tar"]
        argv += [f'--customize-hook=sh {shlex.quote(str(folder / "hook.sh"))} "$1"']
        argv += [f"--customize-hook=tar-out /answers {shlex.quote(str(folder / 'answers.tar'))}"]
        run_command([*argv, suite, "/dev/null", *mirrors], timeout=_HOUR)
        with tarfile.open(folder / "answers.tar") as archive:
            members = [item for item in archive.getmembers() if item.isfile()]
            files = ((item.name, archive.extractfile(item)) for item in members)
            return {Path(name).name: file.read().decode() for name, file in files if file}


def _parse_packages(text: str) -> list[DebianPackage]:
    """Return all packages of a ``Packages`` file; ``used_by`` holds what they depend on."""
    known = []
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE))
        if "Package" in fields:
            key = (fields["Package"], fields["Version"], fields["Architecture"])
            needs = ", ".join(fields.get(name, "") for name in ("Pre-Depends", "Depends"))
            names = tuple(re.findall(r"(?:^|, *)([a-z0-9][a-z0-9+.-]+)", needs))
            known.append(
                DebianPackage(*key, fields["SHA256"], int(fields["Size"]), fields["Filename"], names)
            )
    return known


def _closure(packages: Iterable[DebianPackage], name: str) -> list[DebianPackage]:
    """Return a package and all that it depends on, taking the first of alternatives."""
    newest: dict[str, DebianPackage] = {}
    for item in packages:
        newest[item.name] = item
    found: dict[str, DebianPackage] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            if current not in newest:
                msg = f"Debian has no package {current!r}, which {name} needs."
                raise ConfigurationError(msg)
            found[current] = newest[current]
            waiting.extend(newest[current].used_by)
    return list(found.values())


def _used(item: DebianPackage, names: Iterable[str]) -> DebianPackage:
    users = tuple(sorted(names, key=str.lower))
    return DebianPackage(item.name, item.version, item.architecture, item.sha256, item.size, item.path, users)


def _key(line: str) -> tuple[str, str, str]:
    name, version, architecture = line.split()
    return name, version, architecture


def _tell_changes(old: Mapping[str, str], new: Mapping[str, str], say: Callable[[str], None]) -> None:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            say(f"  + {name} {new[name]}")
        elif name not in new:
            say(f"  - {name} {old[name]}")
        elif old[name] != new[name]:
            say(f"  ~ {name} {old[name]} -> {new[name]}")
    if dict(old) == dict(new):
        say("  nothing changed")
