from __future__ import annotations

import math

import pytest
import torch

from ectool.training.batch import Position
from ectool.training.objectives.cutmix import draw_box
from tests.slow_losses import slow_losses
from tests.unit.training.objectives.test_mixup import Record


def pasted(batch, pixels):
    """Return the second image of each mixture and the share of its pixels, by comparing them."""
    found = []
    for row, image in enumerate(pixels):
        is_own = (image == batch.pixels[row]).all(0)
        others = [
            other
            for other in range(6)
            if torch.equal(image, torch.where(is_own, batch.pixels[row], batch.pixels[other]))
        ]
        found.append((others[0] if not is_own.all() else row, 1 - is_own.float().mean().item()))
    return found


@pytest.mark.parametrize("labels", ["batch", "multilabel"])
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_mixed_by_area(make, classifier, seed, labels, request):
    batch, model = request.getfixturevalue(labels), Record(classifier)
    place = Position(0, 0, 0.0, torch.Generator().manual_seed(seed))
    loss, logits = make("cutmix", strength=1.0, share=1.0)(model, batch, place)
    found = pasted(batch, model.pixels)
    assert sorted(other for other, _ in found) == list(range(6))
    area = max(share for _, share in found)
    own = slow_losses(logits, batch.labels)
    other = slow_losses(logits, batch.labels[[index for index, _ in found]])
    weights = batch.weights.tolist()
    terms = [
        (1 - area) * weights[row] * own[row] + area * weights[index] * other[row]
        for row, (index, _) in enumerate(found)
    ]
    assert area > 0
    assert loss.item() == pytest.approx(sum(terms) / 6, rel=1e-4)


def test_a_share_of_the_batches_is_mixed(make, classifier, batch):
    objective, mixed = make("cutmix", strength=4.0, share=0.3), 0
    for seed in range(100):
        model = Record(classifier)
        objective(model, batch, Position(0, 0, 0.0, torch.Generator().manual_seed(seed)))
        mixed += not torch.equal(model.pixels, batch.pixels)
    assert 15 < mixed < 45


@pytest.mark.parametrize("share", [0.0, 0.3, 0.75, 1.0])
def test_boxes_are_those_of_the_definition(share):
    draw, seen = torch.Generator().manual_seed(0), set()
    sides = int(12 * math.sqrt(1 - share)), int(8 * math.sqrt(1 - share))
    expected = {
        tuple(
            min(max(centre + sign * (side // 2), 0), whole)
            for sign in (-1, 1)
            for centre, side, whole in zip((x, y), sides, (12, 8), strict=True)
        )
        for x in range(12)
        for y in range(8)
    }
    for _ in range(3000):
        seen.add(draw_box(12, 8, share, draw))
    assert seen == expected
