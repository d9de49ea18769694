"""Differentiate logits: the one place where autograd is asked, and where its refusals end."""

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
"""Return a leaf that stands for the images, and the logits with a graph that goes back to it."""


class NoGradientError(InputError):
    """A network through which no derivative leads."""


def gradient(
    scores: Float[Tensor, "..."],
    inputs: Float[Tensor, "..."],
    weights: Float[Tensor, "..."] | None = None,
    *,
    retain_graph: bool = False,
) -> Float[Tensor, "..."]:
    """Differentiate ``sum(weights * scores)`` with respect to ``inputs`` alone.

    Args:
        scores: What to differentiate, with a graph.
        inputs: A tensor of that graph.
        weights: Of the shape of ``scores``; may be left out for a single score.
        retain_graph: Keep the graph for a further call.

    Returns:
        The gradient, of the shape of ``inputs``; no parameter's ``grad`` is touched.

    Raises:
        NoGradientError: No derivative leads from the scores to the inputs.

    Cost: one backward pass.
    """
    try:
        (found,) = torch.autograd.grad(
            scores, inputs, weights, retain_graph=retain_graph, allow_unused=True
        )
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise  # the device's fault, not the network's
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
    """Differentiate each image's own logit: ``d sum_i scores[i, targets[i]] / d inputs``.

    Args:
        scores: Logits with a graph.
        inputs: A tensor of that graph, one row for each image.
        targets: A class for each image, on the logits' device; -1 stands for none.
        retain_graph: Keep the graph for a further call.

    Returns:
        The gradient, 0 for an image without a target.

    Raises:
        NoGradientError: No derivative leads from the logits to the inputs.

    Cost: one backward pass; none where no image has a target.
    """
    column = targets[:, None]
    wanted = column >= 0
    if not wanted.any():
        return torch.zeros_like(inputs)
    weights = torch.zeros_like(scores).scatter_(1, column.clamp(min=0), wanted.to(scores.dtype))
    return gradient(scores, inputs, weights, retain_graph=retain_graph)


def run_with_graph(
    model: Classifier, images: Float[Tensor, "n ch h w"]
) -> tuple[Float[Tensor, "n ch h w"], Float[Tensor, "n c"]]:
    """Return a copy of the images as a leaf, and the logits with a graph that goes back to it.

    Args:
        model: The classifier, frozen by the caller.
        images: RGB in [0, 1].

    Returns:
        Leaf and logits.

    Cost: one forward pass.
    """
    # A copy, because no graph may start at a tensor that was made in inference mode.
    leaf = images.clone().requires_grad_()
    with torch.enable_grad():
        return leaf, model(leaf)


def pixel_gradient(
    model: Classifier, images: Float[Tensor, "n ch h w"], classes: Int[Tensor, "n"]
) -> Float32[Tensor, "n ch h w"]:
    """Return ``d logits[classes] / d images`` (Simonyan et al. 2014, arXiv 1312.6034), signed.

    The logits are summed over the batch, not averaged, so that an image's gradient is the same in
    every batch.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1].
        classes: A class for each image; -1 stands for none.

    Returns:
        The gradient with respect to the pixels.

    Raises:
        InputError: The logits have no gradient.

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
    """Explain a batch by one gradient with respect to the pixels for each column of targets.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1].
        targets: As of an explainer.
        reduce: Maps gradients (n, 3, h, w) to heatmaps (n, h, w).
        run: Runs the model once.

    Returns:
        Heatmaps and logits.

    Cost: one forward pass, and a backward pass for each column that holds any target.
    """
    with graph_free(), frozen(model):
        leaf, answer = run(model, images)

        def draw(column: Tensor) -> Tensor:
            return reduce(target_gradient(answer, leaf, column, retain_graph=True))

        logits = answer.detach()
        return Explanation(draw_columns(draw, choose_targets(logits, targets)), logits)


def explain_each(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    targets: Targets,
    draw: Callable[[Tensor, Tensor], Tensor],
) -> Explanation:
    """Ask the model once, and have the heatmaps of each column of targets drawn by a function.

    Args:
        model: The classifier, left as found; frozen while ``draw`` runs.
        images: RGB in [0, 1].
        targets: As of an explainer.
        draw: Maps images and a class for each of them to heatmaps.

    Returns:
        Heatmaps and logits.

    Cost: one forward pass, and what ``draw`` costs for each column that holds any target.
    """
    with graph_free(), frozen(model):
        logits = model(images)
        classes = choose_targets(logits, targets)
        return Explanation(explain_targets(draw, images, classes), logits)


def draw_columns(
    draw: Callable[[Tensor], Tensor], classes: Int[Tensor, "n *k"]
) -> Float32[Tensor, "n *k h w"]:
    """Draw the heatmaps of one class for each image, or of several, one column after the other.

    Args:
        draw: Maps a class for each image, -1 for none, to heatmaps.
        classes: The class of each image, or several.

    Returns:
        float32 heatmaps, zero where there is no class.
    """
    columns = classes.view(len(classes), -1).unbind(1)
    maps = torch.stack([draw(column).float() for column in columns], 1)
    # Zero gradients alone would not do: a derivative may be infinite.
    wanted = (classes >= 0).view(*maps.shape[:2], 1, 1)
    return maps.where(wanted, 0).view(*classes.shape, *maps.shape[2:])


def _not_differentiable(got: str) -> NoGradientError:
    return NoGradientError(
        "model",
        expected="logits with a gradient with respect to what is explained",
        got=got,
        fix="take a method without gradients, or a network without detach(), argmax and the like",
    )
