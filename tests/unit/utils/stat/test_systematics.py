import pytest

from pocket_coffea.utils.stat import Systematics, SystematicUncertainty


def test_one_value_or_one_for_each_process():
    lumi = SystematicUncertainty("lumi", "lnN", ["tt", "DY"], ["2018"], 1.02, datacard_name="CMS_lumi")
    assert (lumi.value_for("tt"), lumi.value_for("data")) == (1.02, None)
    xsec = SystematicUncertainty("xsec", "lnN", {"tt": 1.05, "DY": (0.9, 1.2)}, ["2018"])
    assert (xsec.datacard_name, xsec.value_for("DY")) == ("xsec", (0.9, 1.2))
    assert list(Systematics([lumi, xsec])) == ["CMS_lumi", "xsec"]


@pytest.mark.parametrize(("processes", "value"), [(["tt"], None), ({"tt": 1.1}, 1.1)])
def test_a_value_is_given_in_one_way(processes, value):
    with pytest.raises(UserWarning, match="either one value or a dictionary"):
        SystematicUncertainty("lumi", "lnN", processes, ["2018"], value)


def test_wrong_ones_are_refused():
    lumi = SystematicUncertainty("lumi", "lnN", ["tt"], ["2018"], 1.02)
    with pytest.raises(ValueError, match="used twice"):
        Systematics([lumi, lumi])
    with pytest.raises(TypeError, match="SystematicUncertainty objects"):
        Systematics(["lumi"])
    with pytest.raises(TypeError, match="list or a dictionary"):
        SystematicUncertainty("lumi", "lnN", "tt", ["2018"], 1.02)
    with pytest.raises(ValueError, match="number or"):
        SystematicUncertainty("lumi", "lnN", ["tt"], ["2018"], (1, 2, 3))
