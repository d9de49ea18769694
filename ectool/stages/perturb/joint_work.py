"""`perturb --heatmaps` on one batch: the attack, and the heatmaps of both images."""

from __future__ import annotations

from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.config import ExplainConfig
from ectool.datasets.base import Indices
from ectool.explainers import Explanation
from ectool.models.classifier import to_pixels
from ectool.models.transfer import Columns
from ectool.stages.explain.storage import MapStorage
from ectool.stages.perturb.batch import Attacked, PerturbBatch
from ectool.stages.perturb.work import PerturbWork


class OnePassWork:
    """Perturbs and explains batches; see `shards.JointWork`.

    The clean heatmaps that define the mask are also stored. Without restarts, the forward pass that
    explains the perturbed images also computes their logits. This saves two forward passes compared
    with two separate stages.

    Args:
        perturb: The work of `perturb`.
        config: Options of the `explain` call that would write the same heatmaps.
    """

    def __init__(self, perturb: PerturbWork, config: ExplainConfig) -> None:
        self.perturb = perturb
        self.storage = MapStorage(config, perturb.model)

    def load(self, rows: Indices) -> PerturbBatch:
        """Read the inputs of the attack."""
        return self.perturb.load(rows)

    def compute(self, batch: PerturbBatch) -> tuple[Columns, ...]:
        """Return the rows of the samples artifact and of the heatmaps artifact."""
        drawn: list[Explanation] = []

        def forward(targets: Tensor, pixels: Tensor) -> Tensor:
            drawn.append(self.perturb.explainer(pixels, targets))
            return drawn[-1].logits

        attacked = self.perturb.attack(batch, explain=True, forward=forward)
        pixels = to_pixels(attacked.images)
        # With restarts, or after clean images were restored, these are not the maps of the result.
        if len(drawn) != 1:
            drawn = [self.perturb.explainer(pixels, attacked.targets)]
        return attacked.columns, self._heatmaps(attacked, drawn[0], pixels)

    def _heatmaps(self, attacked: Attacked, adversarial: Explanation, pixels: Tensor) -> Columns:
        samples, clean = attacked.columns, attacked.clean
        if clean is None:
            raise ValueError("the attack did not explain the clean images")
        return {
            "sample_id": samples["sample_id"],
            "label": samples["label"],
            "target": attacked.targets,
            "clean": self.storage.pack(clean.heatmaps, pixels),
            "logits_clean": samples["logits_clean"],
            "adversarial": self.storage.pack(adversarial.heatmaps, pixels),
            "logits_adversarial": samples["logits_adversarial"],
        }

    def discard(self) -> None:
        """Forget the findings in the batches since the last finished shard."""
        self.perturb.discard()

    def findings(self, arrays: tuple[Arrays, ...]) -> tuple[dict[str, int], ...]:
        """Count the findings of both stages in a finished shard."""
        samples, heatmaps = arrays
        return self.perturb.findings(samples), self.storage.findings(heatmaps)
