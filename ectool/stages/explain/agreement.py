"""Decision of `--precision auto`: the heatmaps and the speed of both precisions on some images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ectool.config import HeatmapOptions
from ectool.config.heatmaps import Precision
from ectool.datasets.base import Dataset
from ectool.datasets.subset import limited
from ectool.explainers.base import Explainer, Explanation
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.precision import has_bf16, in_precision, multiply_adds
from ectool.scores.similarity import Scores, cosine
from ectool.stages.common.batches import LabelledImages
from ectool.stages.explain.explainer import explainer_of, find_method

SAMPLES, COSTLY_SAMPLES, BATCH = 64, 4, 16
"""Maximum number of compared images, that of methods with many passes, and images of a batch."""
TIMED, RUNS = 8, 3
"""Number of images that are timed on a processor, and how often."""
MIN_COSINE, MIN_SAME = 0.995, 0.995
"""Mean cosine of the heatmaps, and share of equal predictions, from which bf16 agrees."""
MIN_SPEED = 1.2
"""Speed over that of fp32 from which bf16 is chosen."""
MIN_MULTIPLY_ADDS = 1e8
"""Of a forward pass of one image; smaller networks take milliseconds, and stay in fp32."""

Pixels = Float[Tensor, "n ch h w"]
Purpose = Literal["heatmaps", "attack"]


@dataclass(frozen=True)
class Choice:
    """A precision, and why it was chosen."""

    precision: Precision
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Both precisions on the same images.

    Attributes:
        cosine: Mean cosine of the heatmaps; pairs of two zero maps are left out.
        same: Share of equal predictions; of multi-label data, of equal signs of logits.
        speed: Speed of bf16 over that of fp32.
        images: Number of images.
    """

    cosine: float
    same: float
    speed: float
    images: int

    def choice(self) -> Choice:
        """Return bf16 if it agrees and is faster, else fp32."""
        agrees = self.cosine >= MIN_COSINE and self.same >= MIN_SAME
        is_chosen = agrees and self.speed >= MIN_SPEED
        found = (
            f"on {self.images} images bf16 has {100 * self.same:.1f} % of the predictions of fp32, "
            f"heatmaps with cosine {self.cosine:.4f}, and {self.speed:.1f} times its speed"
        )
        return Choice("bf16" if is_chosen else "fp32", found)


def choose(
    options: HeatmapOptions, model: Classifier, dataset: Dataset, purpose: Purpose
) -> Choice:
    """Choose the precision for a model, data and a method.

    bf16 needs a device with instructions for it, a network of `MIN_MULTIPLY_ADDS`, heatmaps and
    predictions that agree with those of fp32, and `MIN_SPEED`. At most `SAMPLES` images are
    compared, selected by a hash of their ids.

    Args:
        options: The method of the heatmaps.
        model: A frozen classifier in float32.
        dataset: The images.
        purpose: What is timed: the heatmaps, or an input gradient of an attack.

    Cost: one forward pass of one image; if bf16 may be chosen, the heatmaps of 64 images in each
    precision, and 32 timed heatmaps or gradients in one thread.
    """
    is_costly = find_method(options.method).is_costly
    subset = limited(dataset, COSTLY_SAMPLES if is_costly else SAMPLES, 0)
    device = next(model.parameters()).device
    images = LabelledImages(subset, device)
    batch = images.load(np.arange(len(subset.sample_ids)))
    is_given = getattr(options, "targets", "label") == "label"
    targets = images.targets(batch) if is_given else None
    return choose_for(options, model, to_pixels(batch.images, device), targets, purpose)


def choose_for(
    options: HeatmapOptions,
    model: Classifier,
    pixels: Pixels,
    targets: Tensor | None,
    purpose: Purpose,
) -> Choice:
    """Choose the precision by images in memory, as :func:`choose` does.

    Args:
        options: The method of the heatmaps.
        model: A frozen classifier in float32.
        pixels: Images in [0, 1], on its device.
        targets: Classes to explain; None for the predictions in float32.
        purpose: What is timed.
    """
    device = pixels.device
    if model.spec.target_layer is None:
        return Choice("fp32", "the model is a program, or has no target layer")
    if not has_bf16(device):
        return Choice("fp32", f"the device ({device.type}) has no instructions for bf16")
    size = pixels.shape[2], pixels.shape[3]
    operations = multiply_adds(model, size)
    if operations < MIN_MULTIPLY_ADDS:
        reason = f"the network is small ({operations / 1e6:.0f} million multiply-adds for an image)"
        return Choice("fp32", reason)
    return compare(options, model, pixels, targets, purpose).choice()


def compare(
    options: HeatmapOptions,
    model: Classifier,
    pixels: Pixels,
    targets: Tensor | None,
    purpose: Purpose,
) -> Comparison:
    """Compare heatmaps, predictions and speed of both precisions; see :func:`choose_for`."""
    models = model, in_precision(model, "bf16")
    full, half = (explainer_of(options, one) for one in models)
    cosines, same = list[Scores](), list[Tensor]()
    for number, part in enumerate(torch.split(pixels, BATCH)):
        rows = slice(number * BATCH, (number + 1) * BATCH)
        classes = full(part).logits.argmax(1) if targets is None else targets[rows]
        pair = full(part, classes), half(part, classes)
        cosines.append(_cosines(*pair))
        same.append(_same(*pair, is_multilabel=classes.ndim > 1))
    return Comparison(
        _mean(np.concatenate(cosines)),
        torch.cat(same).float().mean().item(),
        _speed(models, (full, half), pixels, targets, purpose),
        len(pixels),
    )


def _cosines(full: Explanation, half: Explanation) -> Scores:
    """Return the cosine of each pair of heatmaps; NaN for two zero maps."""
    maps = (one.heatmaps.flatten(0, -3).float().cpu().numpy() for one in (full, half))
    return cosine(*maps)


def _mean(cosines: Scores) -> float:
    """Return the mean of the defined cosines; 1 if there are none."""
    defined = cosines[~np.isnan(cosines)]
    return float(defined.mean()) if len(defined) else 1.0


def _same(full: Explanation, half: Explanation, *, is_multilabel: bool) -> Tensor:
    """Return which predictions are equal."""
    logits = full.logits, half.logits
    first, second = ((one > 0) if is_multilabel else one.argmax(1) for one in logits)
    return (first == second).flatten().cpu()


def _gradient(model: Classifier, pixels: Pixels) -> Pixels:
    """Return a gradient with respect to the pixels."""
    leaf = pixels.detach().requires_grad_()
    loss = model(leaf).float().logsumexp(1).sum()
    (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient


def _speed(
    models: tuple[Classifier, Classifier],
    explainers: tuple[Explainer, Explainer],
    pixels: Pixels,
    targets: Tensor | None,
    purpose: Purpose,
) -> float:
    """Return the speed of bf16 over that of fp32.

    On a processor it is the time of one thread, which other programs hardly change.
    """
    is_cpu = pixels.device.type == "cpu"
    some = pixels[:TIMED] if is_cpu else pixels
    classes = None if targets is None else targets[: len(some)]
    calls: list[Callable[[], Explanation | Tensor]]
    if purpose == "heatmaps":
        calls = [partial(explainer, some, classes) for explainer in explainers]
    else:
        calls = [partial(_gradient, model, some) for model in models]
    clock = time.thread_time if is_cpu else time.perf_counter
    with _one_thread() if is_cpu else nullcontext():
        seconds = [[_seconds(call, clock) for call in calls] for _ in range(1 + RUNS)]
    fastest = np.min(seconds[1:], axis=0)  # the first run prepares
    return float(fastest[0] / fastest[1])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread while the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(call: Callable[[], Explanation | Tensor], clock: Callable[[], float]) -> float:
    """Return the time of a call, until the device has finished."""
    start = clock()
    made = call()
    values = made.logits if isinstance(made, Explanation) else made
    values.flatten()[0].item()
    return clock() - start
