import subprocess
import sys

from pocket_coffea.lib.calibrators.random_seed import get_random_seed as seed
from pocket_coffea.utils import utils
from pocket_coffea.utils.configurator import Configurator


def test_the_public_names():
    assert sorted(utils.__all__) == ["add_to_path", "get_random_seed", "load_config", "path_import"]
    assert Configurator.__module__ == "pocket_coffea.config.configurator"


def test_seed_of_a_chunk():
    metadata = {"fileuuid": "a", "entrystart": 0, "entrystop": 10}
    assert utils.get_random_seed(metadata, "x") == seed(metadata, "x")
    assert utils.get_random_seed(metadata, "x") != seed(metadata, "y")


def test_importing_it_is_light():
    code = "import sys, pocket_coffea.utils.utils; print('coffea' in sys.modules, 'awkward' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
