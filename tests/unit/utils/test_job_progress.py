import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.utils.job_progress import aggregate_by_group, load_job_to_group_map, render_progress_bar


def test_jobs_by_sample_and_dataset(tmp_path):
    def entry(*datasets):
        return {
            "filesets": {name: {"files": [], "metadata": {"sample": name.split("_")[0]}} for name in datasets}
        }

    jobs = {"job_0": entry("DY_2018"), "job_1": entry("DY_2018", "TT_2018"), "job_2": entry("DY_2017")}
    (tmp_path / "jobs_config.yaml").write_text(yaml.safe_dump({"jobs_list": jobs}))
    samples, datasets = load_job_to_group_map(tmp_path)
    assert samples == {"DY": {"job_0", "job_1", "job_2"}, "TT": {"job_1"}}
    assert datasets == {"DY_2018": {"job_0", "job_1"}, "TT_2018": {"job_1"}, "DY_2017": {"job_2"}}


def test_without_or_with_a_damaged_description(tmp_path):
    assert load_job_to_group_map(str(tmp_path)) == (None, None)
    (tmp_path / "jobs_config.yaml").write_text("job_dir: x\n")
    with pytest.raises(ConfigurationError, match="jobs_list"):
        load_job_to_group_map(tmp_path)


def test_counts_by_group():
    groups = {"DY": {"a", "b", "c"}, "TT": {"c", "d"}}
    counts = aggregate_by_group(groups, idle=["a"], running=[], done=["b", "c"], failed=["x"])
    assert counts == {
        "DY": {"total": 3, "idle": 1, "running": 0, "done": 2, "failed": 0},
        "TT": {"total": 2, "idle": 0, "running": 0, "done": 1, "failed": 0},
    }


COUNT = st.integers(0, 200)


@given(done=COUNT, running=COUNT, idle=COUNT, failed=COUNT, unknown=COUNT, width=st.integers(1, 60))
def test_the_bar_is_always_full(done, running, idle, failed, unknown, width):
    counts = {"done": done, "running": running, "idle": idle, "failed": failed}
    counts["total"] = sum(counts.values()) + unknown
    bar = render_progress_bar(counts, width)
    assert len(bar.plain) == width
    cells = {str(span.style): span.end - span.start for span in bar.spans}
    if counts["total"]:
        for state, colour in {"done": "green", "failed": "red"}.items():
            share = width * counts[state] / counts["total"]
            assert abs(cells.get(colour, 0) - share) <= 1


def test_bars_of_finished_and_empty_groups():
    bar = render_progress_bar({"done": 3, "running": 0, "idle": 0, "failed": 0})
    assert bar.plain == "█" * 30
    assert [str(span.style) for span in bar.spans] == ["green"]
    assert render_progress_bar({}).plain == "░" * 30
