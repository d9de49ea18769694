"""A headless Chromium, and pages that are checked for messages and requests when they close."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.demo import report

from ectool.reports.page.html import render

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DESK = {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    file: Path = tmp_path_factory.mktemp("page") / "a page & more.html"
    file.write_text(render(report()), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium in the PATH")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def open_page(browser, address) -> Iterator[Any]:
    """Return a function that opens the page; at the end there are no messages and no requests."""
    contexts, problems = [], []

    def opened(link: str = "", viewport: dict[str, int] = DESK, **options: object) -> Any:
        contexts.append(browser.new_context(viewport=viewport, **options))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: problems.append(message.text))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda request: problems.extend(elsewhere(request.url)))
        tab.goto(address + link)
        return tab

    def elsewhere(url: str) -> list[str]:
        return [] if url.startswith((address, "data:")) else [url]

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def tab(open_page) -> Any:
    return open_page()
