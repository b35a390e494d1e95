"""merge-outputs of skims, of blocks of categories, of several configurations; split-output."""

from __future__ import annotations

import json

import pytest

from pocket_coffea.errors import InputFileError, OptionError, ResultsRefused
from pocket_coffea.run.merge import MergeRequest, merge_outputs
from pocket_coffea.run.split import split_output
from pocket_coffea.utils.output_file import load_output, save_output
from tests.unit.run.campaign import FILES, Campaign, copy_of, write_analysis

DY, DATA = FILES
SLICES = [{DY: [0]}, {DY: [1, 2]}, {DATA: [0, 1]}]


@pytest.fixture(scope="module")
def quiet():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("X509_USER_PROXY", "no proxy")
        yield


@pytest.fixture(scope="module")
def skim(tmp_path_factory, sample_file, quiet):
    folder = tmp_path_factory.mktemp("skim")
    config = write_analysis(folder / "analysis", sample_file, save_skimmed_files=f'"{folder / "skims"}"')
    return Campaign(folder / "output", config, SLICES)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, sample_file, quiet):
    folder = tmp_path_factory.mktemp("plain")
    campaign = Campaign(folder / "output", write_analysis(folder / "analysis", sample_file), SLICES)
    campaign.reference()
    return campaign


def merge_jobs(campaign, **options):
    return merge_outputs(MergeRequest(jobs_config=str(campaign.folder), **options))


# -- skims


def test_the_definition_of_skims(skim, tmp_path):
    campaign = copy_of(skim, tmp_path / "output")
    report = merge_jobs(campaign)
    assert report.skim_definition == campaign.folder / "skimmed_dataset_definition.json"
    definition = json.loads(report.skim_definition.read_text())
    merged = load_output(report.outputs[0])
    assert list(definition) == [DATA, DY] or list(definition) == [DY, DATA]
    entry = definition[DY]
    assert entry["files"] == merged["skimmed_files"][DY]
    assert len(set(entry["files"])) == 3
    assert entry["metadata"]["isSkim"] == "True"
    assert int(entry["metadata"]["nevents"]) == sum(merged["nskimmed_events"][DY])
    assert entry["metadata"]["sum_genweights"] == merged["sum_genweights"][DY]
    # the output itself keeps the numbers of before the skim
    assert merged["datasets_metadata"]["by_dataset"][DY]["nevents"] == "750"
    assert "isSkim" not in merged["datasets_metadata"]["by_dataset"][DY]


def test_events_that_are_lost_in_a_skim(skim, tmp_path, caplog):
    campaign = copy_of(skim, tmp_path / "output")
    output = load_output(campaign.output(1))
    (name, entry), *_ = output["ledger"][DY].items()
    n = entry["entries"]
    entry.update(ranges=[], skipped=[{"range": [0, n], "reason": "damaged"}])
    output["cutflow"]["initial"][DY] -= n
    save_output(output, campaign.output(1))
    with pytest.raises(ResultsRefused, match=f"{DY}': {750 - n} events were skimmed, but its metadata"):
        merge_jobs(campaign)
    assert not (campaign.folder / "output_merged.coffea").exists()
    assert not (campaign.folder / "skimmed_dataset_definition.json").exists()
    report = merge_jobs(campaign, skip_initial_events_check=[DY])
    assert report.exit_code == 3
    assert [gap.filename for gap in report.skipped] == [name]
    assert f"{DY}': {750 - n} events were skimmed" in caplog.text
    assert DY in json.loads(report.skim_definition.read_text())


# -- blocks of categories


@pytest.fixture
def blocks(plain, tmp_path, monkeypatch):
    """The campaign with split-by-category: two categories, one in each block."""
    monkeypatch.setattr("pocket_coffea.run.merge.CATEGORIES_PER_BLOCK", 1)
    campaign = copy_of(plain, tmp_path / "output")
    for number in range(len(SLICES)):
        job = campaign.output(number)
        split_output(job, campaign.folder / "block.coffea", by="category", n_categories=1)
        for k in (1, 2):
            (campaign.folder / f"block_category{k}.coffea").rename(
                campaign.folder / f"output_category{k}_job_{number}.coffea"
            )
        job.unlink()
    campaign.write({**campaign.read(), "split_by_category": True})
    return campaign


def test_one_result_for_each_block(blocks):
    report = merge_jobs(blocks)
    assert [path.name for path in report.outputs] == [
        "output_merged_category1.coffea",
        "output_merged_category2.coffea",
    ]
    whole = load_output(blocks.reference())
    for path, category in zip(report.outputs, ["1jet", "inclusive"], strict=True):
        part = load_output(path)
        assert set(part["cutflow"]) == {"initial", "skim", "presel", category}
        assert part["cutflow"][category] == whole["cutflow"][category]
        found = part["variables"]["mll"]["DYJetsToLL"][DY]
        expected = whole["variables"]["mll"]["DYJetsToLL"][DY]
        assert found[{"cat": category}].sum().value == pytest.approx(expected[{"cat": category}].sum().value)


def test_a_job_with_a_missing_block_is_not_complete(blocks):
    (blocks.folder / "output_category2_job_1.coffea").unlink()
    with pytest.raises(ResultsRefused, match="1 job is incomplete") as caught:
        merge_jobs(blocks)
    assert "output_category2_job_1.coffea: No such file" in str(caught.value)
    for number in range(len(SLICES)):
        (blocks.folder / f"output_category2_job_{number}.coffea").unlink(missing_ok=True)
    with pytest.raises(ResultsRefused, match="3 jobs are incomplete"):  # the configuration has two categories
        merge_jobs(blocks)


def test_a_block_that_fails_leaves_no_other_block(blocks):
    path = blocks.folder / "output_category2_job_1.coffea"
    path.write_bytes(path.read_bytes()[:-500])
    before = sorted(blocks.folder.iterdir())
    with pytest.raises(ResultsRefused, match="cannot be read"):
        merge_jobs(blocks, mark_failed=True)
    assert sorted(blocks.folder.iterdir()) == before
    assert (blocks.jobs_dir / "job_1.failed").exists()


def test_blocks_are_not_added_to_each_other(blocks):
    files = [str(blocks.folder / f"output_category{k}_job_0.coffea") for k in (1, 2)]
    with pytest.raises(ResultsRefused, match="not made with the same part of split-output"):
        merge_outputs(MergeRequest(files=files, output=str(blocks.folder / "x.coffea")))


# -- several configurations


def test_two_configurations(plain, tmp_path):
    import cloudpickle

    cfgs = []
    for name in (DY, DATA):
        config = plain.config.clone()
        config.set_filesets_manually({name: plain.config.filesets[name]})
        config.do_postprocessing = False
        cfgs.append(str(tmp_path / f"{name}.pkl"))
        (tmp_path / f"{name}.pkl").write_bytes(cloudpickle.dumps(config))
    files = [str(plain.output(number)) for number in range(3)]
    target = str(tmp_path / "merged.coffea")
    merge_outputs(MergeRequest(files=files, output=target, configurations=cfgs))
    merged, whole = load_output(target), load_output(plain.reference())
    assert merged["datasets_metadata"] == whole["datasets_metadata"]
    assert merged["cutflow"] == whole["cutflow"]
    for name, sample in ((DY, "DYJetsToLL"), (DATA, "DATA_SingleMuon")):
        mine = merged["variables"]["mll"][sample][name]
        assert mine.sum(flow=True).value == pytest.approx(
            whole["variables"]["mll"][sample][name].sum(flow=True).value, rel=1e-12
        )
    one = {"files": files, "output": target, "configurations": cfgs[:1], "force": True}
    with pytest.raises(ResultsRefused, match="have events that the configuration does not ask for"):
        merge_outputs(MergeRequest(**one))
    with pytest.raises(ResultsRefused, match=f"{DATA}' is in none of the configurations"):
        merge_outputs(MergeRequest(**one, skip_check=True))


# -- split-output


def test_split_by_year_and_together_again(plain, tmp_path):
    whole = load_output(plain.reference())
    whole["datasets_metadata"]["by_dataset"][DATA]["year"] = "2017"
    periods = whole["datasets_metadata"]["by_datataking_period"]
    periods["2017"] = {"DATA_SingleMuon": periods["2018"].pop("DATA_SingleMuon")}
    source = save_output(whole, tmp_path / "whole.coffea.zip")
    paths = split_output(source)
    assert [path.name for path in paths] == ["whole_2017.coffea.zip", "whole_2018.coffea.zip"]
    assert list(load_output(paths[0])["cutflow"]["initial"]) == [DATA]
    assert list(load_output(paths[0])["ledger"]) == [DATA]
    target = tmp_path / "again.coffea"
    merge_outputs(MergeRequest(files=list(map(str, paths)), output=str(target)))
    again = load_output(target)
    assert again["datasets_metadata"] == whole["datasets_metadata"]
    assert again["ledger"] == whole["ledger"]
    with pytest.raises(ResultsRefused, match=r"whole_2017\.coffea\.zip already exists\. Use --overwrite"):
        split_output(source)
    assert split_output(source, overwrite=True) == paths


def test_what_cannot_be_split(plain, tmp_path):
    with pytest.raises(ResultsRefused, match="does not say of which year DYJetsToLL_2018 are"):
        split_output(plain.output(0), tmp_path / "x.coffea")
    with pytest.raises(InputFileError, match="No such file"):
        split_output(tmp_path / "nothing.coffea")
    with pytest.raises(OptionError, match="holds at least one category"):
        split_output(plain.output(0), by="category", n_categories=0)
    assert list(tmp_path.iterdir()) == []
