"""What `perturb --heatmaps` does to one batch: attack it, and explain both images by the way."""

from __future__ import annotations

from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.config import ExplainConfig
from ectool.datasets.base import Indices
from ectool.explainers import Explanation
from ectool.models.classifier import to_pixels
from ectool.stages.explain.storage import MapStorage
from ectool.stages.perturb.work import Attacked, Batch, PerturbWork


class OnePassWork:
    """Perturbs and explains batches; see `shards.JointWork`.

    The clean heatmaps that the mask is made of are stored, and where one attack is made, drawing
    the perturbed ones answers for its logits: two forward passes less than apart.

    Args:
        perturb: The work of `perturb`.
        config: The options of `explain` that would write the same heatmaps.
    """

    def __init__(self, perturb: PerturbWork, config: ExplainConfig) -> None:
        self.perturb = perturb
        self.storage = MapStorage(config, perturb.model)

    def load(self, rows: Indices) -> Batch:
        """Read what the attack needs."""
        return self.perturb.load(rows)

    def compute(self, batch: Batch) -> tuple[Arrays, ...]:
        """Return the batch's rows of the samples and of the heatmaps."""
        drawn: list[Explanation] = []

        def forward(targets: Tensor, pixels: Tensor) -> Tensor:
            drawn.append(self.perturb.explainer(pixels, targets))
            return drawn[-1].logits

        attacked = self.perturb.attack(batch, explain=True, forward=forward)
        pixels = to_pixels(attacked.images)
        # Of several restarts, or of images put back, what was drawn is not what was kept.
        if len(drawn) != 1:
            drawn = [self.perturb.explainer(pixels, attacked.targets)]
        return attacked.arrays, self._heatmaps(attacked, drawn[0], pixels)

    def _heatmaps(self, attacked: Attacked, adversarial: Explanation, pixels: Tensor) -> Arrays:
        samples, clean = attacked.arrays, attacked.clean
        if clean is None:
            raise ValueError("the attack was not asked to explain the clean images")
        return {
            "sample_id": samples["sample_id"],
            "label": samples["label"],
            "target": attacked.targets.cpu().numpy(),
            "clean": self.storage.pack(clean.heatmaps, pixels),
            "logits_clean": samples["logits_clean"],
            "adversarial": self.storage.pack(adversarial.heatmaps, pixels),
            "logits_adversarial": samples["logits_adversarial"],
        }

    def findings(self, arrays: tuple[Arrays, ...]) -> tuple[dict[str, int], ...]:
        """Count what both stages tell of a finished shard."""
        samples, heatmaps = arrays
        return self.perturb.findings(samples), self.storage.findings(heatmaps)
