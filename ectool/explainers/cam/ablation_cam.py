"""Ablation-CAM: channels weighted by the drop of the logit without them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ectool.explainers.base import Explanation, Targets, choose_targets
from ectool.explainers.cam.linear_head import LinearHead
from ectool.explainers.cam.reductions import weighted_map
from ectool.explainers.cam.replay import Replay, open_replay
from ectool.explainers.cut import run_forward
from ectool.models.classifier import Classifier
from ectool.models.memory import pass_size

# Number of head passes that need the memory of one pass of the whole model.
_HEADS = 4


class AblationCAM:
    """Ablation-CAM (Desai & Ramaswamy 2020, doi 10.1109/WACV45572.2020.9093360).

    ``heatmap = relu(sum_c w_c A_c)``, ``w_c = (y - y_c) / y``, with A the target layer's
    activations, y the target logit and ``y_c`` the target logit with ``A_c = 0``. If y is 0 the
    weights are undefined and the map is zero. Class tokens are not part of A and keep their values.
    Deviations from pytorch-grad-cam: channels are set to zero even if activations can be negative
    (pytorch-grad-cam subtracts 1e7 from the minimum), and the map is neither scaled to [0, 1] nor
    upsampled.

    The layers up to the target layer run once per image. If average pooling and one linear layer
    (W, b) follow, ``y - y_c = W[y,c] mean_ij A_c`` needs no ablation. For other heads, a
    half-precision network loses small differences of logits to rounding.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self.linear_head = LinearHead(model)

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps on the raw scale at the layer's resolution, and the logits.

        Cost: one forward pass for a pooled linear head. For other heads two, and one pass of the
        head per channel that is not all zero, for any k; memory grows with neither the batch nor
        the number of channels. The first batch costs one more image.
        """
        linear = self.linear_head.find(images)
        if linear is not None:
            return self._closed_form(linear, images, targets)
        rows = [slice(row, row + 1) for row in range(len(images))]
        parts = [
            self._ablate(images[row], None if targets is None else targets[row]) for row in rows
        ]
        heatmaps = torch.cat([part.heatmaps for part in parts])
        return Explanation(heatmaps, torch.cat([part.logits for part in parts]))

    def _closed_form(
        self, linear: nn.Linear, images: Float[Tensor, "n ch h w"], targets: Targets
    ) -> Explanation:
        activations, logits = run_forward(self.model, images)
        classes = choose_targets(logits, targets)
        columns = _columns(classes)
        contributions = linear.weight.detach().float()[columns]
        contributions *= activations.float().mean((2, 3))[:, None]
        weights = _share(contributions, logits.gather(1, columns)[:, :, None])
        return Explanation(weighted_map(weights, activations, classes), logits)

    def _ablate(self, image: Float[Tensor, "1 ch h w"], targets: Targets) -> Explanation:
        """Explain one image by setting its channels to zero, several per batch of the head."""
        size = image.shape[2], image.shape[3]
        with open_replay(self.model, image) as replay:
            activations = self.model.target_layer.to_nchw(replay.output, size)
            classes = choose_targets(replay.logits, targets)
            columns = _columns(classes)
            weights = torch.zeros(1, columns.shape[1], activations.shape[1], device=image.device)
            # Channels that are already zero have a drop of 0.
            active = activations[0].flatten(1).any(1) & (classes >= 0).any()
            score = replay.logits.gather(1, columns)
            for channels in torch.split(active.nonzero()[:, 0], _HEADS * pass_size(image)):
                if len(channels):
                    ablated = self._without(replay, channels, size)[:, columns[0]]
                    weights[0, :, channels] = _share(score.float() - ablated, score).T
        return Explanation(weighted_map(weights, activations, classes), replay.logits)

    def _without(
        self, replay: Replay, channels: Int[Tensor, "m"], size: tuple[int, int]
    ) -> Float[Tensor, "m classes"]:
        """Return the logits, with one channel ablated per row."""
        outputs = replay.output.expand(len(channels), *replay.output.shape[1:]).clone()
        rows = torch.arange(len(channels), device=channels.device)
        self.model.target_layer.to_nchw(outputs, size)[rows, channels] = 0
        return replay.run_head(outputs)


def _columns(classes: Int[Tensor, "n *k"]) -> Int[Tensor, "n k"]:
    """Return the targets in columns; class 0 replaces -1."""
    return classes.view(len(classes), -1).clamp(min=0)


def _share(drop: Float[Tensor, "..."], score: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return ``drop / score``, or 0 where the score is 0."""
    return torch.where(score == 0, 0, drop / score.float())
