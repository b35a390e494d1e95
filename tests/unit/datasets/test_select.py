import pytest

from pocket_coffea.datasets.files import DatasetFile, Replica
from pocket_coffea.datasets.select import SiteRules, unknown_sites
from pocket_coffea.errors import InvalidValue, OptionError

SITES = ("T2_CH_CERN", "T1_DE_KIT_Disk", "T2_US_FNAL")


def file(name="/store/a.root", sites=SITES):
    return DatasetFile(name, replicas=tuple(Replica(site, f"root://{site}/{name}") for site in sites))


def sites(rules, **options):
    return [replica.site for replica in rules.ordered(file(**options))]


def test_the_order_of_the_catalogue_stays_without_rules():
    assert sites(SiteRules()) == list(SITES)


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ({"allow": ("T1_DE_KIT",)}, ["T1_DE_KIT_Disk"]),
        ({"allow": ("T1_DE_KIT_Disk",)}, ["T1_DE_KIT_Disk"]),
        ({"block": ("T1_DE_KIT",)}, ["T2_CH_CERN", "T2_US_FNAL"]),
        ({"regex": "^T2_"}, ["T2_CH_CERN", "T2_US_FNAL"]),
        ({"regex": "_Disk$"}, ["T1_DE_KIT_Disk"]),
        ({"allow": ("T2_CH_CERN", "T2_US_FNAL"), "regex": "US"}, ["T2_US_FNAL"]),
        ({"block": SITES}, []),
        (
            {"sort": "priority", "priority": ("T2_US_FNAL", "T1_DE_KIT")},
            ["T2_US_FNAL", "T1_DE_KIT_Disk", "T2_CH_CERN"],
        ),
    ],
)
def test_rules(rules, left):
    assert sites(SiteRules(**rules)) == left


def test_random_is_the_same_for_a_seed_and_spreads_files():
    first = {n: sites(SiteRules(sort="random", seed=1), name=f"/store/{n}.root")[0] for n in range(60)}
    again = {n: sites(SiteRules(sort="random", seed=1), name=f"/store/{n}.root")[0] for n in range(60)}
    other = {n: sites(SiteRules(sort="random", seed=2), name=f"/store/{n}.root")[0] for n in range(60)}
    assert first == again != other
    assert set(first.values()) == set(SITES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sort": "geop"}, "Did you mean 'geoip'"),
        ({"sort": "priority"}, "go together"),
        ({"priority": ("T2_CH_CERN",)}, "go together"),
        ({"allow": ("T1_DE_KIT",), "block": ("T1_DE_KIT_Disk",)}, "T1_DE_KIT is both"),
    ],
)
def test_contradictions(options, message):
    with pytest.raises(OptionError, match=message):
        SiteRules(**options)


@pytest.mark.parametrize(
    ("options", "message"), [({"regex": "("}, "regular"), ({"block": ("root://a",)}, "names")]
)
def test_wrong_values(options, message):
    with pytest.raises(InvalidValue, match=message):
        SiteRules(**options)


def test_a_site_that_holds_nothing_is_said():
    (sentence,) = unknown_sites(SiteRules(block=("T2_CH_CERM", "T1_DE_KIT")), SITES)
    assert "Did you mean 'T2_CH_CERN'" in sentence
