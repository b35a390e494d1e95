"""The ledger: whole records survive any death of their writer, torn ones hurt nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from pocket_coffea.batch.ledger import Ledger, read_records
from pocket_coffea.errors import InputFileError, OutputError


def numbers(path):
    return [record["n"] for record in read_records(path)[0]]


def test_what_is_appended_is_read_and_read_on(tmp_path):
    path = tmp_path / "new folder" / "campaign.jsonl"
    with Ledger(path) as ledger:
        ledger.append([{"kind": "x", "n": 1}, {"kind": "x", "n": 2}])
        ledger.append([])
        _, end = read_records(path)
        ledger.append([{"kind": "x", "n": 3, "text": "ü \udce9\n"}])
    (record,), _ = read_records(path, end)
    assert (record["n"], record["text"]) == (3, "ü \udce9\n")
    assert record["time"] > 1e9


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_last_line_is_no_record_and_the_next_writer_goes_on(tmp_path, cut):
    path = tmp_path / "campaign.jsonl"
    with Ledger(path) as ledger:
        ledger.append([{"kind": "x", "n": 1}, {"kind": "x", "n": 2}])
    path.write_bytes(path.read_bytes()[:-cut])
    with Ledger(path) as ledger:
        ledger.append([{"kind": "x", "n": 3}])
    # a line that lost its newline alone is still whole
    assert numbers(path) == ([1, 2, 3] if cut == 1 else [1, 3])


def test_a_reader_does_not_take_a_line_that_is_still_being_written(tmp_path):
    path = tmp_path / "campaign.jsonl"
    path.write_bytes(b'{"kind": "x", "n": 1}\n{"kind": "x", "n":')
    records, end = read_records(path)
    assert [record["n"] for record in records] == [1]
    with path.open("ab") as file:
        file.write(b' 2}\n"no record"\n')
    assert [record["n"] for record in read_records(path, end)[0]] == [2]


WRITER = """
import itertools, sys
from pathlib import Path
from pocket_coffea.batch.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for n in itertools.count():
    ledger.append([{"kind": "x", "n": n, "filler": "y" * 5000}])
    print(n, flush=True)
"""


def test_what_was_appended_before_a_kill_is_there(tmp_path):
    path = tmp_path / "campaign.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        told = [int(writer.stdout.readline()) for _ in range(20)][-1]
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split()
    told = int(rest[-1]) if rest else told
    found = numbers(path)
    assert found == list(range(len(found)))
    assert len(found) > told


def test_a_full_disk_is_an_error_and_the_ledger_goes_on_afterwards(tmp_path, monkeypatch):
    path = tmp_path / "campaign.jsonl"
    ledger = Ledger(path)
    ledger.append([{"kind": "x", "n": 1}])
    real = os.write

    def full(file, data):
        real(file, bytes(data)[:7])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(OutputError, match=r"campaign.jsonl cannot be written: No space left"):
        ledger.append([{"kind": "x", "n": 2}])
    monkeypatch.setattr("os.write", real)
    ledger.append([{"kind": "x", "n": 3}])
    ledger.close()
    assert numbers(path) == [1, 3]


def test_a_ledger_that_cannot_be_read_is_named(tmp_path):
    assert read_records(tmp_path / "none") == ([], 0)
    with pytest.raises(InputFileError, match="cannot be read"):
        read_records(tmp_path)
