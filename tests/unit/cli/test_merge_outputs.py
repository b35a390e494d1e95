"""The commands merge-outputs, split-output and merge-columns: options, messages, exit codes."""

from __future__ import annotations

import awkward as ak
import pytest
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.cli.merge_columns import merge_columns
from pocket_coffea.cli.merge_outputs import merge_outputs
from pocket_coffea.cli.split_output import split_output
from pocket_coffea.utils.output_file import load_output, save_output

HOLE = {"range": [5, 10], "reason": "damaged"}


def run(*arguments, command=main):
    result = CliRunner().invoke(command, [str(each) for each in arguments])
    assert "Traceback" not in result.output + result.stderr
    return result


@pytest.fixture
def files(tmp_path):
    """Outputs of data, which need no normalisation, of one file each."""
    made = []
    for number in range(3):
        dataset = f"DATA_{number}"
        ledger = {f"{number}.root": {"uuid": None, "treename": "Events", "entries": 10, "ranges": [[0, 10]]}}
        metadata = {"sample": "DATA", "year": str(2016 + number), "isMC": "False"}
        output = {
            "cutflow": {stage: {dataset: 10} for stage in ("initial", "skim", "presel", "a", "b")},
            "variables": {},
            "datasets_metadata": {
                "by_dataset": {dataset: metadata},
                "by_datataking_period": {metadata["year"]: {"DATA": {dataset}}},
            },
            "ledger": {dataset: ledger},
            "provenance": {"start": f"2026-01-0{number + 1}", "host": f"node{number}"},
        }
        made.append(save_output(output, tmp_path / f"{number}.coffea"))
    return made


def test_merging_and_splitting(files, tmp_path):
    target = tmp_path / "merged.coffea"
    result = run(
        "merge-outputs", *files, "-o", target, "-n", 2, "-m", 100, "-v", "--cache_dir", tmp_path / "c"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith(f"Output: {target}\n3 outputs merged\n")
    assert not (tmp_path / "c").exists()  # nothing had to be copied
    merged = load_output(target)
    assert merged["provenance"]["start"] == "2026-01-01"
    assert merged["provenance"]["host"] == {"mixed": ["node0", "node1", "node2"]}
    result = run("split-output", target, "-b", "category", "-n", 1, "-o", tmp_path / "part.coffea")
    assert [line.rpartition("/")[2] for line in result.stdout.splitlines()] == [
        "part_category1.coffea",
        "part_category2.coffea",
    ]
    assert run("split-output", target).stdout.count("merged_201") == 3
    assert run("split-output", target).exit_code == 6
    assert run("split-output", target, "--overwrite").exit_code == 0


def test_the_commands_stand_alone_too(files, tmp_path):
    assert run(*files, "-o", tmp_path / "m.coffea", command=merge_outputs).exit_code == 0
    assert run(tmp_path / "m.coffea", command=split_output).exit_code == 0
    assert run(tmp_path / "nothing", command=merge_columns).exit_code == 1


def test_exit_codes(files, tmp_path):
    target = tmp_path / "merged.coffea"
    result = run("merge-outputs", *files)
    assert (result.exit_code, "Say where the result goes: -o OUTPUT" in result.stderr) == (1, True)
    assert run("merge-outputs", "-o", target).exit_code == 1
    assert run("merge-outputs", *files, "-o", target, "--format", "zip").exit_code == 1
    assert run("merge-outputs", *files, "-o", target, "--format", "root").exit_code == 2
    result = run("merge-outputs", *files, files[0], "-o", target)
    assert (result.exit_code, "are the same file" in result.stderr) == (6, True)
    output = load_output(files[0])
    output["ledger"]["DATA_0"]["0.root"].update(ranges=[[0, 5]], skipped=[HOLE])
    save_output(output, files[0])
    result = run("merge-outputs", *files, "-o", target)
    assert result.exit_code == 3
    assert "1 part of a file could not be read and was skipped:" in result.stdout
    assert "DATA_0: 0.root: entries 5-10: damaged" in result.stdout
    del output["ledger"]["DATA_0"]["0.root"]["skipped"]
    save_output(output, files[0])
    result = run("merge-outputs", *files, "-o", target, "-f")
    assert result.exit_code == 6
    assert "DATA_0: 0.root: entries 5-10: not processed" in result.stderr
    result = run("merge-outputs", *files, "-o", target, "-f", "-s")
    assert result.exit_code == 3
    assert "1 part of a file is missing:" in result.stdout


def test_columns(tmp_path):
    leaf = tmp_path / "columns" / "D" / "cat" / "nominal"
    leaf.mkdir(parents=True)
    for start in (0, 100):
        ak.to_parquet(ak.Array([{"pt": float(start)}]), leaf / f"uuid_Events_{start}-{start + 100}.parquet")
    result = run("merge-columns", tmp_path / "columns", "-j", 2)
    assert result.exit_code == 0
    assert "columns_merged/D/cat/nominal.parquet (2 rows of 2 files)" in result.stdout
    assert run("merge-columns", tmp_path / "columns").exit_code == 6
    assert run("merge-columns", tmp_path / "columns", "-f").exit_code == 0
