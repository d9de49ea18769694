"""Stability, measured again by hand: attack by `perturb`, consistency by `score`'s formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.metrics import sensitivity_max as captum_sensitivity_max
from scipy.stats import spearmanr

from ectool.config import HeatmapOptions, PerturbConfig
from ectool.corruptions import corrupt
from ectool.errors import InputError
from ectool.explainers import EXPLAINERS
from ectool.models.classifier import to_pixels
from ectool.seeding import stream
from ectool.stages.common.loop.computing import fetched
from ectool.stages.evaluate.suites.stability.agreement import AgreementWork, check_fits
from ectool.stages.evaluate.suites.stability.protocol import StabilityProtocol
from ectool.stages.evaluate.suites.stability.work import StabilityWork
from ectool.stages.perturb.work import PerturbWork

PROTOCOL = StabilityProtocol(draws=3)
ROWS = np.arange(10)
MEASURES = ("consistency_attack", "consistency_noise", "consistency_jpeg", "sensitivity_max")


def attack(restarts=2, **options):
    given = {"model": "none", "output": "none", "attack": "explanation", "steps": 2}
    return PerturbConfig(**given, eps=4 / 255, restarts=restarts, seed=3, **options)


def run(work, rows):
    return fetched(work.compute(work.load(rows)))


@pytest.fixture(scope="module")
def work(network, few_digits):
    return StabilityWork(attack(), PROTOCOL, network, few_digits)


@pytest.fixture(scope="module")
def arrays(work):
    return run(work, np.arange(30))


@pytest.fixture(scope="module")
def images(few_digits):
    ids = [few_digits.sample_ids[row] for row in ROWS]
    return ids, few_digits.images(ROWS), torch.tensor(few_digits.labels[ROWS])


def consistency(network, labels, clean, other):
    """Return cosine times the probability at temperature 2, image by image."""
    explainer = EXPLAINERS["gradcam"].make(network)
    found = []
    for row, label in enumerate(labels):
        a, b = (
            explainer(to_pixels(images[row : row + 1]), label[None]) for images in (clean, other)
        )
        a, b, logits = a.heatmaps.flatten().double(), b.heatmaps.flatten().double(), b.logits[0]
        length = float(a.norm() * b.norm())
        cosine = float(a @ b) / length if length else (np.nan if not (a.any() or b.any()) else 0)
        found.append(cosine * float((logits / 2).softmax(0)[label]))
    return found


@pytest.mark.parametrize(
    ("name", "kind"), [("noise", "gaussian_noise"), ("jpeg", "jpeg_compression")]
)
def test_consistency_under_corruption_equals_its_definition(name, kind, arrays, network, images):
    ids, images, labels = images
    other = corrupt(images, kind, 1, sample_ids=ids, seed=3)
    expected = consistency(network, labels, images, other)
    np.testing.assert_allclose(arrays[f"consistency_{name}"][ROWS], expected, atol=1e-4)


def test_consistency_under_attack_is_that_of_perturb(arrays, network, few_digits, images):
    perturb = PerturbWork(attack(), network, few_digits, None)
    other = fetched(perturb.compute(perturb.load(ROWS)))["image"]
    _, images, labels = images
    expected = consistency(network, labels, images, other)
    np.testing.assert_allclose(arrays["consistency_attack"][ROWS], expected, atol=1e-4)
    assert (other != images).any()


def test_more_starts_find_no_smaller_change(network, few_digits, images):
    """The attack raises 1 - cosine; with unchanged p, consistency can only decrease."""
    few, many = (PerturbWork(attack(restarts), network, few_digits, None) for restarts in (1, 3))
    _, images, labels = images
    explainer = EXPLAINERS["gradcam"].make(network)

    def similarity(work):
        other = to_pixels(fetched(work.compute(work.load(ROWS)))["image"])
        maps = [explainer(one, labels).heatmaps.flatten(1) for one in (to_pixels(images), other)]
        return torch.nn.functional.cosine_similarity(*maps)

    assert bool((similarity(many) <= similarity(few) + 1e-5).all())


def test_max_sensitivity_equals_captum_on_the_same_draws(arrays, network, images):
    ids, images, labels = images
    pixels, streams = to_pixels(images), [stream(3, name, "sensitivity") for name in ids]

    def draw(_):
        noise = np.stack([own.random(pixels.shape[1:], dtype=np.float32) for own in streams])
        return (pixels + PROTOCOL.radius * (2 * torch.from_numpy(noise) - 1)).clamp(0, 1)

    explainer = EXPLAINERS["gradcam"].make(network)

    def explain(inputs):
        # A tuple to begin with, tensors later; it wants a tuple back.
        return (explainer(inputs[0] if isinstance(inputs, tuple) else inputs, labels).heatmaps,)

    expected = captum_sensitivity_max(
        explain,
        pixels,
        perturb_func=draw,
        n_perturb_samples=PROTOCOL.draws,
        max_examples_per_batch=len(ROWS),
    )
    found = arrays["sensitivity_max"][ROWS]
    known = ~np.isnan(found)
    np.testing.assert_allclose(found[known], expected.numpy()[known], rtol=1e-3)


def test_batches_and_their_order_change_nothing(work, arrays):
    order = np.random.default_rng(0).permutation(30)
    parts = [run(work, rows) for rows in (order[:1], order[1:9], order[9:])]
    for name in MEASURES:
        together = np.concatenate([part[name] for part in parts])
        np.testing.assert_allclose(together, arrays[name][order], rtol=1e-3, atol=1e-4)


def test_constant_heatmaps_are_undefined_and_counted(work, arrays):
    assert work.findings(arrays)["undefined_heatmaps"] == np.isnan(arrays["sensitivity_max"]).sum()
    empty = {"sensitivity_max": np.array([np.nan, 0.1, np.nan])}
    assert work.findings(empty) == {"undefined_heatmaps": 2}


def test_the_model_is_left_unchanged(work, network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    run(work, np.arange(2))
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def agreement(network, few_digits, method, other):
    work = AgreementWork(
        HeatmapOptions(method=method), HeatmapOptions(method=other), network, few_digits
    )
    return run(work, ROWS)


def test_a_method_agrees_with_itself(network, few_digits):
    found = agreement(network, few_digits, "layercam", "layercam")
    for name in ("rank_correlation", "ssim", "top_iou"):
        assert found[name] == pytest.approx(1)


def test_maps_are_compared_at_the_coarser_resolution(network, few_digits, images):
    _, images, labels = images
    coarse, fine = (
        EXPLAINERS[name].make(network)(to_pixels(images), labels).heatmaps
        for name in ("layercam", "input-x-gradient")
    )
    assert coarse.shape[1:] == (8, 8)
    assert fine.shape[1:] == (32, 32)
    cells = fine.reshape(10, 8, 4, 8, 4).mean((2, 4))
    found = agreement(network, few_digits, "layercam", "input-x-gradient")["rank_correlation"]
    swapped = agreement(network, few_digits, "input-x-gradient", "layercam")["rank_correlation"]
    for row in range(10):
        if coarse[row].any():
            expected = spearmanr(coarse[row].flatten(), cells[row].flatten()).statistic
            assert found[row] == pytest.approx(expected, abs=1e-3)
        assert swapped[row] == pytest.approx(found[row], abs=1e-6)


def test_a_method_that_does_not_fit_the_network_is_an_error(network):
    check_fits(HeatmapOptions(method="gradcam++"), network, (32, 32))
    with pytest.raises(InputError, match="attention"):
        check_fits(HeatmapOptions(method="attention-rollout"), network, (32, 32))
