"""Without our runner, as in a notebook: the Runner of coffea drives a loaded configuration."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from coffea.nanoevents import NanoAODSchema
from coffea.processor import FuturesExecutor, IterativeExecutor, Runner

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")


def drive(config, executor, **options):
    runner = Runner(executor=executor, chunksize=150, schema=NanoAODSchema, format="root", **options)
    return runner(config.filesets, treename="Events", processor_instance=config.processor_instance)


@pytest.fixture
def config(make_config):
    datasets = {
        "DY_2018": ("DY", "dy", 400, {}),
        "DATA_2018_EraA": ("DATA", "data_singlemuon", 150, {}),
    }
    return make_config(datasets=datasets)


def test_the_runner_of_coffea_gives_the_same_output(config, analysis):
    ours = analysis.run(config)
    # threads start at once; like processes they get the processor pickled
    futures = FuturesExecutor(pool=ThreadPoolExecutor, workers=1, status=False)
    for executor in (IterativeExecutor(status=False), futures):
        output = drive(config, executor)
        for key in ("cutflow", "sum_genweights", "sumw", "datasets_metadata"):
            assert set(output[key]) == set(ours[key])
        assert output["cutflow"] == ours["cutflow"]
        by_dataset = output["datasets_metadata"]["by_datataking_period"]
        assert by_dataset == {"2018": {"DY": {"DY_2018"}, "DATA": {"DATA_2018_EraA"}}}
        for sample, dataset in (("DY", "DY_2018"), ("DATA", "DATA_2018_EraA")):
            expected = ours["variables"]["met"][sample][dataset]
            assert expected.sum(flow=True).value > 0
            np.testing.assert_allclose(
                output["variables"]["met"][sample][dataset].view(flow=True)["value"],
                expected.view(flow=True)["value"],
                rtol=1e-12,
            )


def test_a_few_chunks_only(config):
    output = drive(config, IterativeExecutor(status=False), maxchunks=1)
    assert sorted(output["cutflow"]["initial"]) == ["DATA_2018_EraA", "DY_2018"]
    assert output["cutflow"]["initial"]["DY_2018"] < 400
