import pytest

from pocket_coffea.lib.nano import get_nano_version
from tests.unit.lib.object_events import make_events, params

EVENTS = {"Jet": [[{"pt": 1.0}]]}


@pytest.mark.parametrize(
    ("metadata", "year", "expected"),
    [
        ({}, "2018", 9),
        ({}, "2024", 15),
        ({"nano_version": "12"}, "2018", 12),
        ({"nano_version": 15}, "2018", 15),
        ({"isMC": "True", "filename": "/store/x/NanoAODv12/a.root"}, "2018", 12),
        ({"isMC": "True", "filename": "/store/x/NanoAODv15/a.root"}, "2018", 15),
        ({"isMC": "False", "filename": "/store/x/NanoAODv12/a.root"}, "2018", 9),
        ({"isMC": "True", "filename": "/store/x/NanoAODv12/a.root", "nano_version": "9"}, "2018", 9),
    ],
)
def test_where_the_version_comes_from(metadata, year, expected):
    assert get_nano_version(make_events(metadata, **EVENTS), params(), year) == expected


def test_an_unknown_year():
    with pytest.raises(KeyError, match="'2031'"):
        get_nano_version(make_events(**EVENTS), params(), "2031")
