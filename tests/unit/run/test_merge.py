"""merge-outputs on real outputs: those of jobs, of separate datasets, damaged, doubled, mixed."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from coffea.util import save

from pocket_coffea.errors import NothingToDo, OptionError, ProcessingError, ResultsRefused, UnknownName
from pocket_coffea.run.merge import MergeRequest, merge_outputs
from pocket_coffea.utils.output_file import load_output, save_output
from tests.unit.run.campaign import FILES, Campaign, copy_of, write_analysis

DY, DATA = FILES
SLICES = [{DY: [0]}, {DY: [1, 2]}, {DATA: [0]}, {DATA: [1], DY: []}]
SLICES = [{name: numbers for name, numbers in each.items() if numbers} for each in SLICES]


@pytest.fixture(scope="module")
def original(tmp_path_factory, sample_file):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("X509_USER_PROXY", "no proxy")
        folder = tmp_path_factory.mktemp("campaign")
        campaign = Campaign(folder / "output", write_analysis(folder / "analysis", sample_file), SLICES)
        campaign.reference()
        return campaign


@pytest.fixture
def campaign(original, tmp_path):
    return copy_of(original, tmp_path / "output")


def merge(campaign, *files, **options):
    if files:
        options.setdefault("output", str(campaign.folder / "merged.coffea"))
        return merge_outputs(MergeRequest(files=[str(file) for file in files], **options))
    return merge_outputs(MergeRequest(jobs_config=str(campaign.folder), **options))


def jobs(campaign, *numbers):
    return [campaign.output(number) for number in numbers or range(len(SLICES))]


def assert_same(found, expected):
    """Counts and columns exactly, weighted sums to 1e-12."""
    assert found["cutflow"] == expected["cutflow"]
    assert found["datasets_metadata"] == expected["datasets_metadata"]
    assert found["ledger"] == expected["ledger"]
    for name, by_sample in expected["variables"].items():
        for sample, by_dataset in by_sample.items():
            for dataset, histogram in by_dataset.items():
                mine = found["variables"][name][sample][dataset]
                assert mine.axes == histogram.axes
                np.testing.assert_allclose(mine.values(flow=True), histogram.values(flow=True), rtol=1e-12)
                np.testing.assert_allclose(
                    mine.variances(flow=True), histogram.variances(flow=True), rtol=1e-12
                )
    for sample, by_dataset in expected["columns"].items():
        for dataset, by_category in by_dataset.items():
            for category, by_variation in by_category.items():
                for variation, columns in by_variation.items():
                    for name, column in columns.items():
                        mine = found["columns"][sample][dataset][category][variation][name]
                        np.testing.assert_array_equal(mine.value, column.value)


def test_the_jobs_together_are_the_run_at_once(campaign):
    report = merge(campaign)
    assert report.outputs == [campaign.folder / "output_merged.coffea"]
    assert (report.n_inputs, report.exit_code) == (4, 0)
    merged = load_output(report.outputs[0])
    assert_same(merged, load_output(campaign.reference()))
    assert merged["cutflow"]["initial"] == {DY: 750, DATA: 410}


def test_any_order_gives_the_same_bytes(campaign):
    found = set()
    for number, files in enumerate(itertools.islice(itertools.permutations(jobs(campaign)), 0, 24, 7)):
        report = merge(
            campaign, *files, output=str(campaign.folder / f"{number}.coffea"), reduction=number + 1
        )
        found.add(report.outputs[0].read_bytes())
    assert len(found) == 1


def test_every_process_writes_the_same_bytes(campaign):
    """The order of a set of text depends on a random number of the process."""
    script = textwrap.dedent(
        """
        import sys
        from pocket_coffea.run import merge_provenance
        from pocket_coffea.run.merge import MergeRequest, merge_outputs
        merge_provenance.code_identity = lambda: {}  # somebody may edit the code just now
        *files, cfg, target = sys.argv[1:]
        merge_outputs(MergeRequest(files=files, output=target, configurations=[cfg]))
        """
    )
    found = set()
    for seed in "123":
        target = campaign.folder / f"{seed}.coffea"
        arguments = [*jobs(campaign), campaign.folder / "configurator.pkl", target]
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            check=True,
            timeout=120,
            capture_output=True,
        )
        found.add(target.read_bytes())
    assert len(found) == 1


def test_explicit_files_are_summed_and_postprocessed_with_a_configuration_only(campaign, caplog):
    merge(campaign, *jobs(campaign))
    assert "is not postprocessed: give the configuration with -cfg" in caplog.text
    raw = load_output(campaign.folder / "merged.coffea")
    assert raw["datasets_metadata"] == {}
    merge(campaign, *jobs(campaign), configurations=[campaign.folder / "configurator.pkl"], force=True)
    assert_same(load_output(campaign.folder / "merged.coffea"), load_output(campaign.reference()))
    # in two steps: what is merged is an input like any other
    merge(campaign, *jobs(campaign, 0, 2), output=str(campaign.folder / "half.coffea"))
    half = campaign.folder / "half.coffea"
    cfg = [campaign.folder / "configurator.pkl"]
    merge(campaign, half, *jobs(campaign, 1, 3), configurations=cfg, force=True)
    merged = load_output(campaign.folder / "merged.coffea")
    assert merged["cutflow"] == load_output(campaign.reference())["cutflow"]
    assert merged["provenance"]["merged_from"] == 4
    parts = [load_output(path)["provenance"]["throughput"] for path in jobs(campaign)]
    for dataset, numbers in merged["provenance"]["throughput"].items():
        mine = [part[dataset] for part in parts if dataset in part]
        assert numbers["events"] == sum(each["events"] for each in mine) > 0
        assert numbers["seconds"] == pytest.approx(sum(each["seconds"] for each in mine))


def test_what_is_there_twice_is_refused_by_name(campaign):
    copied = campaign.folder / "copy.coffea"
    copied.write_bytes(campaign.output(1).read_bytes())
    with pytest.raises(ResultsRefused, match="Events would be counted twice") as caught:
        merge(campaign, *jobs(campaign), copied, skip_check=True)
    assert f"{DY}: entries 0-200" in str(caught.value)
    assert "copy.coffea and in" in str(caught.value)
    assert caught.value.exit_code == 6
    with pytest.raises(ResultsRefused, match="are the same file"):
        merge(campaign, campaign.output(1), campaign.folder / "job" / ".." / "output_job_1.coffea")
    assert not (campaign.folder / "merged.coffea").exists()


def test_what_was_normalised_is_not_added_up_again(campaign):
    merge(
        campaign, *jobs(campaign, 0), configurations=[campaign.folder / "configurator.pkl"], skip_check=True
    )
    part = campaign.folder / "part.coffea"
    (campaign.folder / "merged.coffea").rename(part)
    with pytest.raises(
        ResultsRefused, match=f"{DY}' is in .* normalised already.*part.coffea: the sum would"
    ):
        merge(campaign, part, campaign.output(1))
    with pytest.raises(ResultsRefused, match=r"Some datasets are postprocessed \(DYJets.* others are not"):
        merge(campaign, part, *jobs(campaign, 2, 3))
    cfg = campaign.folder / "configurator.pkl"
    merge(campaign, part, *jobs(campaign, 2, 3), configurations=[cfg], skip_check=True)


def test_separate_outputs_of_datasets_are_put_together(original, campaign):
    from pocket_coffea.run.session import RunRequest, run_analysis

    folder = campaign.folder / "separate"
    run_analysis(RunRequest(cfg=str(original.config_file), outputdir=str(folder), process_separately=True))
    files = sorted(folder.glob("output_*.coffea"))
    assert len(files) == 2
    assert merge(campaign, *files).exit_code == 0
    assert_same(load_output(campaign.folder / "merged.coffea"), load_output(campaign.reference()))


# -- incomplete campaigns


def test_missing_jobs(campaign):
    campaign.output(1).unlink()
    campaign.output(3).write_bytes(b"short")
    with pytest.raises(ResultsRefused, match=r"Not all jobs are done yet\. 2 jobs are incomplete") as caught:
        merge(campaign)
    assert "job_1: " in str(caught.value)
    assert "job_3: " in str(caught.value)
    assert "has 5 bytes" in str(caught.value)
    assert (campaign.jobs_dir / "job_1.done").exists(), "not marked unless asked for"
    with pytest.raises(ResultsRefused):
        merge(campaign, mark_failed=True)
    flags = sorted(path.name for path in campaign.jobs_dir.glob("job_*.*"))
    assert flags == ["job_0.done", "job_1.failed", "job_2.done", "job_3.failed"]
    report = merge(campaign, skip_check=True)
    assert report.exit_code == 3
    assert set(report.left_out) == {"job_1", "job_3"}
    assert {(gap.dataset, gap.start) for gap in report.gaps} == {(DY, None), (DATA, None)}
    assert len(report.gaps) == 3
    assert load_output(report.outputs[0])["cutflow"]["initial"] == {DY: 300, DATA: 260}


def test_an_output_with_less_than_its_slice(campaign):
    output = load_output(campaign.output(1))
    (name, entry), *_ = output["ledger"][DY].items()
    entry["ranges"] = [[0, 50], [120, 200]]
    save_output(output, campaign.output(1))
    with pytest.raises(ResultsRefused, match=r"Events are missing \(1 part of a file\)") as caught:
        merge(campaign, mark_failed=True)
    assert f"{DY}: {name}: entries 50-120: not processed" in str(caught.value)
    assert (campaign.jobs_dir / "job_1.failed").exists()
    assert (campaign.jobs_dir / "job_0.done").exists()
    assert merge(campaign, skip_check=True).exit_code == 3


def test_damaged_outputs(campaign):
    data = campaign.output(2).read_bytes()
    campaign.output(2).write_bytes(data[: len(data) // 2])
    with pytest.raises(ResultsRefused, match=r"Some inputs cannot be read \(1\)"):
        merge(campaign, mark_failed=True)
    assert (campaign.jobs_dir / "job_2.failed").exists()
    with pytest.raises(ResultsRefused, match=r"output_job_2\.coffea cannot be read"):
        merge(campaign, *jobs(campaign))
    report = merge(campaign, *jobs(campaign), skip_check=True)
    assert list(report.left_out) == [str(campaign.output(2))]


def test_files_that_were_skipped_are_listed_and_a_second_run_may_fill_them(campaign):
    output = load_output(campaign.output(0))
    (name, entry), *_ = output["ledger"][DY].items()
    entry["ranges"] = [[0, 100]]
    entry["skipped"] = [{"range": [100, 300], "reason": "damaged"}]
    save_output(output, campaign.output(0))
    report = merge(campaign)
    assert report.exit_code == 3
    assert [str(gap) for gap in report.skipped] == [f"{DY}: {name}: entries 100-300: damaged"]


def test_gaps_of_files_against_the_configuration(campaign, caplog):
    cfg = [campaign.folder / "configurator.pkl"]
    with pytest.raises(ResultsRefused, match=f"{DY}: .*the whole file: not processed"):
        merge(campaign, *jobs(campaign, 0, 2, 3), configurations=cfg)
    merge(campaign, *jobs(campaign, 0, 1), configurations=cfg)
    assert f"No input has these datasets of the configuration: {DATA}" in caplog.text


def test_runs_that_were_limited_on_purpose(original, campaign, caplog):
    from pocket_coffea.run.session import RunRequest, run_analysis

    folder = campaign.folder / "limited"
    run_analysis(RunRequest(cfg=str(original.config_file), outputdir=str(folder), flags={"limit_files": 1}))
    cfg = [campaign.folder / "configurator.pkl"]
    assert merge(campaign, folder / "output_all.coffea", configurations=cfg).exit_code == 0
    assert "The runs were limited by limit-files: 3 parts of files are not there." in caplog.text


# -- what may not be mixed


def test_other_images_code_or_configurations(campaign):
    changes = {
        "image": ("image", {"digest": "other"}),
        "code": ("code", {"source_digest": "other"}),
        "configuration": ("digests", {"configuration": "other", "parameters": "p"}),
    }
    whole = load_output(campaign.output(3))
    for kind, (key, value) in changes.items():
        provenance = {**whole["provenance"], key: value}
        save_output({**whole, "provenance": provenance}, campaign.output(3))
        with pytest.raises(ResultsRefused, match=f"not made with the same {kind}.*--allow-mixed {kind}"):
            merge(campaign, *jobs(campaign), force=True)
        merge(campaign, *jobs(campaign), allow_mixed=[kind], force=True)
    merged = load_output(campaign.folder / "merged.coffea")["provenance"]
    assert merged["digests"]["configuration"]["mixed"][-1] == "other"
    with pytest.raises(ResultsRefused, match="other parameters than those given"):
        merge(campaign)
    with pytest.raises(OptionError, match=r"--allow-mixed everything: .*Allowed"):
        merge(campaign, allow_mixed=["everything"])


def test_metadata_are_never_added_up(campaign):
    cfg = [campaign.folder / "configurator.pkl"]
    for k, numbers in enumerate(((0, 1), (2, 3))):
        merge(
            campaign,
            *jobs(campaign, *numbers),
            configurations=cfg,
            output=str(campaign.folder / f"{k}.coffea"),
        )
    merge(campaign, campaign.folder / "0.coffea", campaign.folder / "1.coffea")
    merged = load_output(campaign.folder / "merged.coffea")
    assert merged["datasets_metadata"]["by_dataset"][DATA]["year"] == "2018"
    assert merged["datasets_metadata"]["by_dataset"][DY]["nevents"] == "750"
    assert merged["provenance"]["executor"] == "iterative"
    # metadata of one dataset that differ
    one = load_output(campaign.folder / "1.coffea")
    one["datasets_metadata"]["by_dataset"][DATA]["year"] = "2017"
    del one["ledger"][DATA]
    save_output(one, campaign.folder / "2.coffea")
    with pytest.raises(
        ResultsRefused, match=rf"says '2017' at datasets_metadata -> by_dataset -> {DATA} -> year"
    ):
        merge(campaign, campaign.folder / "1.coffea", campaign.folder / "2.coffea", force=True)


def test_another_structure_names_the_place(campaign):
    output = load_output(campaign.output(1))
    by_dataset = output["variables"]["mll"]["DYJetsToLL"]
    by_dataset[DY] = by_dataset[DY][:, :, ::2j]
    save_output(output, campaign.output(1))
    place = (
        rf"output_job_1\.coffea does not fit the outputs before it, at variables -> mll -> DYJetsToLL -> {DY}"
    )
    with pytest.raises(ResultsRefused, match=place):
        merge(campaign, *jobs(campaign))


def test_outputs_without_a_ledger(campaign, caplog):
    old = {
        key: value
        for key, value in load_output(campaign.output(0)).items()
        if key not in ("ledger", "provenance")
    }
    save(old, str(campaign.output(0)))
    with pytest.raises(ResultsRefused, match=r"output_job_0\.coffea has no ledger"):
        merge(campaign, *jobs(campaign))
    report = merge(campaign, *jobs(campaign), skip_check=True)
    assert "has no ledger: what is in it is not checked" in caplog.text
    merged = load_output(report.outputs[0])
    assert merged["cutflow"]["initial"][DY] == 750
    assert "ledger" not in merged, "it would not tell all"


# -- replacing datasets


def test_datasets_of_the_first_file_are_replaced(campaign):
    cfg = [campaign.folder / "configurator.pkl"]
    again = campaign.folder / "again.coffea"
    merge(campaign, *jobs(campaign, 2, 3), configurations=cfg, output=str(again))
    changed = load_output(again)
    changed["cutflow"]["initial"][DATA] += 1000
    save_output(changed, again)
    report = merge(campaign, campaign.reference(), again, replace=True)
    assert report.replaced == [DATA]
    merged = load_output(report.outputs[0])
    expected = load_output(campaign.reference())
    assert merged["cutflow"]["initial"] == {DY: 750, DATA: 1410}
    expected["cutflow"]["initial"][DATA] += 1000
    assert_same(merged, expected)
    for options in ({"files": ["one"], "output": "x"}, {"jobs_config": "job"}):
        with pytest.raises(OptionError, match="--replace needs a first file"):
            MergeRequest(replace=True, **options)


# -- files and options


def test_results_are_not_overwritten_by_accident(campaign):
    target = campaign.folder / "output_merged.coffea"
    target.write_text("mine")
    with pytest.raises(
        ResultsRefused, match=r"output_merged\.coffea already exists\. Use -f to overwrite it"
    ):
        merge(campaign)
    assert target.read_text() == "mine"
    merge(campaign, force=True)
    with pytest.raises(ResultsRefused, match="is one of the inputs, too"):
        merge(campaign, *jobs(campaign), target, output=str(target), force=True)


def test_a_failure_leaves_nothing_behind(campaign):
    before = sorted(campaign.folder.iterdir())
    script = textwrap.dedent(
        """
        import resource, sys
        from pocket_coffea.errors import OutputError
        from pocket_coffea.run.merge import MergeRequest, merge_outputs
        from pocket_coffea.run.provenance import code_identity
        code_identity()  # starts git, which must not run out of disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
        try:
            merge_outputs(MergeRequest(jobs_config=sys.argv[1]))
        except OutputError as exc:
            print(exc)
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(campaign.folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "output_merged.coffea cannot be written: File too large" in done.stdout, done.stderr
    assert sorted(campaign.folder.iterdir()) == before


def test_the_memory_limit(campaign):
    with pytest.raises(ProcessingError, match=r"more than --max_mem_gb \(0\.0 GB\); nothing was written"):
        merge(campaign, max_mem_gb=0.001)
    assert not (campaign.folder / "output_merged.coffea").exists()


@pytest.mark.parametrize("given", ["", "job", "job/jobs_config.yaml"])
def test_ways_to_name_the_jobs(campaign, given):
    path = campaign.folder / given
    assert merge_outputs(MergeRequest(jobs_config=str(path))).n_inputs == 4


def test_jobs_that_are_none(campaign, tmp_path):
    from pocket_coffea.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match=r"there is no jobs_config\.yaml at"):
        merge_outputs(MergeRequest(jobs_config=str(tmp_path / "nowhere")))
    content = campaign.read()
    del content["jobs_list"]["job_0"]["output_file"]
    campaign.write(content)
    with pytest.raises(ConfigurationError, match="is damaged, or not written by a submission"):
        merge(campaign)
    (campaign.jobs_dir / "jobs_config.yaml").write_text("jobs_list: [")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        merge(campaign)
    (campaign.jobs_dir / "jobs_config.yaml").write_text(json.dumps({"jobs_list": {}}))
    with pytest.raises(ConfigurationError, match="has no jobs"):
        merge(campaign)


def test_wrong_options(campaign):
    for options, text in (
        ({}, "either the files to merge, or the jobs folder"),
        ({"files": ["a"], "jobs_config": "b"}, "one of the two"),
        ({"files": ["a"]}, "-o OUTPUT"),
        ({"files": ["a"], "output": "b", "mark_failed": True}, "--mark-failed marks jobs"),
        ({"files": ["a"], "output": "b", "reduction": 0}, "must be positive"),
    ):
        with pytest.raises(OptionError, match=text):
            MergeRequest(**options)
    with pytest.raises(OptionError, match="does not exist"):
        merge(campaign, campaign.folder / "nothing.coffea")
    with pytest.raises(OptionError, match=r"https://eos/a\.coffea: outputs are merged from files of this"):
        merge(campaign, "https://eos/a.coffea")
    with pytest.raises(
        OptionError, match=r"-o root://eos//user/: it has no name of a file\. Add one, such as"
    ):
        merge(campaign, campaign.output(0), output="root://eos//user/")
    with pytest.raises(UnknownName, match="--skip-initial-events-check DYJetsToLL_2017: Did you mean"):
        merge(campaign, skip_initial_events_check=["DYJetsToLL_2017"])


def test_nothing_is_left(campaign):
    for number in range(4):
        campaign.output(number).unlink()
    with pytest.raises(NothingToDo, match="no input is left"):
        merge(campaign, skip_check=True)


def test_the_zip_format(campaign):
    report = merge(campaign, format="zip")
    assert report.outputs == [campaign.folder / "output_merged.coffea.zip"]
    assert_same(load_output(report.outputs[0]), load_output(campaign.reference()))
    # and back
    merge(campaign, *report.outputs)
    assert_same(load_output(campaign.folder / "merged.coffea"), load_output(campaign.reference()))


def test_a_folder_is_no_input_and_the_jobs_folder_has_an_option(tmp_path):
    folder = tmp_path / "my jobs"
    folder.mkdir()
    with pytest.raises(OptionError, match=r"is a folder: .* with -jc '.*my jobs'"):
        merge_outputs(MergeRequest(files=(str(folder),), output=str(tmp_path / "x.coffea")))
