"""docs/explainers.md against the table of methods."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ectool.config import METHODS
from ectool.explainers import EXPLAINERS

PAGE = Path(__file__).parents[3] / "docs" / "explainers.md"
GRIDS = {"layer": "layer", "pixels": "own", "tokens": "own"}
"""Resolution of a method in the page, and in the table of methods."""


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sections(page):
    """Text below every heading, by its name."""
    _, *parts = re.split(r"^#{2,3} ", page, flags=re.MULTILINE)
    return {name: text for name, _, text in (part.partition("\n") for part in parts)}


@pytest.mark.parametrize("method", EXPLAINERS)
def test_every_method_has_a_section_with_its_image(method, sections):
    text = sections[method]
    image = f"explainers/{method}.png"
    assert f"]({image})" in text
    assert (PAGE.parent / image).stat().st_size > 0
    for part in ("- Source: ", "- Cost: ", "- Use it ", "- Weak: "):
        assert text.count(part) == 1


def test_the_table_has_all_methods_in_the_order_of_the_help(page):
    rows = re.findall(r"^\| \[(\S+)\]\(#\S+\) \| (\w+) \|", page, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(METHODS)
    assert {name: GRIDS[grid] for name, grid in rows} == {
        name: method.grid for name, method in EXPLAINERS.items()
    }


def test_no_image_is_left_over():
    drawn = {path.stem for path in (PAGE.parent / "explainers").glob("*.png")}
    assert drawn == set(EXPLAINERS)
