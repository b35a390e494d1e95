import json
import sys

import pytest

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.utils.modules import (
    add_to_path,
    evict_siblings,
    is_user_module,
    modules_below,
    path_import,
    source_digests,
    user_place,
)


@pytest.fixture(autouse=True)
def _keep_imports(monkeypatch):
    """Undo what the tests do to the import system."""
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def test_add_to_path_puts_a_folder_first_once(tmp_path):
    add_to_path(tmp_path)
    add_to_path(tmp_path / "other")
    add_to_path(tmp_path)
    assert sys.path[0] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1


def test_path_import_runs_the_file(tmp_path):
    write(tmp_path, e_mod_a="from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int' = 3\n")
    module = path_import(tmp_path / "e_mod_a.py")
    assert module.A().x == 3
    assert sys.modules["e_mod_a"] is module


def test_path_import_that_fails_leaves_the_old_module(tmp_path):
    write(tmp_path, e_mod_b="x = 1\n")
    old = path_import(tmp_path / "e_mod_b.py")
    write(tmp_path, e_mod_b="raise RuntimeError('no')  # longer\n")
    with pytest.raises(RuntimeError, match="no"):
        path_import(tmp_path / "e_mod_b.py")
    assert sys.modules["e_mod_b"] is old


def test_path_import_of_nothing(tmp_path):
    with pytest.raises(ConfigurationError, match="does not exist"):
        path_import(tmp_path / "missing.py")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ConfigurationError, match="not a Python file"):
        path_import(tmp_path / "notes.txt")


def test_siblings_of_another_analysis_are_forgotten(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for number, folder in enumerate((one, two)):
        (folder / "e_pack").mkdir(parents=True)
        write(folder, e_sibling=f"number = {number}\n")
        write(folder / "e_pack", __init__="", inner=f"number = {number}\n")
    add_to_path(one)
    import e_pack.inner
    import e_sibling

    assert (e_sibling.number, e_pack.inner.number) == (0, 0)
    gone = evict_siblings(two)
    add_to_path(two)
    assert set(gone) == {"e_sibling", "e_pack", "e_pack.inner"}
    import e_pack.inner
    import e_sibling

    assert (e_sibling.number, e_pack.inner.number) == (1, 1)


def test_installed_modules_stay(tmp_path):
    write(tmp_path, json="", numpy="", pocket_coffea="")
    (tmp_path / "pocket_coffea").mkdir()
    assert evict_siblings(tmp_path) == []
    assert sys.modules["json"] is json


def test_user_modules(tmp_path):
    import numpy as np

    import pocket_coffea

    write(tmp_path, e_mod_c="x = 1\n")
    module = path_import(tmp_path / "e_mod_c.py")
    assert is_user_module(module)
    assert not any(map(is_user_module, (np, json, sys, pocket_coffea)))
    assert modules_below(tmp_path) == [module]


def test_sources_are_followed_through_imports(tmp_path):
    write(
        tmp_path,
        e_deep="def f():\n    return 1\n",
        e_mid="from e_deep import f\n",
        e_top="import e_mid, json\n",
    )
    add_to_path(tmp_path)
    top = path_import(tmp_path / "e_top.py")
    digests = source_digests([top])
    assert sorted(digests) == ["e_deep", "e_mid", "e_top"]
    write(tmp_path, e_deep="def f():\n    return 2\n")
    changed = source_digests([top])
    assert {name for name in digests if digests[name] != changed[name]} == {"e_deep"}


def test_what_has_no_file_is_its_code():
    scope = {"__name__": "e_notebook"}
    exec("def f(x):\n    return x + 1", scope)
    first = source_digests([scope["f"]])
    exec("def f(x):\n    return x + 2", scope)
    assert list(first) == ["e_notebook.f"]
    assert first != source_digests([scope["f"]])
    assert source_digests([len, json.dumps]) == {}


def test_the_place_of_an_error_is_the_innermost_line_of_the_user(tmp_path):
    write(tmp_path, p_inner="import json\n\ndef f(text):\n    return json.loads(text)\n")
    add_to_path(tmp_path)
    inner = path_import(tmp_path / "p_inner.py")
    try:
        try:
            inner.f("{")
        except ValueError as error:
            raise ConfigurationError("ours") from error
    except ConfigurationError as error:
        place = user_place(error)
    assert place == f"{tmp_path}/p_inner.py, line 4, in f:\n    return json.loads(text)"
    assert user_place(ValueError("never raised")) is None
