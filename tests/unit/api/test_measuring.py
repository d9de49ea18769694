"""`explain`, `perturb` and `consistency`: the values of the command line, in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import ectool
from ectool.artifacts.artifact import Artifact
from ectool.config import ExplainConfig, PerturbConfig, ScoreConfig
from ectool.config.measure import ATTACK
from ectool.datasets.base import DataRequest
from ectool.datasets.registry import open_dataset
from ectool.stages import explain, perturb, score

COUNT = 40
Digits = tuple[np.ndarray, np.ndarray, list[str]]


@pytest.fixture(scope="module")
def loaded(model: Path) -> ectool.Model:
    return ectool.load(model, device="cpu")


@pytest.fixture(scope="module")
def digits(data_root: Path) -> Digits:
    request = DataRequest(path="", split="validation", root=data_root)
    data = open_dataset("digits", request, limit=COUNT)
    rows = np.arange(COUNT)
    return data.images(rows), data.labels, list(data.sample_ids)


class TestCommandLine:
    """Identical arrays, not only close ones."""

    def test_perturb(self, loaded, digits, model: Path, tmp_path: Path) -> None:
        config = PerturbConfig(
            **{"model": str(model), "split": "validation", "limit": COUNT, "device": "cpu"},
            output=tmp_path / "adv.zarr",
        )
        images, labels, ids = digits
        found = ectool.perturb(loaded, images, labels, ids=ids)
        with Artifact(perturb.run(config).path) as stored:
            assert stored.sample_ids == found.sample_ids
            assert np.array_equal(stored.read("image"), found.images)
            for name in ("background", "logits_clean", "logits_adversarial"):
                assert np.array_equal(stored.read(name), getattr(found, name))

    def test_consistency_and_weights(self, loaded, digits, model: Path, tmp_path: Path) -> None:
        shared = {"model": str(model), "device": "cpu", "shard_size": 16}
        samples, heatmaps = tmp_path / "adv.zarr", tmp_path / "cams.zarr"
        data = {"split": "validation", "limit": COUNT}
        perturb.run(PerturbConfig(**shared, **data, **ATTACK, output=samples))
        explain.run(ExplainConfig(**shared, samples=samples, output=heatmaps))
        done = score.run(ScoreConfig(heatmaps=heatmaps, gamma=2)).path
        images, labels, ids = digits
        found = ectool.consistency(loaded, images, labels, ids=ids, batch_size=16)
        with Artifact(done) as stored:
            assert np.array_equal(stored.read("similarity"), found.heatmap_similarity)
            assert np.array_equal(stored.read("stability"), found.prediction_stability)
            assert np.array_equal(
                stored.read("explanation_consistency"), found.explanation_consistency
            )
            assert np.array_equal(stored.read("weight"), ectool.weights(found, gamma=2))

    def test_explain(self, loaded, digits, heatmaps: Path) -> None:
        images, labels, ids = digits
        found = ectool.explain(loaded, images, labels)
        with Artifact(heatmaps) as stored:
            rows = np.array([stored.sample_ids.index(name) for name in ids])
            maps, logits = stored.read("clean")[rows], stored.read("logits_clean")[rows]
        np.testing.assert_allclose(found.heatmaps.half().numpy(), maps, rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(found.logits.numpy(), logits, rtol=1e-5, atol=1e-5)


def test_the_batch_size_changes_nothing_but_rounding(wrapped, photos, classes) -> None:
    whole = ectool.perturb(wrapped, photos, classes)
    small = ectool.perturb(wrapped, photos, classes, batch_size=5)
    assert (whole.images != small.images).float().mean() < 1e-3
    one = ectool.consistency(wrapped, photos, classes)
    two = ectool.consistency(wrapped, photos, classes, batch_size=5)
    np.testing.assert_allclose(one.explanation_consistency, two.explanation_consistency, atol=1e-3)


def test_draws_follow_seed_and_id(wrapped, photos, classes) -> None:
    ids = [f"image {number}" for number in range(12)]
    found = ectool.perturb(wrapped, photos, classes, ids=ids, attack="noise")
    again = ectool.perturb(wrapped, photos, classes, ids=ids, attack="noise")
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    shuffled = ectool.perturb(
        wrapped, photos[order], classes[order], ids=[ids[i] for i in order], attack="noise"
    )
    other = ectool.perturb(wrapped, photos, classes, ids=ids, attack="noise", seed=1)
    assert torch.equal(found.images, again.images)
    assert torch.equal(found.images[order], shuffled.images)
    assert not torch.equal(found.images, other.images)


def test_perturbed_images_stay_in_the_ball_on_the_background(wrapped, photos, classes) -> None:
    found = ectool.perturb(wrapped, photos, classes, eps="4/255", steps=3)
    change = (found.images.int() - photos.int()).abs().amax(1)
    assert found.eps == 4 / 255
    assert change.max() == 4
    assert not change[~found.background].any()
    torch.testing.assert_close(wrapped(found.pixels), found.logits_adversarial)
    torch.testing.assert_close(wrapped(photos), found.logits_clean)


def test_the_radius_can_be_found(wrapped, photos, classes) -> None:
    found = ectool.perturb(wrapped, photos, classes, eps="auto")
    fixed = ectool.perturb(wrapped, photos, classes, eps=found.eps)
    assert torch.equal(found.images, fixed.images)
    assert np.isnan(ectool.perturb(wrapped, photos, classes, attack="swap").eps)


def test_consistency_is_the_product_of_its_definition(wrapped, photos, classes) -> None:
    """Redo it slowly: heatmaps of both images, their cosine, the softened probability.

    Stored heatmaps are float16, so their cosine is rounded.
    """
    samples = ectool.perturb(wrapped, photos, classes, eps=8 / 255)
    found = ectool.consistency(wrapped, photos, classes, perturbed=samples)
    clean = ectool.explain(wrapped, photos, classes)
    other = ectool.explain(wrapped, samples.images, classes)
    for row in range(12):
        a, b = clean.heatmaps[row].flatten(), other.heatmaps[row].flatten()
        similar = float(a @ b / (a.norm() * b.norm()))
        stable = float((other.logits[row] / 2).softmax(0)[classes[row]])
        assert found.heatmap_similarity[row] == pytest.approx(similar, abs=2e-3, nan_ok=True)
        assert found.prediction_stability[row] == pytest.approx(stable, abs=1e-5)
        product = found.heatmap_similarity[row] * found.prediction_stability[row]
        assert found.explanation_consistency[row] == pytest.approx(product, nan_ok=True)
    assert len(found) == 12


def test_other_measures_and_versions_can_be_given(wrapped, photos, classes) -> None:
    same = ectool.consistency(wrapped, photos, classes, perturbed=photos, stability="none")
    zero = ~ectool.explain(wrapped, photos, classes).heatmaps.flatten(1).any(1).numpy()
    expected = np.where(zero, np.nan, 1)
    np.testing.assert_allclose(same.explanation_consistency, expected, rtol=1e-6)
    with pytest.raises(ectool.EctoolError, match=r"perturbed: expected a version of each image"):
        ectool.consistency(wrapped, photos, classes, perturbed=photos[:3])
    with pytest.raises(ectool.EctoolError, match="similarity: expected 'cosine', 'pearson'"):
        ectool.consistency(wrapped, photos, classes, similarity="dice")


def test_multi_label_images_have_a_value_for_each_present_class(wrapped, photos) -> None:
    labels = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, -1]] * 4)
    found = ectool.consistency(wrapped, photos, labels)
    assert found.heatmap_similarity.shape == (12, 3)
    assert np.isnan(found.heatmap_similarity[1]).tolist() == [False, True, True]
    product = np.nanmean(found.heatmap_similarity * found.prediction_stability, axis=1)
    np.testing.assert_allclose(found.explanation_consistency, product, rtol=1e-5)


def test_one_image_has_no_other_background(wrapped, photos) -> None:
    with pytest.raises(ectool.EctoolError, match="attack swap: expected at least two images"):
        ectool.consistency(wrapped, photos[:1], [0])


class TestTargets:
    def test_the_default_is_the_prediction(self, wrapped, photos) -> None:
        found = ectool.explain(wrapped, photos)
        assert torch.equal(found.targets, found.logits.argmax(1))
        given = ectool.explain(wrapped, photos, found.targets)
        assert torch.equal(found.heatmaps, given.heatmaps)

    def test_one_class_for_all_and_several_for_each(self, wrapped, photos) -> None:
        one = ectool.explain(wrapped, photos, 2)
        several = ectool.explain(wrapped, photos, [[2, -1]] * 12)
        torch.testing.assert_close(several.heatmaps[:, 0], one.heatmaps)
        assert not several.heatmaps[:, 1].any()

    @pytest.mark.parametrize("targets", [[0] * 11, 4, -1, [0.5] * 12, [[4]] * 12, [True] * 12])
    def test_others_are_refused(self, targets, wrapped, photos) -> None:
        with pytest.raises(ectool.EctoolError, match=r"^targets: expected classes from .* to 3"):
            ectool.explain(wrapped, photos, targets)


@pytest.mark.parametrize("targets", [["cat"] * 12, torch.rand(12), np.zeros((12, 1, 1), int)])
def test_targets_that_are_no_classes_are_refused(targets, wrapped, photos) -> None:
    with pytest.raises(ectool.EctoolError, match=r"^targets: .* of shape \(12"):
        ectool.explain(wrapped, photos, targets)


def test_arguments_out_of_bounds_are_refused(wrapped, photos, classes) -> None:
    with pytest.raises(ectool.EctoolError, match="resolution: expected 'layer' or 'pixels'"):
        ectool.explain(wrapped, photos, resolution="image")
    for call in (
        lambda: wrapped(photos, batch_size=0),
        lambda: ectool.explain(wrapped, photos, batch_size=0),
        lambda: ectool.perturb(wrapped, photos, classes, batch_size=0),
        lambda: ectool.consistency(wrapped, photos, classes, batch_size=0),
    ):
        with pytest.raises(
            ectool.EctoolError,
            match=r"batch_size: expected (at least 1|a positive integer).*, got '?0",
        ):
            call()


def test_logits_that_are_not_finite_are_refused(net, wrapped, photos) -> None:
    net.head.bias.data[1] = torch.nan
    with pytest.raises(ectool.EctoolError, match="NaN or infinity for 'image 0'"):
        ectool.explain(wrapped, photos)


def test_heatmaps_can_have_the_size_of_the_images(wrapped, photos) -> None:
    assert ectool.explain(wrapped, photos).heatmaps.shape == (12, 8, 8)
    assert ectool.explain(wrapped, photos, resolution="pixels").heatmaps.shape == (12, 16, 16)
    assert ectool.explain(wrapped, photos, 0, "input-x-gradient").heatmaps.shape == (12, 16, 16)


def test_grad_cam_is_that_of_its_definition(net, wrapped, photos) -> None:
    """Grad-CAM by autograd: maps weighted with their mean gradients, then ReLU."""
    net.eval()
    maps = net.features((photos / 255 - 0.5) / 0.25).detach().requires_grad_()
    logits = net.head(maps.mean((2, 3)))
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), maps)
    expected = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu()
    found = ectool.explain(wrapped, photos, 1).heatmaps
    torch.testing.assert_close(found, expected.detach())
