"""Attention rollout: class-independent attribution through the attention of a transformer."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ectool.explainers.attention.matrices import AttentionRecorder, mean_over_heads
from ectool.explainers.attention.token_readout import Transformer
from ectool.explainers.base import Explanation, Targets, choose_targets, repeat_for_targets
from ectool.models.classifier import Classifier
from ectool.models.modes import frozen, graph_free


class AttentionRollout:
    """Attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928) over a vision transformer.

    ``rollout = A_bar_L ... A_bar_2 A_bar_1``, ``A_bar_l = (mean_heads A_l + I) / 2`` with A_l the
    attention probabilities of layer l, whose rows sum to 1, and I for the residual connection; the
    heatmap is the class token's row at the tokens of the grid. Choice beyond the publication: if
    the logits depend on other tokens, it is the mean over the rows of those tokens.

    The map does not depend on the class: all targets of an image get the same map. Only the row is
    computed, from the last layer to the first, by one vector-matrix product per layer.

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

        Cost: one forward pass without a graph, for any k. Memory: one (t, t) matrix per image and
        layer. The first batch costs one more image.
        """
        readout = self._transformer.readout(images)
        with graph_free(), frozen(self.model), AttentionRecorder(mean_over_heads) as recorder:
            logits = self.model(images)
        row = readout.weights
        for matrix in reversed(recorder.kept):
            row = (row + row @ matrix) / 2
        maps = repeat_for_targets(readout.to_map(row), choose_targets(logits, targets))
        return Explanation(maps, logits)
