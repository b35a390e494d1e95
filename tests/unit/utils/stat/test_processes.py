import pytest

from pocket_coffea.utils.stat import DataProcess, DataProcesses, MCProcess, MCProcesses


def process(name, signal=False, years=("2017", "2018")):
    return MCProcess(name=name, samples=["s"], years=years, is_signal=signal)


def test_processes_by_name():
    processes = MCProcesses([process("ttH", signal=True), process("tt", years=["2018"])])
    assert list(processes) == ["ttH", "tt"]
    assert processes["tt"].has_rateParam is False
    assert processes.signal_processes == ["ttH_2017", "ttH_2018"]
    assert processes.background_processes == ["tt_2018"]


def test_wrong_processes_are_refused():
    with pytest.raises(ValueError, match="'tt' is used twice"):
        MCProcesses([process("tt"), process("tt")])
    with pytest.raises(TypeError, match="MCProcess objects"):
        MCProcesses([DataProcess(name="data", samples=["d"], years=["2018"])])
    with pytest.raises(TypeError, match="DataProcess objects"):
        DataProcesses(["data"])
    with pytest.raises(TypeError, match="positional"):
        MCProcess("tt", ["s"], ["2018"], False)
