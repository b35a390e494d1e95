"""From an executor string (``name@site`` or ``name``) to a factory."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pocket_coffea.errors import (
    ConfigurationError,
    OptionError,
    PocketCoffeaError,
    SiteError,
    did_you_mean,
)
from pocket_coffea.executors.executors_base import (
    ExecutorFactoryABC,
    FuturesExecutorFactory,
    IterativeExecutorFactory,
    get_executor_factory,
    not_here,
)
from pocket_coffea.sites.book import SiteBook
from pocket_coffea.sites.site import Site
from pocket_coffea.utils.modules import user_place

__all__ = [
    "FACADES",
    "check_executor",
    "load_custom_setup",
    "make_factory",
    "site_factories",
    "split_executor",
]

log = logging.getLogger(__name__)

#: Sites whose factories have classes of their own, which users import and subclass: modules of this package.
FACADES = {
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


def split_executor(executor: str, sites: SiteBook | None = None) -> tuple[str, Site | None]:
    """Split ``dask@lxplus`` into name and site; a plain name has none.

    Raises OptionError for an unknown site.
    """
    name, at, place = executor.partition("@")
    if not at:
        return name, None
    book = sites if sites is not None else SiteBook()
    try:
        return name, book.get(place)
    except SiteError as exc:
        msg = f"executor {executor!r}: {exc}"
        raise OptionError(msg) from exc


def site_factories(site: Site | None) -> dict[str, type[ExecutorFactoryABC]]:
    """Return the factories of a site, or of this machine, by the names of their executors."""
    if site is None:
        return dict(get_executor_factory.factories)
    factories: dict[str, type[ExecutorFactoryABC]] = {
        "iterative": IterativeExecutorFactory,
        "futures": FuturesExecutorFactory,
        **{name: _generic(name) for name in site.executors},
    }
    if site.name in FACADES:
        module = importlib.import_module(f"pocket_coffea.executors.{FACADES[site.name]}")
        offered = module.get_executor_factory.factories
        factories |= {name: offered[name] for name in factories if name in offered}
    return factories


def _generic(name: str) -> type[ExecutorFactoryABC]:
    """Return the factory of an executor of a site that has no classes of its own."""
    if name == "dask":
        from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory

        return SiteDaskExecutorFactory
    if name == "parsl":
        from pocket_coffea.executors.parsl_batch import ParslExecutorFactory

        return ParslExecutorFactory
    from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC

    return ExecutorFactoryManualABC


def check_executor(executor: str, sites: SiteBook | None = None) -> str:
    """Return the name of an executor without its site.

    Raises OptionError if there is no such executor, ConfigurationError if this version cannot serve it.
    """
    return _find(executor, sites)[0]


def _find(executor: str, sites: SiteBook | None) -> tuple[str, Site | None, type[ExecutorFactoryABC]]:
    name, site = split_executor(executor, sites)
    factories = site_factories(site)
    if name not in factories:
        allowed = [known if site is None else f"{known}@{site.name}" for known in factories]
        msg = f"There is no executor {executor!r}. {did_you_mean(executor, allowed)}"
        raise OptionError(msg)
    if not getattr(factories[name], "available", True):
        raise ConfigurationError(not_here(executor))
    return name, site, factories[name]


def make_factory(
    executor: str,
    run_options: dict[str, Any],
    outputdir: str,
    custom_setup: str | None = None,
    sites: SiteBook | None = None,
) -> ExecutorFactoryABC:
    """Make the factory of ``executor``; a ``custom_setup`` module comes before the sites.

    Raises OptionError for unknown names and ConfigurationError when the custom module does not give a
    factory.
    """
    if custom_setup is not None:
        return _custom_factory(executor, run_options, outputdir, custom_setup)
    name, site, factory = _find(executor, sites)
    given: dict[str, Any] = {} if site is None else {"site": site}
    if factory.handles_submission:
        given["executor"] = name
    return factory(run_options=run_options, outputdir=outputdir, **given)


def _custom_factory(
    executor: str, run_options: dict[str, Any], outputdir: str, custom_setup: str
) -> ExecutorFactoryABC:
    module = load_custom_setup(custom_setup)
    name = executor.partition("@")[0]
    try:
        factory = module.get_executor_factory(name, run_options=run_options, outputdir=outputdir)
    except PocketCoffeaError:
        raise
    except Exception as exc:
        place = user_place(exc)
        msg = (
            f"{custom_setup}: get_executor_factory({name!r}, run_options=..., outputdir=...) failed: "
            f"{type(exc).__name__}: {exc}{f'{chr(10)}{place}' if place else ''}"
        )
        raise ConfigurationError(msg) from exc
    if not (isinstance(factory, ExecutorFactoryABC) or callable(getattr(factory, "get", None))):
        msg = (
            f"{custom_setup}: get_executor_factory({name!r}) returned {type(factory).__name__}; it must "
            "return an object that derives from pocket_coffea.executors.executors_base.ExecutorFactoryABC."
        )
        raise ConfigurationError(msg)
    return factory


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
