"""Errors of the lab: the text is all that a user sees."""

from __future__ import annotations


class LabError(Exception):
    """Something that the user can act upon; the message says what, where and what to do."""


class NotReadyError(LabError):
    """A service does not answer yet; asking again may help."""
