"""Attacks on batches: what they may move, what they may not depend on, and the peer's ensemble."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ectool.attacks import ATTACKS as METHODS
from ectool.attacks.ball import BALLS
from ectool.attacks.losses import LOSSES, likeliest_errors
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.pgd import Settings
from ectool.attacks.random_start import start_streams
from ectool.datasets.base import Annotations
from ectool.models.classifier import to_pixels
from ectool.models.registry import create
from ectool.stages.common.batches import AttackBatch, Samples
from ectool.stages.evaluate.suites.robustness.attack import (
    AttackWork,
    GradientAttack,
    object_masks,
)
from ectool.stages.evaluate.suites.robustness.autoattack import AutoAttack
from ectool.stages.evaluate.suites.robustness.conditions import (
    Condition,
    conditions,
)

N = 30
CPU = torch.device("cpu")
ALL = np.arange(N)
OPTIONS = {
    "attacks": ["pgd", "background", "fgsm"],
    "eps": [8 / 255, 0.1],
    "eps_l2": [0.5],
    "steps": 20,
}


@pytest.fixture(scope="module")
def clean(network, few_digits):
    with torch.no_grad():
        return network(to_pixels(few_digits.images(ALL), CPU)).numpy()


@pytest.fixture(scope="module")
def work(network, few_digits, clean):
    def make(condition, attack=None):
        attack = attack or GradientAttack(network, condition, restarts=2, seed=0)
        return AttackWork(network, few_digits, condition, clean, attack)

    return make


@pytest.mark.parametrize(
    "condition",
    [
        Condition("fgsm", "l2", 0.5, 3),
        Condition("pgd", "linf", 2 / 255, 3),
        Condition("apgd-ce", "l2", 0.3, 3),
        Condition("apgd-t", "linf", 2 / 255, 3),
        Condition("background", "linf", 4 / 255, 3),
    ],
    ids=lambda condition: condition.name,
)
def test_neither_batch_nor_order_changes_a_prediction(condition, work):
    own = work(condition)
    whole = own.compute(own.load(ALL))[f"{condition.name}/logits"]
    order = np.random.default_rng(0).permutation(N)
    for rows in np.split(order, [1, 8, 20]):
        part = own.compute(own.load(rows))
        assert part["sample_id"].tolist() == [own.images.dataset.sample_ids[r] for r in rows]
        found = part[f"{condition.name}/logits"]
        np.testing.assert_array_equal(found.argmax(1), whole[rows].argmax(1))
        np.testing.assert_allclose(found, whole[rows], rtol=0, atol=1e-2)


def test_targets_one_by_one_redone_for_each_image(work, network, few_digits, clean):
    """Nine targets from a start each: robust is what none of them turns."""
    condition = Condition("apgd-t", "linf", 3 / 255, 4)
    own = work(condition, GradientAttack(network, condition, restarts=1, seed=0))
    labels = torch.tensor(few_digits.labels)
    expected = []
    rows = np.flatnonzero(clean.argmax(1) == few_digits.labels)[:8]
    for row in rows:
        pixels = to_pixels(few_digits.images(np.array([row])), CPU)
        logits = torch.from_numpy(clean[row, None])
        label, holds = labels[row, None], int(logits.argmax()) == int(labels[row])
        ball = BALLS["linf"].around(pixels, torch.ones(1, 32, 32, dtype=torch.bool), 3 / 255)
        for number, target in enumerate(likeliest_errors(logits, label, 9).unbind(1)):
            objective = LabelLoss(
                network, LOSSES["dlr"], label, target, stop_when_misclassified=True
            )
            streams = start_streams([few_digits.sample_ids[row]], 0, number)
            start = ball.random_point(streams, surface=True)
            found = METHODS["apgd"].run(ball, objective, start, Settings(4))
            with torch.no_grad():
                holds = holds and int(network(found).argmax()) == int(label)
        expected.append(holds)
    truth = few_digits.labels[rows]
    assert 0 < sum(expected) < (clean[rows].argmax(1) == truth).sum()
    found = own.compute(own.load(rows))[f"{condition.name}/logits"]
    assert (found.argmax(1) == truth).tolist() == expected


class TestBackground:
    @pytest.fixture
    def condition(self):
        return Condition("background", "linf", 0.1, 2)

    def test_only_pixels_outside_the_mask_may_change(self, condition, work, few_digits, clean):
        seen = []

        def record(batch):
            seen.append(batch)
            return batch.logits

        own = work(condition, record)
        found = own.compute(own.load(ALL))[f"{condition.name}/logits"]
        assert np.array_equal(found, clean)
        right = np.flatnonzero(clean.argmax(1) == few_digits.labels)
        assert seen[0].sample_ids == [few_digits.sample_ids[row] for row in right]
        assert np.array_equal(seen[0].weight.numpy(), ~few_digits.annotations(right).masks)

    def test_no_pixel_of_the_object_moves(self, condition, network, work, few_digits):
        seen = []

        def watched(pixels):
            seen.append(pixels.detach().clone())
            return network(pixels)

        own = work(condition, GradientAttack(watched, condition, restarts=1, seed=0))
        own.compute(own.load(ALL))
        objects = ~np.asarray(own.load(ALL).objects)
        right = np.flatnonzero(own.clean.argmax(1) == few_digits.labels)
        pixels = to_pixels(few_digits.images(right), CPU)
        moved = (seen[1] != pixels).any(1).numpy()
        assert moved.any()
        assert not moved[~objects[right]].any()


def test_boxes_stand_for_the_object_where_there_is_no_mask():
    boxes = [np.array([[1, 2, 10, 12], [3, 3, 30, 4]]), np.zeros((0, 4), np.int64)]
    expected = np.zeros((2, 16, 32), np.bool_)
    expected[0, 2:12, 1:10] = expected[0, 3, 3:30] = True
    assert np.array_equal(object_masks(Annotations(boxes=boxes), (16, 32)), expected)
    assert object_masks(Annotations(masks=expected, boxes=boxes), (16, 32)) is expected
    assert object_masks(Annotations(), (16, 32)) is None


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_few_classes_are_attacked_by_the_margin(classes):
    network = create("smallcnn", [str(k) for k in range(classes)], seed=0, input_size=(8, 8))
    pixels = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    network = network.eval().requires_grad_(False)
    logits = network(pixels)
    weight, labels = torch.ones(6, 8, 8, dtype=torch.bool), logits.argmax(1)
    samples = Samples([str(k) for k in range(6)], labels.numpy())
    batch = AttackBatch.of(samples, pixels, weight, logits)
    attack = GradientAttack(network, Condition("apgd-t", "linf", 0.5, 5), restarts=1, seed=0)
    objectives = attack._objectives(batch)
    assert len(objectives) == classes - 1
    assert objectives[0].loss is LOSSES["dlr" if classes == 4 else "margin"]
    margin = LOSSES["margin"].compute
    assert (margin(attack(batch), labels, None) > margin(logits, labels, None)).all()


@pytest.mark.parametrize(("norm", "eps"), [("linf", 8 / 255), ("l2", 1.0)])
def test_autoattack_finds_what_ours_finds(norm, eps, network, few_digits, clean):
    pytest.importorskip("torchattacks")
    condition, labels = Condition("autoattack", norm, eps, 3), few_digits.labels
    own = GradientAttack(network, Condition("apgd-ce", norm, eps, 20), 1, 0)
    work = AttackWork(network, few_digits, condition, clean, own)
    right = np.flatnonzero(clean.argmax(1) == labels)
    ours = work.compute(work.load(right))[f"{condition.name}/logits"].argmax(1) != labels[right]
    misclassified = right[ours][:4]
    state = torch.random.get_rng_state()
    peer = AttackWork(network, few_digits, condition, clean, AutoAttack(network, condition, 0))
    first, again = (
        peer.compute(peer.load(misclassified))[f"{condition.name}/logits"] for _ in range(2)
    )
    assert len(misclassified) == 4
    assert (first.argmax(1) != labels[misclassified]).all()
    assert np.array_equal(first, again)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_autoattack_leaves_the_model_in_evaluation_mode():
    pytest.importorskip("torchattacks")
    model = create("smallresnet", list("abcde"), seed=0, input_size=(16, 16))
    model = model.eval().requires_grad_(False)
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    logits = model(pixels)
    samples = Samples(["a", "b"], logits.argmax(1).numpy())
    batch = AttackBatch.of(samples, pixels, torch.ones(2, 16, 16, dtype=torch.bool), logits)
    AutoAttack(model, Condition("autoattack", "linf", 0.5, 1), 0)(batch)
    assert not any(module.training for module in model.modules())
    assert torch.equal(model(pixels), logits)


class TestNames:
    def test_every_attack_has_every_radius(self):
        options = {**OPTIONS, "attacks": ["pgd", "fgsm"]}
        found = {c.file: f"{c.base}@{c.radius}" for c in conditions(options)}
        assert found == {
            "attacks/pgd20-linf-8_255.zarr": "robust@8/255",
            "attacks/pgd20-linf-0.1.zarr": "robust@0.1",
            "attacks/fgsm-linf-8_255.zarr": "robust_fgsm@8/255",
            "attacks/fgsm-linf-0.1.zarr": "robust_fgsm@0.1",
            "attacks/pgd20-l2-0.5.zarr": "robust@l2-0.5",
            "attacks/fgsm-l2-0.5.zarr": "robust_fgsm@l2-0.5",
        }

    def test_the_background_is_attacked_with_pgd_alone(self):
        options = {**OPTIONS, "attacks": ["background"]}
        found = {c.file: f"{c.base}@{c.radius}" for c in conditions(options)}
        assert found == {
            "attacks/pgd20-linf-8_255-background.zarr": "robust_background@8/255",
            "attacks/pgd20-linf-0.1-background.zarr": "robust_background@0.1",
        }

    def test_attacks_on_the_background_come_last(self):
        attacks = [condition.attack for condition in conditions(OPTIONS)]
        assert attacks == ["pgd", "pgd", "fgsm", "fgsm", "pgd", "fgsm", "background", "background"]

    @pytest.mark.parametrize(
        ("attack", "expected"),
        [
            ("fgsm", {"loss"}),
            ("autoattack", {"seed"}),
            ("apgd-t", {"steps", "restarts", "seed"}),
        ],
    )
    def test_only_what_changes_logits_is_in_the_key(self, attack, expected):
        key = Condition(attack, "l2", 0.5, 20).key(restarts=2, seed=1)
        assert key.keys() == {"attack", "norm", "eps"} | expected
