"""Metadata of datasets and normalisation of the merged output."""

from __future__ import annotations

import copy

import hist
import numpy as np
import pytest
from coffea.processor import accumulate

from pocket_coffea.errors import ProcessingError, ResultsRefused
from pocket_coffea.lib.weights.common import common_weights
from pocket_coffea.lib.weights.weights import WeightLambda
from pocket_coffea.run.runner import postprocessed

TWO = WeightLambda.wrap_func(
    name="postprocess_test_two",
    function=lambda params, metadata, events, size, shape_variation: np.full(size, 2.0),
)


def values(output, category, name="DY", variable="met"):
    return output["variables"][variable][name]["DY_2018"][{"cat": category, "variation": "nominal"}].values(
        flow=True
    )


def test_histograms_and_sums_are_divided_once(make_config, analysis):
    config = make_config()
    raw = analysis.run(config, postprocess=False)
    before = copy.deepcopy(raw)
    output = config.processor_instance.postprocess(raw)
    total = before["sum_genweights"]["DY_2018"]
    np.testing.assert_allclose(values(output, "2j"), values(before, "2j") / total)
    variances = [
        out["variables"]["met"]["DY"]["DY_2018"][{"cat": "all", "variation": "nominal"}].variances(flow=True)
        for out in (output, before)
    ]
    np.testing.assert_allclose(variances[0], variances[1] / total**2)
    for key, power in (("sumw", 1), ("sumw2", 2)):
        now, then = (out[key]["2j"]["DY_2018"]["DY"]["nominal"] for out in (output, before))
        assert now == pytest.approx(then / total**power)
    assert output["sumw"]["all"]["DY_2018"]["DY"]["nominal"] == pytest.approx(1.0)
    assert values(output, "2j").sum() == pytest.approx(output["sumw"]["2j"]["DY_2018"]["DY"]["nominal"])
    for key in ("cutflow", "sum_genweights", "sum_signOf_genweights", "columns"):
        assert output[key] == before[key]


def test_second_postprocess_changes_nothing(make_config, analysis, caplog):
    config = make_config()
    output = analysis.run(config)
    once = copy.deepcopy(output)
    again = config.processor_instance.postprocess(output)
    assert np.array_equal(values(again, "all"), values(once, "all"))
    assert again["sumw"] == once["sumw"]
    assert "already postprocessed" in caplog.text


def test_sum_of_two_normalised_parts_is_refused(make_config, analysis):
    config = make_config()
    part = analysis.run(config)
    both = accumulate([copy.deepcopy(part), copy.deepcopy(part)])
    with pytest.raises(ResultsRefused, match=r"DY_2018.*several parts"):
        config.processor_instance.postprocess(both)


def test_datasets_metadata_list_subsamples_of_split_samples(make_config, analysis):
    config = make_config(
        datasets={"DY_2018": ("DY", "dy", 400, {"note": "x"}), "D_2018": ("D", "data_singlemuon", 50, {})},
        subsamples={"DY": {"high": [analysis.met_above(20)]}},
    )
    described = analysis.run(config)["datasets_metadata"]
    assert described["by_datataking_period"] == {"2018": {"DY__high": {"DY_2018"}, "D": {"D_2018"}}}
    assert described["by_dataset"]["DY_2018"]["note"] == "x"
    assert set(described["by_dataset"]) == {"DY_2018", "D_2018"}


def test_do_postprocessing_false_leaves_the_output_alone(make_config, analysis):
    config = make_config(do_postprocessing=False)
    raw = analysis.run(config, postprocess=False)
    before = copy.deepcopy(raw)
    assert config.processor_instance.postprocess(raw) is raw
    assert raw["sumw"] == before["sumw"]
    assert raw["datasets_metadata"] == {}


@pytest.mark.parametrize(("option", "scaled"), [(True, False), ("true", False), ("False", True)])
def test_donotscale_still_describes_the_datasets(make_config, analysis, option, scaled):
    config = make_config(workflow_options={"donotscale_sumgenweights": option})
    raw = analysis.run(config, postprocess=False)
    sums = copy.deepcopy(raw["sumw"])
    output = config.processor_instance.postprocess(raw)
    assert (output["sumw"] != sums) == scaled
    assert set(output["datasets_metadata"]["by_dataset"]) == {"DY_2018"}


def test_sign_of_the_weight_is_normalised_to_the_sum_of_signs(make_config, analysis):
    config = make_config(weights={"common": {"inclusive": ["signOf_genWeight"]}})
    output = analysis.run(config)
    assert output["sumw"]["all"]["DY_2018"]["DY"]["nominal"] == pytest.approx(1.0)


def test_weight_by_category_normalises_only_that_category(make_config, analysis):
    config = make_config(weights={"common": {"inclusive": [], "bycategory": {"2j": ["genWeight"]}}})
    raw = analysis.run(config, postprocess=False)
    before = copy.deepcopy(raw)
    output = config.processor_instance.postprocess(raw)
    np.testing.assert_allclose(values(output, "all"), values(before, "all"))
    np.testing.assert_allclose(
        values(output, "2j"), values(before, "2j") / before["sum_genweights"]["DY_2018"]
    )
    assert output["sumw"]["all"]["DY_2018"]["DY"]["nominal"] == 400


def test_weight_by_subsample_normalises_only_that_subsample(make_config, analysis):
    config = make_config(
        subsamples={"DY": {"a": [analysis.met_above(20)], "b": [analysis.met_above(20)]}},
        weights={"common": {"inclusive": []}, "bysample": {"DY__a": {"inclusive": ["genWeight"]}}},
    )
    raw = analysis.run(config, postprocess=False)
    before = copy.deepcopy(raw)
    output = config.processor_instance.postprocess(raw)
    total = before["sum_genweights"]["DY_2018"]
    np.testing.assert_allclose(values(output, "all", "DY__a"), values(before, "all", "DY__a") / total)
    np.testing.assert_allclose(values(output, "all", "DY__b"), values(before, "all", "DY__b"))
    sums = output["sumw"]["all"]["DY_2018"]
    assert sums["DY__a"]["nominal"] == pytest.approx(
        before["sumw"]["all"]["DY_2018"]["DY__a"]["nominal"] / total
    )
    assert sums["DY"] == before["sumw"]["all"]["DY_2018"]["DY"]


def test_without_generator_weight_nothing_is_divided_and_that_is_said(make_config, analysis, caplog):
    config = make_config(
        weights={"common": {"inclusive": [TWO.name]}}, weights_classes=[*common_weights, TWO]
    )
    output = analysis.run(config)
    assert output["sumw"]["all"]["DY_2018"]["DY"]["nominal"] == 800
    assert "DY_2018" in caplog.text
    assert "not normalised" in caplog.text


def test_sum_of_zero_names_the_dataset(make_config, analysis):
    config = make_config()
    raw = analysis.run(config, postprocess=False)
    raw["sum_genweights"]["DY_2018"] = 0.0
    with pytest.raises(ProcessingError, match="'DY_2018': sum_genweights is 0"):
        config.processor_instance.postprocess(raw)


def test_infinite_bin_names_histogram_and_dataset(make_config, analysis):
    config = make_config()
    raw = analysis.run(config, postprocess=False)
    raw["variables"]["met"]["DY"]["DY_2018"].view(flow=True)["value"][0, 0, 3] = np.inf
    with pytest.raises(ProcessingError, match=r"'met'.*'DY_2018'"):
        config.processor_instance.postprocess(raw)


def test_integer_histograms_of_simulation_become_fractions(make_config, analysis):
    config = make_config(variables={"met": analysis.met_hist(storage="int64", no_weights=True)})
    raw = analysis.run(config, postprocess=False)
    before = copy.deepcopy(raw)
    output = config.processor_instance.postprocess(raw)
    np.testing.assert_allclose(
        values(output, "all"), values(before, "all") / before["sum_genweights"]["DY_2018"]
    )
    assert output["variables"]["met"]["DY"]["DY_2018"].storage_type is hist.storage.Double


def test_histograms_that_a_hook_made_without_categories(make_config, analysis):
    class Own(analysis.SmallProcessor):
        def fill_histograms_extra(self, variation):
            own = hist.Hist(hist.axis.Regular(2, 0, 500, name="met"), storage="weight")
            own.fill(np.asarray(self.events.MET.pt), weight=self.weights_manager.get_weight())
            self.output["variables"]["own"] = {self._sample: {self._dataset: own}}

    output = analysis.run(make_config(Own))
    own = output["variables"]["own"]["DY"]["DY_2018"]
    assert own.sum(flow=True).value == pytest.approx(output["sumw"]["all"]["DY_2018"]["DY"]["nominal"])


def test_dataset_that_is_not_configured_is_refused(make_config, analysis):
    config = make_config()
    raw = analysis.run(config, postprocess=False)
    raw["cutflow"]["initial"]["Other_2018"] = 3
    with pytest.raises(ResultsRefused, match="Other_2018"):
        config.processor_instance.postprocess(raw)


def test_data_are_never_scaled(make_config, analysis):
    config = make_config(datasets={"D_2018": ("D", "data_singlemuon", 50, {})})
    output = analysis.run(config)
    assert output["variables"]["met"]["D"]["D_2018"][{"cat": "all"}].sum(flow=True).value == 50


def test_an_override_without_super_is_warned_about(make_config, analysis, caplog):
    class Forgets(analysis.SmallProcessor):
        def postprocess(self, accumulator):
            return accumulator

    class Nothing(analysis.SmallProcessor):
        def postprocess(self, accumulator):
            super().postprocess(accumulator)

    for workflow, options, warned in [
        (Nothing, {}, False),
        (Forgets, {"do_postprocessing": False}, False),
        (Forgets, {}, True),
    ]:
        config = make_config(workflow, **options)
        merged = analysis.run(config, postprocess=False)
        assert postprocessed(config.processor_instance, merged) is merged
        assert ("postprocess() of Forgets does not call super()" in caplog.text) is warned
