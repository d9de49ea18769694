"""Heatmaps of partly randomised networks, against copies that are explained one by one."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from ectool.config import HeatmapOptions
from ectool.explainers import EXPLAINERS
from ectool.models.classifier import to_pixels
from ectool.sanity import draw_weights, find_blocks, with_weights
from ectool.scores.agreement import scaled_ssim
from ectool.stages.evaluate.suites.sanity.work import SanityWork, draw_of_samples

SEED = 4
LAYERS = ("head", "features.9", "features.6", "features.3", "features.0")
OPTIONS = HeatmapOptions(method="layercam")


class Several:
    """The same images with two labels each."""

    def __init__(self, dataset):
        self._dataset = dataset
        rows, classes = np.arange(len(dataset.labels)), len(dataset.classes)
        self.labels = np.zeros((len(rows), classes), np.int8)
        self.labels[rows, dataset.labels] = 1
        self.labels[rows, (dataset.labels + 1) % classes] = 1

    def __getattr__(self, name):
        return getattr(self._dataset, name)


@pytest.fixture(scope="module")
def work(network, few_digits):
    return SanityWork(OPTIONS, network, few_digits, SEED)


@pytest.fixture(scope="module")
def arrays(work, few_digits):
    return run(work, np.arange(len(few_digits.labels)))


def run(work, rows):
    return work.compute(work.load(rows))


def loaded(network, names):
    """Return a copy of the model with new weights in some layers."""
    other = copy.deepcopy(network)
    for name, tensors in draw_weights(network.network, names, SEED).items():
        for key, tensor in tensors.items():
            other.network.get_submodule(name).get_parameter(key).data.copy_(tensor)
    return other


def ranked(first, second):
    return [
        spearmanr(a.ravel(), b.ravel()).statistic if np.ptp(b) else 0.0
        for a, b in zip(first, second, strict=True)
    ]


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_every_step_equals_a_loaded_copy(mode, arrays, network, few_digits):
    rows = np.arange(12)
    pixels, targets = to_pixels(few_digits.images(rows)), torch.tensor(few_digits.labels[rows])
    clean = EXPLAINERS["layercam"].make(network)(pixels, targets).heatmaps.numpy()
    for step, layer in enumerate(LAYERS):
        names = LAYERS[: step + 1] if mode == "cascading" else (layer,)
        explainer = EXPLAINERS["layercam"].make(loaded(network, names))
        maps = explainer(pixels, targets).heatmaps.numpy()
        condition = f"{step + 1}-{layer}/{mode}"
        found = arrays[f"{condition}/rank_correlation"][:12]
        np.testing.assert_allclose(found, ranked(clean, maps), atol=1e-4)
        found = arrays[f"{condition}/ssim"][:12]
        np.testing.assert_allclose(found, scaled_ssim(clean, maps), atol=1e-4)


def test_the_artifact_names_every_step(arrays):
    expected = {
        f"{number}-{layer}/{mode}/{name}"
        for number, layer in enumerate(LAYERS, 1)
        for mode in ("cascading", "independent")
        for name in ("rank_correlation", "ssim")
    }
    assert set(arrays) == expected | {"sample_id", "label", "draw"}


def test_each_sample_is_compared_with_its_own_draw(network, few_digits):
    rows = np.arange(12)
    found = run(SanityWork(OPTIONS, network, few_digits, SEED, draws=3), rows)
    divided = draw_of_samples(few_digits.sample_ids, 3, SEED)
    assert found["draw"].tolist() == [divided[name] for name in found["sample_id"].tolist()]
    pixels, targets = to_pixels(few_digits.images(rows)), torch.tensor(few_digits.labels[rows])
    clean = EXPLAINERS["layercam"].make(network)(pixels, targets).heatmaps.numpy()
    for draw in range(3):
        weights = draw_weights(network.network, LAYERS, SEED, draw=draw)
        explainer = EXPLAINERS["layercam"].make(with_weights(network, weights))
        expected = ranked(clean, explainer(pixels, targets).heatmaps.numpy())
        own = found["draw"] == draw
        assert own.any()
        scores = found["5-features.0/cascading/rank_correlation"]
        np.testing.assert_allclose(scores[own], np.array(expected)[own], atol=1e-4)


def test_samples_are_assigned_evenly_and_in_random_order():
    names = [f"{number:03}" for number in range(100)]
    found = draw_of_samples(names, 8, 0)
    assert sorted(np.bincount(list(found.values()))) == [12] * 4 + [13] * 4
    assert draw_of_samples(names[::-1], 8, 0) == found
    assert draw_of_samples(names, 8, 1) != found
    assert len({found[name] for name in names[:8]}) < 8


def test_batches_and_their_order_change_nothing(work, arrays):
    order = np.random.default_rng(0).permutation(len(arrays["label"]))
    parts = [run(work, rows) for rows in (order[:1], order[1:8], order[8:])]
    for name, whole in arrays.items():
        together = np.concatenate([part[name] for part in parts])
        if name in ("sample_id", "label", "draw"):
            assert (together == whole[order]).all()
        else:
            np.testing.assert_allclose(together, whole[order], atol=2e-3)


def test_a_head_that_is_already_random_does_not_matter(network, few_digits):
    headless = with_weights(network, draw_weights(network.network, ["head"], SEED))
    arrays = run(SanityWork(OPTIONS, headless, few_digits, SEED), np.arange(8))
    known = ~np.isnan(arrays["1-head/cascading/ssim"])
    assert known.any()
    assert arrays["1-head/independent/rank_correlation"][known] == pytest.approx(1)
    assert arrays["5-features.0/cascading/rank_correlation"][known].mean() < 0.9


def test_an_untrained_network_fails_the_check(network, few_digits):
    names = [name for block in find_blocks(network.network, (32, 32)) for name in block.modules]
    untrained = with_weights(network, draw_weights(network.network, names, SEED))
    arrays = run(SanityWork(OPTIONS, untrained, few_digits, SEED), np.arange(8))
    for name in set(arrays) - {"sample_id", "label", "draw"}:
        known = ~np.isnan(arrays[name])
        assert known.any()
        assert arrays[name][known] == pytest.approx(1)


def test_the_model_is_left_unchanged(network, few_digits):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    run(SanityWork(OPTIONS, network, few_digits, SEED), np.arange(3))
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_constant_heatmaps_are_undefined_and_counted(network, few_digits):
    head = network.network.get_submodule("head")
    weights = {"head": {"weight": -torch.ones_like(head.weight)}}
    dead = with_weights(network, weights)  # features are never negative
    work = SanityWork(HeatmapOptions(), dead, few_digits, SEED)
    arrays = run(work, np.arange(4))
    assert all(np.isnan(arrays[n]).all() for n in set(arrays) - {"sample_id", "label", "draw"})
    assert work.findings(arrays) == {"undefined_heatmaps": 4}


def test_multi_label_samples_are_averaged(network, few_digits):
    several = Several(few_digits)
    found = run(SanityWork(HeatmapOptions(), network, several, SEED), np.arange(10))
    name = "2-features.9/cascading/rank_correlation"
    pixels = to_pixels(few_digits.images(np.arange(10)))
    first, second = (
        EXPLAINERS["gradcam"].make(one)
        for one in (network, loaded(network, ("head", "features.9")))
    )
    for row in range(10):
        values = []
        for label in np.flatnonzero(several.labels[row]):
            target = torch.tensor([int(label)])
            a, b = (one(pixels[row : row + 1], target).heatmaps.numpy() for one in (first, second))
            if np.ptp(a):
                values += ranked(a, b)
        expected = np.mean(values) if values else np.nan
        assert found[name][row] == pytest.approx(expected, abs=1e-3, nan_ok=True)
