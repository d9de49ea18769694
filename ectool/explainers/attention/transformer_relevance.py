"""Transformer relevance: class-specific attribution through attention and its gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ectool.explainers.attention.matrices import AttentionRecorder, mean_over_heads
from ectool.explainers.attention.token_readout import TokenReadout, Transformer
from ectool.explainers.base import Explanation, Targets, choose_targets
from ectool.explainers.gradients import draw_columns
from ectool.models.classifier import Classifier
from ectool.models.modes import frozen


class TransformerRelevance:
    """Relevance of tokens (Chefer, Gur & Wolf 2021, ICCV, arXiv 2103.15679), self-attention rule.

    ``R <- R + A_bar_l R`` for l = 1 ... L from ``R = I``, ``A_bar_l = mean_heads relu(G_l * A_l)``
    with A_l the attention probabilities of layer l and G_l the gradient of the target logit with
    respect to them; the heatmap is the class token's row of ``R - I`` at the tokens of the grid.
    Choice beyond the publication: if the logits depend on other tokens, it is the mean over the
    rows of those tokens.

    The earlier rule of the same authors (CVPR 2021, arXiv 2012.09838) is not implemented. It also
    propagates layer-wise relevance through every linear layer, normalisation and addition, so each
    network would have to be rewritten with special modules; this rule needs only attention and its
    gradients.

    Args:
        model: A classifier whose network is a transformer; each call restores its state.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self._transformer = Transformer(model)

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps at the resolution of the token grid, and the logits.

        Raises:
            InputError: The network is not a transformer in which every attention spans all tokens.

        Cost: one forward pass, with a graph from the first attention on, and one backward pass to
        it per column with a target. Memory: that of a training step; graph and gradients hold three
        matrices (heads, t, t) per image and layer, for any k. The first batch costs one more image.
        """
        readout = self._transformer.readout(images)
        with torch.inference_mode(False), torch.enable_grad(), frozen(self.model):
            # Parameters and images require no gradient, so the graph begins at the first attention.
            with AttentionRecorder() as recorder:
                logits = self.model(images.detach())
            classes = choose_targets(logits.detach(), targets)
            maps = draw_columns(
                lambda column: _draw(logits, recorder.kept, column, readout), classes
            )
        return Explanation(maps, logits.detach())


def _draw(
    logits: Float[Tensor, "n classes"],
    matrices: Sequence[Float[Tensor, "n *heads t t"]],
    targets: Int[Tensor, "n"],
    readout: TokenReadout,
) -> Float[Tensor, "n h w"]:
    """Return the map of one target per image, without a backward pass if there is no target."""
    start = readout.weights.expand(len(logits), 1, -1)
    relevance = torch.zeros_like(start)
    if bool((targets < 0).all()):
        return readout.to_map(relevance)
    scores = logits.gather(1, targets.clamp(min=0)[:, None])
    gradients = torch.autograd.grad(scores.sum(), matrices, retain_graph=True)
    for matrix, gradient in zip(reversed(matrices), reversed(gradients), strict=True):
        step = mean_over_heads((gradient * matrix.detach()).relu())
        # Kept apart from the row of the identity, to which small terms would be lost by rounding.
        relevance = relevance + (start + relevance) @ step
    return readout.to_map(relevance)
