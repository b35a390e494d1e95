"""The run report in a real browser: no complaint, filter, zoom by mouse and keys, phone, light and dark."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from pocket_coffea.report.page import write_report
from pocket_coffea.report.source import find_source
from pocket_coffea.utils.output_file import save_output
from tests.lab.browser import chromium
from tests.unit.report.campaigns import make_campaign
from tests.unit.report.outputs import CATEGORIES, add_plane, make_output

GOLDENS = Path(__file__).parent / "goldens"
VARIABLES = [f"jet_pt_{i}" for i in range(13)]
EVIL = "</script><img src=x onerror=window.hit=1><script>window.hit=1</script>"
ENLARGED = ".viewer .figure"
SMALL = (180, 120)  # of pictures that are compared
TOLERANCE = 6.0  # of the mean difference of 8-bit colours; another colour of the stack gives more than 10

#: Elements that reach beyond the window, besides what can be scrolled to.
BEYOND = """
return [...document.querySelectorAll("body *")].filter((e) => {
  const box = e.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1 && !e.closest(".scroll, nav, svg, .skip");
}).map((e) => `${e.tagName} ${e.className} ${e.getBoundingClientRect().right}`);
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory, command):
    """The page of an output with 13 variables, and of its campaign."""
    folder = tmp_path_factory.mktemp("run")
    save_output(make_output(variables=VARIABLES), folder / "output_all.coffea")
    make_campaign(folder / "job")
    said = command("pocket-coffea", "report", folder, timeout=180)
    assert f"Report: {folder}/report.html (" in said
    return folder / "report.html"


def shown(browser):
    return browser.run(
        "return [...document.querySelectorAll('.card')].map((e) => e.innerText.split('\\n').slice(0, 2))"
    )


def choose(browser, label, value):
    """Choose from a list as a user of the keyboard does."""
    browser.run(
        "const all = [...document.querySelectorAll('#plots label')];"
        "const e = all.find((e) => e.firstChild.textContent === arguments[0]);"
        "const s = e.querySelector('select'); s.value = arguments[1]; s.dispatchEvent(new Event('change'))",
        label,
        value,
    )


def bins(browser):
    return browser.run(f"const d = document.querySelector('{ENLARGED}').dataset; return [+d.from, +d.to]")


def enlarge(browser, selector=".card button"):
    browser.one(f"{selector} svg")
    browser.run("document.querySelector(arguments[0]).focus()", selector)
    browser.press(Keys.ENTER)
    browser.one("dialog[open] .figure svg")


def test_it_loads_without_a_complaint_and_without_network(browser, page):
    browser.complaints()
    browser.show(page)
    browser.one(".card svg .layer")
    titles = browser.run("return [...document.querySelectorAll('section h2')].map((e) => e.textContent)")
    assert titles == ["Plots", "Yields", "Cutflow", "Datasets", "Jobs", "Run options", "Provenance"]
    assert "nothing is missing" in browser.text("header")
    assert "60.0 ± 7.7" in browser.text("#yields")
    assert "run.yaml:3" in browser.text("#options")
    assert browser.complaints() == []


def test_the_filter_by_variable_category_and_year(browser, page):
    browser.show(page)
    assert [name for name, _ in shown(browser)] == VARIABLES
    assert shown(browser)[0][1] == f"{CATEGORIES[0]} · all years (2017, 2018)"
    choose(browser, "Category", CATEGORIES[1])
    choose(browser, "Year", "2018")
    assert shown(browser) == [[name, f"{CATEGORIES[1]} · 2018"] for name in VARIABLES]
    choose(browser, "Variable", "jet_pt_3")
    assert shown(browser) == [["jet_pt_3", f"{CATEGORIES[1]} · 2018"]]
    choose(browser, "Variable", "*")
    browser.run("document.getElementById('find').focus()")
    browser.press("pt_1")
    assert [name for name, _ in shown(browser)] == ["jet_pt_1", "jet_pt_10", "jet_pt_11", "jet_pt_12"]
    browser.press("x")
    assert browser.text("#plots [role=status]") == "No plot fits this filter."
    browser.press(Keys.BACKSPACE)
    choose(browser, "Category", "*")
    choose(browser, "Year", "*")
    assert browser.text("#plots [role=status]").startswith("24 of 24 plots")
    browser.press(*[Keys.BACKSPACE] * 4)
    assert browser.text("#plots [role=status]").startswith("24 of 78 plots")
    browser.run("document.querySelector('.more button').click()")
    assert browser.count(".card") == 48
    assert browser.complaints() == []


def test_zoom_by_keys_buttons_and_mouse(browser, page):
    browser.show(page)
    enlarge(browser)
    ticks = (
        f"return [...document.querySelectorAll('{ENLARGED} svg > text')].map((e) => e.textContent).join(' ')"
    )
    whole = browser.run(ticks)
    assert bins(browser) == [0, 4]
    browser.press("+")
    assert bins(browser) == [1, 3]
    assert browser.run(ticks) != whole
    assert browser.text(".viewer .tools [role=status]") == "25 to 75"
    browser.press(Keys.ARROW_RIGHT)
    assert bins(browser) == [2, 4]
    browser.press("-")
    assert bins(browser) == [0, 4]
    browser.run("[...document.querySelectorAll('.tools button')].find((e) => e.textContent === '+').click()")
    assert bins(browser) == [1, 3]
    browser.press("0")
    assert browser.run(ticks) == whole
    svg = browser.one(f"{ENLARGED} svg")
    reach = svg.size["width"] - 62 - 12  # between the margins of chart.js
    ActionChains(browser.driver, duration=50).move_to_element_with_offset(
        svg, int(-svg.size["width"] / 2 + 62 + reach * 0.30), 0
    ).click_and_hold().move_by_offset(int(reach * 0.4), 0).release().perform()
    assert bins(browser) == [1, 3]
    browser.press("l")
    assert browser.run("return document.querySelector('.tools [aria-pressed=true]').textContent") == "Log"
    assert "10" in browser.run(ticks)
    browser.press(Keys.PAGE_DOWN)
    browser.until(lambda: VARIABLES[1] in browser.text(".viewer .muted"))
    assert bins(browser) == [0, 4]
    browser.press(Keys.ESCAPE)
    assert browser.count("dialog[open]") == 0
    assert VARIABLES[0] in browser.focused().text
    assert browser.complaints() == []


def test_the_numbers_of_the_bins_are_a_table(browser, page):
    browser.show(page)
    enlarge(browser)
    browser.run("document.querySelector('.viewer details').open = true")
    browser.until(lambda: browser.count(".viewer tbody tr") == 4)
    first = browser.run(
        "return [...document.querySelectorAll('.viewer tbody tr:first-child > *')].map((e) => e.textContent)"
    )
    assert first[:3] == ["0 to 25", "5 +3.38 −2.16", "8"]


def test_the_keyboard_reaches_everything_and_the_focus_is_seen(browser, page):
    browser.show(page)
    reached = []
    for _ in range(16):
        browser.press(Keys.TAB)
        reached.append(
            browser.run(
                "const e = document.activeElement, s = getComputedStyle(e);"
                "return [e.tagName, s.outlineStyle, parseFloat(s.outlineWidth)]"
            )
        )
    assert {tag for tag, _, _ in reached} == {"A", "INPUT", "SELECT", "BUTTON"}
    assert [each for each in reached if each[1] == "none" or each[2] < 2] == []


def test_jobs_with_failures_and_decisions(browser, page):
    browser.show(page)
    assert browser.run("return [...document.querySelectorAll('.job .number')].map((e) => e.textContent)") == [
        "Job 1",
        "Job 2",
    ]
    browser.run("document.querySelector('.job summary').focus()")
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.count(".job[open] .steps li") >= 3)
    text = browser.text(".job[open] .steps")
    assert text.index("Attempt 1: out of memory – MemoryError") < text.index(
        "Decision: retry – 4000 MB instead of 2000 MB"
    )
    assert "1,990 of 2,000 MB" in text
    assert "no file is read from T2_X any more" in browser.text("#jobs")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_phone_has_no_horizontal_scroll(browser, page, dark):
    browser.show(page, 360, 740, dark=dark)
    browser.one(".card svg .layer")
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    assert browser.run(BEYOND) == []
    enlarge(browser)
    assert browser.run(BEYOND) == []
    assert browser.run("const d = document.querySelector('dialog'); return d.scrollWidth <= d.clientWidth")
    low = "return Math.min(...[...document.querySelectorAll('dialog button')].map((e) => e.offsetHeight))"
    assert browser.run(low) >= 40


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_is_readable(browser, page, dark):
    browser.show(page, dark=dark)
    browser.one(".card svg .layer")
    enlarge(browser)
    found = browser.run((Path(__file__).parent / "contrast.js").read_text())
    assert len(found) > 100
    assert {text: ratio for text, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_of_a_plot(browser, page, scheme, tmp_path):
    browser.show(page, 700, 800, dark=scheme == "dark")
    enlarge(browser)
    picture = browser.picture(f"{ENLARGED} svg").resize(SMALL, Image.Resampling.BOX)
    picture.save(tmp_path / f"report-{scheme}.png")  # to look at, and to become the new one
    golden = Image.open(GOLDENS / f"report-{scheme}.png").convert("RGB")
    assert difference(picture, golden) < TOLERANCE
    other = Image.open(GOLDENS / f"report-{'light' if scheme == 'dark' else 'dark'}.png").convert("RGB")
    blank = Image.new("RGB", SMALL, picture.getpixel((0, 0)))
    assert min(difference(picture, each) for each in (other, blank)) > 2 * TOLERANCE


@pytest.fixture(scope="module")
def map_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("map")
    output = make_output()
    add_plane(output, [[1, 2, 0], [4, 5, 6]] * 2)
    output["provenance"]["throughput"] = {"DY_2018": {"events": 350, "chunks": 2, "seconds": 10.0}}
    write_report(find_source(save_output(output, folder / "output_all.coffea")), folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)], ids=["light", "dark phone"])
def test_a_histogram_of_two_axes_is_a_map(browser, map_page, width, dark):
    browser.show(map_page, width, 800, dark=dark)
    rows = "return [...document.querySelectorAll('#datasets table:last-of-type tr')].map((e) => e.innerText)"
    assert browser.run(rows)[-2:] == ["all, per core\t350\t10 s\t35 /s", "all, by the clock\t350\t50 s\t7 /s"]
    choose(browser, "Variable", "plane")
    enlarge(browser)
    cells = f"return document.querySelectorAll('{ENLARGED} path.cell').length"
    colors = (
        f"return [...document.querySelectorAll('{ENLARGED} path.cell')].map((e) => e.getAttribute('fill'))"
    )
    label = f"return document.querySelector('{ENLARGED} svg').getAttribute('aria-label')"
    assert browser.run(cells) == 5  # cells of one colour are one path, the empty one is not drawn
    assert browser.run(label).endswith("Simulation")
    legend = "return [...document.querySelectorAll('dialog .legend li')].map((e) => e.innerText.split('\\n'))"
    assert browser.run(legend) == [["Simulation", "36"], ["Data", "72"]]
    simulated = browser.run(colors)
    browser.run("document.querySelector('.choice select').focus()")
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    browser.until(lambda: browser.run(label).endswith("Data / simulation"))
    assert len(set(browser.run(colors))) == 1  # twice as much everywhere
    assert browser.run(colors)[0] not in simulated
    browser.run("document.querySelector('dialog .tools button').focus()")
    browser.press("+")
    assert bins(browser) == [1, 3]
    assert browser.run(legend) == [["Simulation", "18"], ["Data", "36"]]
    browser.run("document.querySelector('.viewer details').open = true")
    browser.until(lambda: browser.count(".viewer tbody tr") == 2)
    row = (
        "return [...document.querySelectorAll('.viewer tbody tr:first-child > *')].map((e) => e.textContent)"
    )
    assert browser.run(row) == ["25 to 50", "2", "2", "2"]
    assert browser.run(BEYOND) == []
    assert browser.run("const d = document.querySelector('dialog'); return d.scrollWidth <= d.clientWidth")
    found = browser.run((Path(__file__).parent / "contrast.js").read_text())
    assert {text: ratio for text, ratio in found.items() if ratio < 4.5} == {}
    assert browser.complaints() == []


def difference(one, other):
    return math.fsum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def test_names_are_never_markup(browser, tmp_path):
    output = save_output(make_output(EVIL, ["inclusive", EVIL], [EVIL]), tmp_path / "output_all.coffea")
    write_report(find_source(output), tmp_path / "report.html")
    browser.show(tmp_path / "report.html")
    browser.one(".card svg .layer")
    enlarge(browser)
    assert EVIL in browser.text("#yields")
    assert EVIL in browser.text(".viewer .muted")
    assert browser.count("img") == 0
    assert browser.count("script") == 2
    assert browser.run("return window.hit === undefined")
    assert browser.complaints() == []
