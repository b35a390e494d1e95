"""What the server of workers imports before it makes the first worker, so that each worker starts warm.

Loading the registries of numba takes longer than processing a small chunk; done here, it is done once for
all workers and while the main process reads the configuration. Imported by name only, in a process of its
own.
"""

from __future__ import annotations

import contextlib
import importlib

__all__ = ["MODULES", "warm_up"]

MODULES = (
    "coffea.processor",
    "coffea.nanoevents.methods.nanoaod",
    "correctionlib",
    "hist",
    "numba",
    "vector",
    "pocket_coffea.run.chunk",
    "pocket_coffea.utils.configurator",
    "pocket_coffea.workflows.base",
    "pocket_coffea.lib.objects",
    "pocket_coffea.lib.hist_manager",
)


def warm_up() -> None:
    """Import what every worker needs, leaving out what is not there, and load the registries of numba."""
    for name in MODULES:
        with contextlib.suppress(Exception):  # the worker will say what is wrong, with a message that is seen
            importlib.import_module(name)
    with contextlib.suppress(Exception):
        from numba.core import entrypoints
        from numba.core.registry import cpu_target

        entrypoints.init_all()
        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()


if __name__ != "__main__":
    warm_up()
