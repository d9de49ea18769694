"""The first screen and the layout: on a desktop and a phone, in light and dark, on paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser.demo import report
from evaluated_models import experiment_of

from ectool.reports.page.html import render

pytestmark = pytest.mark.browser
DESK, PHONE = {"width": 1400, "height": 900}, {"width": 420, "height": 900}
SIZES = pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desktop", "phone"])
SCREENS = 10
CONTRAST = 4.5
"""WCAG 2.1 AA, for text of any size."""
ARMS = ("plain", "weighted")

BROKEN_WORDS = """() => {
    const found = [];
    const names = "th, td, h2, h3, nav a, summary, .label, dt, .scores dd, label";
    for (const root of document.querySelectorAll(names)) {
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const text = walker.currentNode;
            for (const match of text.data.matchAll(/[\\p{L}\\p{N}]+(?:\\.\\p{N}+)*/gu)) {
                const range = document.createRange();
                range.setStart(text, match.index);
                range.setEnd(text, match.index + match[0].length);
                const tops = [...range.getClientRects()].map((rect) => Math.round(rect.top));
                if (new Set(tops).size > 1) found.push(match[0]);
            }
        }
    }
    return found;
}"""
LOW_CONTRAST = """(least) => {
    const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        pen.clearRect(0, 0, 1, 1);
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = (one) => {
        for (let e = one; e; e = e.parentElement) {
            const colour = rgba(getComputedStyle(e).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return [255, 255, 255, 255];
    };
    const found = [];
    for (const one of document.querySelectorAll("body *")) {
        const own = [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        if (!own || !one.checkVisibility() || one.closest("script, style")) continue;
        const style = getComputedStyle(one);
        const ink = one.closest("svg") ? style.fill : style.color;
        const [a, b] = [light(rgba(ink)), light(ground(one))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < least) found.push(`${one.outerHTML.slice(0, 90)}: ${ink}`);
    }
    return found;
}"""


def experiment_page(seeds: int = 3) -> str:
    """Return the page of an experiment of two arms, with all sections."""
    found = report()
    experiment = experiment_of(ARMS, seeds)
    groups = {"plain, seed 0": "plain", "plain, seed 1": "plain"}
    entries = tuple(replace(e, group=groups.get(e.name, "weighted")) for e in found.entries)
    known = {n: m for n, m in experiment.metrics.items() if n in found.metrics}
    arms = tuple(
        replace(arm, results={name: arm.results[name] for name in known}) for arm in experiment.arms
    )
    experiment = replace(experiment, metrics=known, arms=arms)
    return render(replace(found, entries=entries, experiments=(experiment,)))


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    file: Path = tmp_path_factory.mktemp("story") / "report.html"
    file.write_text(experiment_page(), encoding="utf-8")
    return file.as_uri()


def bottom(tab: Any, selector: str) -> float:
    """Return the lower end of the last of the elements on the screen."""
    box = tab.locator(selector).last.bounding_box()
    return box["y"] + box["height"]


def test_the_first_screen_of_a_desktop_tells_the_story(open_page):
    tab = open_page(viewport=DESK)
    assert tab.locator(".sentence").inner_text().startswith("Over 3 seeds, weighted differs ")
    assert tab.locator(".headlines > li").count() == 5
    assert tab.locator(".story figure").count() == 3
    assert tab.locator(".story .grid").first.locator("img").count() == 6
    for selector in (".sentence", ".headlines > li", ".story figure"):
        assert bottom(tab, selector) <= DESK["height"]


def test_the_first_screen_of_a_phone_shows_sentence_and_differences(open_page):
    tab = open_page(viewport=PHONE)
    assert bottom(tab, ".headlines > li") <= PHONE["height"]


def test_similarity_and_stability_are_shown_apart(open_page):
    tab = open_page(viewport=DESK)
    heads = tab.locator(".story figure").first.locator("thead th").all_inner_texts()
    assert heads == ["model", "heatmap similarity", "prediction stability", "predicted"]
    card = tab.locator(".cards > li").first
    assert card.locator("dt").all_inner_texts() == [
        "heatmap similarity",
        "prediction stability",
        "consistency",
        "weight",
    ]


def test_the_gallery_shows_overlays_at_first(open_page):
    tab = open_page(viewport=DESK)
    assert tab.locator("select[name=view]").input_value() == "overlay"
    tab.wait_for_function("document.querySelector('.cards canvas').dataset.view === 'overlay'")
    assert "view" not in tab.evaluate("location.hash")


def test_the_width_of_a_desktop_is_used(open_page):
    tab = open_page(viewport=DESK)
    assert tab.locator("main").bounding_box()["width"] > 0.9 * DESK["width"]
    assert tab.evaluate("document.documentElement.scrollWidth") <= DESK["width"]


def test_a_phone_needs_less_than_ten_screens(open_page):
    tab = open_page(viewport=PHONE)
    assert tab.evaluate("document.documentElement.scrollHeight") < SCREENS * PHONE["height"]
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@SIZES
def test_no_word_is_broken(open_page, viewport):
    tab = open_page(viewport=viewport)
    tab.get_by_role("button", name="Open all").click()
    assert tab.evaluate(BROKEN_WORDS) == []


@SIZES
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(open_page, viewport, scheme):
    tab = open_page(viewport=viewport, color_scheme=scheme)
    tab.get_by_role("button", name="Open all").click()
    assert tab.evaluate(LOW_CONTRAST, CONTRAST) == []


@SIZES
def test_the_navigation_stays_on_the_screen(open_page, viewport):
    tab = open_page(viewport=viewport)
    tab.get_by_role("link", name="Origin").click()
    assert tab.locator("#origin").is_visible()
    nav = tab.locator("nav").bounding_box()
    title = tab.locator("#origin-title").bounding_box()
    assert nav["y"] == pytest.approx(0, abs=1)
    assert nav["y"] + nav["height"] <= title["y"] < viewport["height"]


def test_main_sections_are_open_on_a_desktop_and_only_the_first_on_a_phone(open_page):
    names = "[...document.querySelectorAll('details.part[open] h2')].map((e) => e.innerText)"
    assert open_page(viewport=PHONE).evaluate(names) == ["Results", "Failed models"]
    desk = open_page(viewport=DESK).evaluate(names)
    assert {"Results", "Leaderboard", "Gallery"} <= set(desk)
    assert not {"Other tables", "Metrics", "Origin"} & set(desk)


def test_sections_close_and_open_without_a_script(open_page):
    tab = open_page(viewport=DESK, java_script_enabled=False)
    heading = tab.get_by_role("heading", name="Classes")
    assert not tab.locator("#classes").is_visible()
    heading.click()
    assert tab.locator("#classes").is_visible()
    heading.click()
    assert not tab.locator("#classes").is_visible()
    tab.locator("nav").get_by_role("link", name="Confusion").click()
    assert tab.locator("#confusion").is_visible()


def test_sections_open_by_keyboard_and_all_at_once(open_page):
    tab = open_page(viewport=PHONE)
    tab.locator("summary", has=tab.locator("#classes-title")).focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#classes").is_visible()
    tab.get_by_role("button", name="Open all").click()
    assert tab.locator("#origin").is_visible()
    tab.get_by_role("button", name="Close all").click()
    assert not tab.locator("#classes").is_visible()
    assert tab.locator("#overview").is_visible()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_closed_sections_are_printed(open_page, script):
    tab = open_page(viewport=PHONE, java_script_enabled=script)
    height = "document.querySelector('#origin').getBoundingClientRect().height"
    assert not tab.locator("#origin").is_visible()
    tab.emulate_media(media="print")
    if script:
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert tab.locator("details:not([open], .without-script)").count() == 0
        tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not tab.locator("nav").is_visible()
    assert tab.evaluate(height) > 50


def test_the_dialog_is_gone_through_by_keyboard(open_page):
    tab = open_page(viewport=DESK)
    tab.locator(".cards button").first.focus()
    tab.keyboard.press("Enter")
    dialog = tab.get_by_role("dialog")
    titles = [dialog.get_by_role("heading").inner_text()]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        tab.keyboard.press(key)
        titles.append(dialog.get_by_role("heading").inner_text())
    assert titles[1] == titles[3]
    assert len(set(titles)) == 3
    for _ in range(8):
        tab.keyboard.press("Tab")
        inside = "document.activeElement === document.body || "
        assert tab.evaluate(inside + "document.activeElement.closest('dialog') !== null")
    tab.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_images_have_descriptions_of_their_own(open_page):
    tab = open_page(viewport=DESK)
    texts = (
        tab.locator(".story .grid").first.locator("img").evaluate_all("all => all.map(i => i.alt)")
    )
    assert len(set(texts)) == len(texts) == 6
    assert all(texts)
