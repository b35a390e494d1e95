"""``jobs_config.yaml`` read back quickly: what ``jobs_config_text`` writes is JSON but for its frame.

YAML of 10,000 jobs takes seconds, JSON a tenth of that. Text that somebody has put into another form is left
to YAML; what is understood here means the same there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["read_quickly"]

_KEY = re.compile(r"(\w+): ")
_JOB = re.compile(r"  (\w+): \{filesets: \{")
_METADATA = re.compile(r', "metadata": \*\w+ \}')
_DESCRIPTION = re.compile(r'  ".*": &\w+ \{.*\}')
_decode = json.JSONDecoder().raw_decode


class _AnotherForm(ValueError):
    """The text is not as ``jobs_config_text`` writes it."""


class _Line:
    """A line, read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if not found:
            raise _AnotherForm
        self.at = found.end()
        return found

    def skip(self, words: str) -> None:
        if not self.has(words):
            raise _AnotherForm

    def has(self, words: str) -> bool:
        """Return whether the line goes on with these words, and skip them."""
        if not self.text.startswith(words, self.at):
            return False
        self.at += len(words)
        return True

    def value(self) -> Any:
        value, self.at = _decode(self.text, self.at)
        return value

    def end(self) -> None:
        if self.at != len(self.text):
            raise _AnotherForm


def read_quickly(text: str) -> dict[str, Any] | None:
    """Return the content of ``jobs_config.yaml`` without the metadata of datasets; None for another form."""
    lines = iter(text.removesuffix("\n").split("\n"))
    try:
        content = dict(_head(lines))
        _skip_metadata(lines)
        jobs = [_job(line) for line in lines]
    except ValueError:  # JSON's own error is one, too
        return None
    content["jobs_list"] = dict(jobs)
    # YAML would say what is wrong with a name that is there twice
    return content if len(content["jobs_list"]) == len(jobs) else None


def _head(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    for text in lines:
        if text == "metadata:":
            return
        line = _Line(text)
        key = line.match(_KEY)[1]
        value = line.value()
        line.end()
        yield key, value


def _skip_metadata(lines: Iterator[str]) -> None:
    for text in lines:
        if text == "jobs_list:":
            return
        if not _DESCRIPTION.fullmatch(text):
            raise _AnotherForm


def _job(text: str) -> tuple[str, Mapping[str, Any]]:
    line = _Line(text)
    name = line.match(_JOB)[1]
    filesets = {}
    more = not line.has("}")
    while more:
        dataset = line.value()
        line.skip(': {"files": ')
        filesets[dataset] = {"files": line.value()}
        line.match(_METADATA)
        more = line.has(", ")
        if not more:
            line.skip("}")
    job: dict[str, Any] = {"filesets": filesets}
    for key in ("config_file", "output_file"):
        line.skip(f", {key}: ")
        job[key] = line.value()
    line.skip("}")
    line.end()
    return name, job
