"""Findings: sentences from counts, and networks that really have each of them."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
import torch
from torch import nn

from ectool.config import EvaluateConfig, ExplainConfig, PerturbConfig
from ectool.stages import evaluate, explain, perturb
from ectool.stages.common.findings import FINDINGS
from ectool.stages.common.huge_logits import huge_logits

N, CLASSES = 30, 10


def told(name, counts, length=N):
    return FINDINGS[name].tell(counts, length)


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"zero_maps_clean": 30, "zero_maps_adversarial": 2}, "all heatmaps are zero"),
        ({"zero_maps_clean": 1, "zero_maps_adversarial": 3}, "3 of 30 heatmaps are zero"),
        ({"zero_maps_clean": 2, "zero_maps_adversarial": 2}, ""),
        ({"zero_maps_clean": 0}, ""),
        ({"zero_maps_clean": 30, "explained_labels": 60}, "30 of 60 heatmaps are zero"),
        ({"zero_maps_clean": 60, "explained_labels": 60}, "all heatmaps are zero"),
        ({"zero_maps_clean": 5, "explained_labels": 60}, ""),
    ],
)
def test_zero_heatmaps_are_found_where_they_are_a_tenth(counts, text):
    sentence = told("zero-heatmaps", counts)
    assert sentence.startswith(text)
    assert bool(sentence) == bool(text)


@pytest.mark.parametrize(
    ("radius", "text"),
    [
        ((1 / 255, 200, 0.97), "the smallest radius, 0.003922, changes 97 % of 200 correct"),
        ((1.0, 200, 0.31), "the largest radius, 1, changes 31 % of 200 correct predictions"),
        ((1 / 255, 0, 1.0), "no prediction is correct, so eps is the smallest radius"),
    ],
)
def test_a_radius_at_the_end_of_the_search_is_a_finding(radius, text):
    names = ("eps", "eps_correct_predictions", "eps_changed_predictions")
    found = {**dict(zip(names, radius, strict=True)), "eps_at_end": 1.0}
    assert told("radius-at-end", found).startswith(f"--eps auto: {text}")
    del found["eps_at_end"]
    assert told("radius-at-end", found) == ""


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"misclassified_samples": 30}, "every sample is misclassified after the attack"),
        ({"misclassified_samples": 29}, "29 of 30 samples are misclassified after the attack"),
        ({"misclassified_samples": 28}, ""),
        ({"misclassified_samples": 30, "eps": 0.1}, ""),
        ({}, ""),
    ],
)
def test_misclassified_samples_are_found_unless_the_radius_was_searched(counts, text):
    sentence = told("all-misclassified", counts)
    assert sentence.startswith(text)
    assert bool(sentence) == bool(text)
    assert not sentence or sentence.endswith("lower --eps, or use --eps auto")


def test_samples_with_a_logit_beyond_ten_thousand_are_counted_once():
    clean, adversarial = np.zeros((2, 4, 3), np.float32)
    clean[0, 1], clean[1, 0], adversarial[1, 2], adversarial[3, 0] = 1e4, 2e4, -3e4, -10001
    arrays = {"logits_clean": clean, "logits_adversarial": adversarial, "label": np.full(4, 10**6)}
    assert huge_logits(arrays) == {"samples_with_huge_logits": 2}
    assert huge_logits({"original/logits": clean}) == {"samples_with_huge_logits": 1}
    assert huge_logits({"original/logits": clean[:1]}) == huge_logits({"image": clean}) == {}


class Small(nn.Module):
    """One convolution and a head with random weights."""

    scale = 1.0

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, 4)
        self.head = nn.Linear(8, CLASSES)

    def features(self, images):
        return self.conv(images).relu()

    def forward(self, images):
        return self.head(self.features(images).mean((2, 3))) * self.scale


class Dead(Small):
    """Its units respond to some bright red pixels only, which dark images lack."""

    threshold = 0.5

    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.conv.weight.zero_()[:, 0, 0, 0] = 1
            self.conv.bias.fill_(-self.threshold)


class Huge(Small):
    """Its logits are beyond 1e4."""

    scale = 1e6


class Rounding(Small):
    """It rounds pixels, so that its gradient is zero everywhere."""

    def features(self, images):
        return super().features((images * 4).round() / 4)


NETWORKS = {"dead": Dead, "huge": Huge, "rounding": Rounding}


@pytest.fixture
def foreign(monkeypatch, tmp_path, few_options):
    """Return a function that writes the weights of a network and returns all options."""
    monkeypatch.syspath_prepend(os.path.dirname(__file__))  # noqa: PTH120 (a path of import)

    def write(name):
        torch.manual_seed(0)
        kind = NETWORKS[name]
        torch.save(kind().state_dict(), tmp_path / "weights.pth")
        model = f"import:{__name__.rpartition('.')[2]}:{kind.__name__}"
        given = {"model": model, "checkpoint": tmp_path / "weights.pth", "classes": CLASSES}
        return {**given, "mean": (0, 0, 0), "std": (1, 1, 1), **few_options}

    return write


def names(outcome):
    return {finding.name for finding in outcome.findings}


def test_units_that_are_dead_for_some_images_are_found(foreign, few_digits, monkeypatch, tmp_path):
    brightest = few_digits.images(np.arange(N))[:, 0, ::4, ::4].max(axis=(1, 2)) / 255
    monkeypatch.setattr(Dead, "threshold", float(np.sort(brightest)[10]))
    config = ExplainConfig(**foreign("dead"), layer="conv", output=tmp_path / "cams.zarr")
    found = explain.run(config)
    (text,) = [one.text for one in found.findings if one.name == "zero-heatmaps"]
    assert re.match(r"\d+ of 30 heatmaps are zero, so they show nothing", text)
    assert explain.run(config).findings == found.findings


def test_huge_logits_are_found_by_every_stage(foreign, tmp_path):
    given = foreign("huge")
    samples = perturb.run(PerturbConfig(steps=1, **given, output=tmp_path / "adv.zarr"))
    config = EvaluateConfig(suite=("classification",), **given, output=tmp_path / "e")
    evaluated = evaluate.run(config)
    assert "huge-logits" in names(samples)
    assert [str(one).split(",")[0] for one in evaluated.findings] == [
        f"{tmp_path}/e/predictions.zarr: 30 of 30 samples have logits beyond 10000"
    ]


def test_a_network_that_masks_its_gradients_is_found(foreign, tmp_path):
    given = foreign("rounding")
    samples = perturb.run(PerturbConfig(steps=2, **given, output=tmp_path / "adv.zarr"))
    assert "no-gradient" in names(samples)
    text = next(str(one) for one in samples.findings if one.name == "no-gradient")
    assert "30 of 30 samples had no usable gradient" in text
