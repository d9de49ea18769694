"""The losses by their definitions, with plain loops; the classes that attacks lead to."""

from __future__ import annotations

import math

import pytest
import torch

from ectool.attacks.losses import LOSSES, TARGET_CLASSES, find_loss, scale_of
from ectool.errors import UsageError

N, CLASSES = 9, 6


def logits_and_labels() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(N, CLASSES, generator=draw).double() * 3
    labels = torch.randint(0, CLASSES, (N,), generator=draw)
    labels[0] = logits[0].argmax()
    return logits, labels, (labels + 2) % CLASSES


def bce(z, present):
    return math.log1p(math.exp(-z if present else z))


def slow(name, z, y, t=None):
    name = "bce" if name == "scaled-bce" else name
    if name == "scaled-ce":
        goal = y if t is None else t
        value = math.log(sum(math.exp(v) for j, v in enumerate(z) if j != goal)) - z[goal]
        return value if t is None else -value
    ranked = sorted(z, reverse=True)
    others = [v for j, v in enumerate(z) if j != y]
    if name == "ce":
        goal = y if t is None else t
        value = math.log(sum(math.exp(v) for v in z)) - z[goal]
        return value if t is None else -value
    if name == "bce":
        goal = y if t is None else t
        value = sum(bce(v, j == goal) for j, v in enumerate(z)) / len(z)
        return value if t is None else -value
    if name == "margin":
        return max(others) - z[y] if t is None else z[t] - max(v for j, v in enumerate(z) if j != t)
    if t is None:
        return -(z[y] - max(others)) / (ranked[0] - ranked[2] + 1e-12)
    return -(z[y] - z[t]) / (ranked[0] - (ranked[2] + ranked[3]) / 2 + 1e-12)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_one_label_equal_their_definition(name, targeted):
    logits, labels, targets = logits_and_labels()
    found = LOSSES[name].compute(logits, labels, targets if targeted else None)
    for row in range(N):
        t = int(targets[row]) if targeted else None
        assert float(found[row]) == pytest.approx(slow(name, logits[row].tolist(), labels[row], t))


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("name", ["bce", "margin"])
def test_losses_of_multilabel_data_equal_their_definition(name, targeted):
    logits = logits_and_labels()[0]
    draw = torch.Generator().manual_seed(1)
    labels = torch.randint(-1, 2, logits.shape, generator=draw).to(torch.int8)
    labels[-1] = -1
    nothing = torch.zeros_like(labels)
    given = (nothing, labels) if targeted else (labels, None)
    leaf = logits.clone().requires_grad_()
    found = LOSSES[name].compute(leaf, *given)
    for row, (z, truth) in enumerate(zip(logits.tolist(), labels.tolist(), strict=True)):
        pairs = [(v, s) for v, s in zip(z, truth, strict=True) if s >= 0]
        if name == "bce":
            value = sum(bce(v, s) for v, s in pairs) / len(pairs) if pairs else 0
        else:
            value = max((-v if s else v) for v, s in pairs) if pairs else 0
        assert found[row].item() == pytest.approx(-value if targeted else value)
    (gradient,) = torch.autograd.grad(found.sum(), leaf)
    assert gradient.isfinite().all()
    assert not gradient[labels < 0].any()


def test_margin_and_dlr_are_positive_exactly_for_misclassified_images():
    logits, labels, _ = logits_and_labels()
    wrong = logits.argmax(1) != labels
    assert 0 < wrong.sum() < N
    for name in ("margin", "dlr"):
        assert torch.equal(LOSSES[name].compute(logits, labels, None) > 0, wrong)


def test_dlr_is_blind_to_shift_and_scale():
    logits, labels, targets = logits_and_labels()
    for goal in (None, targets):
        one, other = (LOSSES["dlr"].compute(z, labels, goal) for z in (logits, 7 * logits - 3))
        torch.testing.assert_close(one, other)


def test_equal_logits_have_a_loss_and_a_gradient():
    leaf = torch.zeros(2, 4).requires_grad_()
    for name in LOSSES:
        loss = LOSSES[name].compute(leaf, torch.tensor([0, 1]), None)
        assert torch.autograd.grad(loss.sum(), leaf)[0].isfinite().all()


def test_the_default_follows_the_labels():
    assert find_loss("auto", 2, multilabel=False) is LOSSES["scaled-ce"]
    assert find_loss("auto", 2, multilabel=True) is LOSSES["scaled-bce"]


@pytest.mark.parametrize(
    ("name", "classes", "multilabel", "targeted", "message"),
    [
        ("dlr", 2, False, False, "--loss dlr: expected at least 3 classes, got 2; choose --loss"),
        ("dlr", 3, False, True, "--loss dlr: expected at least 4 classes with a target, got 3"),
        ("dlr", 9, True, False, "--loss dlr: expected one label per sample, got multi-label data"),
        ("ce", 9, True, False, "--loss ce: expected one label per sample, got multi-label data"),
    ],
)
def test_losses_that_are_not_defined(name, classes, multilabel, targeted, message):
    with pytest.raises(UsageError, match=message):
        find_loss(name, classes, multilabel=multilabel, targeted=targeted)
    assert find_loss("dlr", 3, multilabel=False) is LOSSES["dlr"]


def test_target_classes_are_wrong_classes_by_definition():
    logits, labels, _ = logits_and_labels()
    ids = [f"s{row}" for row in range(N)]
    for row in range(N):
        others = [j for j in range(CLASSES) if j != labels[row]]
        z = logits[row].tolist()
        for name, choose in (("least-likely", min), ("second", max)):
            found = TARGET_CLASSES[name](logits, labels, ids, 0)
            assert int(found[row]) == choose(others, key=lambda j, z=z: z[j])


def test_random_target_classes_belong_to_the_sample():
    classes, ids = 4, [f"s{row}" for row in range(400)]
    labels, logits = torch.arange(400) % classes, torch.zeros(400, classes)
    choose = TARGET_CLASSES["random"]
    found = choose(logits, labels, ids, 0)
    assert torch.equal(choose(logits[5:9], labels[5:9], ids[5:9], 0), found[5:9])
    assert not torch.equal(choose(logits, labels, ids, 1), found)
    counts = torch.bincount((found - labels) % classes, minlength=classes)
    assert counts[0] == 0
    assert counts[1:].min() > 100


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1000.0, 1e6, 1e30])
@pytest.mark.parametrize("multilabel", [False, True])
def test_rescaled_logits_do_not_depend_on_a_factor(factor, multilabel):
    logits = logits_and_labels()[0].float()
    scale = scale_of(logits, multilabel=multilabel)
    spread = (logits * scale[:, None]).square().mean(1).sqrt()
    if not multilabel:
        spread = (logits * scale[:, None]).std(1, correction=0)
    torch.testing.assert_close(spread, torch.full((N,), 5.0))
    scaled = (logits * factor) * scale_of(logits * factor, multilabel=multilabel)[:, None]
    torch.testing.assert_close(scaled, logits * scale[:, None])


def test_logits_without_spread_keep_their_scale():
    assert scale_of(torch.full((2, 4), 3.0)).tolist() == [1, 1]
    assert scale_of(torch.zeros(2, 4), multilabel=True).tolist() == [1, 1]


def test_log_odds_lead_where_cross_entropy_leads_and_where_it_has_vanished():
    """The gradient of cross-entropy is that of the log-odds times the probability of an error."""
    logits, labels, _ = logits_and_labels()
    leaf = logits.clone().requires_grad_()
    found, expected = (
        torch.autograd.grad(LOSSES[name].compute(leaf, labels, None).sum(), leaf)[0]
        for name in ("scaled-ce", "ce")
    )
    error = 1 - logits.softmax(1).gather(1, labels[:, None])
    torch.testing.assert_close(found * error, expected)
    sure = torch.tensor([[200.0, 0, -1]]).requires_grad_()
    none, some = (
        torch.autograd.grad(LOSSES[name].compute(sure, torch.tensor([0]), None).sum(), sure)[0]
        for name in ("ce", "scaled-ce")
    )
    assert not none.any()
    assert some[0, 0] == -1
