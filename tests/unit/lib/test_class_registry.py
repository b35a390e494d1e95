"""One name, one class; executing the same definition again is allowed."""

import importlib.util
import subprocess
import sys
import textwrap

import pytest

from pocket_coffea.lib.weights import WeightData, WeightLambda, WeightWrapper

ONE_WEIGHT = """
    from pocket_coffea.lib.weights import WeightData, WeightWrapper
    class First(WeightWrapper):
        name = {name!r}
        def compute(self, events, size, shape_variation):
            return WeightData(self.name, [{value}] * size)
"""
SECOND = """
    class Second(WeightWrapper):
        name = {name!r}
        def compute(self, events, size, shape_variation):
            return WeightData(self.name, [2.0] * size)
"""


def write(path, *parts, **values):
    path.write_text("".join(textwrap.dedent(part) for part in parts).format(**values))
    return path


def execute(path, module_name="analysis_config"):
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def test_a_configuration_executed_again_replaces_its_weights(tmp_path):
    path = write(tmp_path / "cfg.py", ONE_WEIGHT, name="reg_again", value=1.0)
    first = execute(path).First
    second = execute(path).First
    assert first is not second
    assert WeightWrapper.weight_classes["reg_again"] is second


def test_an_edited_configuration_executed_again_replaces_its_weights(tmp_path):
    path = write(tmp_path / "cfg.py", ONE_WEIGHT, name="reg_edited", value=1.0)
    execute(path)
    write(path, "\n\n\n", ONE_WEIGHT, name="reg_edited", value=33.0)  # other line, other code
    edited = execute(path).First
    assert WeightWrapper.weight_classes["reg_edited"] is edited
    assert edited().compute(None, 1, "nominal").nominal == [33.0]


def test_two_classes_with_one_name_in_one_configuration_raise(tmp_path):
    path = write(tmp_path / "cfg.py", ONE_WEIGHT, SECOND, name="reg_twice", value=1.0)
    with pytest.raises(ValueError, match=r"weight 'reg_twice' is defined twice: at .*cfg.py:3 .*cfg.py:8"):
        execute(path)


def test_the_same_name_in_another_file_raises_but_a_copy_does_not(tmp_path):
    execute(write(tmp_path / "a.py", ONE_WEIGHT, name="reg_file", value=1.0))
    copied = execute(write(tmp_path / "copy.py", "\n", ONE_WEIGHT, name="reg_file", value=1.0))
    assert WeightWrapper.weight_classes["reg_file"] is copied.First
    with pytest.raises(ValueError, match="defined twice"):
        execute(write(tmp_path / "b.py", ONE_WEIGHT, name="reg_file", value=2.0))


def test_wrapped_functions_of_one_name_raise():
    WeightLambda.wrap_func(name="reg_wrapped", function=lambda params, metadata, events, size, shape: 1)
    with pytest.raises(ValueError, match="reg_wrapped"):
        WeightLambda.wrap_func(name="reg_wrapped", function=lambda params, metadata, events, size, shape: 2)


@pytest.mark.parametrize("repetition", [1, 2])
def test_a_function_that_defines_a_class_may_run_again(repetition):
    class Local(WeightWrapper):
        name = "reg_local"

        def compute(self, events, size, shape_variation):
            return WeightData(self.name, [float(repetition)] * size)

    assert WeightWrapper.weight_classes["reg_local"] is Local


def test_a_cell_of_a_notebook_may_run_again_and_be_edited():
    namespace = {"__name__": "__main__"}
    code = textwrap.dedent(ONE_WEIGHT)
    exec(compile(code.format(name="reg_cell", value=1), "<cell 1>", "exec"), namespace)
    exec(compile(code.format(name="reg_cell", value=1), "<cell 1>", "exec"), namespace)
    exec(compile(code.format(name="reg_cell", value=2), "<cell 3>", "exec"), namespace)
    assert WeightWrapper.weight_classes["reg_cell"] is namespace["First"]
    both = textwrap.dedent(ONE_WEIGHT + SECOND)
    with pytest.raises(ValueError, match="defined twice"):
        exec(compile(both.format(name="reg_cell", value=2), "<cell 4>", "exec"), namespace)


def test_a_subclass_may_keep_the_name_of_its_base():
    class Base(WeightWrapper):
        name = "reg_base"

        def compute(self, events, size, shape_variation):
            return WeightData(self.name, [1.0] * size)

    class Special(Base):
        name = "reg_base"

    assert Special().name == "reg_base"
    assert WeightWrapper.weight_classes["reg_base"] is Base


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_a_non_empty_string(name):
    with pytest.raises(ValueError, match=r"Nameless has name = .*non-empty string"):
        type(WeightWrapper)("Nameless", (WeightWrapper,), {"name": name})


def test_pickled_by_value_and_loaded_elsewhere(tmp_path):
    path = write(tmp_path / "cfg.py", ONE_WEIGHT, name="reg_pickled", value=4.0)
    path.write_text(
        path.read_text()
        + "from pocket_coffea.lib.weights import WeightLambda\n"
        + "Wrapped = WeightLambda.wrap_func(\n"
        + "    'reg_pickled_fn', lambda p, m, e, n, s: First().compute(e, n, s)\n)\n"
        + "import cloudpickle, pathlib\n"
        + f"pathlib.Path({str(tmp_path / 'cls.pkl')!r}).write_bytes(cloudpickle.dumps([First, Wrapped]))\n"
    )
    subprocess.run([sys.executable, str(path)], check=True, timeout=120)
    loading = (
        "import pickle, sys; First, Wrapped = pickle.load(open(sys.argv[1], 'rb'));"
        "assert First().compute(None, 2, 'nominal').nominal == [4.0, 4.0];"
        "data = Wrapped().compute(None, 1, 'nominal');"
        "assert (data.name, data.nominal) == ('reg_pickled_fn', [4.0])"
    )
    subprocess.run([sys.executable, "-c", loading, str(tmp_path / "cls.pkl")], check=True, timeout=120)
