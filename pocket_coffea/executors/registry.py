"""From an executor string (``name@site`` or ``name``) to a factory."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pocket_coffea.errors import ConfigurationError, OptionError, did_you_mean
from pocket_coffea.executors.executors_base import ExecutorFactoryABC, not_here

__all__ = ["SITES", "check_executor", "load_custom_setup", "make_factory", "split_executor"]

log = logging.getLogger(__name__)

#: Where the factories of a site live; the value is a module of this package.
SITES = {
    "local": "executors_base",
    "lxplus": "executors_lxplus",
    "swan": "executors_cern_swan",
    "T3_CH_PSI": "executors_T3_CH_PSI",
    "purdue-af": "executors_purdue_af",
    "DESY": "executors_DESY_NAF",
    "RWTH": "executors_RWTH",
    "CLAIX": "executors_CLAIX",
    "brux": "executors_brux",
    "rubin": "executors_rubin",
    "oscar": "executors_oscar",
    "casa": "executors_casa",
    "infn-af": "executors_infn_af",
}


def split_executor(executor: str) -> tuple[str, str]:
    """Split ``dask@lxplus`` into name and site; a plain name is at the site ``local``.

    Raises OptionError for an unknown site.
    """
    name, at, site = executor.partition("@")
    site = site if at else "local"
    if site not in SITES:
        msg = f"executor {executor!r}: there is no site {site!r}. {did_you_mean(site, SITES)}"
        raise OptionError(msg)
    return name, site


def check_executor(executor: str) -> str:
    """Return the name of an executor without its site.

    Raises OptionError if there is no such executor, ConfigurationError if this version cannot serve its site.
    """
    name, site = split_executor(executor)
    module = importlib.import_module(f"pocket_coffea.executors.{SITES[site]}")
    factories = module.get_executor_factory.factories
    if name not in factories:
        allowed = [f"{known}@{site}" if site != "local" else known for known in factories]
        msg = f"There is no executor {executor!r}. {did_you_mean(executor, allowed)}"
        raise OptionError(msg)
    if not getattr(factories[name], "available", True):
        raise ConfigurationError(not_here(executor))
    return name


def make_factory(
    executor: str, run_options: dict[str, Any], outputdir: str, custom_setup: str | None = None
) -> ExecutorFactoryABC:
    """Make the factory of ``executor``; a ``custom_setup`` module comes before the site modules.

    Raises OptionError for unknown names and ConfigurationError when the custom module does not give a
    factory.
    """
    if custom_setup is not None:
        module = load_custom_setup(custom_setup)
        name = executor.partition("@")[0]
        factory = module.get_executor_factory(name, run_options=run_options, outputdir=outputdir)
        if not (isinstance(factory, ExecutorFactoryABC) or callable(getattr(factory, "get", None))):
            msg = (
                f"{custom_setup}: get_executor_factory({name!r}) returned {type(factory).__name__}; it "
                f"must return "
                "an object that derives from pocket_coffea.executors.executors_base.ExecutorFactoryABC."
            )
            raise ConfigurationError(msg)
        return factory
    name, site = split_executor(executor)
    module = importlib.import_module(f"pocket_coffea.executors.{SITES[site]}")
    return module.get_executor_factory(name, run_options=run_options, outputdir=outputdir)


def load_custom_setup(path: str) -> ModuleType:
    """Execute a user's executor module, as if it lay in this package, and return it.

    Its folder is importable, and ``from .executors_base import ...`` works. Raises ConfigurationError when
    the file is missing, cannot be executed or does not define ``get_executor_factory``.
    """
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        msg = f"--executor-custom-setup: there is no file {path!r}."
        raise ConfigurationError(msg)
    _old_names_of_coffea()
    name = f"pocket_coffea.executors.custom_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        msg = f"--executor-custom-setup: {path!r} is not a Python file."
        raise ConfigurationError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        msg = f"--executor-custom-setup: {path} cannot be loaded: {type(exc).__name__}: {exc}"
        raise ConfigurationError(msg) from exc
    if not callable(getattr(module, "get_executor_factory", None)):
        msg = (
            f"--executor-custom-setup: {path} does not define get_executor_factory(executor_name, **kwargs)."
        )
        raise ConfigurationError(msg)
    return module


def _old_names_of_coffea() -> None:
    """Give back the functions that made executors in older coffea: modules written for it still call them."""
    from coffea import processor

    from pocket_coffea.executors import local

    for name, cls in (
        ("iterative_executor", local.IterativeExecutor),
        ("futures_executor", local.FuturesExecutor),
        ("dask_executor", local.DaskExecutor),
    ):
        if not hasattr(processor, name):
            setattr(processor, name, _OldExecutor(name, cls))


class _OldExecutor:
    """``processor.dask_executor(**args)``: makes our executor, leaving out what it does not know."""

    def __init__(self, name: str, cls: Any) -> None:
        self.name = name
        self.cls = cls

    def __call__(self, **kwargs: Any) -> Any:
        known = {key: value for key, value in kwargs.items() if key in self.cls.__dataclass_fields__}
        for key in kwargs.keys() - known.keys():
            log.warning(
                "coffea.processor.%s: argument %r is not known any more and is left out", self.name, key
            )
        return self.cls(**known)
