"""The attacks against torchattacks and foolbox: every number of steps from the same start.

In double precision and before rounding. Radii and steps are multiples of 1/256, so that a peer that
keeps them in float32 has the same.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
import torchattacks

from ectool.attacks import ATTACKS
from ectool.attacks.ball import BALLS
from ectool.attacks.losses import LOSSES, likeliest_errors
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.pgd import Settings

EPS = {"linf": 8 / 256, "l2": 0.75}
ALPHA = {"linf": 2 / 256, "l2": 0.25}


@pytest.fixture
def data(batch):
    images, labels, _ = batch()
    return images.double() / 255, labels


@pytest.fixture
def ours(precise, data):
    """Run an attack of ours on whole images."""
    clean, labels = data

    def run(name, norm, start, steps, *, targets=None, decay=1.0):
        objective = LabelLoss(precise, LOSSES["ce"], labels, targets)
        settings = Settings(steps, ALPHA[norm], decay)
        return ATTACKS[name].run(whole(norm, clean), objective, start, settings)

    return run


def whole(norm, clean):
    """The ball of the whole image."""
    return BALLS[norm].around(clean, torch.ones_like(clean[:, 0], dtype=torch.bool), EPS[norm])


@pytest.fixture(scope="module")
def foolbox():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports a name that SciPy has moved
        import foolbox
    return foolbox


def at_the_distance_1(norm, shape):
    """What the peer's Auto-PGD draws for its start."""
    if norm == "linf":
        draw = 2 * torch.rand(shape) - 1
        return draw / draw.abs().amax((1, 2, 3), keepdim=True)
    draw = torch.randn(shape)
    return draw / (draw.square().sum((1, 2, 3), keepdim=True).sqrt() + 1e-12)


def close(found, expected, atol=1e-10):
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("targeted", [False, True])
def test_pgd_equals_torchattacks(steps, targeted, ours, data, precise):
    clean, labels = data
    theirs = torchattacks.PGD(precise, EPS["linf"], ALPHA["linf"], steps, random_start=True)
    targets = None
    if targeted:
        theirs.set_mode_targeted_by_label(quiet=True)
        targets, labels = (labels + 1) % 5, (labels + 1) % 5
    torch.manual_seed(3)
    expected = theirs(clean, labels)
    torch.manual_seed(3)
    start = clean + torch.empty_like(clean).uniform_(-EPS["linf"], EPS["linf"])
    close(ours("pgd", "linf", start, steps, targets=targets), expected)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7])
def test_pgd_in_l2_equals_torchattacks(steps, ours, data, precise):
    clean, labels = data
    theirs = torchattacks.PGDL2(
        precise, EPS["l2"], ALPHA["l2"], steps, random_start=True, eps_for_division=1e-12
    )
    torch.manual_seed(3)
    expected = theirs(clean, labels)
    torch.manual_seed(3)
    delta = torch.empty_like(clean).normal_()
    length = delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    start = clean + delta * (torch.zeros_like(length).uniform_(0, 1) / length * EPS["l2"])
    close(ours("pgd", "l2", start, steps), expected)


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_pgd_equals_foolbox(norm, steps, ours, data, precise, foolbox):
    clean, labels = data
    kind = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]
    theirs = kind(abs_stepsize=ALPHA[norm], steps=steps, random_start=False)
    model = foolbox.PyTorchModel(precise, bounds=(0, 1), device="cpu")
    expected = theirs.run(
        model, clean, foolbox.criteria.Misclassification(labels), epsilon=EPS[norm]
    )
    close(ours("pgd", norm, clean, steps), expected)


def test_fgsm_equals_torchattacks(ours, data, precise):
    clean, labels = data
    expected = torchattacks.FGSM(precise, EPS["linf"])(clean, labels)
    close(ours("fgsm", "linf", clean, 0), expected)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
def test_mim_equals_torchattacks(steps, decay, ours, data, precise):
    clean, labels = data
    theirs = torchattacks.MIFGSM(precise, EPS["linf"], ALPHA["linf"], steps, decay)
    close(ours("mim", "linf", clean, steps, decay=decay), theirs(clean, labels))


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize("steps", [1, 2, 5, 10, 40])
def test_apgd_equals_torchattacks(norm, loss, steps, data, model):
    """In float32, in which the peer keeps the losses that it decides by."""
    clean, labels = data[0].float(), data[1]
    if loss == "dlr":
        labels = model(clean).argmax(1)  # where others are above the label, its gradient is zero
    name, eps = {"linf": "Linf", "l2": "L2"}[norm], EPS[norm]
    theirs = torchattacks.APGD(model, name, eps=eps, steps=steps, loss=loss)
    torch.manual_seed(3)
    expected, _, score, _ = theirs.attack_single_run(clean, labels)
    torch.manual_seed(3)
    start = clean + eps * at_the_distance_1(norm, clean.shape)
    objective = LabelLoss(model, LOSSES[loss], labels)
    found = ATTACKS["apgd"].run(whole(norm, clean), objective, start, Settings(steps))
    close(objective(found).score, score, atol=1e-5)
    close(found, expected, atol=1e-4)


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("row", [0, 4])
def test_targeted_apgd_equals_torchattacks(norm, row, data, precise):
    """One image at a time, for the peer takes the first one's L2 step for all."""
    clean, eps, steps = data[0][row, None], EPS[norm], 20
    labels = precise(clean).argmax(1)
    name = {"linf": "Linf", "l2": "L2"}[norm]
    theirs = torchattacks.APGDT(precise, name, eps=eps, steps=steps, n_classes=5)
    for number, targets in enumerate(likeliest_errors(precise(clean), labels, 3).unbind(1)):
        theirs.target_class = number + 2
        torch.manual_seed(3)
        expected, right, score, _ = theirs.attack_single_run(clean, labels)
        torch.manual_seed(3)
        start = clean + eps * at_the_distance_1(norm, clean.shape)
        objective = LabelLoss(precise, LOSSES["dlr"], labels, targets)
        found = ATTACKS["apgd"].run(whole(norm, clean), objective, start, Settings(steps))
        close(objective(found).score, score, atol=1e-6)
        close(found, expected, atol=1e-4)
        stopping = replace(objective, stop_when_misclassified=True)
        fooling = ATTACKS["apgd"].run(whole(norm, clean), stopping, start, Settings(steps))
        assert torch.equal(precise(fooling).argmax(1) == labels, right)


def test_pgd_in_float32_equals_torchattacks(model, batch):
    images, labels, _ = batch()
    clean = images.float() / 255
    theirs = torchattacks.PGD(model, 8 / 255, 2 / 255, 5, random_start=False)
    everywhere = torch.ones_like(clean[:, 0], dtype=torch.bool)
    ball = BALLS["linf"].around(clean, everywhere, 8 / 255)
    objective = LabelLoss(model, LOSSES["ce"], labels)
    found = ATTACKS["pgd"].run(ball, objective, clean, Settings(5, 2 / 255))
    close(found, theirs(clean, labels), atol=1e-6)
