"""Figures for papers: complete, legible, reproducible, with correct numbers."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from evaluated_models import CLASSES, IMAGES, evaluation_of, experiment_of, report_of
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text
from PIL import Image

from ectool.reports.leaderboard import columns
from ectool.reports.paper.figures import CAPTIONS_FILE, draw_figures, figures
from ectool.reports.paper.matrices import reliability_diagrams
from ectool.reports.paper.metrics import pareto_front, suite_metrics, trade_offs
from ectool.reports.paper.strengths import strength_curves
from ectool.reports.paper.style import (
    COLOURS,
    COLUMN,
    MAX_SHOWN,
    PAGE,
    PaperFigure,
    file_contents,
    paper_style,
)
from ectool.reports.paper.text import slugs
from ectool.reports.report import EvaluatedModel
from ectool.types import Estimate

LONG = "runs/2024-11-23/resnet50-with-quite-a-long-name-of-its-folder/seed-3/model"
NAMES = ["plain", "$consistency$ & more", LONG]
SANITY = [
    {"layer": layer, "mode": mode, "similarity": "ssim", "value": 1 / (at + 2), "low": 0.0,
     "high": 0.6, "n": 50}
    for mode in ("cascading", "independent")
    for at, layer in enumerate(("head", "layer4.1", "conv1"))
]  # fmt: skip


@pytest.fixture(autouse=True)
def style():
    with paper_style():
        yield


@pytest.fixture(scope="module")
def three():
    report = report_of(NAMES, experiments=[experiment_of(["plain", "consistency"])])
    first = replace(report.entries[0], evaluation=evaluation_of(NAMES[0], sanity=SANITY))
    return replace(report, entries=(first, *report.entries[1:]))


@pytest.fixture(scope="module")
def drawn(three):
    """Every figure of three models and two arms, by name."""
    with paper_style():
        found = list(draw_figures(three))
    assert len({drawing.name.lower() for drawing in found}) == len(found)
    return {drawing.name: drawing for drawing in found}


@pytest.fixture(scope="module")
def many():
    return report_of([f"runs/{number}/model" for number in range(30)])


def points(drawing: PaperFigure) -> list[np.ndarray]:
    """Return the positions of what has whiskers, in the order it was drawn."""
    return [
        np.array(container.lines[0].get_data())
        for axes in drawing.figure.axes
        for container in axes.containers
        if isinstance(container, ErrorbarContainer)
    ]


def by_name(found) -> dict[str, PaperFigure]:
    return {drawing.name: drawing for drawing in found}


class TestFiles:
    @pytest.fixture
    def one(self):
        return next(trade_offs(report_of(["model", "other"])))

    def test_png_of_a_column_at_300_dpi(self, one):
        image = Image.open(io.BytesIO(file_contents(one)[f"{one.name}.png"]))
        assert image.width == COLUMN * 300
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)

    def test_pdf_embeds_truetype(self, one):
        data = file_contents(one)[f"{one.name}.pdf"]
        assert b"/FontFile2" in data
        assert b"/Type3" not in data

    def test_svg_needs_no_font_and_no_other_file(self, one):
        root = ET.fromstring(file_contents(one)[f"{one.name}.svg"])
        names = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not names & {"text", "image", "metadata"}
        links = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")]
        assert links
        assert all(link.startswith("#") for link in links)

    def test_same_bytes_each_time_with_any_matplotlibrc(self, one):
        first = file_contents(one)
        with mpl.rc_context({"font.size": 30, "savefig.dpi": 50, "svg.hashsalt": None}):
            assert mpl.rcParams["font.size"] == 30
            with paper_style():
                again = file_contents(next(trade_offs(report_of(["model", "other"]))))
        assert first == again
        for data in first.values():
            assert b"Date" not in data
            assert mpl.__version__.encode() not in data

    @pytest.mark.slow
    def test_three_formats_and_a_caption_each(self, monkeypatch):
        from ectool.reports.paper import figures as module

        monkeypatch.setattr(module, "FIGURES", (trade_offs, reliability_diagrams))
        files = figures(report_of(["model", "other"]))
        captions = files.pop(CAPTIONS_FILE).decode()
        stems = {name.rpartition(".")[0] for name in files}
        assert files.keys() == {
            f"{stem}.{suffix}" for stem in stems for suffix in ["png", "svg", "pdf"]
        }
        assert {f"## {stem}" for stem in stems} == {
            line for line in captions.splitlines() if line.startswith("## ")
        }


class TestAll:
    def test_captions_state_n_and_its_unit(self, drawn):
        for drawing in drawn.values():
            assert re.search(r"n = \d+ (to \d+ )?(images|seeds)", drawing.caption)

    def test_every_kind_is_drawn(self, drawn):
        kinds = ("metrics-stability", "trade-off-", "strength-robustness", "strength-corruptions",
                 "corruptions", "faithfulness-plain", "sanity-plain", "reliability",
                 "confusion-plain", "arms-metrics-", "learning-curves")  # fmt: skip
        assert [kind for kind in kinds if not any(name.startswith(kind) for name in drawn)] == []

    def test_empty_reports_have_no_figures(self):
        assert list(draw_figures(report_of([]))) == []
        assert figures(report_of([])) == {CAPTIONS_FILE: b"# Figures\n"}

    def test_no_text_is_cut_off_or_over_another(self, drawn):
        for drawing in drawn.values():
            check_texts(drawing)

    @pytest.mark.slow
    def test_no_text_is_cut_off_with_many_models(self, many):
        for drawing in (*trade_offs(many), *strength_curves(many), next(suite_metrics(many))):
            check_texts(drawing)
            assert drawing.figure.get_figwidth() in (COLUMN, PAGE)


def check_texts(drawing: PaperFigure) -> None:
    """Check that texts are inside the figure and not tiny, and numbers of an axis apart."""
    figure = drawing.figure
    figure.draw_without_rendering()
    page, hidden = figure.bbox.padded(1), undrawn(figure)
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text() and id(text) not in hidden:
            box = text.get_window_extent()
            place = (drawing.name, text.get_text())
            assert page.x0 <= box.x0 <= box.x1 <= page.x1, place
            assert page.y0 <= box.y0 <= box.y1 <= page.y1, place
            assert text.get_fontsize() >= 6, place
    for axes in figure.axes:
        labels = [text for text in axes.get_xticklabels() if id(text) not in hidden]
        boxes = [text.get_window_extent() for text in labels if not text.get_rotation()]
        for left, right in pairwise(sorted(boxes, key=lambda box: box.x0)):
            assert left.x1 <= right.x0 + 1, (drawing.name, axes.get_title())


def undrawn(figure) -> set[int]:
    """Return the labels of ticks beyond the limits of their axis, which are there all the same."""
    return {
        id(text)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for text in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }


class TestNumbers:
    def test_metrics_in_percent(self, three, drawn):
        drawing = drawn["metrics-stability"]
        found = [values[0, 0] for values in points(drawing)]
        expected = [e.evaluation.value("explanation_consistency") * 100 for e in three.entries]
        assert found == pytest.approx(expected)

    def test_others_keep_their_unit_and_an_axis_of_their_own(self, drawn):
        first, second = drawn["metrics-classification"].figure.axes
        assert (first.get_xlabel(), second.get_xlabel()) == ("%", "value")
        assert second.get_xlim()[1] < 1

    def test_one_line_for_each_of_many_models(self, many):
        drawing = next(suite_metrics(many))
        first = drawing.figure.axes[0]
        assert len(points(drawing)[0][0]) == 30
        assert first.get_yticklabels()[7].get_text() == "runs/7/model"

    def test_many_metrics_take_more_than_one_figure(self):
        report = report_of(NAMES * 3, groups=NAMES * 3)
        metric = report.metrics["accuracy@original"]
        names = [f"accuracy@{number}" for number in range(12)]
        value = Estimate(0.5, 0.4, 0.6, IMAGES)
        entries = tuple(
            replace(e, evaluation=replace(e.evaluation, values=dict.fromkeys(names, value)))
            for e in report.entries
        )
        wide = replace(report, metrics=dict.fromkeys(names, metric), entries=entries,
                       suites=dict.fromkeys(names, "debiasing"))  # fmt: skip
        found = list(suite_metrics(wide))
        numbers = range(1, len(found) + 1)
        assert [d.name for d in found] == [f"metrics-debiasing-{number}" for number in numbers]
        assert len(found) > 1
        assert all(drawing.figure.get_figheight() <= 9 for drawing in found)
        assert sum(len(axes.get_yticks()) for d in found for axes in d.figure.axes) == 12

    def test_models_of_a_group_look_the_same(self):
        report = report_of(["a/0", "a/1", "b/0"], groups=["a", "a", "b"])
        drawing = next(trade_offs(report))
        colours = [c.lines[0].get_color() for c in drawing.figure.axes[0].containers]
        assert colours == [COLOURS[0], COLOURS[0], COLOURS[1]]
        (legend,) = drawing.figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]

    def test_curves_of_the_first_models_alone(self, many):
        drawing = by_name(strength_curves(many))["strength-robustness"]
        assert "The first 7 of 30 models." in drawing.caption
        assert len(drawing.figure.axes[0].containers) == MAX_SHOWN

    def test_radii_are_grey_levels_in_linf_alone(self, drawn):
        linf, _, l2 = drawn["strength-robustness"].figure.axes
        first, last = linf.containers[0], l2.containers[0]
        assert first.lines[0].get_xdata() == pytest.approx([0, 1, 2, 8])
        assert last.lines[0].get_xdata() == pytest.approx([0, 0.25, 0.5, 2])
        assert (linf.get_title(), l2.get_title()) == ("PGD, L∞", "PGD, L2")
        assert (linf.get_xlabel(), l2.get_xlabel()) == ("eps, 1/255", "eps")

    def test_families_of_metrics_without_a_table(self):
        report = report_of(["model"])
        entry = report.entries[0]
        bare = EvaluatedModel(replace(entry.evaluation, tables={}), entry.group, entry.data)
        drawing = by_name(strength_curves(replace(report, entries=(bare,))))["strength-robustness"]
        (values,) = points(replace_axes(drawing, 0))
        names = ("accuracy@original", "robust@2/255", "robust@8/255")
        assert values[0] == pytest.approx([0, 2, 8])
        assert values[1] == pytest.approx([bare.evaluation.value(n) * 100 for n in names])

    def test_bars(self, three, drawn):
        drawing = drawn["corruptions"]
        (axes,) = drawing.figure.axes
        assert [t.get_text() for t in axes.get_yticklabels()] == ["fog", "motion blur"]
        widths = [patch.get_width() for patch in axes.patches]
        expected = [
            entry.evaluation.value(f"corruption_accuracy@{kind}") * 100
            for entry in three.entries
            for kind in ("fog", "motion_blur")
        ]
        assert widths == pytest.approx(expected)

    def test_curves_with_controls(self, drawn):
        drawing = drawn["faithfulness-plain"]
        deletion, insertion = drawing.figure.axes
        assert (deletion.get_title(), insertion.get_title()) == ("deletion", "insertion")
        labels = [line.get_label() for line in deletion.lines]
        assert labels == ["method", "centre", "random"]
        assert deletion.lines[0].get_xdata()[-1] == 100
        assert deletion.lines[0].get_ydata()[0] == pytest.approx(90, abs=1.1)
        assert len(deletion.collections) == 3

    def test_reliability(self, three, drawn):
        drawing = drawn["reliability"]
        assert [axes.get_title() for axes in drawing.figure.axes[:2]] == NAMES[:2]
        rows = [r for r in three.entries[0].evaluation.tables["reliability"] if r["n"]]
        values = points(drawing)[0]
        assert values[0] == pytest.approx([100 * row["confidence"] for row in rows])
        assert values[1] == pytest.approx([100 * row["accuracy"] for row in rows])
        bars = drawing.figure.axes[0].patches
        assert sum(bar.get_height() for bar in bars) == pytest.approx(100)

    def test_confusion(self, drawn):
        drawing = drawn["confusion-plain"]
        shares = np.asarray(drawing.figure.axes[0].images[0].get_array())
        assert shares.sum(axis=1) == pytest.approx(100 * np.ones(len(CLASSES)))
        assert shares[0, 2] == 0
        texts = {text.get_text() for text in drawing.figure.axes[0].texts}
        assert f"{shares[1, 1]:.0f}" in texts

    def test_learning(self, drawn):
        drawing = drawn["learning-curves"]
        axes = drawing.figure.axes[0]
        assert len(axes.lines) == 2 * (3 + 1) + 1
        singles, mean = np.array([line.get_ydata() for line in axes.lines[:3]]), axes.lines[3]
        assert mean.get_ydata() == pytest.approx(singles.mean(axis=0))

    def test_arms_are_means_over_seeds(self, three, drawn):
        drawing = drawn["arms-metrics-stability"]
        arm = three.experiments[0].arms[0]
        mean = arm.results["explanation_consistency"].interval.value
        assert points(drawing)[0][0, 0] == pytest.approx(mean * 100)
        assert "t intervals over n = 3 seeds" in drawing.caption


def replace_axes(drawing: PaperFigure, number: int) -> PaperFigure:
    """Return a drawing with one of its axes alone."""
    for axes in [a for i, a in enumerate(drawing.figure.axes) if i != number]:
        axes.remove()
    return drawing


def test_no_model_dominates_those_of_the_pareto_front(many):
    found = {column.name: column for column in columns(many)}
    accuracy, gap = found["accuracy@original"], found["background_gap"]
    pairs = [
        (a.value.value, -g.value.value) for a, g in zip(accuracy.cells, gap.cells, strict=True)
    ]
    expected = [
        row
        for row, (a, g) in enumerate(pairs)
        if not any(x >= a and y >= g and (x, y) != (a, g) for x, y in pairs)
    ]
    best = pareto_front(accuracy, gap)
    assert sorted(best) == expected
    assert 1 < len(best) < 30
    drawing = next(trade_offs(many))
    assert f"1: {many.entries[best[0]].name}" in drawing.caption


def test_file_names_are_safe_and_unique():
    assert slugs(["a/b", "a b", "A/B", "../x", "é", ""]) == [
        "a_b", "a_b-2", "A_B-3", "x", "unnamed", "unnamed-2"
    ]  # fmt: skip
