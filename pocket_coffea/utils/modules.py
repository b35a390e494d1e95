"""Python files of the user: importing them, telling them from installed packages, and their digests."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pocket_coffea.errors import ConfigurationError

__all__ = [
    "add_to_path",
    "evict_siblings",
    "is_user_module",
    "modules_below",
    "path_import",
    "source_digests",
    "user_place",
]


def add_to_path(directory: str | os.PathLike[str]) -> None:
    """Put ``directory`` first on ``sys.path``, once."""
    name = str(Path(directory).absolute())
    if name in sys.path:
        sys.path.remove(name)
    sys.path.insert(0, name)


def path_import(path: str | os.PathLike[str], name: str | None = None) -> ModuleType:
    """Execute the Python file ``path`` as a new module and return it; it is in ``sys.modules`` as ``name``
    (its stem).

    Raises ConfigurationError if the file does not exist or is no Python file, and whatever the file raises.
    """
    file = Path(path).absolute()
    name = name or file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    if not file.is_file() or spec is None or spec.loader is None:
        reason = "is not a Python file" if file.is_file() else "does not exist"
        msg = f"{file} {reason}."
        raise ConfigurationError(msg)
    module = importlib.util.module_from_spec(spec)
    previous = sys.modules.get(name)
    # registered while it runs: dataclasses and pickles look their module up by name
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        if previous is not None:
            sys.modules[name] = previous
        raise
    return module


@cache
def _installed() -> tuple[Path, ...]:
    names = {*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()}
    scripts = {sysconfig.get_path(key) for key in ("scripts", "data", "include", "platinclude")}
    return tuple(Path(name).resolve() for name in names - scripts if name)


def is_user_module(module: Any) -> bool:
    """Return whether ``module`` comes from a file that is neither of PocketCoffea nor of an installed
    package.
    """
    file = getattr(module, "__file__", None)
    name = str(getattr(module, "__name__", ""))
    if (
        not isinstance(file, str)
        or name.partition(".")[0] == "pocket_coffea"
        or name in sys.builtin_module_names
    ):
        return False
    return _is_user_file(Path(file).resolve())


def _is_user_file(path: Path) -> bool:
    return not ({"site-packages", "dist-packages"} & set(path.parts)) and not any(
        path.is_relative_to(folder) for folder in _installed()
    )


def user_place(error: BaseException | None) -> str | None:
    """Return the innermost line of a user's file that an error, or what caused it, passed through.

    None if there is no such line. The text is ``<file>, line <number>, in <function>:`` and the line itself.
    """
    package = Path(__file__).resolve().parent.parent
    while error is not None:
        place = None
        if isinstance(error, SyntaxError) and error.filename:
            place = f"{error.filename}, line {error.lineno}:\n    {(error.text or '').strip()}"
        for frame in traceback.extract_tb(error.__traceback__):
            source = Path(frame.filename)
            if source.is_file() and not source.resolve().is_relative_to(package) and _is_user_file(source):
                place = f"{frame.filename}, line {frame.lineno}, in {frame.name}:\n    {frame.line}"
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if place is not None:
            return user_place(cause) or place
        error = cause
    return None


def modules_below(directory: str | os.PathLike[str]) -> list[ModuleType]:
    """Return the modules of the user that are loaded from ``directory`` or a folder in it, sorted by name."""
    folder = Path(directory).resolve()
    return [
        module
        for _, module in sorted(sys.modules.items())
        if is_user_module(module) and Path(str(module.__file__)).resolve().is_relative_to(folder)
    ]


def evict_siblings(directory: str | os.PathLike[str]) -> list[str]:
    """Forget loaded modules that have the name of a file or package in ``directory``, so that an import finds
    it.

    Two analyses in one process may both have a ``workflow.py``. Installed packages stay loaded. Returns the
    forgotten names."""
    folder = Path(directory)
    siblings = {path.stem for path in folder.glob("*.py")}
    siblings |= {path.name for path in folder.iterdir() if path.is_dir() and path.name.isidentifier()}
    tops = {name for name in siblings if name in sys.modules and _replaceable(sys.modules[name])}
    gone = [name for name in sys.modules if name.partition(".")[0] in tops]
    for name in gone:
        del sys.modules[name]
    importlib.invalidate_caches()
    return gone


def _replaceable(module: Any) -> bool:
    if getattr(module, "__name__", "").partition(".")[0] in {"pocket_coffea", "__main__"}:
        return False
    paths = getattr(module, "__path__", None)
    # a folder without __init__.py is a module without a file
    return is_user_module(module) or (getattr(module, "__file__", None) is None and paths is not None)


def source_digests(objects: Iterable[Any]) -> dict[str, str]:
    """Return name -> sha256 of the source of every module of the user that ``objects`` (modules, classes,
    functions) need.

    A module needs those that it imports, and those that define what it imports. What has no file (a notebook
    cell) is identified by its own source or byte code."""
    digests: dict[str, str] = {}
    waiting = list(objects)
    seen: set[str] = set()
    while waiting:
        item = waiting.pop()
        name = item.__name__ if isinstance(item, ModuleType) else getattr(item, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is not None and is_user_module(module):
            if name not in seen:
                seen.add(str(name))
                digests[str(name)] = _file_digest(str(module.__file__))
                waiting.extend(value for value in vars(module).values() if _has_source(value))
        elif not isinstance(item, ModuleType) and _is_interactive(name, module):
            digests.update(_object_digest(item))
    return dict(sorted(digests.items()))


def _is_interactive(name: Any, module: Any) -> bool:
    """Return whether something was typed at a prompt or in a notebook, or came by value from another
    process.
    """
    known = isinstance(name, str) and name.partition(".")[0] in sys.stdlib_module_names - {"__main__"}
    return not known and (module is None or not hasattr(module, "__file__"))


def _has_source(value: Any) -> bool:
    return isinstance(value, ModuleType) or inspect.isclass(value) or inspect.isfunction(value)


def _file_digest(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def _object_digest(item: Any) -> dict[str, str]:
    name = f"{getattr(item, '__module__', None)}.{getattr(item, '__qualname__', type(item).__qualname__)}"
    try:
        content = inspect.getsource(item).encode()
    except (OSError, TypeError):
        code = getattr(item, "__code__", None)
        content = code.co_code + repr((code.co_names, _constants(code))).encode() if code is not None else b""
    return {name: hashlib.sha256(content).hexdigest()}


def _constants(code: Any) -> list[Any]:
    nested = type(code)
    return [_constants(item) if isinstance(item, nested) else item for item in code.co_consts]
