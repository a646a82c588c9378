"""The leaderboard in a real browser: ranks by any heading, leads to pictures, fits its window."""

from __future__ import annotations

import shutil

import pytest

from vcebench.showing.leaderboard.build import build_leaderboard

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from browsing import Site
from selenium.webdriver.common.by import By

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=window.planted=1>"
METHODS = ("maskdime", "fastdime", "dime")
BOARD = "synthfaces-smile-test.html"


@pytest.fixture(scope="module")
def site(browser, fixture_run, tmp_path_factory):
    """Three made-up runs, the first of them made again."""
    runs = [fixture_run(method, ids=6).path for method in METHODS]
    place = tmp_path_factory.mktemp("board") / "site"
    with pytest.MonkeyPatch.context() as patch:
        # The figures of a fixture follow from no images; that such are refused is tested elsewhere.
        patch.setattr("vcebench.showing.leaderboard.build.check_figures", lambda *_: None)
        patch.setattr("vcebench.showing.leaderboard.build._SHOWN", 4)  # of the seven that are known
        page = build_leaderboard(runs, place, lambda f: "OK" if f.path == runs[0] else None)
    return Site(browser, page)


@pytest.fixture(autouse=True)
def no_complaint(browser):
    """No test may leave an error or a warning in the console."""
    browser.get_log("browser")
    yield
    assert browser.get_log("browser") == []


def names(site):
    return [name.lower() for name in site.texts("table.metrics tbody th")]


def test_the_first_page_leads_to_a_task(site):
    site.open()
    assert "3 runs on 1 task" in site.text("main")
    site.one(f"a[href='{BOARD}']").click()
    site.until(lambda: site.driver.current_url.endswith(BOARD))
    site.becomes(lambda: len(names(site)), 3)


def test_a_heading_ranks_best_first_and_then_the_other_way(site):
    site.open(BOARD)
    for metric, expected in (("fid", METHODS), ("l1", METHODS), ("gt_iou", METHODS)):
        header = f"th[data-metric={metric}]"
        button = site.one(header).find_element(By.TAG_NAME, "button")
        site.script("arguments[0].click()", button)
        site.becomes(lambda: names(site), list(expected))
        best = "descending" if metric == "gt_iou" else "ascending"
        assert site.one(header).get_attribute("aria-sort") == best
        site.script("arguments[0].click()", button)
        site.becomes(lambda: names(site), list(reversed(expected)))


def test_missing_figures_stay_last(site):
    site.open(BOARD)
    button = site.one("th[data-metric=cout] button")
    for _ in range(2):
        site.script("arguments[0].click()", button)
        site.becomes(lambda: names(site)[-1], "dime")


def test_every_row_says_how_it_is_known_and_leads_to_its_pictures(site):
    site.open(BOARD)
    known = dict(zip(names(site), site.texts("table.metrics tbody td:nth-child(2) b"), strict=True))
    assert known == {"maskdime": "re-made", "fastdime": "measured", "dime": "measured"}
    site.one("table.metrics tbody th a").click()
    site.until(lambda: "galleries/" in site.driver.current_url)
    site.until(lambda: len(site.texts(".card .open")) == 6)
    widths = (
        "return [...document.querySelectorAll('.card:first-child img')].map(i => i.naturalWidth)"
    )
    site.becomes(lambda: set(site.script(widths)), {64})


@pytest.mark.parametrize("page", ["index.html", BOARD])
@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_is_wider_than_its_window_and_the_table_scrolls(site, page, width):
    site.open(page, width=width)
    assert site.script("return document.documentElement.scrollWidth") <= width
    if page != BOARD:
        return
    if width == 1280:  # all of it can be seen at once
        fits = "const s = document.querySelector('.scroll'); return s.scrollWidth <= s.clientWidth"
        assert site.script(fits)
    site.script("document.querySelector('#all-metrics').click()")
    shown = "return document.querySelector('th[data-metric=fs]').checkVisibility()"
    site.becomes(lambda: site.script(shown), True)
    site.script("document.querySelector('.scroll').scrollLeft = 1e6")
    edges = """
        const scroll = document.querySelector(".scroll").getBoundingClientRect();
        const row = document.querySelector("table.metrics tbody tr");
        const last = row.lastElementChild.getBoundingClientRect();
        const name = row.firstElementChild.getBoundingClientRect();
        return [last.right <= scroll.right + 1, name.left >= scroll.left - 1];
    """
    site.becomes(lambda: site.script(edges), [True, True])


def test_planted_markup_stays_text(browser, fixture_run, tmp_path, monkeypatch):
    monkeypatch.setattr("vcebench.showing.leaderboard.build.check_figures", lambda *_: None)
    run = fixture_run("maskdime", ids=2, note=MARKUP)
    entries = "vcebench.showing.leaderboard.entries.method_name"
    monkeypatch.setattr(entries, lambda name: f"{name}{MARKUP}")
    page = build_leaderboard([run.path], tmp_path / "site", lambda folder: MARKUP)
    site = Site(browser, page)
    for name in ("index.html", BOARD):
        site.open(name)
        assert site.script("return window.planted") is None
        assert not site.all("img[src='x']")
    assert MARKUP in site.text("table.metrics")
    shutil.rmtree(tmp_path / "site")
