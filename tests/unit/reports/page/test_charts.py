from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ectool.reports.page.charts import density_chart, group_style, line_chart
from ectool.reports.page.svg import COLOURS
from ectool.reports.training_records import WEIGHT_EDGES

X = np.arange(1.0, 5.0)


def parse(svg: str) -> ET.Element:
    """Parse a chart, with the namespace that HTML parsers define."""
    return ET.fromstring(svg.replace("<svg", '<svg xmlns:xlink="xlink"', 1))


def strokes(svg: str) -> list[str]:
    return [
        path.get("style", "") for path in parse(svg).iter("path") if "--arm" in path.get("style")
    ]


def lines(*values: np.ndarray):
    return [(X[: len(y)], y) for y in values]


def curve(groups, **given):
    options = {"title": "Accuracy", "label": "A", "axis": "epoch", "percent": True} | given
    return line_chart(groups, **options)


def test_one_thin_line_for_each_seed_and_a_thick_mean():
    svg = curve([(0, lines(X / 10, X / 5)), (1, lines(X / 8))])
    found = strokes(svg)
    assert sum("stroke-width: 0.7" in style for style in found) == 2
    assert sum("stroke-width: 2" in style for style in found) == 2
    assert {style.split("--arm-")[1][0] for style in found} == {"0", "1"}


def path_values(svg: str, number: int) -> list[float]:
    """Return the values of the thick line of an arm, from the heights at which it is drawn."""
    for path in parse(svg).iter("path"):
        style = path.get("style", "")
        if f"--arm-{number})" in style and "stroke-width: 2" in style:
            return [
                float(part.split()[1]) for part in path.get("d").replace("M", "L").split("L")[1:]
            ]
    raise AssertionError(number)


def test_mean_ends_with_the_shortest_line():
    whole = curve([(0, lines(np.full(4, 0.25), np.full(4, 0.75))), (1, lines(np.full(4, 0.5)))])
    assert path_values(whole, 0) == pytest.approx(path_values(whole, 1))
    cut = curve([(0, lines(np.linspace(0.1, 0.4, 4), np.array([0.9, 0.1])))])
    first, last = path_values(cut, 0)
    assert last > first  # the axis points down: the mean falls from 0.5 to 0.15


def test_chart_is_an_element_in_the_pages_colours():
    svg = curve([(0, lines(X / 10))], label='<"arm">', mark=2)
    root = parse(svg)
    assert root.get("aria-label") == '<"arm">'
    assert root.get("role") == "img"
    assert (root.get("width"), root.get("height")) == (None, None)
    assert "http" not in svg
    assert "#a0" not in svg
    assert "currentColor" in svg
    assert "font-family" not in svg


def test_chart_is_the_same_each_time_and_its_names_are_its_own():
    first, second = (curve([(0, lines(X / 10))], label=label) for label in ("one", "two"))
    assert first == curve([(0, lines(X / 10))], label="one")

    def names(svg):
        return {element.get("id") for element in parse(svg).iter() if element.get("id")}

    assert names(first)
    assert not names(first) & names(second)


def test_arms_differ_in_colour_and_pattern():
    styles = [group_style(number) for number in range(2 * COLOURS)]
    assert len(set(styles)) == len(styles)
    assert styles[0][0] != styles[1][0]
    assert styles[0][1] != styles[1][1]


@pytest.mark.parametrize("rounds", [1, 24])
def test_density(rounds):
    shares = np.zeros((rounds, len(WEIGHT_EDGES) - 1))
    shares[:, 8] = 1
    quantiles = np.tile([0.0, 1.0, 100.0], (rounds, 1))
    svg = density_chart(
        shares, quantiles, WEIGHT_EDGES, title="Weight", label="W", logarithmic=True
    )
    root = parse(svg)
    images = list(root.iter("image"))
    assert len(images) == 1
    assert images[0].get("{xlink}href").startswith("data:image/png;base64,")
    texts = {text.text for text in root.iter("text")}
    assert {"1", "0.0625", "16", "round", "Weight"} <= texts
