import logging
import math
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from pocket_coffea.datasets import tree_merge
from pocket_coffea.datasets.tree_merge import merge_files
from pocket_coffea.errors import InputFileError, OutputError


@pytest.fixture(scope="module")
def samples(sample_file):
    return [str(sample_file("v9", "dy", n_events=n, seed=n).path) for n in (60, 40)]


@pytest.fixture(scope="module")
def merged_sample(samples, tmp_path_factory):
    target = tmp_path_factory.mktemp("merged") / "out.root"
    assert merge_files(samples, target, "digest") == 100
    return target


def write(path: Path, **trees):
    """Write trees of plain branches; a list of lists is jagged."""
    with uproot.recreate(path) as file:
        for name, branches in trees.items():
            content = {
                key: value if isinstance(value, np.ndarray) else ak.Array(value)
                for key, value in branches.items()
            }
            types = {
                key: value.dtype if isinstance(value, np.ndarray) else value.type.content
                for key, value in content.items()
            }
            file.mktree(name, types).extend(content)
    return str(path)


def events(n=3, **more):
    return {"event": np.arange(n), **more}


def flag(*values):
    return np.array(values, dtype=bool)


def test_every_branch_of_every_tree_is_there_in_order(samples, merged_sample):
    with uproot.open(merged_sample) as merged:
        assert str(merged["merged_from"]) == "digest"
        inputs = [uproot.open(path)["Events"] for path in samples]
        assert set(merged["Events"].keys()) == set(inputs[0].keys())
        for name in merged["Events"].keys():  # noqa: SIM118 - a tree iterates over branches
            both = ak.concatenate([tree[name].array() for tree in inputs])
            assert ak.array_equal(merged["Events"][name].array(), both, dtype_exact=name[0] != "n"), name


def test_sums_of_runs_are_those_of_all_files(samples, merged_sample):
    inputs = [uproot.open(path)["Runs"].arrays(library="np") for path in samples]
    merged = uproot.open(merged_sample)["Runs"].arrays(library="np")
    assert set(merged) == set(inputs[0])
    for name in ("genEventCount", "genEventSumw", "genEventSumw2"):
        total = sum(part[name].sum() for part in inputs)
        assert math.isclose(merged[name].sum(), total, rel_tol=1e-12)


def test_blocks_of_luminosity_come_once(tmp_path):
    blocks = [[2, 1, 1], [1, 1]], [[7, 9, 8], [9, 10]]
    paths = []
    for number, (runs, numbers) in enumerate(zip(*blocks, strict=True)):
        block = {"run": np.array(runs), "luminosityBlock": np.array(numbers)}
        paths.append(write(tmp_path / f"{number}.root", Events=events(), LuminosityBlocks=block))
    merge_files(paths, tmp_path / "out.root", "")
    found = uproot.open(tmp_path / "out.root")["LuminosityBlocks"].arrays(library="np")
    pairs = list(zip(found["run"], found["luminosityBlock"], strict=True))
    assert pairs == [(1, 8), (1, 9), (1, 10), (2, 7)]


def test_blocks_with_counts_are_kept(tmp_path):
    block = {"run": np.array([1]), "luminosityBlock": np.array([7]), "passed": np.array([3])}
    paths = [write(tmp_path / f"{i}.root", Events=events(), LuminosityBlocks=block) for i in range(2)]
    merge_files(paths, tmp_path / "out.root", "")
    assert uproot.open(tmp_path / "out.root")["LuminosityBlocks"]["passed"].array().tolist() == [3, 3]


def test_a_tree_that_only_some_files_have(tmp_path):
    one = write(tmp_path / "1.root", Events=events(2))
    two = write(tmp_path / "2.root", Events=events(3), Runs={"run": np.array([1]), "sumw": np.array([2.5])})
    merge_files([one, two], tmp_path / "out.root", "")
    merged = uproot.open(tmp_path / "out.root")
    assert merged["Events"]["event"].array().tolist() == [0, 1, 0, 1, 2]
    assert merged["Runs"]["sumw"].array().tolist() == [2.5]
    assert "LuminosityBlocks" not in merged


def test_many_small_parts_become_few_baskets(tmp_path, monkeypatch):
    parts = [[[1.0, 2.0], [], [n]] for n in range(6)]
    paths = [write(tmp_path / f"{n}.root", Events=events(3, x=part)) for n, part in enumerate(parts)]
    merge_files(paths, tmp_path / "large.root", "")
    monkeypatch.setattr(tree_merge, "_BLOCK_BYTES", 1)
    merge_files(paths, tmp_path / "small.root", "")
    large, small = (uproot.open(tmp_path / f"{name}.root")["Events"] for name in ("large", "small"))
    assert (large["event"].num_baskets, small["event"].num_baskets) == (1, 18)
    assert (
        large["x"].array().tolist() == small["x"].array().tolist() == [row for part in parts for row in part]
    )


@pytest.mark.parametrize("first", [0, 1])
def test_a_flag_that_a_file_lacks_is_false_there_and_said(tmp_path, caplog, first):
    files = [
        write(tmp_path / "1.root", Events=events(2, HLT_A=flag(True, True))),
        write(tmp_path / "2.root", Events=events(1, HLT_A=flag(True), HLT_B=flag(True))),
    ]
    order = files if first == 0 else files[::-1]
    with caplog.at_level(logging.WARNING):
        merge_files(order, tmp_path / "out.root", "")
    merged = uproot.open(tmp_path / "out.root")["Events"]
    assert merged["HLT_B"].array().tolist() == ([False, False, True] if first == 0 else [True, False, False])
    assert merged["HLT_A"].array().tolist() == [True] * 3


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"event": np.arange(2), "x": np.arange(2.0)}, "'x', which is in .*2.root and missing in 1 others"),
        ({"event": np.arange(2.0)}, "'event' is float64 in .*2.root, but int64 in .*1.root"),
    ],
)
def test_branches_that_do_not_go_together(tmp_path, second, message):
    files = [write(tmp_path / "1.root", Events=events()), write(tmp_path / "2.root", Events=second)]
    with pytest.raises(InputFileError, match=message):
        merge_files(files, tmp_path / "out.root", "")
    assert not (tmp_path / "out.root").exists()


def test_inputs_that_cannot_be_read_leave_nothing(tmp_path, samples):
    (tmp_path / "half.root").write_bytes(Path(samples[0]).read_bytes()[:5000])
    other = write(tmp_path / "other.root", Other=events())
    for path, message in (
        ("half.root", "half.root cannot be read"),
        ("none.root", "none.root cannot be read"),
    ):
        with pytest.raises(InputFileError, match=message):
            merge_files([samples[0], str(tmp_path / path)], tmp_path / "out.root", "")
    with pytest.raises(InputFileError, match="has no tree 'Events'"):
        merge_files([other], tmp_path / "out.root", "")
    assert not (tmp_path / "out.root").exists()


def test_weights_that_changed_on_the_way_are_noticed(tmp_path, monkeypatch):
    content = {"genWeight": np.array([1.0, -2.0]), "skimRescaleGenWeight": np.array([3.0, 3.0])}
    path = write(tmp_path / "1.root", Events=content)
    assert merge_files([path], tmp_path / "out.root", "") == 2
    original = tree_merge._as_collections

    def damaged(block, branches):
        return {**original(block, branches), "genWeight": np.array([1.0, -2.1])}

    monkeypatch.setattr(tree_merge, "_as_collections", damaged)
    with pytest.raises(OutputError, match="sum of generator weights is"):
        merge_files([path], tmp_path / "out.root", "")
    assert not (tmp_path / "out.root").exists()


def test_a_full_disk_is_said(samples):
    with pytest.raises(OutputError, match=r"/proc/none/out\.root cannot be written"):
        merge_files(samples, Path("/proc/none/out.root"), "")
