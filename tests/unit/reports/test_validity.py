"""Tables, Markdown and JSON of a study, from results that are written out."""

import math

import pytest

from ectool.reports import validity
from ectool.reports.validity import Contrast, Grid, Score, StudyResults
from ectool.reports.validity_page import render
from ectool.types import Estimate

NAN = float("nan")


def estimates(value, low=NAN, high=NAN):
    return {name: Estimate(value, low, high, 2, "spread") for name in validity.MEASURES}


@pytest.fixture
def results():
    records = tuple(
        {"data": data, "rho": 0.5, "seed": 0, "epoch": 3, "accuracy": 0.8, "reliance": 0.3,
         "gap": 0.1, "radii": {}}
        for data in ("digits", "letters")
    )  # fmt: skip
    score = Score(
        "chosen", "a|b|<c>", estimates(0.5, 0.4, 0.6), {"digits": 0.7, "letters": NAN},
        (0.7, NAN), (0.2, 0.3),
    )  # fmt: skip
    contrast = Contrast("more?", "a", "b", estimates(-0.001, -0.1, 0.1))
    grid = Grid("Grid", ("r",), ("c", "d"), ((0.25, NAN),))
    return StudyResults(
        "A & B", 40, records, (score,), (contrast,), (grid,), (), (), ({"name": "a", "x": NAN},)
    )


def test_numbers_are_short_and_signs_are_typographic():
    assert validity.number(-0.254) == "−0.25"
    assert validity.number(-0.001) == "0.00"
    assert validity.number(NAN) == "-"
    assert validity.estimate(Estimate(0.5, -0.1, 0.9, 3)) == "0.50 [−0.10, 0.90]"


def test_markdown_has_every_table_and_escapes_its_cells(results):
    text = validity.to_markdown(results)
    assert "# A & B" in text
    assert "40 images each" in text
    assert "| chosen | a\\|b\\|<c> | 0.50 [0.40, 0.60] |" in text
    assert "| r | 0.25 | - |" in text
    assert "## Test images" not in text
    assert "| digits | letters |" in text


def test_the_document_is_json_without_nan(results):
    document = validity.to_document(results)
    assert document["schema"] == "validity"
    assert document["scores"][0]["by_checkpoint"] == [0.7, None]
    assert document["candidates"] == [{"name": "a", "x": None}]
    assert not any(isinstance(v, float) and math.isnan(v) for v in document["records"][0].values())


def test_the_page_is_whole_and_escaped(results):
    page = render(results)
    assert "A &amp; B" in page
    assert "a|b|&lt;c&gt;" in page
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http://www.w3.org", "")
    assert render(results) == page
