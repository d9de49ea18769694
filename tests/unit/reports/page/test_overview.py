"""The overview: tiles of the reference and the best model, and what the caption says of them."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from ectool.reports.page.html import render
from ectool.reports.page.images import overlay
from ectool.reports.page.overview import overview
from ectool.reports.report import GallerySample


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def two_models(make_report, make_evaluation, make_sample, moved: int = 0):
    """Return a report of two models with one sample, whose perturbed images differ by `moved`."""
    first, second = (make_sample(seed=seed, sample_id="one") for seed in (1, 2))
    perturbed = first.perturbed + np.uint8(moved)
    second = replace(second, image=first.image, perturbed=perturbed, similarity=0.125)
    return make_report(
        make_evaluation("a", {"accuracy@original": 0.5, "explanation_consistency": 0.2}),
        make_evaluation("b", {"accuracy@original": 0.75, "explanation_consistency": 0.4}),
        gallery=(GallerySample({"a": first, "b": second}),),
    )


def test_tiles_show_image_and_heatmaps_before_and_after(make_report, make_evaluation, make_sample):
    report = two_models(make_report, make_evaluation, make_sample)
    (sample,) = overview(report).strip
    captions = [tile.caption for tile in sample.tiles]
    assert captions == ["image", "a", "b", "perturbed", "a", "b"]
    a, b = report.gallery[0].by_model.values()
    expected = (
        a.image.transpose(1, 2, 0),
        overlay(a.image, a.clean, a.scale),
        overlay(b.image, b.clean, b.scale),
        b.perturbed.transpose(1, 2, 0),
        overlay(a.perturbed, a.adversarial, a.scale),
        overlay(b.perturbed, b.adversarial, b.scale),
    )
    for tile, image in zip(sample.tiles, expected, strict=True):
        assert (pixels(tile.uri) == image).all()


def test_other_perturbed_images_are_mentioned(make_report, make_evaluation, make_sample):
    def page(moved: int) -> str:
        return render(two_models(make_report, make_evaluation, make_sample, moved))

    assert "the perturbed image is that of b" not in page(0)
    assert "the perturbed image is that of b; other models have their own" in page(1)


def test_similarity_and_stability_stand_apart(make_report, make_evaluation, make_sample):
    page = render(two_models(make_report, make_evaluation, make_sample))
    story = page.partition('<div class="story">')[2].partition("</table>")[0]
    assert '<th scope="col">heatmap similarity</th><th scope="col">prediction stability' in story
    assert "<td>0.12</td><td>0.50</td>" in story


def test_factors_of_the_consistency_are_listed_below_it(make_report, make_evaluation):
    values = {
        "explanation_consistency": 0.2,
        "heatmap_similarity": 0.5,
        "prediction_stability": 0.4,
    }
    better = {**values, "heatmap_similarity": 0.75}
    page = render(make_report(make_evaluation("a", values), make_evaluation("b", better)))
    tile = page.partition('<ul class="headlines"')[2].partition("</ul>")[0]
    assert "heatmap similarity +25.0" in tile
    assert "prediction stability 0.0" in tile


def test_a_model_without_heatmaps_has_numbers_alone(make_report, make_evaluation):
    page = render(make_report(make_evaluation("a", {"accuracy@original": 0.5})))
    assert '50.0<span class="unit"> %</span>' in page
    assert 'class="story"' not in page


def test_names_are_escaped(make_report, make_evaluation):
    names = ("a</p><i>x", "b")
    page = render(make_report(*(make_evaluation(n, {"accuracy@original": 0.5}) for n in names)))
    assert "<i>x" not in page
