"""Which precision `auto` chooses for a network, and the numbers that it chooses by."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ectool.config import ExplainConfig
from ectool.explainers import EXPLAINERS
from ectool.models.precision import has_bf16, in_precision
from ectool.models.registry import create
from ectool.stages.explain import agreement
from ectool.stages.explain.agreement import Comparison, choose, choose_for, compare

GOOD = {"cosine": 0.9995, "same": 1.0, "speed": 1.8, "images": 64}
NATIVE = has_bf16(torch.device("cpu"))


@pytest.fixture(scope="module")
def small():
    return create("smallcnn", list("abc"), seed=0, input_size=(32, 32)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pixels():
    return torch.rand(24, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def options(**given):
    return ExplainConfig(model="m", data="digits", output="a.zarr", precision="auto", **given)


@pytest.mark.parametrize(
    ("worse", "expected"),
    [
        ({}, "bf16"),
        ({"cosine": 0.9949}, "fp32"),
        ({"same": 0.9949}, "fp32"),
        ({"speed": 1.19}, "fp32"),
        ({"cosine": 0.995, "same": 0.995, "speed": 1.2}, "bf16"),
    ],
)
def test_bf16_has_to_agree_and_to_be_faster(worse, expected):
    choice = Comparison(**{**GOOD, **worse}).choice()
    assert choice.precision == expected
    assert "on 64 images bf16 has " in choice.reason


@pytest.mark.parametrize("purpose", ["heatmaps", "attack"])
@pytest.mark.parametrize("labels", ["one", "several", "predicted"])
def test_the_comparison_is_that_of_both_networks(small, pixels, purpose, labels):
    targets = {
        "one": torch.arange(24) % 3,
        "several": torch.stack([torch.arange(24) % 3, torch.full((24,), -1)], 1),
        "predicted": None,
    }[labels]
    found = compare(options(), small, pixels, targets, purpose)
    half = in_precision(small, "bf16")
    classes = small(pixels).argmax(1) if labels == "predicted" else torch.arange(24) % 3
    pair = [EXPLAINERS["gradcam"].make(one)(pixels, classes) for one in (small, half)]
    maps = [one.heatmaps.flatten(1).double() for one in pair]
    shown = (maps[0].norm(dim=1) > 0) | (maps[1].norm(dim=1) > 0)
    cosines = F.cosine_similarity(*(one[shown] for one in maps))
    assert found.cosine == pytest.approx(cosines.mean().item(), abs=2e-4)
    read = (lambda one: one.logits > 0) if labels == "several" else lambda one: one.logits.argmax(1)
    assert found.same == pytest.approx((read(pair[0]) == read(pair[1])).float().mean().item())
    assert found.images == 24
    assert found.speed > 0


def test_zero_maps_are_no_disagreement(small, pixels):
    nothing = torch.full((24, 1), -1)
    assert compare(options(), small, pixels, nothing, "heatmaps").cosine == 1


def test_a_small_network_stays_in_fp32(small, pixels):
    choice = choose_for(options(), small, pixels, None, "heatmaps")
    assert choice.precision == "fp32"
    assert ("is small (7 million" if NATIVE else "no instructions for bf16") in choice.reason


def test_a_device_without_instructions_stays_in_fp32(small, pixels):
    small = small.to("meta")
    choice = choose_for(options(), small, pixels.to("meta"), None, "heatmaps")
    assert (choice.precision, choice.reason) == (
        "fp32",
        "the device (meta) has no instructions for bf16",
    )


@pytest.mark.skipif(not NATIVE, reason="this processor has no instructions for bf16")
def test_a_network_that_gains_gets_bf16(few_digits, network, monkeypatch):
    monkeypatch.setattr(agreement, "MIN_MULTIPLY_ADDS", 0)
    monkeypatch.setattr(agreement, "MIN_SPEED", 0)
    choice = choose(options(), network, few_digits, "heatmaps")
    assert choice.precision == "bf16"
    assert f"on {len(few_digits.sample_ids)} images bf16 has 100.0 %" in choice.reason


def test_methods_of_many_passes_compare_few_images(few_digits, network, monkeypatch):
    seen = []
    monkeypatch.setattr(agreement, "choose_for", lambda *given: seen.append(given))
    choose(options(method="rise"), network, few_digits, "heatmaps")
    choose(options(targets="prediction"), network, few_digits, "heatmaps")
    (_, _, few, labels, _), (_, _, more, predicted, _) = seen
    assert (len(few), len(more)) == (4, len(few_digits.sample_ids))
    ids = np.isin(few.numpy().reshape(4, -1), more.numpy().reshape(len(more), -1)).all()
    assert ids
    assert labels is not None
    assert predicted is None
