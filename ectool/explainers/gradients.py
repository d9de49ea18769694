"""Gradients of logits, with errors for networks that are not differentiable."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from ectool.errors import InputError
from ectool.explainers.base import Explanation, Targets, choose_targets, explain_targets
from ectool.models.classifier import Classifier
from ectool.models.layers.probe import first_line
from ectool.models.modes import frozen, graph_free

Run = Callable[[Classifier, Tensor], tuple[Tensor, Tensor]]
"""Maps a model and images to a leaf copy of the images and logits with a graph to it."""


DEVICE_ERRORS = (torch.OutOfMemoryError, getattr(torch, "AcceleratorError", torch.OutOfMemoryError))
"""Errors of the device and not of the network; the second is known to torch from 2.8 on."""


class NoGradientError(InputError):
    """The network is not differentiable."""


def gradient(
    scores: Float[Tensor, "..."],
    inputs: Float[Tensor, "..."],
    weights: Float[Tensor, "..."] | None = None,
    *,
    retain_graph: bool = False,
) -> Float[Tensor, "..."]:
    """Differentiate ``sum(weights * scores)`` with respect to ``inputs`` only.

    Args:
        scores: Numbers with a graph.
        inputs: A tensor of that graph.
        weights: Weights of the shape of ``scores``; optional for a single score.
        retain_graph: Keep the graph for another call.

    Returns:
        The gradient, of the shape of ``inputs``; no parameter's ``grad`` changes.

    Raises:
        NoGradientError: The scores do not depend differentiably on the inputs.

    Cost: one backward pass.
    """
    try:
        (found,) = torch.autograd.grad(
            scores, inputs, weights, retain_graph=retain_graph, allow_unused=True
        )
    except DEVICE_ERRORS:
        raise
    except RuntimeError as error:
        raise _not_differentiable(first_line(error)) from error
    if found is None:
        raise _not_differentiable("logits that do not depend on it")
    return found


def target_gradient(
    scores: Float[Tensor, "n c"],
    inputs: Float[Tensor, "n ..."],
    targets: Int[Tensor, "n"],
    *,
    retain_graph: bool = False,
) -> Float[Tensor, "n ..."]:
    """Differentiate each image's target logit: ``d sum_i scores[i, targets[i]] / d inputs``.

    Args:
        scores: Logits with a graph.
        inputs: A tensor of that graph, one row per image.
        targets: One class per image, on the device of the logits; -1 means no class.
        retain_graph: Keep the graph for another call.

    Returns:
        The gradient; 0 for an image without a target.

    Raises:
        NoGradientError: The logits do not depend differentiably on the inputs.

    Cost: one backward pass; none if no image has a target and the scores are on a CPU.
    """
    column = targets[:, None]
    has_class = column >= 0
    # Only on a CPU: an accelerator would have to finish its work before the check.
    if has_class.device.type == "cpu" and not has_class.any():
        return torch.zeros_like(inputs)
    weights = torch.zeros_like(scores).scatter_(1, column.clamp(min=0), has_class.to(scores.dtype))
    return gradient(scores, inputs, weights, retain_graph=retain_graph)


def run_with_graph(
    model: Classifier, images: Float[Tensor, "n ch h w"]
) -> tuple[Float[Tensor, "n ch h w"], Float[Tensor, "n c"]]:
    """Return a copy of the images as a leaf, and the logits with a graph to it.

    Args:
        model: The classifier, frozen by the caller.
        images: RGB in [0, 1].

    Returns:
        Leaf and logits.

    Cost: one forward pass.
    """
    # A copy, because a tensor created in inference mode cannot be a leaf.
    leaf = images.clone().requires_grad_()
    with torch.enable_grad():
        return leaf, model(leaf)


def pixel_gradient(
    model: Classifier, images: Float[Tensor, "n ch h w"], classes: Int[Tensor, "n"]
) -> Float32[Tensor, "n ch h w"]:
    """Return ``d logits[classes] / d images`` (Simonyan et al. 2014, arXiv 1312.6034), signed.

    The sum over the batch, not the mean, makes an image's gradient independent of the batch.

    Args:
        model: The classifier; its state is restored.
        images: RGB in [0, 1].
        classes: One class per image; -1 means no class.

    Returns:
        The gradient with respect to the pixels.

    Raises:
        InputError: The network is not differentiable.

    Cost: one forward pass and one backward pass.
    """
    with graph_free(), frozen(model):
        leaf, logits = run_with_graph(model, images)
        return target_gradient(logits, leaf, classes).float()


def explain_by_gradient(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    targets: Targets,
    reduce: Callable[[Tensor], Tensor],
    run: Run = run_with_graph,
) -> Explanation:
    """Explain a batch by one gradient at the pixels per column of targets.

    Args:
        model: The classifier; its state is restored.
        images: RGB in [0, 1].
        targets: As for an explainer.
        reduce: Maps gradients (n, 3, h, w) to heatmaps (n, h, w).
        run: Runs the model once, with a graph.

    Returns:
        Heatmaps and logits.

    Cost: one forward pass, and one backward pass per column with a target.
    """
    with graph_free(), frozen(model):
        leaf, logits_with_graph = run(model, images)

        def draw(column: Tensor) -> Tensor:
            return reduce(target_gradient(logits_with_graph, leaf, column, retain_graph=True))

        logits = logits_with_graph.detach()
        return Explanation(draw_columns(draw, choose_targets(logits, targets)), logits)


def explain_each(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    targets: Targets,
    draw: Callable[[Tensor, Tensor], Tensor],
) -> Explanation:
    """Run the model once, and compute the heatmaps per column of targets with a function.

    Args:
        model: The classifier, frozen while ``draw`` runs; its state is restored.
        images: RGB in [0, 1].
        targets: As for an explainer.
        draw: Maps images and one class per image to heatmaps.

    Returns:
        Heatmaps and logits.

    Cost: one forward pass, and that of ``draw`` per column with a target.
    """
    with graph_free(), frozen(model):
        logits = model(images)
        classes = choose_targets(logits, targets)
        return Explanation(explain_targets(draw, images, classes), logits)


def draw_columns(
    draw: Callable[[Tensor], Tensor], classes: Int[Tensor, "n *k"]
) -> Float32[Tensor, "n *k h w"]:
    """Compute heatmaps of one or several classes per image, one column after the other.

    Args:
        draw: Maps one class per image, or -1, to heatmaps.
        classes: One or several classes per image; -1 means no class.

    Returns:
        float32 heatmaps; zero where there is no class.
    """
    columns = classes.view(len(classes), -1).unbind(1)
    maps = torch.stack([draw(column).float() for column in columns], 1)
    # Zero gradients do not suffice: an infinite derivative times 0 is NaN.
    has_class = (classes >= 0).view(*maps.shape[:2], 1, 1)
    return maps.where(has_class, 0).view(*classes.shape, *maps.shape[2:])


def _not_differentiable(got: str) -> NoGradientError:
    return NoGradientError(
        "model",
        expected="logits with a gradient with respect to the explained input",
        got=got,
        fix="choose a method without gradients, or a network without detach(), argmax and so on",
    )
