"""make-plots and plot-cutflow from files to files, as users call them."""

from __future__ import annotations

import csv
import math

import pytest
import yaml
from click.testing import CliRunner

from pocket_coffea.cli.main import main
from pocket_coffea.errors import UnknownName
from pocket_coffea.plotting.cutflow_plots import _limits, _plot_all, plot_cutflow_from_output
from pocket_coffea.plotting.cutflow_tables import Number, Table
from pocket_coffea.plotting.manager import PlotManager, PlotRequest, make_plots
from pocket_coffea.plotting.source import find_outputs
from pocket_coffea.run.split import split_output
from pocket_coffea.utils.output_file import load_output, save_output
from pocket_coffea.utils.plot_utils import Shape, SystUnc

SMALL = {
    "plotting_style": {
        "fontsize": 8,
        "opts_figure": {
            name: {"figsize": [3, 3]} for name in ("datamc", "datamc_ratio", "systematics_ratio")
        },
    }
}


@pytest.fixture
def folder(tmp_path, output):
    """A folder with an output and a style for small pictures."""
    save_output(output, tmp_path / "output_all.coffea.zip")
    (tmp_path / "style.yaml").write_text(yaml.safe_dump(SMALL))
    return tmp_path


def invoke(folder, *arguments, command="make-plots"):
    start = ("-inp", str(folder), "-op", str(folder / "style.yaml"), "-j", "1")
    return CliRunner().invoke(main, [command, *(start if command == "make-plots" else ()), *arguments])


def pictures(folder, below="plots"):
    return sorted(
        path.relative_to(folder / below).as_posix() for path in (folder / below).rglob("*") if path.is_file()
    )


def test_every_variable_year_and_category(folder):
    index = folder / "index.php"
    index.write_text("<?php ?>")
    result = invoke(folder, "--index-file", str(index))
    assert result.exit_code == 0, result.output
    assert "6 plots" in result.output
    assert pictures(folder) == [
        "baseline/JetGood_pt_2017_baseline.png",
        "baseline/JetGood_pt_2018_baseline.png",
        "baseline/index.php",
        "baseline/x_y_2018_baseline.png",
        "index.php",
        "signal_region/JetGood_pt_2017_signal_region.png",
        "signal_region/JetGood_pt_2018_signal_region.png",
        "signal_region/index.php",
        "signal_region/x_y_2018_signal_region.png",
    ]
    again = invoke(folder)
    assert again.exit_code == 6
    assert "--overwrite" in again.output


def test_what_is_drawn_can_be_chosen(folder):
    chosen = (
        "-oc",
        "base.*",
        "-oy",
        "2018",
        "-oh",
        "JetGood",
        "-os",
        "JES",
        "--systematics-shifts",
        "--compare",
    )
    result = invoke(folder, *chosen, "--log-y", "--log-x", "--format", "pdf,svg", "-o", str(folder / "p"))
    assert result.exit_code == 0, result.output
    assert pictures(folder, "p") == [
        f"baseline/{name}.{end}"
        for name in (
            "logxy_JetGood_pt_2018_baseline_comparison",
            "systematics/logxy_JetGood_pt_2018_baseline_JES",
        )
        for end in ("pdf", "svg")
    ]


def test_years_are_added_up_in_groups(folder):
    style = folder / "style.yaml"
    style.write_text(
        yaml.safe_dump(
            {"plotting_style": {**SMALL["plotting_style"], "years_groups": {"Run2": ["2017", "2018"]}}}
        )
    )
    result = invoke(folder, "-oy", "Run2", "-e", "x_y", "-oc", "baseline")
    assert result.exit_code == 0, result.output
    assert pictures(folder) == ["baseline/JetGood_pt_Run2_baseline.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("-oc", "baselin"), 1, "Did you mean 'baseline'"),
        (("-oy", "2016"), 1, "year '2016' matches nothing"),
        (("-oh", "mll"), 1, "Allowed: JetGood_pt, x_y"),
        (("-oh", "("), 1, "not a regular expression"),
        (("-e", ".*"), 4, "leaves no histogram"),
        (("--format", "jpg"), 1, "Allowed: pdf, png, svg"),
        (("--partial-unc-band",), 1, "--only-syst"),
        (("--index-file", "no.php"), 1, "no such file"),
        (("-i", "none.coffea"), 3, "does not exist"),
        (("--cfg", "none.yaml"), 1, "does not exist"),
        (("-op", "none.yaml"), 1, "does not exist"),
        (("--split-by-category",), 3, "split-output -b category"),
    ],
)
def test_wrong_options_are_said(folder, arguments, code, text):
    result = invoke(folder, *arguments)
    assert text in result.output
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert not (folder / "plots").exists()


def test_uncertainties_that_there_are_not(folder):
    result = invoke(folder, "-oh", "JetGood", "-os", "JES", "-os", "JER.*", "--systematics-shifts")
    assert result.exit_code == 1
    assert "--only-syst 'JER.*' matches no uncertainty" in result.output
    assert "Allowed: JES, isr" in result.output


def test_a_folder_that_cannot_be_written_is_found_out_first(folder):
    (folder / "file").touch()
    result = invoke(folder, "-o", str(folder / "file" / "plots"))
    assert result.exit_code == 3, result.output
    assert "cannot be made: Not a directory" in result.output


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"opts_data": {"marker": "zz"}}, "plotting_style.opts_data: "),
        ({"opts_mc": {"hatches": "x"}}, "plotting_style.opts_mc: "),
        ({"opts_sig": {"linestyle": "dotty"}}, "plotting_style.opts_sig: "),
        ({"opts_unc": {"total": {"hatched": "/"}}}, "plotting_style.opts_unc.total: "),
        ({"opts_figure": {"datamc": {"figsize": "wide"}}}, "plotting_style.opts_figure.datamc: "),
        ({"opts_ylim": {"datamc": {"ylim": {"lo": "x"}}}}, "opts_ylim.datamc.ylim.lo: 'x' is not a number"),
        ({"labels_mc": {"TT": r"$t\bar$"}}, "plotting_style.labels_mc.TT: "),
    ],
)
def test_looks_that_cannot_be_drawn_are_found_out_first(folder, change, text):
    (folder / "style.yaml").write_text(yaml.safe_dump({"plotting_style": change}))
    result = invoke(folder, "-oh", "x_y")
    assert result.exit_code == 1, result.output
    assert text in result.output
    assert not (folder / "plots").exists()


def test_names_in_the_style_that_do_nothing_are_told(folder):
    style = {**SMALL["plotting_style"], "rescale_samples": {"DYY": 0.5}}
    (folder / "style.yaml").write_text(yaml.safe_dump({"plotting_style": style}))
    result = invoke(folder, "-oh", "x_y")
    assert result.exit_code == 0
    assert "rescale_samples: the output has no sample 'DYY'. Did you mean 'DY'" in " ".join(
        result.output.split()
    )


def test_an_error_of_one_plot_keeps_no_other_from_being_drawn(folder):
    style = {**SMALL["plotting_style"], "rebin": {"JetGood_pt": 9}}
    (folder / "style.yaml").write_text(yaml.safe_dump({"plotting_style": style}))
    result = invoke(folder)
    assert result.exit_code == 3
    assert "Allowed: 1 to 3" in result.output
    assert pictures(folder) == ["baseline/x_y_2018_baseline.png", "signal_region/x_y_2018_signal_region.png"]


def test_several_processes_give_the_same_pictures(folder):
    one = make_plots(PlotRequest(str(folder), overwrite_parameters=[str(folder / "style.yaml")], workers=1))
    done = []
    two = make_plots(
        PlotRequest(
            str(folder),
            overwrite_parameters=[str(folder / "style.yaml")],
            workers=2,
            outputdir=str(folder / "two"),
            no_cache=True,
        ),
        lambda number, total, result: done.append((number, total)),
    )
    assert one.n_plots == two.n_plots == 6
    assert done == [(i + 1, len(done)) for i in range(len(done))]
    names = pictures(folder)
    assert names == pictures(folder, "two")
    for name in names:
        assert (folder / "plots" / name).read_bytes() == (folder / "two" / name).read_bytes()


def test_files_split_by_category_are_taken_together(folder):
    save_output(load_output(folder / "output_all.coffea.zip"), folder / "output_all.coffea")
    split_output(folder / "output_all.coffea", by="category", n_categories=1)
    (folder / "output_all.coffea").unlink()
    found = find_outputs(folder, [], split_by_category=True)
    assert [path.name for path in found] == ["output_all_category1.coffea", "output_all_category2.coffea"]
    result = invoke(folder, "--split-by-category", "-oh", "JetGood")
    assert result.exit_code == 0, result.output
    assert len(pictures(folder)) == 4
    twice = invoke(folder, "-i", "output_all.coffea.zip", "-i", "output_all_category1.coffea", "--overwrite")
    assert twice.exit_code == 6
    assert "would count twice" in twice.output


def test_the_classes_as_users_import_them(output, tmp_path):
    style = SMALL["plotting_style"]
    manager = PlotManager(
        *(["JetGood_pt"], output["variables"], output["datasets_metadata"], tmp_path / "plots", style),
        only_cat=["baseline"],
        toplabel={"2018": "my label"},
        workers=1,
    )
    assert list(manager.shape_objects) == ["JetGood_pt_2017", "JetGood_pt_2018"]
    shape = manager.shape_objects["JetGood_pt_2018"]
    assert isinstance(shape, Shape)
    assert (shape.categories, shape.is_mc_only, shape.samples_data) == (["baseline"], False, ["DATA"])
    total = shape.syst_manager.total("baseline")
    assert isinstance(total, SystUnc)
    assert shape.syst_manager.systematics == ["JES", "isr"]
    assert manager.plot_datamc_all(syst=False).n_plots == 2
    assert manager.plot_systematic_shifts_all(only_syst=["isr"]).n_plots == 1
    assert pictures(tmp_path) == [
        "baseline/JetGood_pt_2017_baseline.png",
        "baseline/JetGood_pt_2018_baseline.png",
        "baseline/systematics/JetGood_pt_2018_baseline_isr.png",
    ]
    with pytest.raises(UnknownName, match="Did you mean 'ratio'"):
        shape.plot_datamc("baseline", ratios=False)
    with pytest.raises(UnknownName, match="no histogram 'mll'"):
        PlotManager(["mll"], output["variables"], output["datasets_metadata"], tmp_path)


@pytest.mark.parametrize(
    ("value", "error", "text", "latex"),
    [
        (5.4e-18, 3e-19, "(5.40 ± 0.30)e-18", r"$(5.40 \pm 0.30) \times 10^{-18}$"),
        (-2e32, 1e31, "(-2.00 ± 0.10)e+32", r"$(-2.00 \pm 0.10) \times 10^{32}$"),
        (4e12, 2e6, "4000000000000 ± 2000000", r"$4000000000000 \pm 2000000$"),
        (0.0, 0.0, "0 ± 0", r"$0 \pm 0$"),
        (float("nan"), 3.0, "nan ± 3.0", r"nan $\pm$ 3.0"),
    ],
)
def test_numbers_of_every_size(value, error, text, latex):
    number = Number(value, error)
    assert (str(number), number.latex()) == (text, latex)


def test_names_are_escaped_in_latex():
    table = Table("", ("a_b",), {r"Z~mu^+ {x} $q\bar & 5% <#>": {"a_b": Number(1.0, 1.0)}})
    row = next(line for line in table.latex().splitlines() if line.startswith("Z"))
    name = r"Z\textasciitilde{}mu\textasciicircum{}+ \{x\} \$q\textbackslash{}bar \& 5\% "
    assert row.startswith(name + r"\textless{}\#\textgreater{} & $1 \pm 1.0$")


def test_yields_below_zero_and_not_finite_are_drawn_with_the_others(output, tmp_path):
    output["sumw"] = {
        "baseline": {"DY_2018": {"DY": {"nominal": -3.0}}, "HH_2018": {"HH": {"nominal": math.nan}}}
    }
    output["sumw2"] = {"baseline": {"DY_2018": {"DY": {"nominal": 1.0}}, "HH_2018": {"HH": {"nominal": 1.0}}}}
    metadata = {**output["datasets_metadata"]["by_dataset"], "TT_2017": {"sample": "T/T", "year": "2017"}}
    output["datasets_metadata"] = {"by_dataset": metadata}
    for log_y in (False, True):
        paths = plot_cutflow_from_output(output, tmp_path, figsize=(4, 3), log_y=log_y)
        assert {path.parent for path in paths} == {tmp_path}
        assert "yields_all.png" in {path.name for path in paths}


def test_a_table_without_samples_is_drawn_without_a_word_of_matplotlib(tmp_path, recwarn):
    table = Table("Yields", ("initial", "SR"), {})
    (path,) = _plot_all(table, tmp_path / "yields", (4, 3), log_y=False, output_format="png")
    assert path.is_file()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("ends", "log_y", "limits"),
    [
        ((-10.0, 0.0), False, (-11.0, 3.85)),
        ((0.0, 0.0), False, (0.0, 1.0)),
        ((0.0, 100.0), True, (0.5, 3000.0)),
        ((0.0, 1e-6), True, (1e-9, 3e-5)),
        ((-5.0, 0.0), True, (0.5, 1.0)),
    ],
)
def test_limits_of_cutflows(ends, log_y, limits):
    assert _limits(ends, log_y=log_y) == pytest.approx(limits)


def test_cutflow_tables_and_plots(folder):
    result = invoke(
        folder,
        "-i",
        str(folder / "output_all.coffea.zip"),
        "-e",
        "skim",
        "-s",
        "DY",
        "-s",
        "DATA",
        command="plot-cutflow",
    )
    assert result.exit_code == 0, result.output
    printed = " ".join(result.output.split())
    assert "DATA 20 ± 4.5 8 ± 2.8 8 ± 2.8" in printed
    assert "DY 2.50 ± 0.50 2.50 ± 0.50" in printed
    rows = list(csv.DictReader((folder / "cutflow" / "yields.csv").open()))
    assert rows[0] == {"sample": "DY", "category": "baseline", "value": "2.5", "error": "0.5"}
    latex = (folder / "cutflow" / "yields.tex").read_text()
    assert r"DY\_\_part & $2.50 \pm 0.50$ & $2.50 \pm 0.50$ \\" in latex
    assert r"signal\_region" in latex
    assert "cutflow_DY__part.png" in pictures(folder, "cutflow")
    by_folder = invoke(folder, "-i", str(folder), "--table-only", "-s", "DY", command="plot-cutflow")
    assert by_folder.exit_code == 0, by_folder.output
    assert "DY 2.50 ± 0.50 2.50 ± 0.50" in " ".join(by_folder.output.split())
    wrong = invoke(folder, "-i", str(folder / "output_all.coffea.zip"), "-e", "bas", command="plot-cutflow")
    assert wrong.exit_code == 1
    assert "category 'bas' is not in this output" in wrong.output
    none = invoke(folder, "-i", str(folder / "output_all.coffea.zip"), "-s", "QCD", command="plot-cutflow")
    assert none.exit_code == 4
