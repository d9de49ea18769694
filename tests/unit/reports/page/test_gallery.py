from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from ectool.reports.page.gallery import LARGEST_MAP, show_gallery
from ectool.reports.page.images import GREY
from ectool.reports.report import Exhibit


def pixels(uri: str) -> np.ndarray:
    body = uri.partition(";base64,")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB"), np.float64)


def levels(heatmap: dict) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(heatmap["levels"]), np.uint8)
    return values.reshape(heatmap["height"], heatmap["width"])


def shown(make_report, make_evaluation, *exhibits: Exhibit):
    models = [make_evaluation(name) for name in ("a", "b", "unseen")]
    return show_gallery(make_report(*models, gallery=exhibits))


def test_without_samples_there_is_no_gallery(make_report):
    assert show_gallery(make_report()) is None


def test_the_perturbed_image_is_the_image_plus_the_difference(
    make_report, make_evaluation, make_sample
):
    samples = [make_sample(), make_sample(perturbed=make_sample().image)]
    gallery = shown(make_report, make_evaluation, Exhibit({"a": samples[0], "b": samples[1]}))
    seen = gallery.data["samples"][0]["seen"]
    for sample, one in zip(samples, seen, strict=True):
        change = (pixels(one["difference"]) - GREY) / gallery.factor
        rebuilt = pixels(gallery.images[0]) + change
        assert rebuilt == pytest.approx(sample.perturbed.transpose(1, 2, 0))


def test_large_images_stay_within_a_fraction_of_a_level(make_report, make_evaluation, make_sample):
    image = np.full((3, 256, 256), 90, np.uint8)
    moved = image.copy()
    moved[:, 128:] += 2
    sample = make_sample(image=image, perturbed=moved)
    gallery = shown(make_report, make_evaluation, Exhibit({"a": sample}))
    (seen,) = gallery.data["samples"][0]["seen"]
    change = (pixels(seen["difference"]) - GREY) / gallery.factor
    assert change[:60] == pytest.approx(0, abs=0.1)
    assert change[70:] == pytest.approx(2, abs=0.1)
    assert not gallery.is_pixel_art


def test_heatmaps_share_the_scale_of_their_pair(make_report, make_evaluation, make_sample):
    clean, adversarial = np.full((2, 3), 1.0, np.float32), np.full((2, 3), 4.0, np.float32)
    sample = make_sample(clean=clean, adversarial=adversarial)
    gallery = shown(make_report, make_evaluation, Exhibit({"a": sample}))
    (seen,) = gallery.data["samples"][0]["seen"]
    assert seen["scale"] == 4.0
    assert levels(seen["clean"]).tolist() == [[64] * 3] * 2
    assert levels(seen["adversarial"]).tolist() == [[255] * 3] * 2


def test_dead_and_large_heatmaps(make_report, make_evaluation, make_sample):
    dead = np.zeros((4, 80), np.float32)
    gallery = shown(
        make_report, make_evaluation, Exhibit({"a": make_sample(clean=dead, adversarial=dead)})
    )
    (seen,) = gallery.data["samples"][0]["seen"]
    assert levels(seen["clean"]).shape == (2, LARGEST_MAP)
    assert levels(seen["clean"]).max() == 0


def test_models_that_have_not_seen_an_image(make_report, make_evaluation, make_sample):
    first = make_sample(seed=1, consistency=math.nan)
    gallery = shown(
        make_report, make_evaluation, Exhibit({"a": first}), Exhibit({"b": make_sample(label="x")})
    )
    assert gallery.models == ("a", "b")
    assert gallery.others == ("unseen",)
    assert gallery.classes == ("cat", "x")
    assert [[one is None for one in s["seen"]] for s in gallery.data["samples"]] == [
        [False, True],
        [True, False],
    ]
    assert gallery.data["samples"][0]["seen"][0]["consistency"] is None
