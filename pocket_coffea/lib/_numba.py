"""How our loops are compiled. Importing this module imports numba: do it where a kernel is called.

At the first call of any compiled function numba loads the types that other packages register with it
(awkward and vector do). Our kernels see plain numpy arrays only, so that their first call need not wait half
a second and take 20 MB for it; the types are loaded as ever when somebody else compiles a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba.core import entrypoints

__all__ = ["inlined", "kernel"]

#: for parts of a kernel; as calls of their own they would cost more than what they do
inlined = numba.njit(inline="always")


@contextmanager
def _without_extensions() -> Iterator[None]:
    """Let numba believe that the extensions are loaded."""
    before = getattr(entrypoints, "_already_initialized", None)
    if before is None:  # another numba: its own way is right, only slower
        yield
        return
    entrypoints._already_initialized = True
    try:
        yield
    finally:
        entrypoints._already_initialized = before


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile ``function`` at its first call, and keep the machine code on disk where a place can be written.

    Only for functions of numpy arrays and numbers. options: further ones of ``numba.njit``.
    """
    if function is None:
        return lambda decorated: kernel(decorated, **options)
    try:
        compiled = numba.njit(cache=True, nogil=True, **options)(function)
    except (
        RuntimeError
    ):  # nothing is writable, as in a read-only image without a home: compile in each process
        compiled = numba.njit(nogil=True, **options)(function)
    return _quiet(compiled)


def _quiet(compiled: Any) -> Any:
    """Make a compiled function load or compile its code without the extensions."""
    if hasattr(compiled, "_compilation_chain_init_hook") and hasattr(compiled, "compile"):
        with_extensions = compiled.compile

        def compile_alone(signature: Any) -> Any:
            with _without_extensions():
                return with_extensions(signature)

        compiled._compilation_chain_init_hook = lambda: None
        compiled.compile = compile_alone
    return compiled
