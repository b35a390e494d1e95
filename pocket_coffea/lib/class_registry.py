"""Names of weights and calibrators: one name, one class, however often a configuration is executed.

Two different weights under one name would silently stand for each other, so that the second definition of a
name is an error. Executing the same definition again is not: a notebook cell that is run twice, a module that
is reloaded, a configuration that is loaded a second time. The two are told apart by where a class is defined
and by which execution of that file defines it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from types import CodeType, FrameType, FunctionType
from typing import Any

from pocket_coffea.errors import InvalidValue

__all__ = ["Definition", "check_name", "configuration_file", "definition_of", "register"]

#: Entries of a class body that say nothing of what the class does.
_INCIDENTAL = frozenset({"__module__", "__firstlineno__", "__static_attributes__", "__classcell__"})
#: Frames of these modules lie between a definition and the registry; they are not where a class is defined.
_MACHINERY = ("pocket_coffea.lib.class_registry", "abc")


@dataclasses.dataclass(frozen=True, eq=False)
class Definition:
    """Where, by what and in which execution of its file a class was defined."""

    source: str
    file: str
    line: int
    qualname: str
    execution: CodeType | None
    scope: dict[str, Any]
    fingerprint: str

    @property
    def place(self) -> str:
        """``file:line`` for messages."""
        return f"{self.file}:{self.line}"

    def repeats(self, other: Definition) -> bool:
        """Return whether this is the same definition executed again, so that it may replace the other one."""
        if self.source != other.source:  # a copy of the same code says the same; other code does not
            return self.fingerprint == other.fingerprint
        if (self.file, self.line, self.qualname) == (other.file, other.line, other.qualname):
            return True
        if self.execution is not None and other.execution is not None:
            return self.execution is not other.execution
        return self.scope is not other.scope


def register(
    registry: MutableMapping[str, type],
    cls: type,
    namespace: Mapping[str, Any],
    *,
    kind: str,
    machinery: tuple[str, ...] = (),
) -> None:
    """Enter ``cls`` under ``namespace["name"]`` and remember where it was defined.

    A class without ``name`` in its body is an abstract base or one that cloudpickle rebuilds: it is skipped.
    So is one that specialises the class registered under the same name. Raises InvalidValue (a ValueError)
    when another definition has the name.
    """
    if "name" not in namespace:
        return
    name = check_name(namespace["name"], kind, cls.__qualname__)
    known = registry.get(name)
    if known is not None and known in cls.__mro__[1:]:
        return
    new = definition_of(cls, namespace, machinery)
    old = _DEFINITIONS.get(known) if known is not None else None
    if known is not None and old is not None and not new.repeats(old):
        msg = (
            f"{kind} {name!r} is defined twice: at {old.place} ({known.__qualname__}) and at {new.place} "
            f"({cls.__qualname__}). Give one of them another name."
        )
        raise InvalidValue(msg)
    if known is not None:
        _DEFINITIONS.pop(known, None)
    registry[name] = cls
    _DEFINITIONS[cls] = new


_DEFINITIONS: dict[type, Definition] = {}


#: The classes of the user that the last configuration file defined.
_OF_CONFIGURATION: set[type] = set()


@contextlib.contextmanager
def configuration_file() -> Iterator[None]:
    """Execute a configuration file in this context: its names need not differ from those of the one before.

    The classes of the other configuration stay what they are.
    """
    for cls in _OF_CONFIGURATION:
        _DEFINITIONS.pop(cls, None)
    _OF_CONFIGURATION.clear()
    before = set(_DEFINITIONS)
    try:
        yield
    finally:
        new = set(_DEFINITIONS) - before
        _OF_CONFIGURATION.update(cls for cls in new if not cls.__module__.startswith("pocket_coffea."))


def check_name(name: object, kind: str, owner: str) -> str:
    """Return ``name``; raise InvalidValue when it cannot name a weight or calibrator."""
    if not isinstance(name, str) or not name.strip():
        msg = f"the {kind} class {owner} has name = {name!r}: a non-empty string is needed."
        raise InvalidValue(msg)
    return name


def definition_of(cls: type, namespace: Mapping[str, Any], machinery: tuple[str, ...] = ()) -> Definition:
    """Return the definition of the class whose body is being executed by a caller of this function."""
    frame = _defining_frame((*_MACHINERY, *machinery))
    scope = frame.f_globals
    file = scope.get("__file__")
    return Definition(
        source=os.path.realpath(file) if file else f"<{scope.get('__name__', '?')}>",
        file=frame.f_code.co_filename,
        line=frame.f_lineno,
        qualname=f"{frame.f_code.co_qualname}.{cls.__qualname__}",
        execution=_execution(frame),
        scope=scope,
        fingerprint=_fingerprint(cls.__qualname__, namespace),
    )


def _defining_frame(machinery: tuple[str, ...]) -> FrameType:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") in machinery:
        frame = frame.f_back
    return frame


def _execution(frame: FrameType) -> CodeType | None:
    """Return the code object of the module execution that runs this definition; None in a later call.

    Every import, reload and run of a notebook cell compiles (or unmarshals) its own code object: the object
    is the identity of one execution, and unlike a frame it keeps no local variable alive.
    """
    scope = frame.f_globals
    current: FrameType | None = frame
    while current is not None and current.f_globals is scope:
        if current.f_code.co_name == "<module>":
            return current.f_code
        current = current.f_back
    return None


def _fingerprint(qualname: str, namespace: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(qualname.encode())
    for key in sorted(namespace):
        if key not in {
            "__module__",
            "__firstlineno__",
            "__static_attributes__",
            "__classcell__",
            "__class__",
        }:
            for part in _describe(namespace[key]):
                digest.update(f"{key}={part}\0".encode())
    return digest.hexdigest()


def _describe(value: Any) -> Iterator[str]:
    """Yield what makes a class attribute the same in two executions of its code; never an address of ours."""
    if isinstance(value, staticmethod | classmethod):
        yield from _describe(value.__func__)
    elif isinstance(value, property):
        yield from _describe(value.fget)
    elif isinstance(value, FunctionType):
        yield from _describe_code(value.__code__)
        yield repr((value.__defaults__, value.__kwdefaults__))
        for cell in value.__closure__ or ():
            yield from _describe_cell(cell)
    elif isinstance(value, type):
        yield value.__qualname__
    else:
        yield repr(value)


def _describe_cell(cell: Any) -> Iterator[str]:
    try:
        contents = cell.cell_contents
    except ValueError:  # the __class__ cell of a class that is still being made
        return
    yield from _describe(contents)


def _describe_code(code: CodeType) -> Iterator[str]:
    yield repr((code.co_code.hex(), code.co_names, code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _describe_code(constant)
        else:
            yield repr(constant)
