from __future__ import annotations

import logging
import warnings

import pytest

from pocket_coffea.log import setup_logging


@pytest.fixture
def lines():
    return []


def test_console_and_file(tmp_path, lines):
    undo = setup_logging("WARNING", lambda text, level: lines.append((level, text)), tmp_path / "logfile.log")
    try:
        log = logging.getLogger("pocket_coffea.test")
        log.info("for the file only")
        log.warning("for both, %s", "with [markup]")
        logging.getLogger("distributed.core").setLevel(logging.INFO)
        logging.getLogger("distributed.core").info("noise")
        try:
            raise ValueError("wrong")
        except ValueError:
            log.exception("it failed")
    finally:
        undo()
    assert lines == [("WARNING", "WARNING: for both, with [markup]"), ("ERROR", "ERROR: it failed")]
    text = (tmp_path / "logfile.log").read_text()
    assert "INFO pocket_coffea.test: for the file only" in text
    assert "ValueError: wrong" in text
    assert "noise" not in text


def test_warnings_of_libraries_go_to_the_file(tmp_path, lines):
    undo = setup_logging("INFO", lambda text, _level: lines.append(text), tmp_path / "logfile.log")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=True)
            warnings.warn_explicit("old", UserWarning, "/site-packages/library.py", 3)
    finally:
        undo()
    assert lines == []
    assert "old" in (tmp_path / "logfile.log").read_text()


def test_everything_is_as_before_afterwards(lines):
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    setup_logging("DEBUG", lambda text, _level: lines.append(text))()
    assert (root.level, list(root.handlers)) == before
    root.warning("nobody hears this")
    assert lines == []


def test_an_unknown_level():
    with pytest.raises(ValueError, match="LOUD"):
        setup_logging("LOUD", print)
