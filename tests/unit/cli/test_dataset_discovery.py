import json
import re

import pytest
from click.testing import CliRunner

from pocket_coffea.cli.dataset_discovery import DataDiscoveryCLI
from pocket_coffea.cli.main import main
from pocket_coffea.datasets.definition import read_definition
from pocket_coffea.datasets.discovery import Selection, guess_key, guess_metadata, pick, save_definition
from pocket_coffea.datasets.files import DatasetFile, Replica
from pocket_coffea.errors import CatalogueError, ConfigurationError, OptionError, ResultsRefused

TT = "/TTto2L2Nu_TuneCP5_13p6TeV_powheg/Run3Summer22NanoAODv12-130X-v2/NANOAODSIM"
EXT = TT.replace("-v2", "_ext1-v2")
EE = TT.replace("Summer22", "Summer22EE")
MUON = "/Muon/Run2022E-27Jun2023-v1/NANOAOD"


class Source:
    """A catalogue of four datasets."""

    def names(self, pattern, instance):
        expression = re.escape(pattern).replace(r"\*", ".*")
        return [name for name in (TT, EXT, EE, MUON) if re.fullmatch(expression, name)]

    def files(self, das_name, instance):
        if das_name == EXT:
            raise CatalogueError("Rucio does not answer")
        replicas = (Replica("T2_A", "root://a//1"), Replica("T2_B", "root://b//1"))
        return [
            DatasetFile("/store/1", 10, None, 5, replicas),
            DatasetFile("/store/2", 10, None, 6, replicas[:1]),
        ]


@pytest.fixture
def dialogue(tmp_path, monkeypatch):
    """Return ``dialogue("query ...", ...)``: what is told when these lines are typed."""
    monkeypatch.chdir(tmp_path)

    def play(*lines):
        told, waiting = [], list(lines)

        def ask(question):
            told.append(question)
            if not waiting:
                raise EOFError
            return waiting.pop(0)

        DataDiscoveryCLI(Source(), ask=ask, tell=told.append).start_cli()
        assert not waiting
        return "\n".join(told)

    return play


def test_from_a_query_to_a_definition(dialogue, tmp_path):
    text = dialogue(
        "query /TT*/*/NANOAODSIM",
        "select 1, 3",
        "block T2_B",
        "preview",
        "save definition.json",
        *("TT", "", "", "762.1", "", "762.1", "", ""),
        "quit",
    )
    assert f"   1 {TT}" in text
    assert "2 files, 11 events, 0.00 GB; T2_A 2/2, T2_B 1/2" in text
    requests = read_definition(tmp_path / "definition.json")
    assert [(request.name, request.das_names) for request in requests] == [
        ("TT_2022_preEE", (TT,)),
        ("TT_2022_postEE", (EE,)),
    ]
    assert requests[0].metadata["xsec"] == "762.1"
    assert requests[0].json_output == "datasets/TT.json"


def test_rules_change_what_can_be_read(dialogue):
    text = dialogue(
        "query /Muon/*", "select all", "allow T2_B", "preview", "allow", "preview", "clear", "sites"
    )
    assert text.count("1 file at no site that may be used") == 1
    assert "nothing is chosen" in text


def test_what_fails_is_said_and_the_dialogue_goes_on(dialogue):
    text = dialogue("qery x", "select 7", "query *", f"select {EXT}", "preview", "save", "", "help", "quit")
    assert "'qery' is no command here. Did you mean 'query'" in text
    assert "'7' is none of the datasets" in text
    assert "ERROR: Rucio does not answer" in text
    assert "ERROR: save FILE writes" in text


def test_metadata_that_a_name_tells():
    assert guess_metadata(TT) == {"isMC": True, "year": "2022_preEE"}
    assert guess_metadata(EE)["year"] == "2022_postEE"
    assert guess_metadata(MUON) == {
        "isMC": False,
        "primaryDataset": "Muon",
        "year": "2022_postEE",
        "era": "E",
    }
    years = {
        "Run2016C-HIPM_UL2016_MiniAODv2_NanoAODv9-v2": "2016_PreVFP",
        "Run2016G-UL2016_MiniAODv2_NanoAODv9-v2": "2016_PostVFP",
        "Run2017B-UL2017_MiniAODv2_NanoAODv9-v1": "2017",
        "Run2023D-22Sep2023_v1-v1": "2023_postBPix",
        "Run2024F-PromptReco-v1": "2024",
    }
    for processed, year in years.items():
        assert guess_metadata(f"/Muon/{processed}/NANOAOD")["year"] == year
    campaigns = {
        "RunIISummer20UL16NanoAODAPVv9-x-v1": "2016_PreVFP",
        "RunIISummer20UL16NanoAODv9-x-v1": "2016_PostVFP",
        "RunIISummer20UL18NanoAODv9-x-v1": "2018",
        "Run3Summer23BPixNanoAODv12-x-v1": "2023_postBPix",
        "RunIII2024Summer24NanoAODv15-x-v1": "2024",
    }
    for processed, year in campaigns.items():
        assert guess_metadata(f"/TT/{processed}/NANOAODSIM")["year"] == year
    assert "year" not in guess_metadata("/TT/Other-v1/NANOAODSIM")
    assert (guess_key(TT), guess_key(MUON)) == ("TTto2L2Nu", "DATA_Muon")


def test_choices():
    names = [TT, EXT, EE]
    assert pick(names, "all") == names
    assert pick(names, "2-3 1 2") == [EXT, EE, TT]
    assert pick(names, EE) == [EE]
    for wrong in ("0", "3-2", "4", "x"):
        with pytest.raises(OptionError, match="Allowed: all, 1 to 3, names"):
            pick(names, wrong)


def test_an_entry_is_not_replaced_unasked_and_nothing_half_is_left(tmp_path):
    path = tmp_path / "definition.json"
    good = {"isMC": True, "year": "2018", "xsec": "1"}
    save_definition(path, "TT", "TT", "tt.json", [Selection(TT, good), Selection(EXT, good)], overwrite=False)
    (request,) = read_definition(path)
    assert request.das_names == (TT, EXT)
    before = path.read_bytes()
    with pytest.raises(ResultsRefused, match="has an entry 'TT' already"):
        save_definition(path, "TT", "TT", "tt.json", [Selection(EE, good)], overwrite=False)
    with pytest.raises(ConfigurationError, match=r"definition\.json: 'B'.*has no 'xsec'"):
        save_definition(
            path, "B", "B", "b.json", [Selection(EE, {"isMC": True, "year": "1"})], overwrite=False
        )
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    users = Selection("/A/me-b/USER", good, "prod/phys03")
    save_definition(path, "A", "A", "a.json", [users], overwrite=True)
    assert read_definition(path, ["A"])[0].dbs_instance == "prod/phys03"


def test_without_a_terminal_it_wants_a_query():
    result = CliRunner().invoke(main, ["dataset-discovery-cli"])
    assert result.exit_code == 2
    assert "--query" in result.output


def test_a_script(tmp_path, monkeypatch):
    monkeypatch.setattr("pocket_coffea.cli.build_datasets.make_catalogue", lambda arguments: Source())
    path = tmp_path / "d.json"

    def call(*options, code=0):
        result = CliRunner().invoke(main, ["dataset-discovery-cli", *options])
        assert result.exit_code == code, result.output
        return result.stdout

    described = json.loads(call("-q", "/TT*/*NanoAODv12-130X-v2/*", "--json"))
    assert [each["name"] for each in described] == [EE, TT]
    assert described[0]["sites"] == {"T2_A": 2, "T2_B": 1}
    call("-q", "/TT*", "--select", EE, "--output", str(path), "--metadata", "xsec=5", "--sample", "Top")
    (request,) = read_definition(path)
    assert (request.name, request.metadata["sample"]) == ("TTto2L2Nu_2022_postEE", "Top")
    call("-q", "/Nothing*", code=4)
    call("-q", "/TT*", "--select", "1", "--output", str(path), "--metadata", "xsec", code=1)
