"""The cut: a named, parametrised function that turns events into a mask."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from pocket_coffea.errors import InvalidType
from pocket_coffea.lib.identity import canonical_json, digest
from pocket_coffea.lib.lookup import missing_field
from pocket_coffea.lib.masks import event_mask, jagged_mask, object_counts, object_mask
from pocket_coffea.types import Array, Params

__all__ = ["Cut"]


@dataclasses.dataclass(eq=False)
class Cut:
    """A selection of events, or of the objects of one collection.

    ``function(events, params=self.params, processor_params=..., year=..., sample=..., isMC=..., **kwargs)``
    returns a mask. A function may take ``**kwargs`` or name only the keywords it uses.

    ``collection="events"``: the mask has one bool per event. Any other name: one bool per object of that
    collection, with the same number of objects in each event.

    Two cuts are equal when name, collection, params and function (code, defaults, closed-over values) are;
    the identity is the same in every process. Do not change a cut that is in a set or a dict.
    """

    name: str
    params: dict[str, Any]
    function: Callable[..., Any]
    collection: str = "events"
    _id: str | None = dataclasses.field(default=None, init=False, repr=False)
    # What `_id` was computed from: cuts are mutable, and a copy may be changed after its id was asked for.
    _identified: tuple[str, Any] | None = dataclasses.field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for attribute in ("name", "collection"):
            value = getattr(self, attribute)
            if not (isinstance(value, str) and value):
                msg = f"Cut {self.name!r}: {attribute} must be a non-empty string, not {value!r}."
                raise InvalidType(msg)
        function: object = self.function
        if not callable(function):
            msg = f"Cut {self.name!r}: function={function!r} is not a function of the events."
            raise InvalidType(msg)

    @property
    def id(self) -> str:
        """``"{name}__{sha256}"``: equal for equal cuts, in every process; it survives pickling."""
        described = canonical_json([self.name, self.collection, self.params])
        known = self._identified
        if self._id is None or known is None or known[0] != described or known[1] is not self.function:
            self._id = f"{self.name}__{digest([described, self.function])}"
            self._identified = (described, self.function)
        return self._id

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Cut) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __getstate__(self) -> dict[str, Any]:
        _ = self.id  # the copy on a worker has the identity of the original
        return self.__dict__.copy()

    def get_mask(self, events: Array, processor_params: Params, **kwargs: Any) -> Array:
        """Evaluate the cut.

        Returns bool, numpy ``(n_events,)`` for ``collection="events"``, else awkward ``(n_events, var)``.
        Missing values count as false. ``kwargs`` (year, sample, isMC) go to the function by keyword.

        Raises CutError when the function returns something that is not such a mask, MissingBranch when the
        collection is not in the events, and what the function raises (with a note that names the cut).
        """
        keywords = {"params": self.params, "processor_params": processor_params, **kwargs}
        try:
            raw = self.function(events, **_accepted(self.function, keywords))
        except Exception as exc:
            missing = missing_field(exc, events, self.described)
            if missing is not None:
                raise missing from exc
            exc.add_note(f"in {self.described}")
            raise
        if self.collection == "events":
            return event_mask(raw, len(events), self.described)
        counts = object_counts(events, self.collection, self.described)
        return jagged_mask(object_mask(raw, counts, self.described), counts)

    @property
    def described(self) -> str:
        """The cut in a message: name, function and collection."""
        module = getattr(self.function, "__module__", None)
        function = _function_name(self.function)
        return f"cut {self.name!r} (function {function} of {module}, collection {self.collection!r})"

    def serialize(self, src_code: bool = False) -> dict[str, Any]:
        """Return the cut as plain data for ``config.json``, on request with the source of its function."""
        function = {
            "name": _function_name(self.function),
            "module": getattr(self.function, "__module__", None),
            "src_file": _source(inspect.getsourcefile, self.function),
            "f_hash": digest(self.function),
        }
        if src_code:
            function["src_code"] = _source(inspect.getsource, self.function)
        return {
            "name": self.name,
            "params": self.params,
            "collection": self.collection,
            "function": function,
            "id": self.id,
        }


def _function_name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _source(what: Callable[[Any], Any], function: Callable[..., Any]) -> Any:
    try:
        return what(function)
    except (TypeError, OSError):  # builtins, callable objects, functions typed at a prompt
        return None


def _accepted(function: Callable[..., Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """Those ``keywords`` that ``function`` takes."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # compiled functions do not tell
        return keywords
    kinds = inspect.Parameter
    if any(parameter.kind is kinds.VAR_KEYWORD for parameter in parameters.values()):
        return keywords
    by_name = (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    return {
        name: value
        for name, value in keywords.items()
        if name in parameters and parameters[name].kind in by_name
    }
