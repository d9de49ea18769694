"""What an attack raises: the losses of the field, with a true class or towards a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor
from torch.nn import functional as F

from ectool.attacks.random_start import random_classes
from ectool.errors import UsageError
from ectool.models.objective import Labels, sample_losses

Losses = Float[Tensor, "n"]
Logits = Float[Tensor, "n c"]

SPREAD = 5.0
"""Spread of rescaled logits: that of a trained network, and where attacks were strongest."""

# As in the authors' code, so that equal logits give 0 and not NaN.
_TINY = 1e-12


def cross_entropy(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return ``CE(logits, labels)``, or ``-CE(logits, targets)``."""
    return sample_losses(logits, labels) if targets is None else -sample_losses(logits, targets)


def log_odds(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return the logarithm of the odds against the label, ``log sum_{j != y} exp(z_j) - z_y``.

    Cross-entropy is its softplus, so both have gradients of one direction; this one does not
    vanish where the probability of the label rounds to 1. Towards a target minus that of it.
    """
    if targets is not None:
        return -log_odds(logits, targets)
    others = logits.masked_fill(_is_label(logits, labels), -float("inf"))
    return others.logsumexp(1) - _of(logits, labels)


def binary_cross_entropy(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return the mean binary cross-entropy over the labels that count, or minus that of targets.

    One label a sample counts as present, and all other classes as absent.
    """
    if targets is not None:
        return -binary_cross_entropy(logits, targets)
    return sample_losses(logits, _present(labels, logits))


def margin(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return by how much the answer is wrong (Carlini & Wagner 2017, arXiv 1608.04644).

    ``max_{j != y} z_j - z_y``, and towards a target t ``z_t - max_{j != t} z_j``. For several
    labels ``max_j -s_j z_j`` over the labels that count, with s_j 1 for a present and -1 for an
    absent one: the margin of the label that is nearest to flip, or is flipped most; 0 where none
    counts. Towards targets it is minus that. Positive where the attack has succeeded. Deviation:
    not cut off at a confidence.
    """
    if targets is not None:
        return -margin(logits, targets)
    if labels.ndim == 1:
        return _greatest_other(logits, labels) - _of(logits, labels)
    wrong = logits.where(labels == 0, -logits)
    return wrong.masked_fill(labels < 0, -float("inf")).amax(1).where((labels >= 0).any(1), 0)


def dlr(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return the difference of logits ratio of Croce & Hein 2020 (arXiv 2003.01690).

    ``(max_{j != y} z_j - z_y) / (z_(1) - z_(3))`` with z_(i) the i-th greatest logit, and towards
    a target t ``(z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2)``. Blind to shift and scale of the
    logits, so it does not vanish where the network is sure.
    """
    ranked = logits.sort(1, descending=True).values
    if targets is None:
        wrong = _greatest_other(logits, labels) - _of(logits, labels)
        return wrong / (ranked[:, 0] - ranked[:, 2] + _TINY)
    wrong = _of(logits, targets) - _of(logits, labels)
    return wrong / (ranked[:, 0] - (ranked[:, 2] + ranked[:, 3]) / 2 + _TINY)


@dataclass(frozen=True)
class Loss:
    """A loss and where it is defined.

    Attributes:
        compute: Maps logits, labels and targets (or None) to one number per sample, greater the
            more the attack succeeds.
        several: Whether it is defined for several.
        classes: Fewest classes, without and with targets.
        rescaled: Whether it is taken of logits of one spread, see `scale_of`.
    """

    compute: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    several: bool = True
    classes: tuple[int, int] = (2, 2)
    rescaled: bool = False


LOSSES: dict[str, Loss] = {
    "ce": Loss(cross_entropy, several=False),
    "bce": Loss(binary_cross_entropy),
    "margin": Loss(margin),
    "dlr": Loss(dlr, several=False, classes=(3, 4)),
    "scaled-ce": Loss(log_odds, several=False, rescaled=True),
    "scaled-bce": Loss(binary_cross_entropy, rescaled=True),
}


def scale_of(logits: Logits, *, several: bool = False) -> Losses:
    """Return what each sample's logits are multiplied by, so that their spread is `SPREAD`.

    The spread is the standard deviation over the classes; of several labels, whose logits are
    compared with 0, the root of the mean square. A positive factor on all logits changes no
    prediction, and with this scale it changes no attack either. Taken of the clean images and
    held, so that the loss stays one function of the image.

    Args:
        logits: Those of the clean images.
        several: Whether samples have several labels.

    Returns:
        Positive numbers; 1 where all logits are equal, and of several labels 0.
    """
    logits = logits.detach().to(torch.promote_types(logits.dtype, torch.float32))
    greatest = logits.abs().amax(1, keepdim=True)
    unit = logits / greatest.where(greatest > 0, 1)  # squares of the logits may overflow
    centre = 0 if several else unit.mean(1, keepdim=True)
    spread = (unit - centre).square().mean(1).sqrt() * greatest[:, 0]
    return (SPREAD / spread).where(spread > 0, 1)


def find_loss(name: str, classes: int, *, several: bool, targeted: bool = False) -> Loss:
    """Return a loss by name after checking that it is defined for the data.

    Args:
        name: A name of `LOSSES`; or auto for scaled-ce, and scaled-bce where there are several
            labels.
        classes: Number of classes.
        several: Whether samples have several labels.
        targeted: Whether it is to lead to a target.

    Raises:
        UsageError: It is not defined for so few classes, or for several labels.
    """
    loss = LOSSES[("scaled-bce" if several else "scaled-ce") if name == "auto" else name]
    least = loss.classes[targeted]
    if several and not loss.several:
        expected, got = "one label a sample", "several labels"
    elif not several and classes < least:
        expected, got = f"at least {least} classes{' with a target' * targeted}", str(classes)
    else:
        return loss
    raise UsageError(f"--loss {name}", expected=expected, got=got, fix="choose --loss margin")


def least_likely(logits: Logits, labels: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """Return the class of the smallest logit but for the label (Kurakin et al. 2017)."""
    return logits.masked_fill(_is_label(logits, labels), float("inf")).argmin(1)


def second(logits: Logits, labels: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """Return the class of the greatest logit but for the label: the nearest mistake."""
    return likeliest_errors(logits, labels, 1)[:, 0]


def likeliest_errors(
    logits: Logits, labels: Int64[Tensor, "n"], count: int
) -> Int64[Tensor, "n count"]:
    """Return the classes of the greatest logits but for the label, the greatest first.

    Args:
        logits: Answers to the clean images.
        labels: True classes.
        count: How many, fewer than there are classes.
    """
    return logits.masked_fill(_is_label(logits, labels), -float("inf")).topk(count).indices


Choice = Callable[[Tensor, Tensor, Sequence[str], int], Tensor]
TARGET_CLASSES: dict[str, Choice] = {
    "least-likely": lambda logits, labels, _ids, _seed: least_likely(logits, labels),
    "second": lambda logits, labels, _ids, _seed: second(logits, labels),
    "random": lambda logits, labels, ids, seed: random_classes(ids, seed, labels, logits.shape[1]),
}
"""Map clean logits, labels, sample ids and the seed to the class an attack leads to."""


def _present(labels: Labels, logits: Logits) -> Int8[Tensor, "n c"]:
    """Return labels as one per class."""
    return labels if labels.ndim > 1 else _is_label(logits, labels).to(torch.int8)


def _of(logits: Logits, classes: Int64[Tensor, "n"]) -> Losses:
    return logits.gather(1, classes[:, None])[:, 0]


def _is_label(logits: Logits, labels: Int64[Tensor, "n"]) -> Bool[Tensor, "n c"]:
    return F.one_hot(labels, logits.shape[1]).bool()


def _greatest_other(logits: Logits, labels: Int64[Tensor, "n"]) -> Losses:
    return logits.masked_fill(_is_label(logits, labels), -float("inf")).amax(1)
