"""Outputs that a merge reads from a server, as far as no server is needed; the lab has real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket_coffea.errors import InputFileError, OptionError, OutputError, ResultsRefused
from pocket_coffea.executors.jobs.outputs import listed_sizes
from pocket_coffea.run.merge_source import RemoteOutput, copy_here, output_at, size_of
from pocket_coffea.run.merge_target import check_targets, target_at, whole_results, with_ending

ADDRESS = "root://eos.site:1095//store/user/me/output_job_3.coffea"
LISTING = """\
-rw-rw-r-- me zh 2500123 2026-11-22 12:00:01 /store/user/me/output_job_0.coffea
drwxr-xr-x me zh    4096 2026-11-22 12:00:01 /store/user/me/columns
-rw-r--r-- me zh       9 2026-11-22 12:00:02 /store/user/me/with space.coffea
-r-- 2026-11-22 12:00:03        77 /store/user/me/old_client.coffea
"""


def test_an_address_stays_one():
    source = output_at(Path("/folder"), ADDRESS)
    assert isinstance(source, RemoteOutput)
    assert (str(source), source.name) == (ADDRESS, "output_job_3.coffea")
    assert str(source.with_name("x")) == "root://eos.site:1095//store/user/me/x"
    assert {source} == {output_at(Path("/other"), ADDRESS)}
    assert output_at(Path("/folder"), "a.coffea") == Path("/folder/a.coffea")
    with pytest.raises(OptionError, match="davs://x/y: outputs are merged from files of this machine"):
        output_at(Path("/folder"), "davs://x/y")


def test_sizes_of_a_listing():
    assert listed_sizes(LISTING) == {
        "output_job_0.coffea": 2500123,
        "with space.coffea": 9,
        "old_client.coffea": 77,
    }


def test_without_the_program_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputFileError, match="the program 'xrdcp' is not installed"):
        copy_here(RemoteOutput(ADDRESS), tmp_path / "cache").__enter__()
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(OSError, match="xrdfs"):
        size_of(RemoteOutput(ADDRESS))
    with pytest.raises(OptionError, match=r"-o root://eos.*nothing could be written there: xrdfs"):
        check_targets([RemoteOutput(ADDRESS)], [], force=True)
    with (
        pytest.raises(OutputError, match=rf"delivered to {ADDRESS}: the program xrdcp is not installed"),
        whole_results(tmp_path / "cache") as place,
    ):
        place(RemoteOutput(ADDRESS)).write_text("result")
    assert list((tmp_path / "cache").iterdir()) == []


def test_results_on_a_server_are_named_as_others_are():
    target = target_at("root://eos//store/a.coffea.zip")
    assert str(with_ending(target, "_category2")) == "root://eos//store/a_category2.coffea.zip"
    assert with_ending(Path("/out/a.coffea"), "_2018") == Path("/out/a_2018.coffea")
    with pytest.raises(ResultsRefused, match=r"a\.coffea\.zip is one of the inputs"):
        check_targets([target], [output_at(Path(), str(target))], force=True)


def test_a_file_of_this_machine_is_not_copied(tmp_path):
    file = tmp_path / "a.coffea"
    file.write_bytes(b"12345678901")
    with copy_here(file, tmp_path / "cache") as found:
        assert found == file
    assert size_of(file) == 11
    assert not (tmp_path / "cache").exists()
