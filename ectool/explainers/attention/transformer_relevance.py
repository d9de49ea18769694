"""Relevance propagated through a transformer's attention: class-specific, from gradients."""

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
    Choice beyond the publication: where logits are read from other tokens, it is the mean over
    those tokens' rows.

    This rule, and not the same authors' earlier one (CVPR 2021, arXiv 2012.09838), because it asks
    for attention and its gradients alone. The earlier one also propagates layer-wise relevance
    through every linear map, normalisation and addition, which needs each network rewritten in
    modules that can do so; networks as they are have none.

    Args:
        model: A classifier whose network is a transformer. Each call leaves it as found.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self._transformer = Transformer(model)

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; what it takes is in :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps at the resolution of the token grid, and the logits.

        Raises:
            InputError: The network is not a transformer whose every attention spans all tokens.

        Cost: one forward pass, with a graph from the first attention on, and one backward pass to
        it for each column of targets that holds any. That graph takes the memory of a training
        step; it and the gradients hold three matrices (heads, t, t) an image and layer, whatever k
        is. The first batch costs one image more.
        """
        readout = self._transformer.readout(images)
        with torch.inference_mode(False), torch.enable_grad(), frozen(self.model):
            # With parameters and images frozen, the graph begins at the first attention.
            with AttentionRecorder() as recorder:
                answer = self.model(images.detach())
            classes = choose_targets(answer.detach(), targets)
            maps = draw_columns(
                lambda column: _draw(answer, recorder.kept, column, readout), classes
            )
        return Explanation(maps, answer.detach())


def _draw(
    answer: Float[Tensor, "n classes"],
    matrices: Sequence[Float[Tensor, "n *heads t t"]],
    targets: Int[Tensor, "n"],
    readout: TokenReadout,
) -> Float[Tensor, "n h w"]:
    """Return the map of one target for each image, without a pass where none has one."""
    start = readout.weights.expand(len(answer), 1, -1)
    relevance = torch.zeros_like(start)
    if bool((targets < 0).all()):
        return readout.to_map(relevance)
    scores = answer.gather(1, targets.clamp(min=0)[:, None])
    gradients = torch.autograd.grad(scores.sum(), matrices, retain_graph=True)
    for matrix, gradient in zip(reversed(matrices), reversed(gradients), strict=True):
        step = mean_over_heads((gradient * matrix.detach()).relu())
        # Apart from the identity's row, beside which what a small gradient adds would round away.
        relevance = relevance + (start + relevance) @ step
    return readout.to_map(relevance)
