from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from browser.demo import CLASSES, METRICS, MODELS, UNDEFINED, report

from ectool.reports.numbers import quantity
from ectool.reports.page.html import render
from ectool.reports.report import Failure

LIMIT = 5_000_000


class Page(HTMLParser):
    """Collects elements, and the text of tables cell by cell."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        if tag == "table":
            self._rows = self.tables.setdefault(str(found.get("id")), [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_data(self, text):
        if self._rows and self._rows[-1]:
            self._rows[-1][-1] += text.strip("\n ")


@pytest.fixture(scope="module")
def page() -> str:
    return render(report())


@pytest.fixture(scope="module")
def parsed(page) -> Page:
    found = Page()
    found.feed(page)
    return found


def test_the_leaderboard_shows_every_number_without_a_script(parsed):
    head, *rows = parsed.tables["board"]
    assert len(head) == 1 + len(METRICS)
    assert [row[0].lstrip("123") for row in rows] == list(MODELS)
    for entry, row in zip(report().entries, rows, strict=True):
        for (name, (metric, _)), cell in zip(METRICS.items(), row[1:], strict=True):
            value = entry.evaluation.values[name]
            assert cell.startswith(quantity(value.value, metric.is_share))
            assert (cell == "-") == ((name, entry.name) == UNDEFINED)


def test_every_class_and_every_sample_is_listed(page, parsed):
    assert [row[0] for row in parsed.tables["classes-1"][1:]] == list(CLASSES)
    for sample in report().gallery:
        name = sample.first.sample_id.replace("<", "&lt;").replace(">", "&gt;")
        assert f"<code>{name}</code>" in page


def test_only_the_pages_own_script_may_run(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy.replace("&#39;", "'")


def test_names_cannot_end_the_data_of_the_script(page):
    body = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[1]
    assert MODELS[3] in json.loads(body)["models"]
    assert "<" not in body
    assert MODELS[3] not in page
    assert CLASSES[1] not in page


def test_ids_are_unique_and_links_have_targets(parsed):
    ids = [found["id"] for _, found in parsed.tags if found.get("id")]
    assert len(set(ids)) == len(ids)
    links = {found["href"][1:] for tag, found in parsed.tags if tag == "a"}
    assert links <= set(ids)
    named = {found["aria-labelledby"] for _, found in parsed.tags if "aria-labelledby" in found}
    assert named <= set(ids)


def test_every_control_waits_for_the_script(parsed):
    scripted = ("theme", "open-all")
    hidden = [f for _, f in parsed.tags if "data-script" in f or f.get("id") in scripted]
    assert len(hidden) == 4
    assert all("hidden" in found for found in hidden)


def test_failures_are_shown(page):
    assert (
        "<dt>broken</dt><dd>model.pth: expected weights of resnet18, got &lt;none&gt;</dd>" in page
    )


def test_sections_without_content_are_left_out(make_report, make_evaluation):
    page = render(make_report(make_evaluation()))
    assert 'id="leaderboard"' in page
    for name in ("results", "curves", "faithfulness", "trade-offs", "calibration", "classes"):
        assert f'id="{name}"' not in page
    for name in ("confusion", "gallery-data", "training", "rounds", "samples", "failures"):
        assert f'id="{name}"' not in page


def test_a_page_without_a_gallery_names_the_suite_that_makes_one(make_report, make_evaluation):
    page = render(make_report(make_evaluation()))
    section = page.partition('<div id="gallery"')[2].partition("</section>")[0]
    assert "The suite <code>stability</code> writes them" in section


def test_different_data_sets_are_marked(make_report, make_evaluation):
    same = make_report(make_evaluation("a"), make_evaluation("b"))
    entries = (same.entries[0], replace(same.entries[1], data="other <data>"))
    warning = "Results on different data sets are not comparable"
    assert warning not in render(same)
    page = render(replace(same, entries=entries))
    assert warning in page
    assert "<small>other &lt;data&gt;</small>" in page


def test_a_page_of_failures_alone(make_report):
    page = render(make_report(failures=(Failure("a", "no <weights>"),)))
    assert 'id="leaderboard"' not in page
    assert 'id="gallery"' not in page
    assert "<dt>a</dt><dd>no &lt;weights&gt;</dd>" in page


@pytest.mark.slow
def test_forty_models_stay_below_the_limit():
    page = render(report(40))
    assert len(page) < LIMIT
    assert page.count('class="name"') == 40 * len(METRICS)
