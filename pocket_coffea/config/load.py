"""Configuration files: from a path to a Configurator."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import pickle
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from pocket_coffea.config.configurator import Configurator
from pocket_coffea.errors import ConfigurationError, DataFileNotFound, InvalidType, PocketCoffeaError, nearest
from pocket_coffea.lib.class_registry import configuration_file
from pocket_coffea.utils.modules import (
    add_to_path,
    evict_siblings,
    is_user_module,
    modules_below,
    path_import,
    user_place,
)
from pocket_coffea.utils.unpickling import reading_from

__all__ = ["load_config"]

log = logging.getLogger(__name__)

_NO_NAME = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_NO_ARGUMENT = re.compile(r"Configurator\.__init__\(\) got an unexpected keyword argument '(\w+)'")


def load_config(
    path: str | os.PathLike[str],
    do_load: bool = True,
    save_config: bool = True,
    outputdir: str | os.PathLike[str] | None = None,
) -> Configurator:
    """Return the Configurator that a configuration file defines.

    path: a Python file with a variable ``cfg``, or a ``.pkl`` file that ``Configurator.save_config`` wrote.
    The Python file runs with its folder first on ``sys.path``; modules of the same names that came from
    elsewhere are forgotten before, and so is which weights and calibrators other configurations defined. What
    lies next to it is pickled by value, so that other machines need not have it. do_load: also call
    ``load()``. save_config: also write the dumps into ``outputdir``, if one is given.

    Raises DataFileNotFound if there is no such file, ConfigurationError if it fails, with the place in the
    user's file, and InvalidType if ``cfg`` is no Configurator."""
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise DataFileNotFound(_no_such_file(str(path), file))
    config = _unpickle(file) if file.suffix in (".pkl", ".pickle") else _execute(file)
    if do_load:
        with _user_errors(file):
            config.load()
    if save_config and outputdir is not None:
        config.save_config(outputdir)
    return config


def _no_such_file(given: str, file: Path) -> str:
    folder = file.parent
    if not folder.is_dir():
        return f"The configuration file {given!r} does not exist: there is no folder {folder}."
    if file.is_dir():
        return f"{given!r} is a folder: give the configuration file in it."
    others = nearest(file.name, [other.name for other in folder.iterdir() if other.suffix in (".py", ".pkl")])
    hint = f" Did you mean {' or '.join(map(repr, others))}?" if others else ""
    return f"The configuration file {given!r} does not exist: looked at {file}.{hint}"


def _execute(file: Path) -> Configurator:
    if file.suffix != ".py":
        msg = f"{file} is neither a Python file (.py) nor a saved configuration (.pkl)."
        raise ConfigurationError(msg)
    _forget_registration(evict_siblings(file.parent))
    add_to_path(file.parent)
    before = set(sys.modules)
    with configuration_file(), _user_errors(file):
        module = path_import(file, f"_pocket_coffea_config_{file.stem}")
    config = _find_cfg(module, file)
    cloudpickle.register_pickle_by_value(module)
    _ship_siblings(config, file.parent)
    imported = [sys.modules[name] for name in sorted(set(sys.modules) - before)]
    config.set_origin(file, module, *filter(is_user_module, imported))
    return config


def _forget_registration(names: Iterable[str]) -> None:
    """Undo that modules are pickled by value: the modules of these names to come are other ones."""
    for name in cloudpickle.list_registry_pickle_by_value() & set(names):
        cloudpickle.unregister_pickle_by_value(ModuleType(name))


def _ship_siblings(config: Configurator, folder: Path) -> None:
    """Have the modules next to a configuration file pickled by value, so that other machines need not have
    them.

    What such a module keeps at its top (a lock, an open file) may not allow that. Then they are pickled by
    reference, as any module is, which does where the files are.
    """
    registered = cloudpickle.list_registry_pickle_by_value()
    siblings = [module for module in modules_below(folder) if module.__name__ not in registered]
    for module in siblings:
        cloudpickle.register_pickle_by_value(module)
    try:
        cloudpickle.dumps(config)
    except Exception as error:  # noqa: BLE001  anything may be at the top of a module
        for module in siblings:
            cloudpickle.unregister_pickle_by_value(module)
        log.warning(
            "The modules in %s cannot be sent to other machines (%s: %s); processes there need the same "
            "files.",
            folder,
            type(error).__name__,
            error,
        )


def _find_cfg(module: ModuleType, file: Path) -> Configurator:
    config = getattr(module, "cfg", None)
    if isinstance(config, Configurator):
        return config
    if config is not None:
        msg = f'"cfg" in {file} must be a Configurator, not {config!r} of type {type(config).__name__}.'
        raise InvalidType(msg)
    others = [name for name, value in vars(module).items() if isinstance(value, Configurator)]
    hint = (
        f" It has a Configurator named {others[0]!r}: rename it to cfg."
        if others
        else " Write cfg = Configurator(...)."
    )
    msg = f'{file} does not define "cfg".{hint}'
    raise ConfigurationError(msg)


def _unpickle(file: Path) -> Configurator:
    try:
        with file.open("rb") as stream, reading_from(file.parent):
            config: Any = cloudpickle.load(stream)
    except ModuleNotFoundError as error:
        msg = (
            f"{file} needs the module {error.name!r}, which is not here: install it, or load the "
            "configuration from its .py file."
        )
        raise ConfigurationError(msg) from error
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        ImportError,
        IndexError,
        ValueError,
        TypeError,
    ) as error:
        msg = (
            f"{file} is not a saved configuration that can be read here: {type(error).__name__}: {error}. "
            "It may be truncated, or come from another Python version."
        )
        raise ConfigurationError(msg) from error
    if not isinstance(config, Configurator):
        msg = f"{file} must hold a Configurator, not {type(config).__name__}."
        raise InvalidType(msg)
    return config


@contextlib.contextmanager
def _user_errors(file: Path) -> Iterator[None]:
    """Report what the user's code raises with the place in the user's file, as a ConfigurationError."""
    try:
        yield
    except SystemExit as error:
        msg = (
            f"{user_place(error) or file}\nA configuration must not end the program (exit code {error.code})."
        )
        raise ConfigurationError(msg) from error
    except Exception as error:
        place = user_place(error)
        if isinstance(error, PocketCoffeaError):
            if place is None:
                raise
            msg = f"{place}\n{error}"
            raise type(error)(msg) from error
        msg = f"{place or f'{file} failed:'}\n{type(error).__name__}: {error}{_hint(error, file)}"
        raise ConfigurationError(msg) from error


def _hint(error: Exception, file: Path) -> str:
    """Return the names that may have been meant, with a full stop and a space before them."""
    near: list[str] = []
    where = ""
    if isinstance(error, ModuleNotFoundError):
        near = nearest(error.name or "", [other.stem for other in file.parent.glob("*.py")])
        where = f", next to {file.name}"
    elif isinstance(error, ImportError) and (found := _NO_NAME.search(str(error))):
        near = nearest(found[1], dir(sys.modules.get(found[2])))
        where = f" of {found[2]}"
    elif isinstance(error, TypeError) and (found := _NO_ARGUMENT.search(str(error))):
        near = nearest(found[1], inspect.signature(Configurator).parameters)
    return f". Did you mean {' or '.join(map(repr, near))}{where}?" if near else ""
