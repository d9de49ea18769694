from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from ectool.reports.page.gallery import MAX_MAP_SIDE, show_gallery
from ectool.reports.page.images import GREY
from ectool.reports.report import GallerySample


def pixels(uri: str) -> np.ndarray:
    body = uri.partition(";base64,")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB"), np.float64)


def levels(heatmap: dict) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(heatmap["levels"]), np.uint8)
    return values.reshape(heatmap["height"], heatmap["width"])


def shown(make_report, make_evaluation, *samples: GallerySample):
    models = [make_evaluation(name) for name in ("a", "b", "other")]
    return show_gallery(make_report(*models, gallery=samples))


def test_without_samples_there_is_no_gallery(make_report):
    assert show_gallery(make_report()) is None


def test_the_perturbed_image_is_the_image_plus_the_difference(
    make_report, make_evaluation, make_sample
):
    samples = [make_sample(), make_sample(perturbed=make_sample().image)]
    gallery = shown(make_report, make_evaluation, GallerySample({"a": samples[0], "b": samples[1]}))
    results = gallery.data["samples"][0]["results"]
    for sample, one in zip(samples, results, strict=True):
        change = (pixels(one["difference"]) - GREY) / gallery.factor
        rebuilt = pixels(gallery.images[0]) + change
        assert rebuilt == pytest.approx(sample.perturbed.transpose(1, 2, 0))


def test_large_images_stay_within_a_fraction_of_a_level(make_report, make_evaluation, make_sample):
    image = np.full((3, 256, 256), 90, np.uint8)
    moved = image.copy()
    moved[:, 128:] += 2
    sample = make_sample(image=image, perturbed=moved)
    gallery = shown(make_report, make_evaluation, GallerySample({"a": sample}))
    (result,) = gallery.data["samples"][0]["results"]
    change = (pixels(result["difference"]) - GREY) / gallery.factor
    assert change[:60] == pytest.approx(0, abs=0.1)
    assert change[70:] == pytest.approx(2, abs=0.1)
    assert not gallery.is_pixel_art


def test_heatmaps_share_the_scale_of_their_pair(make_report, make_evaluation, make_sample):
    clean, adversarial = np.full((2, 3), 1.0, np.float32), np.full((2, 3), 4.0, np.float32)
    sample = make_sample(clean=clean, adversarial=adversarial)
    gallery = shown(make_report, make_evaluation, GallerySample({"a": sample}))
    (result,) = gallery.data["samples"][0]["results"]
    assert result["scale"] == 4.0
    assert levels(result["clean"]).tolist() == [[64] * 3] * 2
    assert levels(result["adversarial"]).tolist() == [[255] * 3] * 2


def test_dead_and_large_heatmaps(make_report, make_evaluation, make_sample):
    dead = np.zeros((4, 80), np.float32)
    gallery = shown(
        make_report,
        make_evaluation,
        GallerySample({"a": make_sample(clean=dead, adversarial=dead)}),
    )
    (result,) = gallery.data["samples"][0]["results"]
    assert levels(result["clean"]).shape == (2, MAX_MAP_SIDE)
    assert levels(result["clean"]).max() == 0


def test_models_without_heatmaps_of_an_image(make_report, make_evaluation, make_sample):
    first = make_sample(seed=1, consistency=math.nan)
    gallery = shown(
        make_report,
        make_evaluation,
        GallerySample({"a": first}),
        GallerySample({"b": make_sample(label="x")}),
    )
    assert gallery.models == ("a", "b")
    assert gallery.others == ("other",)
    assert gallery.classes == ("cat", "x")
    assert [[one is None for one in s["results"]] for s in gallery.data["samples"]] == [
        [False, True],
        [True, False],
    ]
    result = gallery.data["samples"][0]["results"][0]
    assert result["consistency"] is None
    assert (result["similarity"], result["stability"]) == (0.5, 0.5)
