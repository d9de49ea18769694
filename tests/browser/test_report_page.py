"""The page in a browser: sorting, filtering, links, comparison, and no request to any server."""

from __future__ import annotations

from typing import Any

import pytest
from browser.demo import CLASSES, METRICS, MODELS, PER_CLASS, report

from ectool.reports.page.images import overlay

pytestmark = pytest.mark.browser
PHONE = {"width": 375, "height": 700}
ALL = PER_CLASS * len(CLASSES)
Tab = Any


def models(tab: Tab) -> list[str]:
    """Return the models in the visible rows of the leaderboard."""
    rows = tab.locator("#board tbody tr:visible th").all_inner_texts()
    return [" ".join(row.split()).lstrip("123 ") for row in rows]


def head(tab: Tab, name: str) -> Tab:
    return tab.locator(f'#board th[data-name="{name}"]')


def by_value(name: str, *, falling: bool) -> list[str]:
    entries = [e for e in report().entries if name in e.evaluation.values]
    known = [e for e in entries if e.evaluation.value(name) == e.evaluation.value(name)]
    order = sorted(known, key=lambda e: e.evaluation.value(name), reverse=falling)
    return [e.name for e in order] + [e.name for e in entries if e not in known]


def test_sorting_by_mouse_runs_best_first_then_back_then_none(tab):
    assert models(tab) == list(MODELS)
    name = "accuracy@original"
    assert head(tab, name).get_attribute("aria-sort") == "none"
    for order, falling in (("descending", True), ("ascending", False)):
        head(tab, name).get_by_role("button").click()
        assert head(tab, name).get_attribute("aria-sort") == order
        assert models(tab) == by_value(name, falling=falling)
    head(tab, name).get_by_role("button").click()
    assert models(tab) == list(MODELS)


def test_sorting_by_keyboard_puts_the_lowest_first_where_lower_is_better(tab):
    head(tab, "background_gap").get_by_role("button").focus()
    tab.keyboard.press("Enter")
    assert head(tab, "background_gap").get_attribute("aria-sort") == "ascending"
    assert models(tab) == by_value("background_gap", falling=False)


def test_undefined_values_come_last_in_both_orders(open_page):
    for order, falling in (("ascending", False), ("descending", True)):
        tab = open_page(f"#leaderboard?sort-board=nll:{order}")
        assert models(tab) == by_value("nll", falling=falling)
        assert models(tab)[-1] == MODELS[3]


def test_models_are_filtered_by_name(tab):
    tab.get_by_label("Model name contains").fill("PLAIN")
    assert models(tab) == list(MODELS[:2])
    assert tab.locator("#models-count").inner_text() == "2 of 4 models"


def test_groups_of_metrics_are_chosen(tab):
    assert head(tab, "robust@2/255").is_visible()
    assert not head(tab, "robust@8/255").is_visible()
    tab.get_by_label("robustness", exact=True).check()
    assert head(tab, "robust@8/255").is_visible()
    tab.get_by_label("headlines").uncheck()
    names = [name for name, (_, suite) in METRICS.items() if suite == "robustness"]
    seen = tab.locator("#board thead th:visible[data-suite]")
    assert [th.get_attribute("data-name") for th in seen.all()] == names


def cards(tab: Tab) -> list[str]:
    return tab.locator(".cards > li:visible code").all_inner_texts()


def test_the_gallery_is_filtered(tab):
    form = tab.locator("#gallery-controls")
    assert len(cards(tab)) == ALL
    form.get_by_label("Class").select_option(CLASSES[1])
    assert cards(tab) == [f"test/{CLASSES[1]}/{number}" for number in range(PER_CLASS)]
    form.get_by_label("Consistency from").fill("0.3")
    form.get_by_label("Consistency to").fill("0.7")
    assert cards(tab) == [f"test/{CLASSES[1]}/{number}" for number in (1, 2)]
    form.get_by_label("Weight from").fill("1.5")
    assert cards(tab) == [f"test/{CLASSES[1]}/1"]
    assert tab.locator("#gallery-count").inner_text() == f"1 of {ALL} samples"
    form.get_by_role("button", name="Show all").click()
    assert len(cards(tab)) == ALL


@pytest.mark.parametrize(("prediction", "is_correct"), [("correct", True), ("incorrect", False)])
def test_the_gallery_is_filtered_by_the_prediction_of_the_chosen_model(tab, prediction, is_correct):
    tab.locator("select[name=model]").select_option(MODELS[2])
    tab.locator("select[name=prediction]").select_option(prediction)
    found = [e.by_model[MODELS[2]] for e in report().gallery]
    assert cards(tab) == [s.sample_id for s in found if s.correct[0] is is_correct]


def colour(tab: Tab, view: str, x: int, y: int) -> list[int]:
    """Return the colour of the first sample at a pixel, once a view of it has been drawn."""
    tab.locator("select[name=view]").select_option(view)
    canvas = tab.locator(f".cards canvas[data-view={view}]").first
    script = """(shown, [x, y]) => {
        const copy = new OffscreenCanvas(shown.width, shown.height);
        const context = copy.getContext("2d", { willReadFrequently: true });
        context.drawImage(shown, 0, 0);
        return [...context.getImageData(x, y, 1, 1).data].slice(0, 3);
    }"""
    return canvas.evaluate(script, [x, y])


def test_views_show_the_pixels_of_the_sample(tab):
    sample = report().gallery[0].by_model[MODELS[0]]
    image, moved = sample.image[:, 20, 5], sample.perturbed[:, 20, 5]
    assert colour(tab, "perturbed", 5, 20) == moved.tolist()
    assert colour(tab, "difference", 5, 20) == (128 + 63 * (moved.astype(int) - image)).tolist()
    assert colour(tab, "image", 5, 20) == image.tolist()


def test_heatmaps_are_those_of_the_figures(tab):
    sample = report().gallery[0].by_model[MODELS[0]]
    expected = overlay(sample.image, sample.clean, sample.scale)
    for x, y in ((0, 0), (9, 4), (16, 16), (31, 30)):
        found = colour(tab, "overlay", x, y)
        assert found == pytest.approx(expected[y, x].tolist(), abs=4)


def test_one_sample_in_all_models(tab):
    tab.locator("select[name=model]").select_option(MODELS[2])
    tab.locator(".cards button").nth(1).click()
    dialog = tab.get_by_role("dialog")
    assert dialog.get_by_role("heading").inner_text() == f"{CLASSES[0]}: test/{CLASSES[0]}/1"
    rows = dialog.locator("tbody th").evaluate_all("all => all.map(th => th.firstChild.data)")
    assert rows == [MODELS[2], MODELS[0], MODELS[1], MODELS[3]]
    assert dialog.locator("tbody canvas").count() == 7 * len(MODELS)
    dialog.get_by_role("button", name="Next").click()
    assert dialog.get_by_role("heading").inner_text().endswith("/2")
    tab.keyboard.press("ArrowLeft")
    assert dialog.get_by_role("heading").inner_text().endswith("/1")
    tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    # The event that a dialog is closed comes after it has gone.
    tab.wait_for_function("!location.hash.includes('sample')")


def test_a_link_shows_the_same(tab, open_page):
    head(tab, "background_gap").get_by_role("button").click()
    tab.get_by_label("Model name contains").fill("plain")
    tab.get_by_label("debiasing").check()
    tab.locator("select[name=class]").select_option(CLASSES[1])
    tab.locator("select[name=view]").select_option("overlay")
    tab.locator("nav").get_by_role("link", name="Gallery").click()
    tab.locator(".cards > li:visible button").first.click()
    other = open_page(tab.evaluate("location.hash"))
    assert models(other) == models(tab)
    assert head(other, "background_gap").get_attribute("aria-sort") == "ascending"
    assert other.get_by_label("debiasing").is_checked()
    assert other.locator("select[name=view]").input_value() == "overlay"
    title = f"{CLASSES[1]}: test/{CLASSES[1]}/0"
    assert other.get_by_role("dialog").get_by_role("heading").inner_text() == title
    assert cards(other) == cards(tab)
    assert other.evaluate("scrollY") > 0


def test_the_back_button_and_edited_links_are_followed(tab):
    tab.evaluate("location.hash = '#gallery?class=cat'")
    tab.wait_for_function("document.querySelector('[name=class]').value === 'cat'")
    assert len(cards(tab)) == PER_CLASS
    tab.go_back()
    tab.wait_for_function("document.querySelector('[name=class]').value === ''")
    assert len(cards(tab)) == ALL


@pytest.mark.parametrize(
    "link", ["#?sort-board=nothing:up&class=none&model=%00&view=x", "#%%%", "#gallery?sample=no"]
)
def test_links_to_missing_items_are_ignored(open_page, link):
    tab = open_page(link)
    assert models(tab) == list(MODELS)
    assert not tab.get_by_role("dialog").is_visible()


def background(tab: Tab) -> list[float]:
    text = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    return [float(part) for part in text.strip("rgb()").split(",")]


def test_dark_mode_follows_the_system_and_the_switch(open_page):
    light, dark = (open_page(color_scheme=scheme) for scheme in ("light", "dark"))
    assert min(background(light)) > 200
    assert max(background(dark)) < 60
    switch = light.get_by_role("button", name="Theme")
    for text, is_dark in (("light", False), ("dark", True)):
        switch.click()
        assert switch.inner_text() == f"Theme: {text}"
        assert (max(background(light)) < 60) == is_dark
    light.reload()
    assert max(background(light)) < 60


def test_a_phone_does_not_scroll_sideways(open_page):
    tab = open_page(viewport=PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    tab.get_by_role("link", name="Gallery").click()
    tab.locator(".cards button").first.click()
    assert tab.get_by_role("dialog").bounding_box()["width"] <= PHONE["width"]
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_everything_is_reached_by_keyboard(tab):
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    tab.locator(".cards button").first.focus()
    tab.keyboard.press("Enter")
    assert tab.get_by_role("dialog").is_visible()
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.closest('.cards') !== null")


def test_screen_readers_find_names_for_everything(tab):
    script = """() => [...document.querySelectorAll('button, input, select, canvas[role=img]')]
        .filter((e) => !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
        .map((e) => e.outerHTML)"""
    assert tab.evaluate(script) == []
    assert tab.locator("main").count() == 1
    assert tab.locator("img:not([alt])").count() == 0


def test_without_scripts_all_numbers_and_no_dead_controls_are_there(open_page):
    tab = open_page(java_script_enabled=False)
    assert models(tab) == list(MODELS)
    assert tab.locator("#board thead th:visible").count() == 1 + len(METRICS)
    tab.get_by_role("heading", name="Gallery").click()
    assert tab.locator(".cards img:visible").count() == ALL
    assert tab.locator("input:visible, select:visible, button:visible").count() == 0
