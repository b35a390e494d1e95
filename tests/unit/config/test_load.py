import json
import os
import subprocess
import sys
import textwrap
from types import ModuleType

import cloudpickle
import pytest

from pocket_coffea.config.configurator import Configurator
from pocket_coffea.config.digests import configuration_digests
from pocket_coffea.errors import ConfigurationError, DataFileNotFound, InvalidType, UnknownName
from pocket_coffea.utils.utils import load_config

CONFIG = """
import os
import cloudpickle
import workflow
from workflow import Counting
import custom_cuts
from custom_cuts import at_least
cloudpickle.register_pickle_by_value(workflow)
from omegaconf import OmegaConf
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.weights.common import common_weights
from pocket_coffea.lib.weights.weights import WeightLambda
from pocket_coffea.utils.configurator import Configurator

localdir = os.path.dirname(os.path.abspath(__file__))


def here(events, params, **kwargs):
    return events.nMuon > params["n"]


cfg = Configurator(
    workflow=Counting,
    parameters=OmegaConf.create({"a": 1}),
    datasets={"jsons": [f"{localdir}/datasets.json"]},
    skim=[at_least(TAG)],
    preselections=[Cut(name="here", params={"n": 1}, function=here)],
    categories={},
    weights={"common": {"inclusive": ["genWeight"], "bycategory": {}}},
    weights_classes=[*common_weights, WeightLambda.wrap_func("config_load_TAG", lambda p, m, e, size, s: 1)],
    calibrators=[],
    variations={},
    variables={},
)
"""
WORKFLOW = """
from helper import VALUE

class Counting:
    value = VALUE
    def __init__(self, cfg):
        self.cfg = cfg
    def process(self, events):
        return {}
"""
CUTS = """
from pocket_coffea.lib.cut_definition import Cut

def _at_least(events, params, **kwargs):
    return events.nMuon >= params["n"]

def at_least(n):
    return Cut(name=f"atleast{n}", params={"n": n}, function=_at_least)
"""
DATASETS = {
    "DY": {"files": ["a.root"], "metadata": {"sample": "DY", "year": "2018", "isMC": "True", "xsec": "1"}}
}


@pytest.fixture(autouse=True)
def _keep_imports(monkeypatch):
    before = dict(sys.modules)
    registered = cloudpickle.list_registry_pickle_by_value()
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in cloudpickle.list_registry_pickle_by_value() - registered:
        cloudpickle.unregister_pickle_by_value(ModuleType(name))
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


@pytest.fixture
def analysis(tmp_path):
    """Return a function that writes an analysis into a new folder and returns its configuration file."""

    def write(name, tag=1, **files):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        texts = {"config": CONFIG.replace("TAG", str(tag)), "workflow": WORKFLOW, "custom_cuts": CUTS}
        for stem, text in {**texts, "helper": f"VALUE = {tag}\n", **files}.items():
            (folder / f"{stem}.py").write_text(textwrap.dedent(text))
        (folder / "datasets.json").write_text(json.dumps(DATASETS))
        return folder / "config.py"

    return write


def test_a_python_file(analysis):
    path = analysis("one")
    config = load_config(str(path), do_load=False)
    assert not config.loaded
    assert config.config_file == str(path)
    assert sys.path[0] == str(path.parent)
    assert load_config(path).loaded


def test_the_dumps(analysis, tmp_path):
    load_config(analysis("one"), outputdir=tmp_path / "out")
    assert (tmp_path / "out" / "configurator.pkl").exists()
    load_config(analysis("one"), save_config=False, outputdir=tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_two_analyses_with_files_of_the_same_names(analysis):
    one = load_config(analysis("one", 1))
    two = load_config(analysis("two", 2))
    assert (one.workflow.value, two.workflow.value) == (1, 2)
    assert [one.skim[0].name, two.skim[0].name] == ["atleast1", "atleast2"]
    assert load_config(analysis("one", 1)).workflow.value == 1


def test_an_edited_file_is_read_again(analysis):
    assert load_config(analysis("one", 1)).workflow.value == 1
    assert load_config(analysis("one", 1000)).workflow.value == 1000


def test_relative_path(analysis, monkeypatch):
    path = analysis("one")
    monkeypatch.chdir(path.parent)
    assert load_config("config.py").loaded


def test_a_saved_configuration_needs_no_files_of_the_user(analysis, tmp_path):
    path = analysis("one", 5)
    config = load_config(path, outputdir=tmp_path / "out")
    config.save_config(tmp_path / "out")
    path.parent.rename(tmp_path / "gone")
    code = (
        "import sys, json\n"
        "from pocket_coffea.utils.utils import load_config\n"
        "from pocket_coffea.config.digests import configuration_digests\n"
        "cfg = load_config(sys.argv[1])\n"
        "clone = cfg.clone(); clone.set_filesets_manually(cfg.filesets); clone.load()\n"
        "print(json.dumps([cfg.loaded, cfg.workflow.value, cfg.skim[0].name, configuration_digests(cfg),"
        " configuration_digests(clone)]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out" / "configurator.pkl")]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    digests = configuration_digests(config)
    assert json.loads(result.stdout) == [True, 5, "atleast5", digests, digests]


def test_digest_follows_every_module_of_the_user(analysis):
    base = configuration_digests(load_config(analysis("one")))
    assert configuration_digests(load_config(analysis("two"))) == {**base, "datasets": base["datasets"]}
    cuts = CUTS.replace(">=", ">")
    assert (
        configuration_digests(load_config(analysis("one", custom_cuts=cuts)))["configuration"]
        != base["configuration"]
    )
    helper = "VALUE = 1  # of another kind\n"
    new = configuration_digests(load_config(analysis("one", helper=helper)))
    assert new["configuration"] != base["configuration"]
    assert new["parameters"] == base["parameters"]


def test_no_such_file(analysis):
    path = analysis("one")
    with pytest.raises(DataFileNotFound, match=r"'.*confg\.py' does not exist.*Did you mean 'config\.py'"):
        load_config(path.with_name("confg.py"))
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_config("/nowhere/at/all/config.py")
    with pytest.raises(DataFileNotFound, match="is a folder"):
        load_config(path.parent)
    path.with_name("config.txt").write_text("")
    with pytest.raises(ConfigurationError, match="neither a Python file"):
        load_config(path.with_name("config.txt"))


def test_no_cfg(analysis):
    path = analysis("one", config="from pocket_coffea.utils.configurator import Configurator\nx = 1\n")
    with pytest.raises(ConfigurationError, match=r'does not define "cfg"\. Write cfg = Configurator'):
        load_config(path)
    path = analysis("one", config=CONFIG.replace("TAG", "1").replace("cfg =", "config ="))
    with pytest.raises(ConfigurationError, match="a Configurator named 'config': rename it to cfg"):
        load_config(path)
    with pytest.raises(InvalidType, match=r"must be a Configurator, not \{\} of type dict"):
        load_config(analysis("one", config="cfg = {}\n"))


def test_errors_in_the_file_name_the_line(analysis):
    with pytest.raises(ConfigurationError) as error:
        load_config(analysis("one", config="x = 1\ny = x + unknown\n"))
    assert str(error.value).splitlines() == [
        f"{analysis('one')}, line 2, in <module>:",
        "    y = x + unknown",
        "NameError: name 'unknown' is not defined",
    ]


def test_errors_in_a_sibling_name_its_line(analysis):
    with pytest.raises(
        ConfigurationError, match=r"workflow\.py, line 1, in <module>:\n    1 / 0\nZeroDivisionError"
    ):
        load_config(analysis("one", workflow="1 / 0\n"))


def test_syntax_error(analysis):
    with pytest.raises(ConfigurationError, match=r"config\.py, line 2:\n    y = = 2\nSyntaxError"):
        load_config(analysis("one", config="x = 1\ny = = 2\n"))


def test_missing_module_with_the_nearest_file(analysis):
    with pytest.raises(
        ConfigurationError, match=r"No module named 'workflw'\. Did you mean 'workflow', next to"
    ):
        load_config(analysis("one", config="import workflw\n"))


@pytest.mark.parametrize("status", [0, 1])
def test_a_configuration_may_not_end_the_program(analysis, status):
    config = analysis("A")
    (config.parent / "helper.py").write_text(f"import sys\nsys.exit({status})\n")
    with pytest.raises(ConfigurationError, match=rf"helper\.py, line 2, (?s:.*)exit code {status}"):
        load_config(config)


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("import common_weights", "import common_weight", r"Did you mean 'common_weights'"),
        ("categories={}", "categoris={}", r"Did you mean 'categories'"),
    ],
)
def test_names_that_were_meant(analysis, old, new, hint):
    config = analysis("A")
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(ConfigurationError, match=hint):
        load_config(config)


def test_our_errors_keep_their_type_and_get_the_line(analysis):
    text = CONFIG.replace("TAG", "1").replace("skim=[at_least(1)]", "skim=[at_least(1)], workflow_options=3")
    with pytest.raises(InvalidType, match=r"(?s)config\.py, line \d+, in <module>.*workflow_options must be"):
        load_config(analysis("one", config=text))
    text = CONFIG.replace("TAG", "1").replace('["genWeight"]', '["genWeigt"]')
    with pytest.raises(UnknownName, match="Did you mean 'genWeight'"):
        load_config(analysis("one", config=text))


def test_errors_of_the_workflow_name_the_line(analysis):
    workflow = (
        "class Counting:\n    def __init__(self, cfg):\n        cfg.nothing\n    def process(self, e): pass\n"
    )
    with pytest.raises(
        ConfigurationError, match=r"workflow\.py, line 3, in __init__:\n    cfg\.nothing\nAttributeError"
    ):
        load_config(analysis("one", workflow=workflow))


def test_pickles_that_are_none(tmp_path):
    path = tmp_path / "c.pkl"
    path.write_bytes(b"not a pickle")
    with pytest.raises(ConfigurationError, match="is not a saved configuration that can be read here"):
        load_config(path)
    path.write_bytes(cloudpickle.dumps([1]))
    with pytest.raises(InvalidType, match="must hold a Configurator, not list"):
        load_config(path)


def test_truncated_pickle(analysis, tmp_path):
    load_config(analysis("one"), outputdir=tmp_path)
    path = tmp_path / "configurator.pkl"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ConfigurationError, match="It may be truncated"):
        load_config(path)


def test_an_unloaded_pickle_is_loaded(analysis, tmp_path):
    config = load_config(analysis("one"), do_load=False)
    path = tmp_path / "c.pkl"
    path.write_bytes(cloudpickle.dumps(config))
    again = load_config(path)
    assert isinstance(again, Configurator)
    assert again.loaded


def test_modules_that_cannot_be_sent_stay_where_they_are(analysis, tmp_path, caplog):
    locked = WORKFLOW.replace("return {}", "return LOCK") + "\nimport threading\nLOCK = threading.Lock()\n"
    text = CONFIG.replace("TAG", "1").replace("cloudpickle.register_pickle_by_value(workflow)\n", "")
    load_config(analysis("one", workflow=locked, config=text), outputdir=tmp_path / "out")
    assert "cannot be sent to other machines (TypeError" in caplog.text
    assert load_config(tmp_path / "out" / "configurator.pkl").workflow.value == 1


def test_two_analyses_may_give_one_name_to_different_weights(analysis):
    def value(config):
        return config.available_weights["config_load_1"]._function(None, None, None, 1, "nominal")

    text = CONFIG.replace("TAG", "1")
    first = load_config(analysis("one", config=text))
    second = load_config(analysis("two", config=text.replace("s: 1)", "s: 2 * size)")))
    assert (value(first), value(second)) == (1, 2)
    line = "\nagain = WeightLambda.wrap_func('config_load_1', lambda p, m, e, size, s: 3)\n"
    with pytest.raises(ConfigurationError, match=r"weight 'config_load_1' is defined twice"):
        load_config(analysis("three", config=text + line))
