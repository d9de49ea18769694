"""Localization, intervals and undefined values of an evaluation, redone image by image."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ectool.config import EvaluateConfig
from ectool.metrics.means import estimate_means
from ectool.stages import evaluate
from ectool.stages.evaluate.metrics import summarize
from ectool.stages.evaluate.results import read_metrics

N, SIDE = 30, 32


@pytest.fixture(scope="module")
def config(model, few_options, quick_evaluation):
    def make(output):
        given = {"model": str(model), "output": output, "eps": (4 / 255,)}
        return EvaluateConfig(**few_options, **quick_evaluation, **given)

    return make


@pytest.fixture(scope="module")
def evaluation(config, tmp_path_factory):
    return evaluate.run(config(tmp_path_factory.mktemp("evaluation") / "eval")).path


@pytest.fixture(scope="module")
def images_of(evaluation, read, few_digits):
    """Heatmap at the image's size and object mask of every sample."""
    maps = torch.from_numpy(read(evaluation / "cams.zarr")["clean"].astype(np.float32))
    wide = F.interpolate(maps[:, None], size=(SIDE, SIDE), mode="bilinear")[:, 0]
    return list(zip(wide.double().numpy(), few_digits.annotations(np.arange(N)).masks, strict=True))


def is_hit(heatmap, mask):
    """Tell whether the object comes within 15 pixels (at 224) of the heatmap's maximum."""
    y, x = divmod(int(heatmap.argmax()), SIDE)
    radius = 15 * SIDE / 224
    near = [math.hypot(row - y, column - x) <= radius for row, column in np.argwhere(mask)]
    return float(any(near) and heatmap.max() > 0)


def energy(heatmap, mask):
    return heatmap[mask].sum() / heatmap.sum() if heatmap.any() else math.nan


def rank(heatmap, mask):
    """Take as many pixels as the object has, the most relevant ones; ties by halves and thirds."""
    if not heatmap.any():
        return math.nan
    wanted, last = mask.sum(), np.sort(heatmap, axis=None)[-mask.sum()]
    above, tied = heatmap > last, heatmap == last
    share = (wanted - above.sum()) / tied.sum()
    return ((above & mask).sum() + share * (tied & mask).sum()) / wanted


def iou(heatmap, mask):
    region = (heatmap >= 0.5 * heatmap.max()) & (heatmap.max() > 0)
    return (region & mask).sum() / (region | mask).sum()


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("pointing_game", is_hit),
        ("energy_inside", energy),
        ("relevance_rank", rank),
        ("mask_iou", iou),
    ],
)
def test_localization_is_that_of_the_heatmaps(name, definition, evaluation, images_of):
    values = np.array([definition(heatmap, mask) for heatmap, mask in images_of])
    found = read_metrics(evaluation)[name]
    assert found["value"] == pytest.approx(np.nanmean(values), abs=1e-3)
    assert found["n"] == np.isfinite(values).sum()


def test_intervals_are_quantiles_of_resampled_means(evaluation, read):
    for metric, file, condition in (
        ("accuracy@original", "predictions.zarr", "original"),
        ("robust@4/255", "attacks/pgd1-linf-4_255.zarr", "pgd1-linf-4_255"),
    ):
        predictions = read(evaluation / file)
        hits = predictions[f"{condition}/logits"].argmax(axis=1) == predictions["label"]
        generator = np.random.default_rng(7)
        means = [hits[generator.integers(N, size=N)].mean() for _ in range(5000)]
        found = read_metrics(evaluation)[metric]
        assert found["value"] == pytest.approx(hits.mean())
        assert found["low"] <= found["value"] <= found["high"]
        for name, quantile in (("low", 0.025), ("high", 0.975)):
            assert found[name] == pytest.approx(np.quantile(means, quantile), abs=0.08)


def test_undefined_values_are_left_out_and_null():
    column = np.array([0.25, np.nan, 0.75])
    values = {"energy_inside": column, "mask_iou": np.full(3, np.nan)}
    summary = summarize(estimate_means(values))
    assert (summary["energy_inside"]["value"], summary["energy_inside"]["n"]) == (0.5, 2)
    assert summary["energy_inside"]["higher_is_better"]
    empty = summary["mask_iou"]
    assert [empty[name] for name in ("value", "low", "high", "n")] == [None, None, None, 0]
