import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import ConfigurationError, InvalidValue
from pocket_coffea.utils.metadata import normalise_metadata, to_bool, to_number

MC = {"sample": "DY", "year": "2018", "isMC": "True", "xsec": "6077.22"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[
            (True, True),
            (False, False),
            (1, True),
            (0, False),
            ("True", True),
            (" TRUE ", True),
            ("yes", True),
        ],
        *[
            ("1", True),
            ("False", False),
            ("no", False),
            ("0", False),
            ("", False),
            ("  ", False),
            (None, False),
        ],
    ],
)
def test_to_bool(value, expected):
    assert to_bool(value) is expected


def test_to_bool_default_is_for_none_only():
    assert to_bool(None, default=True) is True
    assert to_bool("", default=True) is False


def test_to_bool_refuses_other_values():
    with pytest.raises(ValueError, match=r"'maybe' is not a truth value\. Allowed: true"):
        to_bool("maybe")
    with pytest.raises(TypeError, match="of type list"):
        to_bool([])


@given(st.sampled_from(["true", "false", "yes", "no", "1", "0"]), st.integers(0, 3), st.booleans())
def test_to_bool_ignores_case_and_space(word, spaces, upper):
    written = " " * spaces + (word.upper() if upper else word) + " " * spaces
    assert to_bool(written) is to_bool(word)


def test_to_number_refuses_what_is_not_finite():
    assert to_number("1e3") == 1000.0
    for value in ("nan", "inf", "12,3", None, []):
        with pytest.raises(InvalidValue, match="is not a"):
            to_number(value)


def test_normalise_gives_strings_and_copies():
    given_metadata = {
        "sample": "DY",
        "year": 2018,
        "isMC": True,
        "xsec": 6077.22,
        "nevents": 10,
        "isSkim": "yes",
        "x": [1],
    }
    clean = normalise_metadata(given_metadata)
    assert clean == {
        "sample": "DY",
        "year": "2018",
        "isMC": "True",
        "xsec": "6077.22",
        "nevents": 10,
        "isSkim": "True",
        "x": [1],
    }
    assert given_metadata["year"] == 2018
    assert normalise_metadata({**MC, "year": 2018.0})["year"] == "2018"


@given(
    st.sampled_from([2018, "2018", 2018.0]),
    st.sampled_from([True, "true", 1, "Yes"]),
    st.sampled_from([1.5, "1.5"]),
)
def test_normalise_is_idempotent(year, is_mc, xsec):
    once = normalise_metadata({"sample": "DY", "year": year, "isMC": is_mc, "xsec": xsec})
    assert once == {"sample": "DY", "year": "2018", "isMC": "True", "xsec": "1.5"}
    assert normalise_metadata(once) == once


@pytest.mark.parametrize("key", ["sample", "year", "isMC", "xsec"])
def test_required_keys(key):
    metadata = {name: value for name, value in MC.items() if name != key}
    with pytest.raises(ConfigurationError, match=f"DY_2018 has no '{key}'"):
        normalise_metadata(metadata, "DY_2018")


def test_data_needs_its_era_but_no_cross_section():
    data = {"sample": "DATA", "year": "2018", "isMC": "False"}
    with pytest.raises(ConfigurationError, match="has no 'era'"):
        normalise_metadata(data)
    assert "xsec" not in normalise_metadata({**data, "era": "A"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"isMC": "perhaps"}, "'isMC': 'perhaps' is not a truth value"),
        ({"xsec": "12,3"}, "'xsec': '12,3' is not a number"),
        ({"nevents": "many"}, "'nevents': 'many' is not a number"),
        ({"filename": "x"}, "uses the name 'filename'"),
    ],
)
def test_values_that_cannot_be_read(change, message):
    with pytest.raises(ConfigurationError, match=message):
        normalise_metadata({**MC, **change})
