import copy
import json
import logging
import pickle
import subprocess
import sys

import cloudpickle
import pytest
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue

from pocket_coffea.config.digests import configuration_digests
from pocket_coffea.config.dump import describe
from pocket_coffea.errors import ConfigurationError, InvalidType, OutputError
from pocket_coffea.lib.columns_manager import ColOut
from pocket_coffea.lib.hist_manager import HistConf
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.utils.configurator import Configurator


def plain_state(config):
    """What a configuration is, for comparisons."""
    state = describe(config)
    names = "datasets samples years eras subsamples_list subsamples_map total_samples_list requested_weights"
    return state | {name: getattr(config, name) for name in names.split()}


def test_building_reads_nothing(configure):
    config = configure(datasets={"jsons": ["nowhere.json"]}, weights="wrong", categories=3)
    assert not config.loaded
    assert not config.filesets_loaded
    assert config.processor_instance is None
    assert config.parameters.c == 1
    with pytest.raises(MissingMandatoryValue):
        _ = config.parameters.later


def test_parameters_are_a_resolved_copy_with_years_as_strings(configure):
    given = OmegaConf.create({"y": {2018: "${a}"}, "a": 3})
    config = configure(parameters=given)
    assert config.parameters.y["2018"] == 3
    assert list(given.y) == [2018]
    assert configure(parameters={"a": 1}).parameters.a == 1
    with pytest.raises(ConfigurationError, match="parameters cannot be resolved"):
        configure(parameters=OmegaConf.create({"x": {"y": "${nowhere.z}"}}))
    with pytest.raises(InvalidType, match="parameters must be"):
        configure(parameters="params.yaml")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("${ab.c}", r"at x: .*There is no 'ab' at the top\. Did you mean 'abc'"),
        ("${abc.other}", r"\$\{\.key\} is next to the value"),
        ("${my_folder:}/files", r"call defaults\.register_configuration_dir\('my_folder', folder\)"),
    ],
)
def test_an_interpolation_that_leads_nowhere_says_what_was_meant(configure, value, hint):
    with pytest.raises(ConfigurationError, match=hint):
        configure(parameters=OmegaConf.create({"x": value, "abc": {"def": 1}}))


def test_load(configure):
    config = configure()
    config.load()
    assert config.loaded
    assert config.filesets_loaded
    assert config.datasets == ["TTbar_2018", "DY_2018", "DATA_2018_EraA"]
    assert config.samples == ["TTbar", "DY", "DATA_SingleMuon"]
    assert config.years == ["2018"]
    assert config.eras == ["A"]
    assert config.samples_metadata["DATA_SingleMuon"] == {"isMC": False}
    assert config.filesets["DY_2018"]["metadata"]["xsec"] == "6077.22"
    assert config.has_subsamples == {"TTbar": False, "DY": False, "DATA_SingleMuon": False}
    assert list(config.subsamples["DY"].keys()) == ["DY"]
    assert config.subsamples_list == []
    assert config.total_samples_list == ["DATA_SingleMuon", "DY", "TTbar"]
    assert config.requested_weights == ["genWeight", "lumi", "XS"]
    assert [cls.name for cls in config.weights_classes] == config.requested_weights
    assert config.available_calibrators_variations == ["config_test_shift"]
    assert config.calibrations_not_applied == []
    assert config.columns["DY"] == {"baseline": [], "tight": []}
    assert config.processor_instance.cfg is config


def with_subsamples(arguments):
    cuts = arguments["categories"]["tight"]
    return {**arguments["datasets"], "subsamples": {"TTbar": {"z": cuts, "a": cuts}, "Gone": {"x": cuts}}}


def test_subsamples(configure, arguments):
    config = configure(
        datasets=with_subsamples(arguments),
        weights={
            "common": {"inclusive": ["genWeight"]},
            "bysample": {"TTbar__a": {"inclusive": ["config_test_varied"]}},
        },
        variations={
            "weights": {
                "common": {"inclusive": []},
                "bysample": {"TTbar__a": {"inclusive": ["config_test_varied"]}},
            },
            "shape": {"common": {"inclusive": ["config_test_shift"]}},
        },
        columns={"bysample": {"TTbar__z": {"inclusive": [ColOut("Muon", ["pt"])]}}},
    )
    config.load()
    assert config.has_subsamples["TTbar"]
    assert config.subsamples_list == ["TTbar__a", "TTbar__z"]
    assert config.subsamples_map == {"TTbar": ["TTbar__z", "TTbar__a"]}
    assert config.subsamples_reversed_map["TTbar__a"] == "TTbar"
    assert config.subsamples_reversed_map["DY"] == "DY"
    assert config.total_samples_list == ["DATA_SingleMuon", "DY", "TTbar", "TTbar__a", "TTbar__z"]
    assert config.available_weights_variations["TTbar"] == ["nominal", "config_test_varied"]
    assert config.available_shape_variations == {
        "TTbar": ["config_test_shift"],
        "DY": ["config_test_shift"],
        "DATA_SingleMuon": [],
    }
    assert [len(columns) for columns in config.columns["TTbar__z"].values()] == [1, 1]
    assert "TTbar" not in config.columns


def test_empty_parts(configure):
    config = configure(
        skim=[], preselections=[], categories={}, variations={}, variables={}, workflow_options=None
    )
    config.load()
    assert config.skim == config.preselections == [passthrough]
    assert list(config.categories.keys()) == ["baseline"]
    assert config.workflow_options == {}


def test_nothing_of_the_caller_changes(configure, arguments):
    arguments |= {"skim": [], "preselections": [], "categories": {}, "workflow_options": {"a": [1]}}
    arguments["datasets"] = with_subsamples(arguments | {"categories": {"tight": []}})
    names = "datasets skim preselections categories weights variations variables weights_classes calibrators"
    before = {name: copy.copy(arguments[name]) for name in names.split()}
    parameters = OmegaConf.to_container(arguments["parameters"], resolve=False)
    config = configure()
    config.load()
    config.workflow_options["a"].append(2)
    assert {name: arguments[name] for name in before} == before
    assert arguments["workflow_options"] == {"a": [1]}
    assert OmegaConf.to_container(arguments["parameters"], resolve=False) == parameters
    assert config.skim_cfg == []


def test_later_changes_of_the_caller_have_no_effect(configure, arguments):
    config = configure()
    arguments["skim"].append("nonsense")
    arguments["weights"]["common"]["inclusive"].append("nonsense")
    config.load()
    assert len(config.skim) == 1


def test_loading_twice_is_harmless(configure):
    config = configure()
    config.load()
    state, processor = plain_state(config), config.processor_instance
    config.load()
    assert plain_state(config) == state
    assert config.processor_instance is processor


def test_loading_again_after_a_failure(configure, arguments, jsons):
    arguments["datasets"]["filter"]["samples"] = ["Nothing"]
    config = configure()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="Wrong filesets"):
            config.load()
    assert not config.loaded
    config.datasets_cfg["filter"]["samples"] = ["DY"]
    config.load()
    assert config.samples == ["DY"]


def test_clone_is_equal_and_not_loaded(configure, arguments):
    config = configure(datasets=with_subsamples(arguments), skim=[], save_skimmed_files="folder")
    config.load()
    clone = config.clone()
    assert not clone.loaded
    assert not clone.filesets_loaded
    assert clone.parameters is not config.parameters
    assert clone.save_skimmed_files
    assert clone.save_skimmed_files_folder == "folder"
    clone.load()
    assert plain_state(clone) == plain_state(config)
    assert configuration_digests(clone) == configuration_digests(config)
    clone.parameters.a.b = 7
    assert config.parameters.a.b == 1


def test_filesets_set_by_hand(configure, caplog):
    config = configure(
        weights={"common": {"inclusive": []}, "bysample": {"TTbar": {"inclusive": ["genWeight"]}}}
    )
    config.load_datasets()
    config.set_filesets_manually({"DY_2018": config.filesets["DY_2018"]})
    with caplog.at_level(logging.WARNING):
        config.load()
    assert config.samples == ["DY"]
    assert not caplog.records  # TTbar exists, it is just not processed
    clone = config.clone()
    clone.load()
    assert clone.datasets == ["DY_2018"]
    with pytest.raises(ConfigurationError, match="has no files"):
        clone.set_filesets_manually({"DY_2018": {**config.filesets["DY_2018"], "files": []}})


def test_filesets_set_after_loading(configure):
    config = configure()
    config.load()
    full = config.filesets
    config.set_filesets_manually({"DY_2018": full["DY_2018"]})
    assert config.loaded  # everything is known about this sample
    other = copy.deepcopy(full["DY_2018"])
    other["metadata"]["sample"] = "Other"
    config.set_filesets_manually({"Other": other})
    assert not config.loaded
    config.load()
    assert list(config.weights_config) == ["Other"]


def test_filter_dataset(configure):
    config = configure()
    config.filter_dataset(2)
    assert config.filesets["TTbar_2018"]["files"] == ["tt_1.root", "tt_2.root"]
    assert config.filesets["TTbar_2018"]["metadata"]["nevents"] == "500"
    assert config.filesets["DY_2018"]["metadata"]["nevents"] == 500
    config.load()
    assert len(config.filesets["TTbar_2018"]["files"]) == 2
    assert config.clone().filesets == config.filesets


@pytest.mark.parametrize("load", [False, True])
def test_pickles(configure, arguments, load):
    config = configure(datasets=with_subsamples(arguments))
    if load:
        config.load()
    again = pickle.loads(cloudpickle.dumps(config))
    assert again.loaded is load
    again.load()
    config.load()
    assert plain_state(again) == plain_state(config)
    assert again.processor_instance.cfg is again
    assert configuration_digests(again) == configuration_digests(config)


def test_skim_export(configure):
    assert configure().save_skimmed_files is False
    assert configure(save_skimmed_files="out").save_skimmed_files_folder == "out"
    with pytest.raises(InvalidType, match="must be the folder"):
        configure(save_skimmed_files=True).load()


def test_workflow_options_must_be_a_dictionary(configure):
    with pytest.raises(InvalidType, match="workflow_options must be a dictionary"):
        configure(workflow_options=["a"])


def test_weights_without_their_physics(configure):
    with pytest.raises(NotImplementedError, match="'sf_mu_id'"):
        configure(weights={"common": {"inclusive": ["sf_mu_id"]}}).load()


def test_repr_is_short(configure):
    config = configure()
    assert repr(config) == "Configurator(workflow=Workflow, not loaded)"
    config.load()
    assert len(repr(config).splitlines()) == 10
    for part in (
        "3 (6 files), years 2018",
        "TTbar, DY, DATA_SingleMuon",
        "baseline, tight",
        "genWeight, lumi, XS",
    ):
        assert part in repr(config)


def test_save_config(configure, arguments, tmp_path, caplog):
    out = tmp_path / "out"
    config = configure(datasets=with_subsamples(arguments), workflow_options={"model": tmp_path, "n": {2, 1}})
    config.save_config(out)
    assert not out.exists()
    assert "is not loaded, so nothing is written" in caplog.text
    config.load()
    config.save_config(out)
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json",
        "configurator.pkl",
        "parameters_dump.yaml",
    ]
    assert yaml.safe_load((out / "parameters_dump.yaml").read_text()) == {
        "a": {"b": 1},
        "c": 1,
        "later": "???",
    }
    dump = json.loads((out / "config.json").read_text())
    assert list(dump) == [
        *("datasets", "skim", "preselections", "categories", "workflow", "weights", "weights_classes"),
        *("calibrators", "variations", "variables", "columns"),
    ]
    assert list(dump["datasets"]) == ["names", "samples", "filesets", "subsamples"]
    assert list(dump["datasets"]["subsamples"]) == ["TTbar"]
    assert dump["workflow"]["name"] == "Workflow"
    assert dump["workflow"]["workflow_options"] == {"model": str(tmp_path), "n": [1, 2]}
    assert dump["workflow"]["srcfile"].endswith("conftest.py")
    assert [entry["name"] for entry in dump["weights_classes"]] == ["genWeight", "lumi", "XS"]
    assert dump["skim"][0]["params"] == {"field": "nMuon", "value": 0}
    again = cloudpickle.loads((out / "configurator.pkl").read_bytes())
    assert isinstance(again, Configurator)
    assert again.loaded
    first = (out / "config.json").read_bytes()
    config.clone().save_config(out)
    config.save_config(out)
    assert (out / "config.json").read_bytes() == first


def test_what_cannot_be_pickled_is_said(configure, tmp_path):
    config = configure(workflow_options={"file": sys.stdout})
    config.load()
    with pytest.raises(ConfigurationError, match="cannot be sent to other processes: TypeError"):
        config.save_config(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        config_of(configure).save_config(tmp_path / "file")


def config_of(configure, **changes):
    config = configure(**changes)
    config.load()
    return config


def test_digests_follow_what_changes(configure, arguments):
    base = configuration_digests(config_of(configure))
    assert set(base) == {"configuration", "parameters", "datasets"}
    assert all(len(digest) == 64 for digest in base.values())
    assert configuration_digests(config_of(configure)) == base

    def changed(**changes):
        new = configuration_digests(config_of(configure, **changes))
        return {name for name in base if new[name] != base[name]}

    assert changed(parameters=OmegaConf.create({"a": 2})) == {"parameters"}
    assert changed(workflow_options={"x": 1}) == {"configuration"}
    folders = [{"dump_columns_as_arrays_per_chunk": folder} for folder in ("here", "there")]
    here, there = (configuration_digests(config_of(configure, workflow_options=each)) for each in folders)
    assert here == there != base  # that columns are in files matters, not where
    assert changed(categories={"baseline": arguments["skim"]}) == {"configuration"}
    assert changed(weights={"common": {"inclusive": ["genWeight"]}}) == {"configuration"}
    axes = arguments["variables"]["mu_pt"].axes
    assert changed(variables={"mu_pt": HistConf(axes, no_weights=True)}) == {"configuration"}
    with pytest.raises(ConfigurationError, match="call load"):
        configuration_digests(configure())


def test_digest_of_datasets_alone_follows_the_files(configure):
    config = config_of(configure)
    base = configuration_digests(config)
    config.filter_dataset(1)
    new = configuration_digests(config)
    assert {name for name in base if new[name] != base[name]} == {"datasets"}


def test_a_part_of_the_datasets_has_the_same_configuration(configure):
    bysample = {"TTbar": {"inclusive": ["config_test_varied"]}}
    config = config_of(configure, weights={"common": {"inclusive": []}, "bysample": bysample})
    part = config.clone()
    part.set_filesets_manually({"DY_2018": config.filesets["DY_2018"]})
    part.load()
    whole, new = configuration_digests(config), configuration_digests(part)
    assert {name for name in whole if new[name] != whole[name]} == {"datasets"}


def test_digests_are_the_same_in_another_process(configure, tmp_path):
    config = config_of(configure)
    config.save_config(tmp_path)
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[2])\n"
        "from pocket_coffea.utils.utils import load_config\n"
        "from pocket_coffea.config.digests import configuration_digests\n"
        "print(json.dumps(configuration_digests(load_config(sys.argv[1]))))"
    )
    # the classes of this test session are importable there by value only
    cloudpickle.register_pickle_by_value(sys.modules[type(config.processor_instance).__module__])
    config.save_config(tmp_path)
    command = [sys.executable, "-c", code, str(tmp_path / "configurator.pkl"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(result.stdout) == configuration_digests(config)
