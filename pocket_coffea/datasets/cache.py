"""Answers of catalogues, kept for a while in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from pocket_coffea.errors import OutputError
from pocket_coffea.utils.atomic import write_whole

__all__ = ["AnswerCache", "cache_folder"]

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/pocket-coffea``, by default ``~/.cache/pocket-coffea``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pocket-coffea"


class AnswerCache:
    """JSON answers by question, each in a file of its own. An answer older than ``max_age`` [s] is not used;
    0 keeps and reads none."""

    def __init__(self, max_age: float, folder: Path | None = None) -> None:
        self.max_age = max_age
        self.folder = folder or cache_folder() / "catalogue"

    def _path(self, question: tuple[str, ...]) -> Path:
        digest = hashlib.sha256(json.dumps(question).encode()).hexdigest()
        return self.folder / f"{digest[:32]}.json"

    def get(self, *question: str) -> Any:
        """Return the kept answer, None if there is none or it is too old or damaged."""
        if self.max_age <= 0:
            return None
        path = self._path(question)
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            age = time.time() - float(kept["at"])
            fresh = kept["question"] == list(question) and 0 <= age <= self.max_age
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if fresh:
            log.debug("%s: from %s, %.0f s old", question, path, age)
        return kept["answer"] if fresh else None

    def put(self, answer: Any, *question: str) -> None:
        """Keep an answer. A cache that cannot be written is said and otherwise ignored."""
        if self.max_age <= 0:
            return
        content = {"at": time.time(), "question": list(question), "answer": answer}
        try:
            write_whole(self._path(question), json.dumps(content))
        except OutputError as error:
            log.warning("The answer of the catalogue is not kept for later: %s", error)
