"""The page: whole, by itself, and harmless whatever the names are."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import pocket_coffea.report
from pocket_coffea.cli.main import main
from pocket_coffea.report.page import content_of, page_of
from pocket_coffea.report.source import find_source
from pocket_coffea.utils.output_file import load_output, save_output
from tests.unit.report.campaigns import make_campaign
from tests.unit.report.outputs import make_output

EVIL = "</script><script>alert(1)</script><!-- & \" ' \u2028"


def report(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.fixture
def output(tmp_path):
    return save_output(make_output(), tmp_path / "run" / "output_all.coffea")


def inflated(block):
    return json.loads(zlib.decompress(base64.b64decode(block)))


def data_of(page):
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def test_the_command_writes_one_page(output):
    result = report(output.parent)
    assert result.exit_code == 0
    path = output.parent / "report.html"
    assert re.search(rf"Report: {path} \(\d+ kB\)", result.output)
    page = path.read_text()
    content = data_of(page)
    assert content["title"] == "run/output_all.coffea"
    assert [each["name"] for each in content["output"]["figures"]["variables"]] == ["pt"]
    assert content["output"]["categories"] == ["inclusive", "signal region"]
    assert content["jobs"] is None
    assert sorted(each.name for each in output.parent.iterdir()) == ["output_all.coffea", "report.html"]


def test_the_page_needs_nothing_else(output):
    page = page_of(content_of(find_source(output)))
    text = page.replace("http://www.w3.org/2000/svg", "")  # the name of a namespace
    for word in ("http:", "https:", "src=", "@import", "<link", "fetch(", "XMLHttpRequest"):
        assert word not in text
    assert "$" + "{" not in page.split("<script>")[0]


def test_only_this_script_and_style_may_run(output):
    page = page_of(content_of(find_source(output)))
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)[1]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy == f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'"


def test_no_name_becomes_markup(tmp_path):
    path = save_output(make_output(EVIL, ["inclusive", EVIL]), tmp_path / "<b>&" / "output_all.coffea")
    page = page_of(content_of(find_source(path)))
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "alert(1)" in page
    assert "<title>&lt;b&gt;&amp;/output_all.coffea</title>" in page
    content = data_of(page)["output"]
    assert content["categories"] == ["inclusive", EVIL]
    assert content["figures"]["samples"][0]["name"] == EVIL


def test_the_script_builds_the_page_from_text_alone():
    folder = Path(pocket_coffea.report.__file__).parent
    for path in folder.glob("*.js"):
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
            assert word not in path.read_text(), path.name


@pytest.mark.parametrize("name", ["output_all.coffea", "output_all.coffea.zip"])
def test_output_of_either_format_and_a_page_elsewhere(tmp_path, name):
    save_output(make_output(), tmp_path / name)
    result = report(tmp_path / name, "-o", tmp_path / "pages" / "mine.html")
    assert result.exit_code == 0
    assert data_of((tmp_path / "pages" / "mine.html").read_text())["title"].endswith(name)


def test_the_merged_output_of_a_campaign_is_compared_with_its_plan(tmp_path):
    save_output(make_output(), tmp_path / "output_merged.coffea")
    make_campaign(tmp_path / "job")
    assert report(tmp_path).exit_code == 0
    content = data_of((tmp_path / "report.html").read_text())
    assert inflated(content["output"]["holes"]) == []
    assert inflated(content["jobs"]["block"])["jobs"][1]["state"] == "running"
    plan = {
        "output_dir": "..",
        "jobs_list": {
            "job_0": {
                "filesets": {"DY_2018": {"files": ["/data/lost.root"], "metadata": {}}},
                "output_file": "../output_job_0.coffea",
            }
        },
    }
    (tmp_path / "job" / "jobs_config.yaml").write_text(yaml.safe_dump(plan))
    assert report(tmp_path / "job").exit_code == 0
    content = data_of((tmp_path / "report.html").read_text())
    assert inflated(content["output"]["holes"]) == [
        ["DY_2018", "/data/lost.root", "the whole file", "not processed"]
    ]
    plan["jobs_list"]["job_0"]["output_file"] = "root://host//output_job_0.coffea"
    (tmp_path / "job" / "jobs_config.yaml").write_text(yaml.safe_dump(plan))
    assert report(tmp_path).exit_code == 0
    content = data_of((tmp_path / "report.html").read_text())
    assert len(inflated(content["output"]["holes"])) == 1
    (tmp_path / "job" / "jobs_config.yaml").write_text("jobs_list: {}")
    result = report(tmp_path)
    assert result.exit_code == 0
    assert "files that no job looked at are not listed" in result.output


def test_a_plotting_style_is_merged_in(output, tmp_path):
    style = tmp_path / "style.yaml"
    style.write_text("plotting_style:\n  labels_mc: {DY: Drell-Yan}\n")
    assert report(output, "-op", style).exit_code == 0
    content = data_of((output.parent / "report.html").read_text())
    assert content["output"]["figures"]["samples"][0]["label"] == [["Drell-Yan", 0]]


def test_an_output_without_histograms(tmp_path):
    output = make_output()
    output["variables"] = {}
    save_output(output, tmp_path / "output_all.coffea")
    assert report(tmp_path).exit_code == 0
    assert data_of((tmp_path / "report.html").read_text())["output"]["figures"]["variables"] == []


def test_errors_name_what_is_wrong(tmp_path, output):
    missing = report(tmp_path / "no.coffea")
    assert missing.exit_code == 3
    assert "does not exist" in missing.output
    damaged = tmp_path / "output_all.coffea"
    damaged.write_bytes(b"\x04\x22\x4d\x18 torn")
    result = report(damaged)
    assert result.exit_code == 3
    assert "cannot be read" in result.output
    assert "Traceback" not in result.output
    refused = report(output, "-o", output)
    assert refused.exit_code == 1
    assert "a page is named *.html" in refused.output
    assert load_output(output)["variables"]
    (tmp_path / "file").touch()
    unwritable = report(output, "-o", tmp_path / "file" / "report.html")
    assert unwritable.exit_code == 3
    assert "cannot be written" in unwritable.output
