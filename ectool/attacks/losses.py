"""Losses that attacks maximize, untargeted and targeted."""

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
"""Spread of rescaled logits: typical of a trained network, and strongest in our attacks."""

# As in the authors' code: equal logits give 0 instead of NaN.
_TINY = 1e-12


def cross_entropy(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return ``CE(logits, labels)``, or ``-CE(logits, targets)``."""
    return sample_losses(logits, labels) if targets is None else -sample_losses(logits, targets)


def log_odds(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return the log-odds against the label, ``log sum_{j != y} exp(z_j) - z_y``.

    Cross-entropy is its softplus, so both gradients have the same direction, but this one does
    not vanish where the probability of the label rounds to 1. Targeted: ``-log_odds(z, t)``.
    """
    if targets is not None:
        return -log_odds(logits, targets)
    others = logits.masked_fill(_is_label(logits, labels), -float("inf"))
    return others.logsumexp(1) - _of(logits, labels)


def binary_cross_entropy(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return the mean binary cross-entropy over the labels that are not ignored.

    For single-label data the label is present and all other classes are absent. Targeted: the
    negative of this for the targets.
    """
    if targets is not None:
        return -binary_cross_entropy(logits, targets)
    return sample_losses(logits, _present(labels, logits))


def margin(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return the margin of misclassification (Carlini & Wagner 2017, arXiv 1608.04644).

    ``max_{j != y} z_j - z_y``; with a target t ``z_t - max_{j != t} z_j``. Multi-label:
    ``max_j -s_j z_j`` over the labels that are not ignored, with s_j = 1 for a present and -1 for
    an absent label; 0 if all are ignored; with targets the negative of this for the targets.
    Positive where the attack has succeeded. Deviation: no cut-off at a confidence.
    """
    if targets is not None:
        return -margin(logits, targets)
    if labels.ndim == 1:
        return _max_other(logits, labels) - _of(logits, labels)
    margins = logits.where(labels == 0, -logits)
    return margins.masked_fill(labels < 0, -float("inf")).amax(1).where((labels >= 0).any(1), 0)


def dlr(logits: Logits, labels: Labels, targets: Labels | None = None) -> Losses:
    """Return the difference of logits ratio of Croce & Hein 2020 (arXiv 2003.01690).

    ``(max_{j != y} z_j - z_y) / (z_(1) - z_(3))`` with z_(i) the i-th largest logit; with a
    target t ``(z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2)``. It is invariant to shift and scale of
    the logits, so it does not vanish where the network is confident.
    """
    ranked = logits.sort(1, descending=True).values
    if targets is None:
        difference = _max_other(logits, labels) - _of(logits, labels)
        return difference / (ranked[:, 0] - ranked[:, 2] + _TINY)
    difference = _of(logits, targets) - _of(logits, labels)
    return difference / (ranked[:, 0] - (ranked[:, 2] + ranked[:, 3]) / 2 + _TINY)


@dataclass(frozen=True)
class Loss:
    """A loss and its requirements.

    Attributes:
        compute: Maps logits, labels and targets (or None) to one number per sample; larger means
            closer to success.
        multilabel: Whether it supports multi-label targets.
        classes: Minimum number of classes, untargeted and targeted.
        rescaled: Whether it is computed on rescaled logits, see `scale_of`.
    """

    compute: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    multilabel: bool = True
    classes: tuple[int, int] = (2, 2)
    rescaled: bool = False


LOSSES: dict[str, Loss] = {
    "ce": Loss(cross_entropy, multilabel=False),
    "bce": Loss(binary_cross_entropy),
    "margin": Loss(margin),
    "dlr": Loss(dlr, multilabel=False, classes=(3, 4)),
    "scaled-ce": Loss(log_odds, multilabel=False, rescaled=True),
    "scaled-bce": Loss(binary_cross_entropy, rescaled=True),
}


def scale_of(logits: Logits, *, multilabel: bool = False) -> Losses:
    """Return the factor that rescales each sample's logits to a spread of `SPREAD`.

    The spread is the standard deviation over the classes; for multi-label data, whose logits are
    compared with 0, it is the root mean square. A positive factor on all logits changes no
    prediction, and with this rescaling it changes no attack. The scale is computed once, on the
    clean images, so the loss remains a fixed function of the image.

    Args:
        logits: Logits of the clean images.
        multilabel: Whether the data are multi-label.

    Returns:
        Positive numbers; 1 where the spread is 0.
    """
    logits = logits.detach().to(torch.promote_types(logits.dtype, torch.float32))
    maximum = logits.abs().amax(1, keepdim=True)
    unit = logits / maximum.where(maximum > 0, 1)  # squares of the logits may overflow
    centre = 0 if multilabel else unit.mean(1, keepdim=True)
    spread = (unit - centre).square().mean(1).sqrt() * maximum[:, 0]
    return (SPREAD / spread).where(spread > 0, 1)


def find_loss(name: str, classes: int, *, multilabel: bool, targeted: bool = False) -> Loss:
    """Return a loss by name after checking that it supports the data.

    Args:
        name: A name of `LOSSES`; or auto: scaled-ce, for multi-label data scaled-bce.
        classes: Number of classes.
        multilabel: Whether the data are multi-label.
        targeted: Whether the attack is targeted.

    Raises:
        UsageError: It does not support so few classes, or multi-label data.
    """
    loss = LOSSES[("scaled-bce" if multilabel else "scaled-ce") if name == "auto" else name]
    min_classes = loss.classes[targeted]
    if multilabel and not loss.multilabel:
        expected, got = "one label per sample", "multi-label data"
    elif not multilabel and classes < min_classes:
        expected, got = f"at least {min_classes} classes{' with a target' * targeted}", str(classes)
    else:
        return loss
    raise UsageError(f"--loss {name}", expected=expected, got=got, fix="choose --loss margin")


def least_likely(logits: Logits, labels: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """Return the class with the smallest logit, except the label (Kurakin et al. 2017)."""
    return logits.masked_fill(_is_label(logits, labels), float("inf")).argmin(1)


def second(logits: Logits, labels: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """Return the class with the largest logit, except the label."""
    return likeliest_errors(logits, labels, 1)[:, 0]


def likeliest_errors(
    logits: Logits, labels: Int64[Tensor, "n"], count: int
) -> Int64[Tensor, "n count"]:
    """Return the classes with the largest logits, except the label, in descending order.

    Args:
        logits: Logits of the clean images.
        labels: True classes.
        count: Number of classes to return, less than the number of classes.
    """
    return logits.masked_fill(_is_label(logits, labels), -float("inf")).topk(count).indices


Choice = Callable[[Tensor, Tensor, Sequence[str], int], Tensor]
TARGET_CLASSES: dict[str, Choice] = {
    "least-likely": lambda logits, labels, _ids, _seed: least_likely(logits, labels),
    "second": lambda logits, labels, _ids, _seed: second(logits, labels),
    "random": lambda logits, labels, ids, seed: random_classes(ids, seed, labels, logits.shape[1]),
}
"""Map clean logits, labels, sample ids and the seed to the target class."""


def _present(labels: Labels, logits: Logits) -> Int8[Tensor, "n c"]:
    """Return labels as present (1) or absent (0) classes."""
    return labels if labels.ndim > 1 else _is_label(logits, labels).to(torch.int8)


def _of(logits: Logits, classes: Int64[Tensor, "n"]) -> Losses:
    return logits.gather(1, classes[:, None])[:, 0]


def _is_label(logits: Logits, labels: Int64[Tensor, "n"]) -> Bool[Tensor, "n c"]:
    return F.one_hot(labels, logits.shape[1]).bool()


def _max_other(logits: Logits, labels: Int64[Tensor, "n"]) -> Losses:
    return logits.masked_fill(_is_label(logits, labels), -float("inf")).amax(1)
