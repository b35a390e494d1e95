from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

import pocket_coffea.parameters as parameters_package
from pocket_coffea.errors import (
    DataFileNotFound,
    InvalidType,
    InvalidValue,
    OutputError,
    PocketCoffeaError,
    UnknownName,
)
from pocket_coffea.parameters import defaults, resolvers
from pocket_coffea.utils.data_files import CVMFS_METADATA

YEARS = (
    *("2016_PreVFP", "2016_PostVFP", "2017", "2018", "2022_preEE", "2022_postEE"),
    *("2023_preBPix", "2023_postBPix", "2024", "2025"),
)
RUN2, RUN3 = YEARS[:4], YEARS[4:]
LUMINOSITY = (
    *(19648.186119, 16977.701784, 41479.680528, 59832.47534, 7980.4),
    *(26671.7, 17960, 9680, 109950, 110840),
)
MEDIUM = (0.2598, 0.2489, 0.3040, 0.2783, 0.3086, 0.3196, 0.2431, 0.2435, 0.1272, 0.1272)


@pytest.fixture(scope="module")
def params():
    return defaults.get_default_parameters()


@pytest.fixture(autouse=True)
def _no_tags_left_behind():
    yield
    defaults.setup_cvmfs_resolver({})


def leaves(node, path=()):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from leaves(value, (*path, i))
    else:
        yield path, node


# ---- the facts


@pytest.mark.parametrize(("year", "lumi", "medium"), list(zip(YEARS, LUMINOSITY, MEDIUM, strict=True)))
def test_every_year_is_complete(params, year, lumi, medium):
    assert params.lumi.picobarns[year].tot == lumi
    assert params.plotting_style.plot_upper_label.by_year[year] == lumi / 1000
    assert medium == params.btagging.working_point[year].btagging_WP.M
    assert params.default_nano_version[year] == (
        9 if year in RUN2 else 15 if year in ("2024", "2025") else 12
    )
    assert "goodVertices" in params.event_flags[year]
    assert list(params.event_flags_data[year]) == ["eeBadScFilter"]
    for section in (
        params.pileupJSONfiles,
        params.lumi.goldenJSON,
        params.met_calibration,
        params.jet_scale_factors.btagSF,
        params.jet_scale_factors.ctagSF,
        params.jets_calibration.collection,
        params.jets_calibration.apply_jec_msoftdrop_MC,
        params.jets_calibration.apply_jec_msoftdrop_Data,
        params.lepton_scale_factors.electron_sf.JSONfiles,
        params.lepton_scale_factors.electron_sf.trigger_sf,
        params.lepton_scale_factors.muon_sf.sf_name,
        params.lepton_scale_factors.muon_sf.JSONfiles,
        params.photon_scale_factors.photon_sf.sf_name,
        params.photon_scale_factors.photon_sf.era_mapping,
    ):
        assert year in section
    assert {"id", "reco", "trigger"} <= set(params.lepton_scale_factors.electron_sf.era_mapping[year])


def test_eras_add_up_to_the_total_within_the_rounding_of_the_source(params):
    for year in YEARS:
        eras = {era: value for era, value in params.lumi.picobarns[year].items() if era != "tot"}
        assert sum(eras.values()) == pytest.approx(params.lumi.picobarns[year].tot, rel=2e-3)


@pytest.mark.parametrize("year", YEARS)
def test_btag_working_points_are_ordered_and_tight_exists(params, year):
    points = params.btagging.working_point[year].btagging_WP
    names = ["L", "M", "T"] if year in RUN2 else ["L", "M", "T", "XT", "XXT"]
    values = [points[name] for name in names]
    assert values == sorted(values)
    assert set(names) <= set(points)
    if year in RUN2:
        assert points["T"] == points.H


def test_payloads_belong_to_the_year_that_names_them(params):
    """Every CVMFS path under a year is of that year: swapped entries cannot come back."""
    wanted = {
        "2016_PreVFP": "Run2-2016preVFP",
        "2016_PostVFP": "Run2-2016postVFP",
        "2017": "Run2-2017",
        "2018": "Run2-2018",
        "2022_preEE": "Summer22-",
        "2022_postEE": "Summer22EE-",
        "2023_preBPix": "Summer23-",
        "2023_postBPix": "Summer23BPix-",
        "2024": "Summer24-NanoAODv15",
        "2025": "Run3-25Prompt",
    }
    checked = 0
    for path, value in leaves(OmegaConf.to_container(params, throw_on_missing=False)):
        year = next((key for key in path if key in wanted), None)
        shared_recipe = path[:2] == ("jet_scale_factors", "jet_id") and year == "2025"
        if year and isinstance(value, str) and value.startswith("/cvmfs/") and not shared_recipe:
            assert wanted[year] in value, path
            checked += 1
    assert checked > 100


def test_all_that_is_resolved_is_resolved(params):
    for path, value in leaves(OmegaConf.to_container(params, throw_on_missing=False)):
        assert not (isinstance(value, str) and "${" in value), path
        assert all(isinstance(key, (str, int)) for key in path)
    assert params.jets_calibration.variations.AK8PFPuppi["2024"] == ["JES_Total", "JER"]
    assert params.jets_calibration.jet_types.AK4CorrT1METJetPuppi["2022_preEE"].level == "L1L2L3Res"
    assert list(params.systematic_variations.weight_variations.sf_btag["2018"])[:2] == ["hf", "lf"]


def test_missing_values_are_allowed_until_they_are_read(params):
    assert OmegaConf.is_missing(params.lepton_scale_factors.electron_sf.trigger_sf["2018"], "file")
    with pytest.raises(MissingMandatoryValue, match=r"trigger_sf\.2018\.file"):
        _ = params.lepton_scale_factors.electron_sf.trigger_sf["2018"].file


def test_quick_resolution_equals_that_of_omegaconf(params):
    slow = OmegaConf.create({})
    for name in defaults.DEFAULT_FILES:
        slow = OmegaConf.merge(slow, OmegaConf.load(f"{resolvers.default_params_dir()}/{name}"))
    OmegaConf.resolve(slow)
    as_plain = [OmegaConf.to_container(config, throw_on_missing=False) for config in (slow, params)]
    assert as_plain[0] == as_plain[1]


@pytest.mark.parametrize("name", [*defaults.DEFAULT_FILES, defaults.RUN_OPTIONS_FILE])
def test_default_files_have_no_duplicate_keys_and_no_number_as_key(name):
    text = OmegaConf.load(f"{resolvers.default_params_dir()}/{name}")  # refuses duplicate keys
    for path, _ in leaves(OmegaConf.to_container(text, resolve=False)):
        assert not any(isinstance(key, int) and key > 1000 for key in path), path
    with open(f"{resolvers.default_params_dir()}/{name}") as stream:
        assert yaml.safe_load(stream) == OmegaConf.to_container(text, resolve=False)


def test_package_reexports_everything():
    assert parameters_package.__all__ == defaults.__all__
    for name in defaults.__all__:
        assert getattr(parameters_package, name) is getattr(defaults, name)


# ---- copies and speed


def test_each_call_gives_an_independent_copy():
    first = defaults.get_default_parameters()
    first.event_flags["2018"].append("made_up")
    first.lumi.picobarns["2018"].tot = 1
    second = defaults.get_default_parameters()
    assert "made_up" not in second.event_flags["2018"]
    assert second.lumi.picobarns["2018"].tot == 59832.47534


def test_warm_defaults_are_quick():
    defaults.get_default_parameters()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        defaults.get_default_parameters()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1


def test_defaults_load_without_cvmfs_in_a_fresh_process(tmp_path):
    code = (
        "import builtins, os, sys\n"
        "def refuse(event, args):\n"
        "    if event in ('open', 'os.listdir', 'os.scandir') and str(args[0]).startswith('/cvmfs'):\n"
        "        raise AssertionError(args)\n"
        "sys.addaudithook(refuse)\n"
        "from pocket_coffea.parameters import defaults\n"
        "p = defaults.get_default_parameters()\n"
        "print(p.pileupJSONfiles['2018'].file)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "POCKET_COFFEA_DATA"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.stdout.strip().endswith("LUM/Run2-2018-UL-NanoAODv9/2021-09-10/puWeights.json.gz")


# ---- resolvers


def resolved(text):
    return OmegaConf.create({"x": text}).x


def test_cvmfs_tag_precedence():
    period = "Run2-2018-UL-NanoAODv9"
    assert resolved(f"${{cvmfs:{period},JME,a.json.gz}}") == f"{CVMFS_METADATA}/JME/{period}/latest/a.json.gz"
    defaults.setup_cvmfs_resolver({"JME": {period: "2020-01-01"}})
    assert resolved(f"${{cvmfs:{period},JME,a.json.gz}}").endswith("/2020-01-01/a.json.gz")
    assert resolved(f"${{cvmfs:{period},JME,a.json.gz,2026-06-10}}").endswith("/2026-06-10/a.json.gz")
    defaults.setup_cvmfs_resolver()  # keeps the tags
    assert resolved(f"${{cvmfs:{period},JME,a.json.gz}}").endswith("/2020-01-01/a.json.gz")


def test_group_tags_reach_the_defaults_and_leave_with_them():
    period = "Run3-24CDEReprocessingFGHIPrompt-Summer24-NanoAODv15"
    tagged = defaults.get_default_parameters(group_tags={"EGM": {period: "2030-02-03"}})
    path = tagged.lepton_scale_factors.electron_sf.promptMVA_jsons["2024"].file
    assert path == f"{CVMFS_METADATA}/EGM/{period}/2030-02-03/electron.json.gz"
    plain = defaults.get_default_parameters(group_tags={})
    assert "/latest/" in plain.lepton_scale_factors.electron_sf.promptMVA_jsons["2024"].file


@pytest.mark.parametrize(
    ("reference", "near"),
    [
        ("Run2-2018-UL-NanoAODv9,JMEE,a.json", "JME"),
        ("Run2-2018-UL-NanoAODv8,JME,a.json", "Run2-2018-UL-NanoAODv9"),
    ],
)
def test_unknown_group_or_period_names_the_nearest(reference, near):
    with pytest.raises(ValueError, match=rf"Did you mean .*{near}"):
        resolvers.cvmfs_path(*reference.split(","))
    with pytest.raises(InterpolationResolutionError, match=f"Did you mean .*{near}"):
        resolved(f"${{cvmfs:{reference}}}")
    assert issubclass(UnknownName, ValueError)


def test_new_area_is_accepted_where_its_directory_exists(tmp_path, monkeypatch):
    (tmp_path / "JME" / "Run4-2030").mkdir(parents=True)
    monkeypatch.setenv("POCKET_COFFEA_DATA", str(tmp_path))
    assert resolved("${cvmfs:Run4-2030,JME,a.json}") == f"{CVMFS_METADATA}/JME/Run4-2030/latest/a.json"


def test_other_resolvers():
    assert resolved("${default_params_dir:}") == resolvers.default_params_dir()
    assert resolved("${pico_to_femto:17960}") == 17.96
    defaults.register_configuration_dir("my_dir", "/first")
    defaults.register_configuration_dir("my_dir", "/second")
    assert resolved("${my_dir:}/x.yaml") == "/second/x.yaml"
    with pytest.raises(InvalidValue, match="cvmfs"):
        defaults.register_configuration_dir("cvmfs", "/x")


def test_group_tags_of_the_wrong_shape():
    with pytest.raises(InvalidValue, match="JME"):
        defaults.setup_cvmfs_resolver({"JME": "latest"})


# ---- merging


def test_update_merges_dicts_and_replaces_lists():
    main = OmegaConf.create({"a": {"x": 1, "y": [1, 2, 3], "z": {"k": 1}}, "b": 2})
    merged = defaults.merge_parameters(main, {"a": {"y": [9], "z": {"l": 2}}}, {"c": 3})
    assert merged == {"a": {"x": 1, "y": [9], "z": {"k": 1, "l": 2}}, "b": 2, "c": 3}
    assert main == {"a": {"x": 1, "y": [1, 2, 3], "z": {"k": 1}}, "b": 2}


def test_update_false_replaces_the_top_level_key_only():
    main = OmegaConf.create({"a": {"x": 1, "y": 2}, "b": {"k": 1}})
    merged = defaults.merge_parameters(main, {"a": {"x": 5}}, update=False)
    assert merged == {"a": {"x": 5}, "b": {"k": 1}}
    assert main.a.y == 2


def test_interpolations_see_the_merged_result():
    main = OmegaConf.create({"lumi": {"tot": 4}, "same": "${lumi.tot}"})
    merged = defaults.merge_parameters(
        main, {"mine": {"half": "${lumi.tot}"}, "top": "${lumi.tot}"}, {"lumi": {"tot": 5}}
    )
    assert (merged.mine.half, merged.top, merged.same) == (5, 5, 5)
    merged = defaults.merge_parameters(main, {"same": 7}, update=False)
    assert merged.same == 7


def test_files_in_order(tmp_path):
    (tmp_path / "a.yaml").write_text("object_preselection:\n  Muon: {pt: 15, id: tightId}\n")
    (tmp_path / "b.yaml").write_text(
        "object_preselection:\n  Muon: {pt: '29.5'}\nHLT_triggers:\n  2018:\n    SingleMuon: IsoMu24\n"
    )
    files = [str(tmp_path / "a.yaml"), tmp_path / "b.yaml"]
    composed = defaults.compose_parameters_from_files(*files)
    assert composed.object_preselection.Muon == {"pt": 29.5, "id": "tightId"}
    assert composed.HLT_triggers["2018"].SingleMuon == ["IsoMu24"]
    full = defaults.get_defaults_and_compose(*files)
    assert full.object_preselection.Muon.pt == 29.5
    assert full.default_nano_version["2018"] == 9
    replaced = defaults.merge_parameters_from_files(composed, files[1], update=False)
    assert "id" not in replaced.object_preselection.Muon


def test_from_string_reads_dicts_yaml_and_dotlists():
    main = OmegaConf.create({"a": {"x": 1}})
    merged = defaults.merge_parameters_from_string(
        main, {"a": {"y": 2}}, "a:\n  z: 3\n", "a.w=4", ["b.c=5", "b.d=text"]
    )
    assert merged == {"a": {"x": 1, "y": 2, "z": 3, "w": 4}, "b": {"c": 5, "d": "text"}}


@pytest.mark.parametrize(
    ("patch", "path", "expected"),
    [
        ({"lumi": {"picobarns": {2018: {"tot": "3"}}}}, "lumi.picobarns.2018.tot", 3),
        ({"default_nano_version": {2018: "12"}}, "default_nano_version.2018", 12),
        ({"met_calibration": {"2018": {"apply_data": "True"}}}, "met_calibration.2018.apply_data", True),
        ({"met_calibration": {"2018": {"apply_MC": 0}}}, "met_calibration.2018.apply_MC", False),
        (
            {"btagging": {"working_point": {2017: {"btagging_WP": {"M": "0.3"}}}}},
            "btagging.working_point.2017.btagging_WP.M",
            0.3,
        ),
        (
            {"photon_scale_factors": {"photon_sf": {"era_mapping": {2018: 2018}}}},
            "photon_scale_factors.photon_sf.era_mapping.2018",
            "2018",
        ),
        (
            {"plotting_style": {"opts_figure": {"datamc": {"figsize": ["10", 8]}}}},
            "plotting_style.opts_figure.datamc.figsize",
            [10, 8],
        ),
        (
            {"object_preselection": {"Photon": {"pixelSeed": "false", "pt": "1e1"}}},
            "object_preselection.Photon",
            {"pixelSeed": False, "pt": 10.0},
        ),
        (
            {"met_calibration": {"2018": {"apply_data": "${lumi.x}"}}, "lumi": {"x": 1}},
            "met_calibration.2018.apply_data",
            1,
        ),
        ({"default_nano_version": {"2018": None}}, "default_nano_version.2018", None),
    ],
)
def test_years_booleans_and_numbers_are_put_right(params, patch, path, expected):
    merged = defaults.merge_parameters(params, patch)
    value = OmegaConf.select(merged, path)
    assert value == expected
    assert type(value) is type(expected) or OmegaConf.is_config(value)
    years = merged.lumi.picobarns.keys()
    assert all(isinstance(year, str) for year in years)


def test_wrong_types_name_file_and_key(params, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("met_calibration:\n  '2018':\n    apply_data: maybe\n")
    with pytest.raises(InvalidValue, match=r"wrong.yaml: met_calibration.2018.apply_data .*'maybe'"):
        defaults.merge_parameters_from_files(params, path)
    with pytest.raises(InvalidValue, match=r"lumi.picobarns.2018.tot has to be a number .*'much'"):
        defaults.merge_parameters(params, {"lumi": {"picobarns": {"2018": {"tot": "much"}}}})
    with pytest.raises(InvalidValue, match=r"parameters #1: .*2018"):
        defaults.merge_parameters(params, {"lumi": {2018: 1, "2018": 2}})
    with pytest.raises(InvalidType, match=r"parameters #1.*list"):
        defaults.merge_parameters(params, [1, 2])


def test_years_of_the_main_parameters_are_put_right_too():
    main = OmegaConf.create({"cuts": {2018: 1}, "bits": {3: "kept"}})
    merged = defaults.merge_parameters(main, {"cuts": {"2018": 2}})
    assert merged == {"cuts": {"2018": 2}, "bits": {3: "kept"}}
    assert defaults.normalise_parameters(main).cuts["2018"] == 1


@pytest.mark.parametrize("text", ["a: [1\n", "- 1\n- 2\n", "a: 1\na: 2\n"])
def test_unreadable_file_is_named(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(PocketCoffeaError, match=r"bad\.yaml"):
        defaults.compose_parameters_from_files(path)


def test_missing_file_is_named():
    with pytest.raises(DataFileNotFound, match=r"not_there\.yaml"):
        defaults.compose_parameters_from_files("not_there.yaml")
    with pytest.raises(FileNotFoundError):
        defaults.compose_parameters_from_files("not_there.yaml")


def test_empty_file_changes_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    assert defaults.merge_parameters_from_files(OmegaConf.create({"a": 1}), tmp_path / "empty.yaml") == {
        "a": 1
    }


# ---- dumping


def test_dump_round_trip_and_refusal(params, tmp_path):
    target = tmp_path / "new" / "dump.yaml"
    defaults.dump_parameters(params, target)
    again = OmegaConf.load(target)
    assert again.lumi == params.lumi
    assert again.event_flags["2018"] == params.event_flags["2018"]
    with pytest.raises(OutputError, match="exists already"):
        defaults.dump_parameters(params, target)
    defaults.dump_parameters({"a": 1}, str(target), overwrite=True)
    assert OmegaConf.load(target) == {"a": 1}
    assert [entry.name for entry in target.parent.iterdir()] == ["dump.yaml"]


def test_dump_says_why_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/dump\.yaml cannot be written"):
        defaults.dump_parameters({"a": 1}, tmp_path / "file" / "dump.yaml")


def test_parameters_can_be_pickled(params):
    assert pickle.loads(pickle.dumps(params)) == params


# the reference


def test_reference_names_every_year_key_and_function(params):
    text = (Path(__file__).parents[3] / "docs" / "parameters.md").read_text()
    keys = re.findall(r"^\| `(\w+)` \| `", text.split("## Top-level keys")[1], flags=re.MULTILINE)
    assert keys == list(params)
    assert ", ".join(f"`{year}`" for year in YEARS) in text
    documented = set(re.findall(r"^\| `(\w+)\(", text, flags=re.MULTILINE))
    assert documented == set(defaults.__all__)
