"""CAM is the linear head at every position, and nothing for other heads."""

from __future__ import annotations

import pytest
import torch

from ectool.errors import InputError
from ectool.explainers import EXPLAINERS


def test_the_head_is_applied_at_every_position(make, images, targets):
    model = make("pooled").eval()
    found = EXPLAINERS["cam"].make(model)(images, targets)
    weight, activations = model.network.head[2].weight, model.network.trunk((images - 0.5) / 0.25)
    for image, target in enumerate(targets):
        expected = sum(w * a for w, a in zip(weight[target], activations[image], strict=True))
        torch.testing.assert_close(found.heatmaps[image], expected.detach().relu())
    torch.testing.assert_close(found.logits, model(images).detach())


def test_other_heads_are_refused(make, images):
    with pytest.raises(InputError, match=r"average pooling and one linear layer.*--method gradcam"):
        EXPLAINERS["cam"].make(make("deep"))(images)
